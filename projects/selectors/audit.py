"""Reads of the audit log."""

from typing import Any

from django.db.models import Q, QuerySet

from projects.models import AuditEvent, Project


def events(project: Project, *, actor: str = "", action: str = "", target: str = "") -> QuerySet[AuditEvent]:
    """The newest first. `actor` and `target` are parts of words, `action` is exact."""
    found = AuditEvent.objects.filter(project_slug=project.slug).order_by("-pk")
    if actor:
        found = found.filter(actor__icontains=actor)
    if action:
        found = found.filter(action=action)
    if target:
        found = found.filter(Q(target_label__icontains=target) | Q(target__iexact=target))
    return found


def actions(project: Project) -> list[str]:
    """Every action that has happened in the project, for the filter."""
    found = AuditEvent.objects.filter(project_slug=project.slug)
    return list(found.order_by("action").values_list("action", flat=True).distinct())


def words(detail: dict[str, Any]) -> str:
    """What an event says besides actor and reason: "scope: read · days: 30"; a change as "old → new"."""
    said = ((name, value) for name, value in detail.items() if value not in ("", None))
    return " · ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in said)


def _value(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{_value(value[0])} → {_value(value[1])}"
    if isinstance(value, dict | list):
        return f"{len(value)} entries"
    text = "–" if value in ("", None) else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
