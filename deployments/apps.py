"""May it ship?"""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    name = "deployments"
    label = "deployments"

    def ready(self) -> None:
        from deployments import happenings, invariants, lineage, rollout
        from deployments.selectors import needs
        from projects import contributions, jobs
        from projects.invariants import register as register_invariant

        jobs.register(rollout.KIND)
        happenings.register_all()
        contributions.needs.append(needs.needs)
        for invariant in invariants.INVARIANTS:
            register_invariant(*invariant)
        contributions.lineage.append(lineage.Deployments())
