"""Withdrawing a base model, data or an adapter with a reason, and taking that back."""

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from projects import lineage, withdrawals
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.staleness import Cause
from projects.models import Project, User, Withdrawal
from projects.transitions import record

LONGEST = 2000


@requires(Permission.LINEAGE_WITHDRAW)
def withdraw_node(project: Project, *, by: User, node: str, cause: str, reason: str) -> Withdrawal:
    """Nothing new may stand on this node; everything that descends from it says so on its pages."""
    found = lineage.node(project, node)
    if found is None:
        raise Invalid("There is no such node in this project.", code="not_in_project", field="node")
    kind = lineage.kind_of(found.kind)
    if cause not in kind.causes:
        allowed = ", ".join(kind.causes)
        word = kind.word
        said = (
            f"A {word} can be: {allowed}." if allowed else f"A {word} cannot be withdrawn; withdraw what it stands on."
        )
        raise Invalid(said, code="bad_cause", field="cause")
    reason = _reason(reason)
    try:
        with transaction.atomic():
            return withdrawals.withdraw(project, node=node, label=found.label, cause=Cause(cause), reason=reason, by=by)
    except IntegrityError:
        raise Refused(f"{found.label} has been withdrawn for this cause already.", code="already_withdrawn") from None


@requires(Permission.LINEAGE_WITHDRAW)
@transaction.atomic
def reinstate_node(withdrawal: Withdrawal, *, by: User, reason: str) -> Withdrawal:
    """Take it back: its descendants carry it no longer. That it stood, and why it went, stays on record."""
    if withdrawal.cause == Cause.ERASED:
        raise Refused("Rows that were erased for somebody stay erased. Train on a version without them.", code="erased")
    reason = _reason(reason)
    taken = Withdrawal.objects.filter(pk=withdrawal.pk, lifted_at=None).update(
        lifted_by=by, lifted_at=Now(), lifted_reason=reason
    )
    if not taken:
        raise Refused("This has been taken back already.", code="already_lifted")
    withdrawal.refresh_from_db()
    told = withdrawals.stands_on(withdrawal.project, withdrawal.node, withdrawal.detail.get("stops", ()))
    said = {"node": withdrawal.node, "cause": withdrawal.cause} | told
    record(withdrawal, "withdrawal.lifted", actor=by.email, reason=reason, **said)
    return withdrawal


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not 3 <= len(reason) <= LONGEST or "\x00" in reason:
        raise Invalid(
            f"Say why, in 3 to {LONGEST:,} characters: everybody whose work stands on it will read this.",
            code="reason_needed",
            field="reason",
        )
    return reason
