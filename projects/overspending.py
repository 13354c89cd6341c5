"""Watches what running work costs against what was held for it: the hold grows, owners are told, or it is paused."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models.functions import Coalesce

from projects import holds, jobs, leases, pausing, transitions
from projects.domain import money
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.models import Attempt, Hold

ACTOR = "budget"
STOPPED = "It has passed what was held for it, and nothing is left of the month's budget."


def watch() -> int:
    """Look at every open hold; returns how many have grown. Any number of replicas may do this at once."""
    now = leases.database_time()
    rows = list(Hold.objects.filter(state="open").select_related("project"))
    running = _running([row.job_id for row in rows])
    grown = 0
    for hold in rows:
        attempt = running.get((hold.job_label, hold.job_id))
        if attempt is not None and _grow(hold, cost_so_far(hold, attempt, now), now):
            grown += 1
            _stop_at_limit(hold, now)
    return grown


def _running(numbers: list[int]) -> dict[tuple[str, int], Attempt]:
    rows = Attempt.objects.filter(job_id__in=numbers, ended_at=None).select_related("project")
    return {(row.job_label, row.job_id): row for row in rows}


def cost_so_far(hold: Hold, attempt: Attempt, now: datetime) -> Decimal:
    """What has been booked against a hold, and what the running attempt comes to until now."""
    seconds = attempt.device_seconds((now - attempt.started_at).total_seconds())
    return hold.spent + money.amount(money.hours(seconds), hold.project.hour_price(attempt.device))


def _grow(hold: Hold, cost: Decimal, now: datetime) -> bool:
    """Hold as much as it has cost. Once that is more than was said at its start, it is written down, once."""
    beyond = hold.projected is not None and cost > hold.projected
    changes: dict[str, Any] = {"exceeded_at": Coalesce("exceeded_at", now)} if beyond else {}
    won = Hold.objects.filter(pk=hold.pk, state="open", amount__lt=cost).update(amount=cost, **changes)
    if won and beyond and hold.exceeded_at is None:
        transitions.record(hold, "hold.exceeded", actor=ACTOR, said=str(hold.projected), cost=str(cost))
    return bool(won)


def _stop_at_limit(hold: Hold, now: datetime) -> None:
    """Where the project wants it, work that has passed its hold is paused when the month has nothing left for it."""
    month = holds.month(hold.project, now)
    if not hold.project.stop_at_budget or month.left is None or month.left >= 0:
        return
    model: Any = jobs.kind(hold.job_label).model
    unasked = {"cancel_requested_at": None, "pause_requested_at": None}
    job = model.objects.filter(pk=hold.job_id, state=JobState.RUNNING, **unasked).first()
    if job is None:
        return
    try:
        pausing.request_pause(job, actor=ACTOR, reason=STOPPED)
    except Refused:
        pass  # it has just ended by itself, or somebody stops it
