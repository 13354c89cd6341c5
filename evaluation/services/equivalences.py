"""What people do about derived models: hold them against the adapter on its base, stop that, try again."""

from django.db import transaction

from datasets_app.models import DatasetVersion
from evaluation import selectors
from evaluation.domain import equivalence
from evaluation.models import Equivalence
from evaluation.services.evaluations import check_version
from projects import leases, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import ACTIVE
from projects.models import User
from training.models import Adapter, DerivedModel


@requires(Permission.EVALUATION_START)
@transaction.atomic
def evaluate_derived(
    row: DerivedModel,
    *,
    by: User,
    golden: DatasetVersion,
    margin: float = equivalence.MARGIN,
    limit: int | None = None,
    max_new_tokens: int | None = None,
    seed: int = 0,
) -> Equivalence:
    """Queue the golden set × (adapter on its base, this model). Equal is what stays within `margin`, a share."""
    DerivedModel.objects.select_for_update(no_key=True).get(pk=row.pk)  # of two who ask at once the second waits here
    row.refresh_from_db(fields=["state", "key", "digest"])
    if not row.is_ready:
        raise Refused(f"{row} is not made yet. Wait for that first.", code="not_made")
    check_version(row.adapter, golden, "golden", "golden set")
    if not equivalence.LEAST <= margin <= equivalence.MOST:
        low, high = (f"{value * 100:g}" for value in (equivalence.LEAST, equivalence.MOST))
        raise Invalid(f"A margin of {low} to {high} points.", code="out_of_range", field="margin")
    if row.equivalences.filter(golden=golden, state__in=ACTIVE).exists():
        raise Refused(f"{row} is being evaluated on {golden} already.", code="already_evaluating")
    return _queue(row, golden, by, margin, {"limit": limit, "max_new_tokens": max_new_tokens, "seed": seed})


def _queue(
    row: DerivedModel, golden: DatasetVersion, by: User, margin: float, asked: dict[str, int | None]
) -> Equivalence:
    fit = selectors.suggestion(golden)
    if not fit.questions:
        raise Invalid(
            f"{golden} has no row with a question and an expected answer. Choose another golden set.",
            code="golden_empty",
            field="golden",
        )
    settings = {
        "primary": fit.primary,
        "margin": margin,
        "max_new_tokens": asked["max_new_tokens"] or fit.max_new_tokens,
        "limit": asked["limit"],
        "seed": asked["seed"],
    }
    made = Equivalence.objects.create(
        project=row.project,
        derived=row,
        golden=golden,
        digest_of_model=row.digest,
        graders=fit.graders,
        settings=settings,
        created_by=by,
    )
    transitions.record(made, "equivalence.created", actor=by.email, margin=margin)
    leases.queue_job(made, actor=by.email)
    return made


@requires(Permission.EVALUATION_START)
@transaction.atomic
def evaluate_every_derived(
    adapter: Adapter, *, by: User, golden: DatasetVersion, margin: float = equivalence.MARGIN
) -> list[Equivalence]:
    """Queue all models of an adapter that are made and have no result on this golden set within this margin."""
    rows = [row for row in adapter.derived.select_related("project", "adapter__project") if row.is_ready]
    if not rows:
        raise Refused("Nothing has been made of this adapter yet.", code="not_made")
    found = [
        evaluate_derived(row, by=by, golden=golden, margin=margin)
        for row in rows
        if not selectors.has_result(row, golden, margin)
    ]
    if not found:
        raise Refused(f"All of them have been evaluated on {golden} already, or are at work.", code="nothing_to_do")
    return found


@requires(Permission.EVALUATION_START)
def cancel_equivalence(row: Equivalence, *, by: User, reason: str = "") -> Equivalence:
    leases.request_cancel(row, actor=by.email, reason=reason)
    return row


@requires(Permission.EVALUATION_START)
@transaction.atomic
def retry_equivalence(row: Equivalence, *, by: User) -> Equivalence:
    """A new attempt of one that failed or was cancelled, with the settings it had."""
    DerivedModel.objects.select_for_update(no_key=True).get(pk=row.derived_id)
    if row.derived.equivalences.filter(golden=row.golden, state__in=ACTIVE).exists():
        raise Refused(f"{row.derived} is being evaluated on {row.golden} already.", code="already_evaluating")
    if row.digest_of_model != row.derived.digest:
        raise Refused("The model has been made anew since. Start another evaluation.", code="model_changed")
    leases.queue_job(row, actor=by.email)
    return row
