"""Claim, heartbeat, fence and end of background work. Time is the database's, since hosts disagree."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from projects import booking, faults, jobs, turns, waking
from projects.clock import database_time
from projects.domain import phases
from projects.domain.errors import Refused
from projects.domain.states import JobState, Outcome
from projects.models import Attempt
from projects.transitions import move, record

QUARANTINED = "infra_quarantined"
WORKER_LOST = ("worker_lost", "The worker stopped answering.")


class LostLease(Exception):
    """This worker was given up for dead and the job is somebody else's: write nothing more."""


def lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.LEASE_SECONDS)


@transaction.atomic
def queue_job(job: Any, *, actor: str, priority: int | None = None, **changes: Any) -> None:
    """Put a job into its queue as a new attempt and wake a worker once this is committed.

    Its priority stays what it was unless another is given.
    """
    move(
        job,
        JobState.QUEUED,
        actor=actor,
        attempt=F("attempt") + 1,
        infra_failures=0,
        queued_at=database_time(),
        finished_at=None,
        cancel_requested_at=None,
        pause_requested_at=None,
        error_code="",
        error_message="",
        error_detail="",
        progress={},
        priority=job.priority if priority is None else priority,
        **changes,
    )
    wake_on_commit(job)
    faults.point("leases.queued")


def wake_on_commit(job: Any) -> None:
    queue = jobs.kind_of(job).queue
    transaction.on_commit(lambda: waking.wake(queue) if queue else waking.call_reconciler())


WAITING = {JobState.QUEUED, JobState.PAUSED, JobState.HELD}


def request_cancel(job: Any, *, actor: str, reason: str = "") -> None:
    """Stop a job: at once while it waits; a running one is told through its row and stops within seconds."""
    job.refresh_from_db()
    if job.state in WAITING:
        move(job, JobState.CANCELLED, actor=actor, reason=reason, finished_at=database_time())
        return
    now = database_time()
    told = (
        type(job)
        .objects.filter(pk=job.pk, state=JobState.RUNNING, cancel_requested_at=None)
        .update(cancel_requested_at=now)
    )
    job.refresh_from_db()
    if told:
        faults.point("leases.cancel_written")
        record(job, f"{job._meta.model_name}.cancel_requested", actor=actor, reason=reason)
    elif job.state != JobState.RUNNING:
        raise Refused("There is nothing to cancel: it is already over.", code="already_over")


def claim(models: Iterable[Any], *, owner: str, place: str = "", host: turns.Room | None = None) -> Any | None:
    """Take the waiting row of any of the models whose turn it is; None when there is none. Safe against rivals:

    all of them go for the same row, one of them gets it, and the others look anew at what then is the next. `host` says
    which places are free there; a row that needs more of them keeps them free, and nothing less urgent is taken.
    """
    models = list(models)
    while (row := turns.next_job(models, host)) is not None:
        faults.point("leases.before_claim")
        here = turns.places_for(row, host, place)
        if here is None:
            return None
        if here and _take(row, owner, here[0]):
            faults.point("leases.after_claim")
            return row
    return None


@transaction.atomic
def _take(row: Any, owner: str, place: str = "") -> bool:
    now = database_time()
    won = (
        type(row)
        .objects.filter(pk=row.pk, state=JobState.QUEUED)
        .update(
            state=JobState.RUNNING,
            fence=F("fence") + 1,
            owner=owner,
            place=place,
            lease_until=lease_end(now),
            heartbeat_at=now,
            started_at=now,
            progress={},
            **({"kept_free_by": ""} if row.takes_several else {}),
        )
    )
    if not won:
        return False
    faults.point("leases.claim_written")
    row.refresh_from_db()
    claims = list(Attempt.objects.filter(job_label=row.job_label, job_id=row.pk).values_list("asked", flat=True))
    Attempt.objects.create(
        project=row.project,
        job_label=row.job_label,
        job_id=row.pk,
        number=len(claims) + 1,
        asked=row.attempt,
        start=claims.count(row.attempt) + 1,
        fence=row.fence,
        worker=owner,
        started_at=now,
        cards=row.cards,
    )
    record(row, f"{row._meta.model_name}.running", actor="worker", worker=owner, place=place, fence=row.fence)
    return True


def fenced_update(job: Any, **changes: Any) -> None:
    """Write to a running job, but only while it is still ours."""
    faults.point("leases.before_fenced_write")
    won = type(job).objects.filter(pk=job.pk, fence=job.fence, state=JobState.RUNNING).update(**changes)
    if not won:
        raise LostLease(f"{job} is no longer ours (fence {job.fence})")
    for name, value in changes.items():
        setattr(job, name, value)


def heartbeat(job: Any) -> None:
    """Prolong the lease."""
    faults.point("leases.before_heartbeat")
    now = database_time()
    fenced_update(job, heartbeat_at=now, lease_until=lease_end(now))
    faults.point("leases.after_heartbeat")


def wish(job: Any) -> Outcome | None:
    """What people want of a running job: that it is cancelled, that it is paused, or nothing. Cancelling wins."""
    wanted = type(job).objects.filter(pk=job.pk).values_list("cancel_requested_at", "pause_requested_at").first()
    cancel, pause = wanted or (None, None)
    return Outcome.CANCELLED if cancel else Outcome.PAUSED if pause else None


def attempt_of(job: Any) -> Attempt:
    return Attempt.objects.get(job_label=job.job_label, job_id=job.pk, fence=job.fence)


@transaction.atomic
def hold(job: Any) -> None:
    """Lock the row for the rest of the transaction, make sure that it is still ours, and see it as it is."""
    if not type(job).objects.select_for_update().filter(pk=job.pk, fence=job.fence, state=JobState.RUNNING).exists():
        raise LostLease(f"{job} is no longer ours (fence {job.fence})")
    job.refresh_from_db()  # what this process knows may be of a transaction that was never committed
    faults.point("leases.held")


END = {
    Outcome.SUCCEEDED: JobState.SUCCEEDED,
    Outcome.FAILED: JobState.FAILED,
    Outcome.CANCELLED: JobState.CANCELLED,
}


@transaction.atomic
def finish(
    job: Any,
    outcome: Outcome,
    *,
    cause: str,
    actor: str = "worker",
    code: str = "",
    message: str = "",
    detail: str = "",
) -> None:
    """End a running job: final state, end of its attempt and its ledger line, all or nothing."""
    hold(job)
    now = database_time()
    move(
        job,
        END[outcome],
        actor=actor,
        reason=message,
        finished_at=now,
        lease_until=None,
        error_code=code,
        error_message=message,
        error_detail=detail[-20_000:],
    )
    faults.point("leases.end_written")
    close_attempt(job, outcome, cause=cause, ended_at=now, code=code, message=message)


def mark(job: Any, phase: str) -> None:
    """Note when the attempt entered a phase: what its device did all the time is booked at its end."""
    attempt = attempt_of(job)
    if len(attempt.marks) < phases.MAX_MARKS and (not attempt.marks or attempt.marks[-1][0] != phase):
        since = (database_time() - attempt.started_at).total_seconds()
        Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(marks=[*attempt.marks, [phase, round(since, 3)]])


def close_attempt(
    job: Any,
    outcome: Outcome,
    *,
    cause: str,
    ended_at: datetime,
    code: str = "",
    message: str = "",
    found_at: datetime | None = None,
) -> None:
    attempt = attempt_of(job)
    attempt.ended_at, attempt.outcome = max(ended_at, attempt.started_at), outcome.value
    attempt.error_code, attempt.error_message = code, message
    attempt.save()
    faults.point("leases.attempt_closed")
    working = jobs.kind_of(job).working
    booking.book_attempt(attempt, cause=cause, subject_label=str(job), found_at=found_at, working=working)
    faults.point("leases.attempt_booked")


@transaction.atomic
def hand_back(job: Any, *, cause: str) -> None:
    """Put a running job back into its queue because its host is being stopped. Nobody failed."""
    hold(job)
    now = database_time()
    close_attempt(job, Outcome.INTERRUPTED, cause=cause, ended_at=now, code="host_stopped")
    reason = "Its host was stopped in good order."
    move(job, JobState.QUEUED, actor="worker", reason=reason, queued_at=now, lease_until=None)
    wake_on_commit(job)
    faults.point("leases.handed_back")


@transaction.atomic
def give_back(job: Any, *, cause: str, actor: str = "reconciler") -> bool:
    """Requeue a job whose worker is gone; after three losses in one attempt it is quarantined instead."""
    faults.point("leases.before_give_back")
    now = database_time()
    expired = Q(pk=job.pk, fence=job.fence, state=JobState.RUNNING, lease_until__lt=now)
    row = type(job).objects.select_for_update(skip_locked=True).filter(expired).first()
    if row is None:
        return False  # the worker lives after all and may be storing its result, or another reconciler was faster
    _lose(row, cause=cause, actor=actor, ended_at=row.heartbeat_at or now, why=WORKER_LOST)
    return True


@transaction.atomic
def lose(job: Any, *, cause: str, code: str, message: str) -> None:
    """The child was killed from outside: not the job's fault, so it goes on from its last checkpoint."""
    hold(job)
    _lose(job, cause=cause, actor="worker", ended_at=database_time(), why=(code, message))


def _lose(row: Any, *, cause: str, actor: str, ended_at: datetime, why: tuple[str, str]) -> None:
    code, message = why
    now = database_time()
    changes: dict[str, Any] = {"lease_until": None, "infra_failures": F("infra_failures") + 1}
    if row.cancel_requested_at:
        close_attempt(row, Outcome.CANCELLED, cause=cause, ended_at=ended_at, found_at=now)
        move(row, JobState.CANCELLED, actor=actor, finished_at=now, **changes)
        return
    close_attempt(row, Outcome.LOST, cause=cause, ended_at=ended_at, code=code, message=message, found_at=now)
    faults.point("leases.loss_written")
    if row.infra_failures + 1 >= settings.MAX_LOSSES:
        message = (
            f"{message} That was loss number {settings.MAX_LOSSES}, so it is not tried again by itself. "
            "Look at the logs of the worker and the memory of its host, then retry."
        )
        changes |= {"finished_at": now, "error_code": QUARANTINED, "error_message": message}
        move(row, JobState.FAILED, actor=actor, reason=message, **changes)
        return
    if row.pause_requested_at:  # it goes on from its last checkpoint, but not before somebody wants it to
        move(row, JobState.PAUSED, actor=actor, reason=message, **changes)
        return
    move(row, JobState.QUEUED, actor=actor, reason=message, queued_at=now, **changes)
    wake_on_commit(row)
    faults.point("leases.lost_requeued")
