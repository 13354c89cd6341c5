"""May it ship?"""

from typing import Any

from django.apps import AppConfig


def _advance_upgrades(job: Any = None) -> int:
    """On behalf of whoever ordered them, with their rights; loaded when there is something to move on."""
    from deployments import upgrading

    return upgrading.advance_all() if job is None else upgrading.advance_after(job)


class DeploymentsConfig(AppConfig):
    name = "deployments"
    label = "deployments"

    def ready(self) -> None:
        from deployments import happenings, invariants, lineage, panels, rollout
        from deployments.models import Upgrade
        from deployments.selectors import needs, upgrade_needs
        from projects import contributions, jobs
        from projects.invariants import register as register_invariant

        jobs.register(rollout.KIND)
        jobs.register_whole("deployments.upgrade", Upgrade)
        contributions.sweeps.append(_advance_upgrades)
        contributions.ended.append(_advance_upgrades)
        happenings.register_all()
        contributions.needs.append(needs.needs)
        contributions.needs.append(upgrade_needs.needs)
        contributions.overview_panels.append(panels.overview)
        contributions.base_panels.append(panels.base)
        for invariant in invariants.INVARIANTS:
            register_invariant(*invariant)
        contributions.lineage.append(lineage.Deployments())
