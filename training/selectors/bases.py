"""Reads of base-model versions."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet

from projects import slots
from projects.domain.errors import Refused
from projects.domain.states import ACTIVE, JobState
from projects.models import AuditEvent, Host, Project
from training.domain.copies import CopyState
from training.models import BaseCheck, BaseCopy, BaseModelVersion

CHANGED_BASE = "basemodelversion.changed"
MOST_CHANGES = 50
LABELS = {"licence": "Licence", "licence_link": "Its text", "terms": "Further terms", "end_of_life": "End of life"}


@dataclass(frozen=True)
class Copy:
    """A base on one host; `beat_at` is when that was last heard of, None for one that never said a word."""

    row: BaseCopy
    at_work: bool
    beat_at: datetime | None
    check: BaseCheck | None


@dataclass(frozen=True)
class Change:
    """Who wrote what down, where it was known from, and (field, before, after) of each."""

    at: datetime
    by: str
    reason: str
    fields: list[tuple[Any, ...]]


def bases(project: Project) -> QuerySet[BaseModelVersion]:
    """All of a project, the newest first, with how much stands on each."""
    counts = {"run_count": Count("runs", distinct=True), "adapter_count": Count("adapters", distinct=True)}
    return project.bases.select_related("project", "registered_by").annotate(**counts).order_by("-pk")


def ready_bases(project: Project) -> QuerySet[BaseModelVersion]:
    return project.bases.filter(state=JobState.SUCCEEDED).order_by("-pk")


def base_changes(base: BaseModelVersion) -> list[Change]:
    """What people wrote down about a base after its files were read, the newest first."""
    lines = AuditEvent.objects.filter(target=f"{base._meta.label_lower}:{base.pk}", action=CHANGED_BASE).order_by("-pk")
    labels = {"licence": "Licence", "licence_link": "Its text", "terms": "Further terms", "end_of_life": "End of life"}
    return [
        Change(
            line.at, line.actor, line.reason, [(labels.get(name, name), *pair) for name, pair in line.detail.items()]
        )
        for line in lines[:50]
    ]


def refuse_unusable(base: BaseModelVersion, field: str = "base") -> None:
    """Nothing is begun on a base that is not hashed to its end, nor on one whose files are right on no host."""
    if not base.is_ready:
        state = "is not ready yet. Wait until it is" if base.is_active else "is half-hashed. Let it be tried again"
        raise Refused(f"The base model {base} {state}.", code="base_not_ready", field=field)
    if (spoilt := base.spoilt) is not None:
        code = "base_missing" if spoilt.state == CopyState.MISSING else "base_changed"
        raise Refused(f"{base} cannot be used on {spoilt.host}: {spoilt.advice}", code=code, field=field)


def copies(base: BaseModelVersion, now: datetime) -> list[Copy]:
    """Where its files lie, by host, and whether that host has been heard of lately; checks that are under way."""
    heard = {host.name: host for host in Host.objects.all()}
    gone = slots.stale_before(now)
    rows = list(base.copies.select_related("base"))
    checks = {check.host: check for check in base.checks.filter(state__in=ACTIVE)}
    found = []
    for row in rows:
        host = heard.get(row.host)
        found.append(
            Copy(
                row,
                host is not None and host.beat_at >= gone,
                host.beat_at if host else None,
                checks.pop(row.host, None),
            )
        )
    return found


def base_path(base: BaseModelVersion) -> Path:
    """Where the files lie; the engine checks them against the fingerprint before it uses them."""
    if not base.is_ready:
        raise Refused(f"The base model {base} is not ready. Wait, or register it again.", code="base_not_ready")
    if not base.folder.is_dir():
        raise Refused(f"The files of the base model {base} are gone. Restore them.", code="base_missing")
    return base.folder


def local_folders() -> list[str]:
    """Names of the directories under the models folder that look like models: all that may be registered."""
    root = Path(settings.MODELS_DIR)
    found = [path for path in root.glob("*") if path.is_dir()] + [path for path in root.glob("*/*") if path.is_dir()]
    return sorted(
        path.relative_to(root).as_posix()
        for path in found
        if (path / "config.json").is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
