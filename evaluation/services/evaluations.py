"""What people do with evaluations: start, cancel, try again."""

from collections.abc import Sequence

from django.db import transaction

from datasets_app.models import DatasetVersion
from evaluation import examining
from evaluation.domain.graders import GRADERS
from evaluation.models import Evaluation
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.models import User
from training import selectors as training
from training import services as deciding
from training.models import Adapter, BaseModelVersion


@requires(Permission.EVALUATION_START)
@transaction.atomic
def start_evaluation(
    adapter: Adapter,
    *,
    by: User,
    golden: DatasetVersion,
    base: BaseModelVersion | None = None,
    retention: DatasetVersion | None = None,
    graders: Sequence[str] = (),
    max_new_tokens: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    base_decision_reason: str = "",
) -> Evaluation:
    """Queue golden set × (base, adapter). What is left open is chosen to fit the golden set's answers.

    On another `base` than its own somebody must answer for the pair: before, or here in `base_decision_reason`.
    """
    check_version(adapter, golden, "golden", "golden set")
    if retention is not None:
        check_version(adapter, retention, "retention", "retention set")
    chosen = base or adapter.base
    if chosen.project_id != adapter.project_id:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    training.refuse_unusable(chosen)
    deciding.settle(adapter, chosen, by=by, reason=base_decision_reason)
    unknown = sorted(set(graders) - set(GRADERS))
    if unknown:
        raise Invalid(f"There is no grader {unknown[0]}.", code="unknown_grader", field="graders")
    return examining.queue(
        adapter,
        by=by,
        base=chosen,
        golden=golden,
        retention=retention,
        graders=graders,
        max_new_tokens=max_new_tokens,
        limit=limit,
        seed=seed,
    )


def check_version(adapter: Adapter, version: DatasetVersion, purpose: str, words: str) -> None:
    """Only this project's versions, and only for what they were uploaded for."""
    if version.dataset.project_id != adapter.project_id:
        raise Invalid(f"There is no such {words} in this project.", code="not_found", field=purpose)
    if version.dataset.purpose != purpose:
        raise Invalid(
            f"{version} is a {version.dataset.get_purpose_display().lower()} dataset. Choose a {words}: what an "
            "adapter is judged on must not be what it is trained on.",
            code="wrong_purpose",
            field=purpose,
        )


@requires(Permission.EVALUATION_START)
def cancel_evaluation(evaluation: Evaluation, *, by: User, reason: str = "") -> Evaluation:
    leases.request_cancel(evaluation, actor=by.email, reason=reason)
    return evaluation


@requires(Permission.EVALUATION_START)
def retry_evaluation(evaluation: Evaluation, *, by: User) -> Evaluation:
    """A new attempt of a failed or cancelled evaluation, with the settings it had."""
    training.refuse_undecided(evaluation.adapter, evaluation.base)
    leases.queue_job(evaluation, actor=by.email)
    return evaluation
