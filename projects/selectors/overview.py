"""What the first page of a project tells: what needs people, what is at work, how far a new project is."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from projects import contributions, jobs
from projects.contributions import Figure, Need, Panel
from projects.domain.states import ACTIVE
from projects.models import AuditEvent, LeasedJob, Project

GRAVITY = {"failed": 0, "attention": 1}


def needs(project: Project, user: Any) -> list[Need]:
    """What waits for this person: failures first, then the newest."""
    found = [need for contribution in contributions.needs for need in contribution(project, user)]
    found.sort(key=lambda need: need.at, reverse=True)
    return sorted(found, key=lambda need: GRAVITY.get(need.tone, 2))


def panels(project: Project) -> list[Panel]:
    return [panel for contribution in contributions.overview_panels for panel in contribution(project)]


def figures(project: Project) -> list[Figure]:
    return [figure for contribution in contributions.overview_figures for figure in contribution(project)]


@dataclass(frozen=True)
class Work:
    """A job that waits or runs."""

    job: Any
    kind: str
    phase: str
    done: int | None
    total: int | None


def at_work(project: Project, limit: int = 8) -> tuple[list[Work], int, int]:
    """The jobs at work now (running first), how many run and how many wait."""
    active: list[Any] = []
    for kind in jobs.kinds():
        model: Any = kind.model
        active += model.objects.filter(project=project, state__in=ACTIVE)
    active.sort(key=lambda job: (job.state != "running", job.queued_at is None, job.queued_at))
    running = sum(job.state == "running" for job in active)
    return [_work(job) for job in active[:limit]], running, len(active) - running


def _work(job: LeasedJob) -> Work:
    said = job.progress or {}
    return Work(job, str(job._meta.verbose_name), str(said.get("phase") or ""), said.get("done"), said.get("total"))


@dataclass(frozen=True)
class Step:
    """One step of a new project's way; done as soon as the audit log says that it has happened."""

    title: str
    text: str
    address: str
    permission: str
    action: str
    verb: str
    done: bool = False


STEPS = (
    Step(
        "Register a base model",
        "The model that adapters stand on, pinned by its fingerprint.",
        "base-register",
        "base.register",
        "basemodelversion.succeeded",
        "Register model",
    ),
    Step(
        "Upload a dataset",
        "JSONL, JSON, CSV, TSV or Parquet. Bad rows are listed, the good ones become a version.",
        "dataset-create",
        "dataset.edit",
        "upload.succeeded",
        "Add dataset",
    ),
    Step(
        "Start a run",
        "Tokens, time and money are projected before anything starts.",
        "run-create",
        "run.start",
        "run.succeeded",
        "New run",
    ),
    Step(
        "Evaluate the adapter",
        "Against its base, on a golden set, with an interval around the difference.",
        "evaluation-create",
        "evaluation.start",
        "evaluation.succeeded",
        "Evaluate",
    ),
    Step(
        "Ask for deployment",
        "A second person sees the evidence and decides.",
        "deployment-list",
        "deployment.request",
        "deploymentrequest.",
        "Go to slots",
    ),
)


def first_steps(project: Project) -> list[Step]:
    """The way of a new project with done marks; an empty list once all of it has been walked."""
    wanted = Q()
    for step in STEPS:
        wanted |= Q(action__startswith=step.action)
    seen = set(
        AuditEvent.objects.filter(wanted, project_slug=project.slug)
        .order_by()
        .values_list("action", flat=True)
        .distinct()
    )
    steps = [Step(**{**vars(step), "done": any(action.startswith(step.action) for action in seen)}) for step in STEPS]
    return [] if all(step.done for step in steps) else steps
