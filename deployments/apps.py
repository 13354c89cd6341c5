"""May it ship?"""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    name = "deployments"
    label = "deployments"

    def ready(self) -> None:
        from deployments import lineage, rollout
        from deployments.selectors import needs
        from projects import contributions, jobs

        jobs.register(rollout.KIND)
        contributions.needs.append(needs.needs)
        contributions.lineage.append(lineage.contribution)
