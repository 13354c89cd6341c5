"""Answering for an adapter on a base that is not the one it was trained on, beforehand or with what needs it."""

from typing import Any

from django.db import transaction

from projects import contributions, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from training import selectors
from training.domain.compatibility import Judgement, Verdict
from training.models import Adapter, BaseDecision, BaseModelVersion

REASON_AT_LEAST = 10
FIELD = selectors.DECISION_FIELD


@requires(Permission.BASE_DECIDE)
@transaction.atomic
def decide_on_base(
    adapter: Adapter, *, by: User, base: BaseModelVersion, reason: str, allowed: bool = True
) -> BaseDecision:
    """Answer for using an adapter on a base that is not the same, or take that back. Stored with what was known."""
    if base.project_id != adapter.project_id:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    if not base.is_ready:
        selectors.refuse_unusable(base)
    reason = reason.strip()
    if len(reason) < REASON_AT_LEAST:
        raise Invalid(
            f"Say why in at least {REASON_AT_LEAST} characters. Whoever sees a result of this pair reads it.",
            code="reason_missing",
            field="reason",
        )
    judgement, digest = _known(adapter, base)
    _check(adapter, base, judgement, allowed)
    decision = BaseDecision.objects.create(
        project=adapter.project,
        adapter=adapter,
        base=base,
        allowed=allowed,
        verdict=judgement.verdict.value,
        codes=judgement.codes,
        evidence=digest,
        reason=reason,
        decided_by=by,
    )
    action = "basedecision.allowed" if allowed else "basedecision.withdrawn"
    transitions.record(decision, action, actor=by.email, reason=reason, verdict=decision.verdict, codes=decision.codes)
    return decision


def _known(adapter: Adapter, base: BaseModelVersion) -> tuple[Judgement, str]:
    """The verdict by all that was measured, and the digest of that; by structure alone where nobody measures."""
    found: list[tuple[Any, str]] = [examiner.judged(adapter, base) for examiner in contributions.examiners]
    return found[0] if found else (selectors.structure(adapter, base), "")


def _check(adapter: Adapter, base: BaseModelVersion, judgement: Judgement, allowed: bool) -> None:
    if judgement.verdict == Verdict.SAME:
        raise Refused(f"{base} is the very base it was trained on. There is nothing to decide.", code="base_is_same")
    if allowed and judgement.verdict == Verdict.INCOMPATIBLE:
        raise Refused(
            f"{adapter} does not belong on {base}: {judgement.reasons[0].text} Train it again on that version.",
            code="base_incompatible",
        )
    if not allowed and selectors.standing_decision(adapter, base) is None:
        raise Refused("No decision stands that could be taken back.", code="nothing_decided")


def settle(adapter: Adapter, base: BaseModelVersion, *, by: User, reason: str = "") -> None:
    """Refuse a pair for which nobody answers, unless whoever needs it does so here with a reason.

    A decision that stands already counts, and the reason is not needed.
    """
    if reason.strip() and selectors.is_undecided(adapter, base):
        try:
            decide_on_base(adapter, by=by, base=base, reason=reason)
        except Refused as refused:
            refused.field = FIELD
            raise
    selectors.refuse_undecided(adapter, base, FIELD)
