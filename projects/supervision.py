"""Runs the child process of a claimed job and writes down what it says.

The supervisor is a process of its own, started by the worker's task, so no broker message waits for it. It holds the
lease; the child holds the GPU. When the lease is lost, or cannot be prolonged in time, the child is killed first.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from projects import contributions, faults, jobs, leases, pausing, slots, waking
from projects.child import Child, Said
from projects.domain import phases
from projects.domain.errors import Refused
from projects.domain.states import Outcome
from projects.jobs import JobKind, Limits
from projects.keeping import Lease
from projects.models import Attempt
from projects.watchdog import Watchdog

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.5
CUT_SHORT = {
    "code": "grace_over",
    "message": "It could not save within the time it was given, so it goes on from the checkpoint before.",
}
stopping = threading.Event()  # set by the process when its host is being stopped


def claim_and_start(queue: str) -> int:
    """Claim waiting jobs while this host has free places, and start a supervisor for each. Ends at once."""
    started = 0
    models = [kind.model for kind in jobs.kinds(queue)]
    with slots.one_claimer(queue):
        while free := slots.free_places(queue):
            owner = f"{slots.host_name()}/{queue}/{os.getpid()}-{time.monotonic_ns()}"
            room = slots.room(queue, free, leases.database_time())
            job = leases.claim(models, owner=owner, place=free[0], host=room)
            if job is None:
                break
            faults.point("supervision.before_start")
            _start(job)
            faults.point("supervision.after_start")
            started += 1
    return started


def _start(job: Any) -> None:
    if settings.SUPERVISE_INLINE:
        supervise(jobs.kind_of(job), job)
        return
    command = [
        sys.executable,
        str(settings.BASE_DIR / "manage.py"),
        "supervise",
        job.job_label,
        str(job.pk),
        str(job.fence),
    ]
    log = workdir_of(job) / "supervisor.log"
    with log.open("ab") as out:
        subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def workdir_of(job: Any) -> Path:
    """Where an attempt works. The fence is in the path, so that a zombie cannot write over its successor."""
    path = Path(settings.WORK_DIR) / job.job_label / str(job.pk) / f"f{job.fence}"
    path.mkdir(parents=True, exist_ok=True)
    return path


def supervise(kind: JobKind, job: Any) -> None:
    """Take a claimed job to the end of this attempt."""
    faults.point("supervision.begun")
    try:
        _supervise(kind, job)
    except leases.LostLease as lost:
        logger.warning("%s", lost)
    finally:
        if not settings.SUPERVISE_INLINE:
            waking.wake(kind.queue)  # a slot is free


def _supervise(kind: JobKind, job: Any) -> None:
    lease, workdir = Lease(job), workdir_of(job)
    lease.begin()
    try:
        with lease.kept():
            command = lease.patiently(lambda: kind.prepare(job, workdir))
    except Refused as refused:
        lease.patiently(partial(_fail, kind, job, refused.code, refused.message))
        return
    except OSError as error:
        message = f"The worker could not prepare its files: {error}."
        lease.patiently(partial(_fail, kind, job, "storage_failed", message))
        return
    faults.point("supervision.prepared")
    environment = slots.environment(kind.queue, job.place) | jobs.secrets_of(kind)
    with Child(
        command, workdir=workdir, limits=kind.limits, grace_seconds=kind.grace, environment=environment
    ) as child:
        faults.point("supervision.child_started")
        with lease.guarding(child):
            _follow(kind, job, child, lease)
    faults.point("supervision.child_ended")
    lease.patiently(lambda: _conclude(kind, job, child.said, workdir))
    faults.point("supervision.concluded")
    lease.patiently(lambda: kind.after(job))
    faults.point("supervision.after_done")
    for follow in contributions.ended:
        lease.patiently(partial(follow, job))


def _follow(kind: JobKind, job: Any, child: Child, lease: Lease) -> None:
    """Hand on the child's events and keep the lease until the child ends or has to."""
    watchdog = Watchdog(kind)
    while child.is_running():
        for event in child.events(POLL_SECONDS):
            watchdog.heard(event)
            lease.patiently(partial(_note, kind, job, event))
        match lease.keep():
            case Outcome.CANCELLED:
                faults.point("supervision.before_stop")
                child.cancel()
            case Outcome.PAUSED:
                faults.point("supervision.before_pause")
                child.pause()
        if stopping.is_set():
            child.interrupt()
        if why := watchdog.verdict():
            child.give_up(why)
    for event in child.events(0):
        lease.patiently(partial(_note, kind, job, event))
        lease.keep()


def _note(kind: JobKind, job: Any, event: dict[str, Any]) -> None:
    faults.point("supervision.before_note")
    if event["event"] == "started":
        Attempt.objects.filter(job_label=job.job_label, job_id=job.pk, fence=job.fence, ended_at=None).update(
            device=str(event.get("device", "cpu"))[:40], device_name=str(event.get("device_name", ""))[:120]
        )
        leases.mark(job, phases.WORKING)
    if event["event"] == "progress":
        if event.get("phase") != (job.progress or {}).get("phase"):
            leases.mark(job, str(event.get("phase") or phases.WORKING)[:40])
        known = {key: event.get(key) for key in ("phase", "done", "total")}
        leases.fenced_update(job, progress=known | ({"left": event["left"]} if "left" in event else {}))
    kind.on_event(job, event)
    faults.point("supervision.after_note")


def _conclude(kind: JobKind, job: Any, said: Said, workdir: Path) -> None:
    """Write down how the attempt ended, in one transaction."""
    if said.cancelled:
        _cancel(kind, job)
    elif said.succeeded:
        _complete(kind, job, said, workdir)
    elif said.stalled:
        leases.lose(job, cause=kind.cause, code="stalled", message=said.stalled)
    elif said.stopped_on_request:
        _set_aside(kind, job, said)
    elif said.lost_a_part or (said.was_killed and kind.limits == Limits()):
        # Nobody but the system or a person kills a child without limits; its work is lost, not wrong.
        code, message, _ = said.why()
        leases.lose(job, cause=kind.cause, code=code, message=message)
    else:
        code, message, detail = said.why()
        _fail(kind, job, code, message, detail or tail(workdir / "engine.log"))


def _cancel(kind: JobKind, job: Any) -> None:
    with transaction.atomic():
        kind.failed(job, "cancelled")
        leases.finish(job, Outcome.CANCELLED, cause=kind.cause, code="cancelled", message="Cancelled on request.")


def _set_aside(kind: JobKind, job: Any, said: Said) -> None:
    """What was asked to stop goes on when somebody resumes it or, if its host was stopped, as soon as there is one."""
    wanted = leases.wish(job)  # a wish may have come while the host was being stopped
    if wanted is Outcome.CANCELLED:
        _cancel(kind, job)
    elif wanted is Outcome.PAUSED:
        pausing.rest(job, cause=kind.cause, **(CUT_SHORT if said.was_killed else {}))
    else:
        leases.hand_back(job, cause=kind.cause)


def _complete(kind: JobKind, job: Any, said: Said, workdir: Path) -> None:
    try:
        with transaction.atomic():
            leases.hold(job)
            faults.point("supervision.before_complete")
            kind.complete(job, workdir, said.result or {})
            faults.point("supervision.after_complete")
            leases.finish(job, Outcome.SUCCEEDED, cause=kind.cause)
    except Refused as refused:
        _fail(kind, job, refused.code, refused.message)


def _fail(kind: JobKind, job: Any, code: str, message: str, detail: str = "") -> None:
    with transaction.atomic():
        faults.point("supervision.before_fail")
        kind.failed(job, code)
        leases.finish(job, Outcome.FAILED, cause=kind.cause, code=code, message=message, detail=detail)


def tail(path: Path, size: int = 20_000) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode("utf-8", "replace").replace("\x00", "")
