"""How often something may be tried: counted in the database, so that no process and no restart forgets it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from projects.domain.errors import Refused
from projects.models import Throttle


class TooMany(Refused):
    """Too many attempts; the same answer whether the account exists or not."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many attempts. Wait {max(1, round(seconds / 60))} min, then try again.")
        self.seconds = seconds


@dataclass(frozen=True)
class Limit:
    """At most `count` attempts in each stretch of `seconds`."""

    name: str
    count: int
    seconds: int

    def key(self, subject: str, now: datetime) -> str:
        window = int(now.timestamp()) // self.seconds
        return hashlib.sha256(f"{self.name}\n{window}\n{subject}".encode()).hexdigest()

    def ends(self, now: datetime) -> datetime:
        return datetime.fromtimestamp((int(now.timestamp()) // self.seconds + 1) * self.seconds, UTC)


def count(limit: Limit, subject: str) -> None:
    """Count one attempt, before it is made; refuse it when there were too many."""
    now = timezone.now()
    key = limit.key(subject, now)
    if not _raise(key):
        _start(key, limit.ends(now))
    if Throttle.objects.filter(key=key, count__gt=limit.count).exists():
        raise TooMany(int((limit.ends(now) - now).total_seconds()) + 1)


def _raise(key: str) -> int:
    return Throttle.objects.filter(key=key).update(count=F("count") + 1)


def _start(key: str, ends: datetime) -> None:
    Throttle.objects.filter(expires_at__lt=timezone.now() - timedelta(minutes=1)).delete()
    try:
        with transaction.atomic():
            Throttle.objects.create(key=key, count=1, expires_at=ends)
    except IntegrityError:
        _raise(key)  # a rival started it in the same moment


def forget(limit: Limit, subject: str) -> None:
    """It went well: the attempts before it no longer count."""
    Throttle.objects.filter(key=limit.key(subject, timezone.now())).delete()


def take_back(limit: Limit, subject: str) -> None:
    """It went well: this one attempt does not count."""
    Throttle.objects.filter(key=limit.key(subject, timezone.now())).update(count=Greatest(F("count") - 1, 0))
