"""Rules about who may decide which request, and until when a decision holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from projects.domain.errors import Refused

APPROVAL_HOLDS = timedelta(days=7)
REASON_AT_LEAST = 10  # characters; a verdict without a reason helps nobody


class SelfApproval(Refused):
    status = 403
    code = "self_approval"


class SessionRequired(Refused):
    status = 403
    code = "session_required"


@dataclass(frozen=True)
class Person:
    pk: int
    email: str

    @property
    def identity(self) -> str:
        """Two accounts on one mailbox are one person: case and a +tag do not make another."""
        local, _, domain = self.email.strip().casefold().rpartition("@")
        return f"{local.partition('+')[0]}@{domain}"


TIES = {
    "requested_by": "you asked for this deployment",
    "run_started_by": "you started the run that trained this adapter",
    "run_created_by": "you set up the run that trained this adapter",
    "imported_by": "you imported this adapter",
}


def tie(person: Person, people: Mapping[str, Person | None]) -> str | None:
    """How this person is tied to the request, in words, or None for an independent eye."""
    for role, words in TIES.items():
        other = people.get(role)
        if other and (other.pk == person.pk or other.identity == person.identity):
            return words
    return None


def why_not_decide(person: Person, people: Mapping[str, Person | None]) -> str | None:
    words = tie(person, people)
    return f"You cannot decide on this request because {words}. Ask another reviewer." if words else None


def check_decider(person: Person, people: Mapping[str, Person | None], *, session: bool) -> None:
    """Refuse anyone tied to the request, and any decision that a token rather than a person sends."""
    if not session:
        raise SessionRequired("A decision needs a person who is signed in. API tokens cannot decide.")
    if reason := why_not_decide(person, people):
        raise SelfApproval(reason)


def check_reason(body: str, *, needed: bool) -> None:
    if needed and len(body.strip()) < REASON_AT_LEAST:
        raise Refused(
            f"Say why in at least {REASON_AT_LEAST} characters, so that the others can follow.",
            code="reason_missing",
            field="body",
        )


def check_gates(blocked_by: Sequence[str]) -> None:
    if blocked_by:
        raise Refused(
            f"This request cannot be approved while these gates do not pass: {', '.join(blocked_by)}. "
            "Request changes or reject it.",
            code="gates_not_passed",
        )


def holds_until(decided_at: datetime) -> datetime:
    return decided_at + APPROVAL_HOLDS


def has_expired(decided_at: datetime, now: datetime) -> bool:
    return now >= holds_until(decided_at)
