"""Letting a run rest and go on."""

from django.db import transaction

from projects import pausing
from projects.access import requires
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.models import User
from training.models import Run


@requires(Permission.RUN_CANCEL)
def pause_run(run: Run, *, by: User, reason: str = "") -> Run:
    """Let a run rest: at once while it waits; a running one saves a checkpoint and gives its place to others."""
    pausing.request_pause(run, actor=by.email, reason=reason)
    return run


@requires(Permission.RUN_START)
@transaction.atomic
def resume_run(run: Run, *, by: User) -> Run:
    """Queue a paused run again; it goes on from its newest whole checkpoint. What was held for it is held still."""
    if not run.base.is_ready:
        raise Refused(f"The base model {run.base} is not ready.", code="base_not_ready")
    pausing.resume_job(run, actor=by.email)
    return run
