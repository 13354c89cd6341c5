"""Training an adapter again without rows that were erased."""

from django.db import transaction

from datasets_app.models import DatasetVersion
from projects.access import requires
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.models import User
from training import selectors
from training.models import Adapter, Run
from training.services import heldout
from training.services.runs import launch_run
from training.services.tokens import ensure_profile

NAME_AT_MOST = 120


@requires(Permission.RUN_START)
def retrain_without(adapter: Adapter, *, by: User, budget_reason: str = "") -> Run:
    """Start a run with the old recipe over the newest version of its data without the erased rows.

    The data is counted in tokens first where nobody has yet; then this is refused with `tokens_not_counted` meanwhile.
    """
    old, version, _ = _open(adapter)
    ensure_profile(version, old.base, by=by)  # outlives the refusal below, which says to wait for it
    if held_out := selectors.validation_again(old, version):
        heldout.prepare(version, held_out, old.base, by=by)
    with transaction.atomic():
        Adapter.objects.select_for_update(no_key=True).get(pk=adapter.pk)  # of two who click one starts it
        old, version, parent = _open(adapter)
        return launch_run(
            adapter.project,
            by=by,
            name=f"{adapter.name} without erased rows"[:NAME_AT_MOST],
            base=old.base,
            version=version,
            recipe=old.recipe,
            parent=parent,
            validation=selectors.validation_again(old, version),
            leak_reason=str(old.launched_with.get("leak_reason") or ""),
            budget_reason=budget_reason,
            replaces=adapter,
        )


def _open(adapter: Adapter) -> tuple[Run, DatasetVersion, Adapter | None]:
    """What it was made by, what it would be made of now, and what it would go on from."""
    task = selectors.retraining_of(adapter)
    if task is None:
        raise Refused(f"{adapter} was not trained on rows that were erased.", code="nothing_to_retrain")
    if not task.may_begin or adapter.run is None or task.version is None:
        raise Refused(task.told, code="cannot_retrain")
    return adapter.run, task.version, task.parent
