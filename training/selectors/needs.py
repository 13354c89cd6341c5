"""What of training waits for a person."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from projects import access
from projects.contributions import Need
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User
from training.domain.copies import UNUSABLE
from training.domain.failures import explain
from training.models import BaseCopy
from training.selectors.retraining import retrainings, undone

RECENT = timedelta(days=14)
SHOWN = 10


def needs(project: Project, user: User) -> list[Need]:
    """Failed runs, base models, imports and models made of adapters, of the last two weeks, for those who can act."""
    if not access.may(user, Permission.RUN_START, project):
        return []
    since = timezone.now() - RECENT
    failed = {"state": JobState.FAILED, "finished_at__gte": since}
    runs = project.runs.filter(**failed).select_related("project").order_by("-finished_at")[:SHOWN]
    bases = project.bases.filter(**failed).select_related("project").order_by("-finished_at")[:SHOWN]
    found = [_need(row, f"Run {row} failed: {explain(row.error_code).title}", "run") for row in runs]
    found += [_need(row, f"The base model {row} could not be registered: {row.error_message}", "base") for row in bases]
    found += [*_spoilt(project), *_erased(project)]
    imports = project.adapter_imports.filter(**failed).select_related("project").order_by("-finished_at")[:SHOWN]
    found += [_need(row, f"The adapter {row} was refused: {row.error_message}", "import") for row in imports]
    made = project.derived_models.filter(**failed).select_related("project", "adapter").order_by("-finished_at")
    return found + [_need(row, f"{row} was not made: {row.error_message}", "model") for row in made[:SHOWN]]


def _spoilt(project: Project) -> list[Need]:
    """Bases whose files have changed or gone on a host since they were registered."""
    rows = BaseCopy.objects.filter(base__project=project, state__in=UNUSABLE).select_related("base__project")
    return [
        Need(
            f"The files of {row.base} on {row.host}: {row.advice}",
            row.base.get_absolute_url(),
            "failed",
            row.looked_at,
            "base",
        )
        for row in rows.order_by("-looked_at")[:SHOWN]
    ]


def _erased(project: Project) -> list[Need]:
    """Adapters that still stand on rows which somebody asked to have erased."""
    open_tasks = undone(retrainings(project))
    if not open_tasks:
        return []
    first = open_tasks[0]
    named = f"{first.adapter} was" if len(open_tasks) == 1 else f"{len(open_tasks)} adapters were"
    text = f"{named} trained on rows that were erased: retrain without them, or delete"
    since = max(
        (mark.since for one in open_tasks for mark in one.marks if mark.since), default=first.adapter.created_at
    )
    return [Need(text, reverse("retraining", args=[project.slug]), "void", since, "retrain")]


def _need(row, text: str, kind: str) -> Need:
    return Need(text=text, url=row.get_absolute_url(), tone="failed", at=row.finished_at, kind=kind)
