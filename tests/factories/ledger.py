"""Lines of a ledger, booked the way the product books them."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from projects import booking


def spend(
    project, amount, *, cause="training", outcome="succeeded", subject=1, ended_at=None, kind="training.run", **more
):
    ended_at = ended_at or timezone.now()
    return booking.book(
        project,
        cause=cause,
        subject_kind=kind,
        subject_id=subject,
        subject_label=more.pop("label", f"subject {subject}"),
        outcome=outcome,
        started_at=ended_at - timedelta(hours=1),
        ended_at=ended_at,
        quantity=Decimal(amount),
        unit=more.pop("unit", "GPU h"),
        unit_price=Decimal(1),
        **more,
    )
