"""Whether a request still stands on the evidence it was submitted with, and what happens when it does not."""

from collections.abc import Sequence

from django.utils import timezone

from deployments import rollout
from deployments.domain import policies
from deployments.domain.evidence import Change
from deployments.models import DeploymentRequest
from deployments.selectors import evidence as gathering
from projects import access
from projects.domain.errors import Refused
from projects.domain.permissions import Permission

NAMED = 3  # changes named in a refusal; the page lists all of them


class Stale(Refused):
    """What was seen or approved is not what is there now."""

    code = "approval_stale"


def check_seen(request: DeploymentRequest, digest: str) -> None:
    """The verdict must be about the evidence that is in front of us."""
    if digest != request.digest:
        raise Stale(
            "The evidence of this request has changed since you opened the page. Reload it and read what is new.",
            code="evidence_changed",
        )


def check_evidence(request: DeploymentRequest, *, actor: str) -> None:
    """Gather the evidence again; any difference voids the request."""
    changes = gathering.changes_since(request)
    if changes:
        named = "; ".join(str(change) for change in changes[:NAMED])
        more = f"; and {len(changes) - NAMED} more" if len(changes) > NAMED else ""
        _void(request, f"The evidence changed. {named}{more}", changes, actor=actor)


def check_approval(request: DeploymentRequest, *, actor: str) -> None:
    """An approval holds for some days, and only while its approver could still give it."""
    assert request.decided_at is not None and request.decided_by is not None
    if policies.has_expired(request.decided_at, timezone.now()):
        days = policies.APPROVAL_HOLDS.days
        _void(request, f"The approval is older than {days} days", [], actor=actor)
    if not access.may(request.decided_by, Permission.DEPLOYMENT_DECIDE, request.project):
        _void(request, f"{request.decided_by}, who approved it, is no longer a reviewer here", [], actor=actor)


def _void(request: DeploymentRequest, reason: str, changes: Sequence[Change], *, actor: str) -> None:
    """Void and refuse. The caller must not be inside a transaction, or the void would be rolled back too."""
    rollout.void(request, reason, changes, actor=actor)
    raise Stale(f"This request is now void. {reason}. Its author can submit it again with the evidence of today.")
