"""What is trained on."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "datasets_app"
    label = "datasets"

    def ready(self) -> None:
        from datasets_app import happenings, ingest, invariants, lineage, selectors
        from datasets_app.ingest import incoming, kinds
        from datasets_app.models import Build, Upload
        from datasets_app.selectors import review_needs
        from projects import contributions, jobs
        from projects.invariants import register as register_invariant

        jobs.register(
            jobs.JobKind(
                label="datasets.upload",
                model=Upload,
                queue="cpu",
                cause="data",
                prepare=ingest.prepare_upload,
                on_event=ingest.on_upload_event,
                complete=ingest.complete_upload,
                failed=ingest.failed_upload,
                after=ingest.after,
            )
        )
        jobs.register(
            jobs.JobKind(
                label="datasets.build",
                model=Build,
                queue="cpu",
                cause="data",
                prepare=ingest.prepare_build,
                complete=ingest.complete_build,
                failed=ingest.failed_build,
                after=ingest.after,
            )
        )
        happenings.register_all()
        for kind in kinds.KINDS:
            jobs.register(kind)
        contributions.needs.append(lineage.needs)
        contributions.needs.append(review_needs.needs)
        contributions.storage.append(selectors.stored)
        contributions.sweeps.append(incoming.sweep_incoming)
        for invariant in invariants.INVARIANTS:
            register_invariant(*invariant)
        contributions.lineage.append(lineage.Versions())
