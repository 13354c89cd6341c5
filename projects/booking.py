"""How money gets into the ledger."""

from datetime import datetime
from decimal import Decimal

from projects.domain import money
from projects.models import Attempt, LedgerEntry, Project


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
    note: str = "",
) -> LedgerEntry:
    return LedgerEntry.objects.create(
        project=project,
        cause=cause,
        subject_kind=subject_kind,
        subject_id=subject_id,
        subject_label=subject_label[:200],
        outcome=outcome,
        started_at=started_at,
        ended_at=max(ended_at, started_at),
        quantity=quantity,
        unit=unit,
        unit_price=unit_price,
        amount=money.amount(quantity, unit_price),
        currency=project.currency,
        attempt=attempt,
        note=note[:300],
    )


def book_attempt(attempt: Attempt, *, cause: str, subject_label: str) -> LedgerEntry:
    """One line for one attempt, however it ended: hours on the device it held, at the project's price."""
    assert attempt.ended_at is not None
    return book(
        attempt.project,
        cause=cause,
        subject_kind=attempt.job_label,
        subject_id=attempt.job_id,
        subject_label=subject_label,
        outcome=attempt.outcome,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        quantity=money.hours((attempt.ended_at - attempt.started_at).total_seconds()),
        unit="GPU h" if attempt.device.startswith("cuda") else "CPU h",
        unit_price=attempt.project.hour_price(attempt.device),
        attempt=attempt,
        note=attempt.error_code,
    )
