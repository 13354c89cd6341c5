"""What others can be told of deployments: what waits for a review, what became of it, what is live."""

from typing import Any

from deployments.domain.states import RolloutKind
from projects.domain.telling import Tell
from projects.events import EventType, Facts, register
from projects.facts import MONEY, about, about_job, example, only_if, person_of, subject_of
from projects.models import AuditEvent

REQUEST, SLOT = "/projects/support/deployments/requests/7/", "/projects/support/deployments/slots/3/"
NAME, DEPLOYMENT = "request 7: tickets, rank 16 to production", "deployment 7: tickets, rank 16 to production"
ORDER, UPGRADE = "/projects/support/upgrades/7/", "Probe, evaluate of router v1 on router v2"
UPGRADED = "2 of 3 adapters can move to the new version: 2 survived as they are, 1 lost."
ROLLBACK = "rollback 8: tickets, rank 8 to production"


def _is_rollback(deployment: Any, line: Any) -> bool:
    return deployment.kind == RolloutKind.ROLLBACK


def _is_forward(deployment: Any, line: Any) -> bool:
    return not _is_rollback(deployment, line)


def _review(name: str, meaning: str, state: str, sentence: str, tell: Tell) -> EventType:
    return EventType(
        name,
        "Review",
        meaning,
        (f"deploymentrequest.{state}",),
        about("deployment request", sentence),
        example("deployment request", NAME, sentence.format(name=NAME), path=REQUEST, state=state),
        tell,
        always=True,
    )


def _upgraded(row: Any, line: AuditEvent) -> Facts:
    """Which order it was, and its report in a sentence."""
    told = row.result.get("headline", "")
    return Facts(f"The upgrade “{row}” is through. {told}".strip(), subject_of(row, "upgrade"), person_of(row), {})


EVENTS = (
    _review(
        "review.requested",
        "Somebody asks for an adapter to go live, or asks again with new evidence.",
        "submitted",
        "A review is asked for: {name}.",
        Tell.DECIDERS,
    ),
    _review("review.approved", "A second person has said yes.", "approved", "Approved: {name}.", Tell.WHOSE),
    _review("review.rejected", "A second person has said no.", "rejected", "Rejected: {name}.", Tell.WHOSE),
    _review(
        "review.changes_requested",
        "A second person wants something changed before they decide.",
        "changes_requested",
        "Changes are wanted: {name}.",
        Tell.WHOSE,
    ),
    EventType(
        "deployment.succeeded",
        "Deployment",
        "An adapter is live, its files verified.",
        ("deployment.succeeded",),
        only_if(_is_forward, about_job("deployment", "Live: {name}.")),
        example("deployment", DEPLOYMENT, f"Live: {DEPLOYMENT}.", path=SLOT, state="succeeded", money=MONEY),
        Tell.OWNERS,
        always=True,
    ),
    EventType(
        "deployment.failed",
        "Deployment",
        "A deployment or a rollback has failed; what was live before is live still.",
        ("deployment.failed",),
        about_job("deployment", "Failed: {name}. What was live before is live still."),
        example(
            "deployment",
            DEPLOYMENT,
            f"Failed: {DEPLOYMENT}. What was live before is live still.",
            path=SLOT,
            state="failed",
            money=MONEY,
            failure={
                "code": "hash_mismatch",
                "cause": "data",
                "text": "Rows, templates or files that could not be used as they are.",
            },
        ),
        Tell.OWNERS,
        always=True,
    ),
    EventType(
        "deployment.rolled_back",
        "Deployment",
        "Somebody has brought back what was live before.",
        ("deployment.succeeded",),
        only_if(_is_rollback, about_job("deployment", "Rolled back: {name}.")),
        example("deployment", ROLLBACK, f"Rolled back: {ROLLBACK}.", path=SLOT, state="succeeded", money=MONEY),
        Tell.OWNERS,
    ),
    EventType(
        "upgrade.finished",
        "Upgrade",
        "An order for adapters on a new version of their base is through, however it ended.",
        ("upgrade.finished",),
        _upgraded,
        example("upgrade", UPGRADE, f"The upgrade “{UPGRADE}” is through. {UPGRADED}", path=ORDER, state="succeeded"),
        Tell.WHOSE,
    ),
)


def register_all() -> None:
    register(*EVENTS)
