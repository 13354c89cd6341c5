"""How it is trained."""

from typing import Any

from django.apps import AppConfig


def _overview(project: Any) -> Any:
    """Charts and their library are loaded when a page wants them: workers and supervisors start without."""
    from training import pages

    return pages.overview(project)


def _tabs(version: Any) -> Any:
    from training import pages

    return pages.tabs(version)


def _advance_orders(job: Any = None) -> int:
    """On behalf of whoever ordered them, with their rights: so it is the services that do it."""
    from training.services import finetuning

    return finetuning.advance_waiting()


class TrainingConfig(AppConfig):
    name = "training"
    label = "training"

    def ready(self) -> None:
        from django.db.models.signals import post_delete

        from projects import contributions
        from projects.invariants import register as register_invariant
        from projects.jobs import register_whole
        from training import happenings, invariants, lineage, looking, recording, selectors, supervisor, sweeping
        from training.models import Sweep, TokenProfile

        self._register_counting()
        self._register_training()
        self._register_rehearsals()
        register_whole("training.sweep", Sweep)
        contributions.sweeps.append(sweeping.advance_all)
        contributions.needs.append(selectors.needs)
        for invariant in invariants.INVARIANTS:
            register_invariant(*invariant)
        contributions.lineage.append(lineage.Training())
        contributions.overview_figures.append(_overview)
        contributions.products.append(selectors.products)
        contributions.version_tabs.append(_tabs)
        contributions.sweeps.append(recording.record_missing)
        contributions.sweeps.append(_advance_orders)
        contributions.ended.append(_advance_orders)
        contributions.ended.append(looking.look_after)
        contributions.looks.append(looking.look_around)
        happenings.register_all()
        contributions.booked.append(recording.note_money)
        post_delete.connect(supervisor.forget_counts, sender=TokenProfile)

    def _register_counting(self) -> None:
        from projects.jobs import JobKind, Limits, register
        from training import supervisor
        from training.models import SeenRow, TokenProfile

        register(
            JobKind(
                label="training.tokens",
                model=TokenProfile,
                queue="cpu",
                cause="data",
                prepare=supervisor.prepare_tokens,
                on_event=supervisor.note_tokens,
                complete=supervisor.complete_tokens,
                # A chat template is somebody else's program: it may not take the machine with it.
                limits=Limits(memory_bytes=4 * 1024**3, cpu_seconds=3600),
            )
        )
        register(
            JobKind(
                label="training.seen",
                model=SeenRow,
                queue="cpu",
                cause="data",
                prepare=supervisor.prepare_seen,
                complete=supervisor.complete_seen,
                limits=Limits(memory_bytes=4 * 1024**3, cpu_seconds=60),
            )
        )

    def _register_training(self) -> None:
        from projects.jobs import JobKind, Limits, register
        from training import deriving, importing, looking, notes, recording, selectors, supervisor
        from training.models import BaseCheck, BaseModelVersion, Run

        register(importing.KIND)
        register(deriving.KIND)
        register(
            JobKind(
                label="training.base",
                model=BaseModelVersion,
                queue="cpu",
                cause="training",
                prepare=supervisor.prepare_base,
                complete=supervisor.complete_base,
                # Hashing takes as long as it takes; what it reads beside the weights is small.
                limits=Limits(memory_bytes=8 * 1024**3),
                secrets=("HF_TOKEN",),  # for models that the hub shows to some only
            )
        )
        register(
            JobKind(
                label="training.base_check",
                model=BaseCheck,
                queue="cpu",
                cause="training",
                prepare=looking.prepare_check,
                complete=looking.complete_check,
                limits=Limits(memory_bytes=8 * 1024**3),
                secrets=("HF_TOKEN",),
            )
        )
        register(
            JobKind(
                label="training.run",
                model=Run,
                queue="gpu",
                cause="training",
                prepare=supervisor.prepare_run,
                on_event=notes.note_run,
                complete=supervisor.complete_run,
                after=recording.after_run,
                remaining=selectors.remaining,
                patience=supervisor.patience,
                grace_seconds=None,
                working=frozenset({"reference", "training", "validating"}),
            )
        )

    def _register_rehearsals(self) -> None:
        from projects.jobs import JobKind, Limits, register
        from training import rehearsing, supervisor
        from training.models import Rehearsal

        register(
            JobKind(
                label="training.rehearsal",
                model=Rehearsal,
                queue="gpu",
                cause="rehearsal",
                prepare=rehearsing.prepare,
                on_event=rehearsing.note,
                complete=rehearsing.complete,
                after=rehearsing.tidy,
                patience=supervisor.patience,
                # One that is killed for its memory has given its answer; it is not tried again by itself.
                limits=Limits(cpu_seconds=3600),
            )
        )
