"""Reads for the OpenAI API: files, models, jobs, their events and checkpoints, all of one project."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from datasets_app.models import BadRow, Upload
from projects.domain.states import JobState
from projects.models import AuditEvent, Project
from training.domain import finetuning
from training.domain.finetuning import STATUS, State
from training.models import Adapter, BaseModelVersion, FineTuningJob, Run
from training.selectors import metrics
from training.selectors.adapters import adapters
from training.selectors.bases import ready_bases
from training.selectors.checkpoints import checkpoints

METRIC_EVENTS = 1000  # at most so many of a run; of longer ones every n-th step is told
LOOKED_THROUGH = 1000
SHOWN_IN_RESULTS = {
    "loss": "train_loss",
    "token_accuracy": "train_accuracy",
    "reward_accuracy": "train_reward_accuracy",
    "validation_loss": "valid_loss",
    "validation_token_accuracy": "valid_mean_token_accuracy",
    "validation_reward_accuracy": "valid_reward_accuracy",
}
VALIDATION = ("validation_loss", "validation_token_accuracy")
FAILED = ("failed", "cancelled")


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; `order` keeps apart what happened in the same second."""

    id: str
    at: datetime
    order: tuple[int, int]
    message: str
    level: str = "info"
    type: str = "message"
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A checkpoint that exists: while a run lives those on disk, afterwards its adapter."""

    step: int
    at: datetime
    model: str
    loss: float | None
    accuracy: float | None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    whole: bool = False  # were all rows of the validation file read, or a part?


# Files


def files(project: Project) -> QuerySet[Upload]:
    """Files of training sets, however they came; not repeated readings, nor rows that mend another file's."""
    found = Upload.objects.filter(project=project, dataset__purpose="training", reread_of=None, mends=None)
    return found.filter(forgotten_at=None).select_related("version", "dataset", "project").order_by("-pk")


def results(project: Project) -> QuerySet[Run]:
    """Runs of jobs that have succeeded: their metrics are files, too."""
    return Run.objects.filter(project=project, state=JobState.SUCCEEDED, ordered_as__isnull=False).order_by("-pk")


def results_csv(run: Run) -> bytes:
    """The metrics of a run by step, under the names that scripts look for."""
    found = metrics.curves(run, tuple(SHOWN_IN_RESULTS))
    columns = [name for name in SHOWN_IN_RESULTS if name in found]
    by_step: dict[int, dict[str, float]] = {}
    for name in columns:
        for step, value in zip(*found[name], strict=True):
            by_step.setdefault(step, {})[name] = value
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["step", *(SHOWN_IN_RESULTS[name] for name in columns)])
    for step in sorted(by_step):
        writer.writerow([step, *(by_step[step].get(name, "") for name in columns)])
    return out.getvalue().encode()


def file_problem(upload: Upload) -> tuple[str, str]:
    """Why a file cannot be trained on, by code and in words; empty when it can, once it is read."""
    if upload.state in FAILED:
        return upload.error_code or "cancelled", upload.error_message or "The reading of the file was cancelled."
    if upload.rows_bad:
        first = BadRow.objects.filter(upload=upload).order_by("line", "pk").first()
        where = f"line {first.line}: {first.code}" if first else "see its page"
        told = f", found {first.found}, expected {first.expected}" if first and (first.found or first.expected) else ""
        rows = "1 row" if upload.rows_bad == 1 else f"{upload.rows_bad:,} rows"
        return (
            first.code if first else "bad_rows",
            f"{rows} of {upload.file_name} cannot be read; the first is {where}{told}. Mend the file and upload it "
            f"again; all of them are listed at {upload.get_absolute_url()}.",
        )
    return "", ""


# Models


def base_name(base: BaseModelVersion, known: list[BaseModelVersion]) -> str:
    """How `model` names a base: its name; with its fingerprint where there are several of that name."""
    twins = sum(other.name == base.name for other in known)
    return base.name if twins == 1 else f"{base.name}@{base.fingerprint[:8]}"


def named_bases(project: Project) -> dict[str, BaseModelVersion]:
    known = list(ready_bases(project)[:LOOKED_THROUGH])
    return {base_name(base, known): base for base in known}


def fine_tuned_name(adapter: Adapter) -> str:
    """The stable name of an adapter as a model."""
    ordered = getattr(adapter.run, "ordered_as", None) if adapter.run else None
    suffix = ordered.suffix if ordered is not None else finetuning.suffix_of(adapter.name)
    return finetuning.model_name(adapter.base.name, adapter.project.slug, suffix, adapter.pk)


def find_model(project: Project, name: str) -> BaseModelVersion | Adapter | None:
    """A base by its name, number or hub id, or an adapter by its name as a model."""
    number = finetuning.adapter_of(name)
    if number is not None:
        adapter = adapters(project).filter(pk=number).first()
        return adapter if adapter is not None and fine_tuned_name(adapter) == name else None
    bases = named_bases(project)
    if name in bases:
        return bases[name]
    of_hub = [base for base in bases.values() if base.repo_id == name]
    numbered = [base for base in bases.values() if name == f"base-{base.pk}"]
    return next(iter([*of_hub[:1], *numbered]), None) if len(of_hub) < 2 else None


def model_names(project: Project) -> list[str]:
    return [*named_bases(project), *(fine_tuned_name(one) for one in adapters(project)[:LOOKED_THROUGH])]


# Jobs


def jobs(project: Project) -> QuerySet[FineTuningJob]:
    joined = ("project", "base", "parent__base", "parent__project", "run__project", "run__base", "run__adapter__base",
              "created_by")  # fmt: skip
    return project.fine_tuning_jobs.select_related(*joined).order_by("-pk")


def status(job: FineTuningJob) -> str:
    return STATUS[JobState(job.run.state)] if job.run is not None else job.state


def adapter_of(job: FineTuningJob) -> Adapter | None:
    return getattr(job.run, "adapter", None) if job.run is not None else None


def events(job: FineTuningJob) -> list[Event]:
    """All that happened, the newest first: moves from the audit log, losses from the curves."""
    found = [*_moves(job), *(_losses(job.run) if job.run is not None else ())]
    return sorted(found, key=lambda event: (event.at, event.order), reverse=True)


def _moves(job: FineTuningJob) -> Iterator[Event]:
    targets = [f"training.finetuningjob:{job.pk}"] + ([f"training.run:{job.run_id}"] if job.run_id else [])
    for row in AuditEvent.objects.filter(project_slug=job.project.slug, target__in=targets).order_by("pk"):
        level, text = _told(job, row)
        if text:
            yield Event(f"ftevent-{row.pk}", row.at, (1, row.pk), text, level)


def _told(job: FineTuningJob, row: AuditEvent) -> tuple[str, str]:
    """An entry of the audit log in the words that scripts print."""
    adapter, files = adapter_of(job), filter(None, (job.training_file, job.validation_file))
    texts = {
        "finetuningjob.created": ("info", f"Created fine-tuning job: {job}. Validating training file: "
                                          f"{' and validation file: '.join(files)}"),
        "finetuningjob.started": ("info", "Files validated, moving job to queued state"),
        "finetuningjob.failed": ("error", job.error_message),
        "finetuningjob.cancelled": ("info", "Fine-tuning job was cancelled"),
        "run.held": ("warn", f"The job waits for an owner's yes to its cost: {row.reason}"),
        "run.queued": ("info", f"Fine-tuning job queued{': ' + row.reason if row.reason else ''}"),
        "run.running": ("info", "Fine-tuning job started"),
        "run.pause_requested": ("info", "Pausing: a checkpoint is being saved"),
        "run.paused": ("info", "Fine-tuning job paused"),
        "run.cancel_requested": ("info", "Cancelling"),
        "run.cancelled": ("info", "Fine-tuning job was cancelled"),
        "run.failed": ("error", row.reason or (job.run.error_message if job.run else "")),
        "run.succeeded": ("info", f"New fine-tuned model created: {fine_tuned_name(adapter)}" if adapter else
                                  "The job has successfully completed"),
    }  # fmt: skip
    return texts.get(row.action, ("info", ""))


def _losses(run: Run) -> Iterator[Event]:
    """The loss by step. Its time is the start and the seconds of training since, which the run itself has counted."""
    if run.started_at is None:
        return
    steps, values = metrics.curve(run, "loss")
    clock = dict(zip(*metrics.curve(run, "seconds"), strict=True))
    losses = dict(zip(steps, values, strict=True))
    looks = _looks(run)
    begun, every = run.started_at.timestamp(), max(1, -(-max(run.total_steps, len(steps)) // METRIC_EVENTS))
    for step in sorted({step for step in losses if step % every == 0} | looks.keys()):
        at = datetime.fromtimestamp(begun + clock.get(step, 0.0), run.started_at.tzinfo)
        told = {"training": losses.get(step), "validation": looks.get(step, {}).get("valid_loss")}
        words = [f"{kind} loss={value:.4g}" for kind, value in told.items() if value is not None]
        text = f"Step {step}/{run.total_steps}: {', '.join(words)}"
        data = {"step": step, "train_loss": losses.get(step), "total_steps": run.total_steps} | looks.get(step, {})
        yield Event(f"ftevent-{run.pk}-{step}", at, (0, step), text, "info", "metrics", data)


def validated(loss: float | None, accuracy: float | None, *, whole: bool) -> dict[str, float | None]:
    """Figures of validation rows under their names there: “full” ones are said where all rows were read."""
    found = {"loss": loss, "mean_token_accuracy": accuracy}
    told = {f"valid_{name}": value for name, value in found.items()}
    return told | {f"full_valid_{name}": value if whole else None for name, value in found.items()}


def _looks(run: Run) -> dict[int, dict[str, float | None]]:
    """By step, what was found at it."""
    curves = metrics.curves(run, VALIDATION)
    by_step = {name: dict(zip(*curve, strict=True)) for name, curve in curves.items()}
    losses, accuracies = (by_step.get(name, {}) for name in VALIDATION)
    return {step: validated(loss, accuracies.get(step), whole=_reads_all(run)) for step, loss in losses.items()}


def _reads_all(run: Run) -> bool:
    told = run.report.get("validation") or {}
    return bool(told) and told.get("rows") == told.get("of")


def points(job: FineTuningJob) -> list[Point]:
    """The checkpoints of a job, the newest first."""
    run, adapter = job.run, adapter_of(job)
    if run is None:
        return []
    curves = metrics.curves(run, ("loss", "token_accuracy", *VALIDATION))
    by_step = {name: dict(zip(*curve, strict=True)) for name, curve in curves.items()}

    def at(name: str, step: int) -> float | None:
        return by_step.get(name, {}).get(step)

    def point(step: int, when: datetime, model: str) -> Point:
        loss, accuracy = at("loss", step), at("token_accuracy", step)
        valid_loss, valid_accuracy = (at(name, step) for name in VALIDATION)
        return Point(step, when, model, loss, accuracy, valid_loss, valid_accuracy, _reads_all(run))

    if adapter is not None:
        return [point(run.step, adapter.created_at, fine_tuned_name(adapter))]
    return [point(one.step, one.at, f"run-{run.pk}:ckpt-step-{one.step}") for one in checkpoints(run) if one.is_whole]


def waiting() -> QuerySet[FineTuningJob]:
    """Jobs of all projects whose files are still looked at, the oldest first."""
    return FineTuningJob.objects.filter(state=State.VALIDATING.value).order_by("pk")
