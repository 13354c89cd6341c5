"""How money gets into the ledger."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from projects import contributions, holds
from projects.domain import losses, money, phases
from projects.models import Attempt, LedgerEntry, Project, User


def book(
    project: Project,
    *,
    cause: str,
    subject_kind: str,
    subject_id: int,
    subject_label: str,
    outcome: str,
    started_at: datetime,
    ended_at: datetime,
    quantity: Decimal,
    unit: str,
    unit_price: Decimal,
    attempt: Attempt | None = None,
    person: User | None = None,
    idle_quantity: Decimal = Decimal(0),
    code: str = "",
    note: str = "",
) -> LedgerEntry:
    """One line. `code` is what a failure was called; the cause of the loss follows from it."""
    return _tell(
        LedgerEntry(
            project=project,
            cause=cause,
            subject_kind=subject_kind,
            subject_id=subject_id,
            subject_label=subject_label[:200],
            outcome=outcome,
            loss_cause=losses.loss_of(outcome, code or note),
            started_at=started_at,
            ended_at=max(ended_at, started_at),
            quantity=quantity,
            idle_quantity=min(idle_quantity, quantity),
            unit=unit,
            unit_price=unit_price,
            amount=money.amount(quantity, unit_price),
            currency=project.currency,
            attempt=attempt,
            person=person,
            note=(note or code)[:300],
        )
    )


def _tell(line: LedgerEntry) -> LedgerEntry:
    """Write the line, and let apps bring up to date what their own rows say about money."""
    line.save()
    for told in contributions.booked:
        told(line)
    return line


def book_attempt(
    attempt: Attempt,
    *,
    cause: str,
    subject_label: str,
    found_at: datetime | None = None,
    working: Collection[str] | None = None,
) -> LedgerEntry:
    """One line for one attempt, however it ended: hours on the devices it held, at the project's price.

    A worker that is lost holds its device until that is found out, at `found_at`; `working` are the phases in which
    the device did what it was held for. What is booked is no longer held.
    """
    assert attempt.ended_at is not None
    worked = (attempt.ended_at - attempt.started_at).total_seconds()
    until = max(found_at or attempt.ended_at, attempt.ended_at)
    parts = phases.split(attempt.marks, worked, (until - attempt.ended_at).total_seconds())
    line = book(
        attempt.project,
        cause=cause,
        subject_kind=attempt.job_label,
        subject_id=attempt.job_id,
        subject_label=subject_label,
        outcome=attempt.outcome,
        started_at=attempt.started_at,
        ended_at=until,
        quantity=money.hours(attempt.device_seconds((until - attempt.started_at).total_seconds())),
        idle_quantity=money.hours(attempt.device_seconds(phases.idle(parts, working))),
        unit="GPU h" if attempt.device.startswith("cuda") else "CPU h",
        unit_price=attempt.project.hour_price(attempt.device),
        attempt=attempt,
        code=attempt.error_code,
    )
    holds.top_down(attempt.job_label, attempt.job_id, line.amount)
    return line


def book_correction(line: LedgerEntry, *, by: User, amount: Decimal, reason: str, at: datetime) -> LedgerEntry:
    """A line of its own that adds `amount`, or takes it back, where another line was wrong. It counts from `at`."""
    return _tell(
        LedgerEntry(
            project=line.project,
            cause=line.cause,
            subject_kind=line.subject_kind,
            subject_id=line.subject_id,
            subject_label=line.subject_label,
            outcome=line.outcome,
            loss_cause=line.loss_cause,
            person=line.person,
            started_at=at,
            ended_at=at,
            quantity=Decimal(0),
            unit=line.unit,
            unit_price=line.unit_price,
            amount=amount,
            currency=line.currency,
            corrects=line,
            booked_by=by,
            reason=reason,
        )
    )
