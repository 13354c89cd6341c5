"""The tenant and the kernel."""

from pathlib import Path

from django.apps import AppConfig
from django.conf import settings


class ProjectsConfig(AppConfig):
    name = "projects"

    def ready(self) -> None:
        from projects import checks  # noqa: F401 - registers itself

        for folder in (settings.DATA_DIR, settings.WORK_DIR, settings.CACHE_DIR, settings.MODELS_DIR):
            Path(folder).mkdir(parents=True, exist_ok=True)

        from projects import contributions, delivered, happenings, overspending, promises
        from projects.selectors import budget, webhooks

        contributions.needs.append(budget.needs)
        contributions.needs.append(webhooks.needs)
        contributions.sweeps.append(overspending.watch)
        contributions.sweeps.append(delivered.sweep)
        happenings.register_all()
        promises.register()
        delivered.register()
