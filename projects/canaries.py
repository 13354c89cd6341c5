"""Canaries: a small message through every queue, again and again, whose age tells whether the queue is heard."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from projects import leases, waking
from projects.models import Canary


def send_due(queues: Iterable[str]) -> list[str]:
    """Send one through every queue whose turn it is; any number of senders together send one.

    The next leaves when the last has arrived; one that got lost is followed by another after twice the time.
    """
    return [queue for queue in queues if _send(queue)]


def _send(queue: str) -> bool:
    now = leases.database_time()
    every = timedelta(seconds=settings.CANARY_SECONDS)
    canary, _ = Canary.objects.get_or_create(queue=queue, defaults={"sent_at": now - 2 * every})
    arrived = Q(seen_number=F("number"))
    due = Q(arrived, sent_at__lte=now - every) | Q(sent_at__lte=now - 2 * every)
    mine = Canary.objects.filter(due, queue=queue, number=canary.number)
    since = canary.waiting_since if canary.seen_number < canary.number else now
    if not mine.update(number=canary.number + 1, sent_at=now, waiting_since=since):
        return False
    waking.send_canary(queue, canary.number + 1)
    return True


def note(queue: str, number: int, *, by: str) -> None:
    """A worker has it. Late ones count for nothing when a younger one was faster."""
    now = leases.database_time()
    canary = Canary.objects.filter(queue=queue, seen_number__lt=number).first()
    if canary is None:
        return
    took = max(0.0, (now - canary.sent_at).total_seconds()) if canary.number == number else canary.seconds
    arrived = canary.number == number
    Canary.objects.filter(pk=canary.pk, seen_number__lt=number).update(
        seen_number=number,
        seen_at=now,
        seen_by=by,
        seconds=took,
        waiting_since=None if arrived else canary.waiting_since,
    )


def overdue(queues: Iterable[str], now: datetime) -> bool:
    """Whether one of the queues has a canary that has been on its way for longer than it may."""
    limit = now - timedelta(seconds=settings.CANARY_LIMIT_SECONDS)
    return Canary.objects.filter(queue__in=list(queues), waiting_since__lte=limit).exists()
