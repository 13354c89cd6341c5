"""Sweeps through all background work and mends what no living worker will."""

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DataError, IntegrityError

from projects import contributions, faults, jobs, leases, waking
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.jobs import JobKind
from projects.models import Host

HOSTS_KEPT = timedelta(days=30)  # where hosts get a new name with every start, the old ones would pile up
logger = logging.getLogger(__name__)
PATIENCE = 3  # sweeps that may be missed until a worker process sweeps by itself
_swept_at = time.monotonic()  # by this process; at first, when it began


def is_overdue() -> bool:
    """No sweep has reached this process for long: beat or the broker may be dead, or others get them all."""
    return time.monotonic() - _swept_at > PATIENCE * settings.RECONCILE_SECONDS


def _give_back(kind: JobKind, row: Any) -> bool:
    """One row that cannot be mended must not keep all the others from it: somebody has to look at that one."""
    try:
        done = leases.give_back(row, cause=kind.cause)
    except (Refused, ObjectDoesNotExist, IntegrityError, DataError):
        logger.exception("%s %s cannot be given back", kind.label, row.pk)
        return False
    faults.point("reconciler.given_back")
    return done


def sweep() -> dict[str, int]:
    """Give back expired leases and wake the queues that have work. Any number of replicas may do this at once."""
    global _swept_at  # noqa: PLW0603 - of this process, and two that meet here do no harm
    _swept_at = time.monotonic()
    faults.point("reconciler.begun")
    now = leases.database_time()
    given_back, waiting = 0, set()
    for kind in jobs.kinds():
        rows = kind.model.objects.filter(state=JobState.RUNNING, lease_until__lt=now)  # type: ignore[attr-defined]
        for row in rows:
            given_back += _give_back(kind, row)
        overdue = now - timedelta(seconds=settings.WAKE_AGAIN_SECONDS)
        if kind.model.objects.filter(state=JobState.QUEUED, queued_at__lt=overdue).exists():  # type: ignore[attr-defined]
            waiting.add(kind.queue)
    faults.point("reconciler.before_wake")
    for queue in sorted(waiting):
        waking.wake(queue)
    Host.objects.filter(beat_at__lt=now - HOSTS_KEPT, draining_at=None).delete()
    swept = sum(clear_up() for clear_up in contributions.sweeps)
    faults.point("reconciler.swept")
    return {"given_back": given_back, "queues_woken": len(waiting), "swept": swept}
