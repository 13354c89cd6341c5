"""How a row changes state: checked, in one UPDATE, and written down."""

from typing import Any

from django.db import models, transaction

from projects import events, holds
from projects.domain.errors import Refused
from projects.domain.states import OVER
from projects.models import AuditEvent, LeasedJob, Project


class JustChanged(Refused):
    """Somebody else was faster."""

    code = "just_changed"


@transaction.atomic(savepoint=False)
def record(row: models.Model, action: str, *, actor: str, reason: str = "", **detail: Any) -> AuditEvent:
    """Write one line of the audit log about `row`, a project or something inside one, and the events that it is."""
    project = row if isinstance(row, Project) else row.project  # type: ignore[attr-defined]
    line = AuditEvent.objects.create(
        project_slug=project.slug,
        action=action,
        target=f"{row._meta.label_lower}:{row.pk}",
        target_label=str(row)[:200],
        actor=actor,
        reason=reason,
        detail=detail,
    )
    events.note(row, line)
    return line


@transaction.atomic
def move(row: Any, to: Any, *, actor: str, reason: str = "", **changes: Any) -> None:
    """Take `row` to the state `to`: against its table, only if nobody was faster, and into the audit log."""
    old = type(to)(row.state)
    row.machine.check(old, to)
    won = type(row)._base_manager.filter(pk=row.pk, state=old.value).update(state=to.value, **changes)
    if not won:
        raise JustChanged(
            f"{str(row)[:1].upper()}{str(row)[1:]} has just been changed by someone else. Reload the page."
        )
    if isinstance(row, LeasedJob) and to in OVER:
        holds.release(row, reason=to.value)
    row.refresh_from_db()  # before it is told of
    record(row, f"{row._meta.model_name}.{to.value}", actor=actor, reason=reason, **{"from": old.value})
