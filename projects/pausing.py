"""Pausing: a job saves what it has, gives its slot to others, and goes on when somebody resumes it."""

from typing import Any

from django.db import transaction

from projects import faults
from projects.domain.errors import Refused
from projects.domain.states import JobState, Outcome
from projects.leases import close_attempt, database_time, hold, wake_on_commit
from projects.transitions import move, record


def request_pause(job: Any, *, actor: str, reason: str = "") -> None:
    """Let a job rest: at once while it waits; a running one is told through its row and saves first."""
    job.refresh_from_db()
    if job.state == JobState.QUEUED:
        move(job, JobState.PAUSED, actor=actor, reason=reason)
        return
    told = (
        type(job)
        .objects.filter(pk=job.pk, state=JobState.RUNNING, pause_requested_at=None, cancel_requested_at=None)
        .update(pause_requested_at=database_time())
    )
    job.refresh_from_db()
    if told:
        faults.point("pausing.wish_written")
        record(job, f"{job._meta.model_name}.pause_requested", actor=actor, reason=reason)
    elif job.state != JobState.RUNNING:
        raise Refused(
            f"Only what waits or runs can be paused, and {job} is {job.state}. Reload the page.", code="not_running"
        )
    elif job.cancel_requested_at:
        raise Refused(
            f"{job} is being cancelled and will not go on: there is nothing to pause.", code="being_cancelled"
        )


@transaction.atomic
def resume_job(job: Any, *, actor: str) -> None:
    """Put a paused job back into its queue. It goes on where it was, so nobody has asked for a new attempt."""
    job.refresh_from_db()
    if job.state != JobState.PAUSED:
        raise Refused(
            f"Only what is paused can be resumed, and {job} is {job.state}. Reload the page.", code="not_paused"
        )
    now = database_time()
    move(job, JobState.QUEUED, actor=actor, queued_at=now, pause_requested_at=None, infra_failures=0, progress={})
    wake_on_commit(job)
    faults.point("pausing.resumed")


@transaction.atomic
def rest(job: Any, *, cause: str, code: str = "", message: str = "") -> None:
    """Leave a running job paused: its attempt is over and paid, its slot is free, and it waits for a person."""
    hold(job)
    close_attempt(job, Outcome.PAUSED, cause=cause, ended_at=database_time(), code=code, message=message)
    move(job, JobState.PAUSED, actor="worker", reason=message, lease_until=None)
    faults.point("pausing.rested")
