"""What operators do with hosts: drain one, let it go on, forget one that is gone."""

from functools import partial
from typing import Any

from django.db import transaction

from projects import leases, slots, waking
from projects.access import for_operators
from projects.domain.errors import Refused
from projects.models import AuditEvent, Host, User

INSTALLATION = ""  # the project of what concerns all projects, in the audit log


@for_operators
@transaction.atomic
def drain_host(host: Host, *, by: User, reason: str = "") -> Host:
    """What runs on it goes on to its end, and nothing new begins there."""
    now = leases.database_time()
    changes = {"draining_at": now, "drained_by": by, "drain_reason": reason[:2000]}
    if not Host.objects.filter(pk=host.pk, draining_at=None).update(**changes):
        raise Refused(f"{host} is being drained already, or is gone. Reload the page.", code="already_draining")
    _record(host, "host.drained", by, reason)
    return _read(host)


@for_operators
@transaction.atomic
def resume_host(host: Host, *, by: User) -> Host:
    """It takes work again, at once."""
    changes: dict[str, Any] = {"draining_at": None, "drained_by": None, "drain_reason": ""}
    if not Host.objects.filter(pk=host.pk, draining_at__isnull=False).update(**changes):
        raise Refused(f"{host} is not being drained, or is gone. Reload the page.", code="not_draining")
    _record(host, "host.resumed", by)
    for queue in sorted({queue for process in host.processes.all() for queue in process.queues}):
        transaction.on_commit(partial(waking.wake, queue))
    return _read(host)


@for_operators
@transaction.atomic
def forget_host(host: Host, *, by: User) -> None:
    """Take a host that is gone off the page. If it comes back it announces itself and takes work."""
    gone = Host.objects.filter(pk=host.pk, beat_at__lt=slots.stale_before(leases.database_time()))
    name, seen = host.name, host.beat_at
    if not gone.exists():
        raise Refused(
            f"{name} has been heard of just now, so it would be back in seconds. Stop its workers first.",
            code="host_is_alive",
        )
    _record(host, "host.forgotten", by, last_heard_of=seen.isoformat())
    gone.delete()


def _read(host: Host) -> Host:
    return Host.objects.select_related("drained_by").get(pk=host.pk)


def _record(host: Host, action: str, by: User, reason: str = "", **detail: Any) -> None:
    AuditEvent.objects.create(
        project_slug=INSTALLATION,
        action=action,
        target=f"{host._meta.label_lower}:{host.pk}",
        target_label=host.name,
        actor=by.email,
        reason=reason,
        detail=detail,
    )
