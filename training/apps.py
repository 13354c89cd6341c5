"""How it is trained."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    label = "training"

    def ready(self) -> None:
        from projects import contributions, jobs
        from training import lineage, pages, selectors, supervisor
        from training.models import BaseModelVersion, Run, SeenRow, TokenProfile

        jobs.register(
            jobs.JobKind(
                label="training.base",
                model=BaseModelVersion,
                queue="cpu",
                cause="training",
                prepare=supervisor.prepare_base,
                complete=supervisor.complete_base,
            )
        )
        jobs.register(
            jobs.JobKind(
                label="training.tokens",
                model=TokenProfile,
                queue="cpu",
                cause="data",
                prepare=supervisor.prepare_tokens,
                on_event=supervisor.note_tokens,
                complete=supervisor.complete_tokens,
                # A chat template is somebody else's program: it may not take the machine with it.
                limits=jobs.Limits(memory_bytes=4 * 1024**3, cpu_seconds=3600),
            )
        )
        jobs.register(
            jobs.JobKind(
                label="training.seen",
                model=SeenRow,
                queue="cpu",
                cause="data",
                prepare=supervisor.prepare_seen,
                complete=supervisor.complete_seen,
                limits=jobs.Limits(memory_bytes=4 * 1024**3, cpu_seconds=60),
            )
        )
        jobs.register(
            jobs.JobKind(
                label="training.run",
                model=Run,
                queue="gpu",
                cause="training",
                prepare=supervisor.prepare_run,
                on_event=supervisor.note_run,
                complete=supervisor.complete_run,
                after=supervisor.tidy_run,
                grace_seconds=12,
            )
        )
        contributions.needs.append(selectors.needs)
        contributions.lineage.append(lineage.graph)
        contributions.version_tabs.append(pages.tabs)
        contributions.overview_figures.append(pages.overview)
