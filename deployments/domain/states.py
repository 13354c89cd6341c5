"""The life of a request to deploy an adapter; the work of deploying itself is a job like any other."""

from enum import StrEnum

from projects.domain.machine import Machine


class RequestState(StrEnum):
    SUBMITTED = "submitted"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    VOID = "void"
    DEPLOYED = "deployed"


class Verdict(StrEnum):
    COMMENT = "comment"
    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"


class RolloutKind(StrEnum):
    DEPLOY = "deploy"
    ROLLBACK = "rollback"


S = RequestState
REQUEST = Machine(
    "deployment request",
    {
        S.SUBMITTED: frozenset({S.APPROVED, S.CHANGES_REQUESTED, S.REJECTED, S.WITHDRAWN, S.VOID}),
        S.CHANGES_REQUESTED: frozenset({S.SUBMITTED, S.WITHDRAWN}),
        # A reviewer may think again until the adapter is live.
        S.APPROVED: frozenset({S.DEPLOYED, S.VOID, S.REJECTED, S.WITHDRAWN}),
        S.VOID: frozenset({S.SUBMITTED, S.WITHDRAWN}),  # submitted again, it starts with new evidence
        S.REJECTED: frozenset(),
        S.WITHDRAWN: frozenset(),
        S.DEPLOYED: frozenset(),
    },
)

OPEN = (S.SUBMITTED, S.CHANGES_REQUESTED, S.APPROVED)
DECIDED = (S.APPROVED, S.CHANGES_REQUESTED, S.REJECTED)
OUTCOME = {
    Verdict.APPROVE: S.APPROVED,
    Verdict.REQUEST_CHANGES: S.CHANGES_REQUESTED,
    Verdict.REJECT: S.REJECTED,
}
