"""Our rows as the objects of the OpenAI API."""

from datetime import datetime
from typing import Any

from datasets_app.models import Upload
from projects.domain.states import JobState
from training import selectors
from training.domain import finetuning
from training.models import Adapter, BaseModelVersion, FineTuningJob, Run
from training.selectors import finetuning as reading
from training.selectors.finetuning import Event, Point

Shape = dict[str, Any]
READ = {JobState.SUCCEEDED: "processed", JobState.FAILED: "error", JobState.CANCELLED: "error"}


def stamp(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None


def file_object(upload: Upload) -> Shape:
    code, message = reading.file_problem(upload) if upload.is_over else ("", "")
    return {
        "id": f"file-{upload.pk}",
        "object": "file",
        "bytes": upload.size,
        "created_at": stamp(upload.created_at),
        "expires_at": None,
        "filename": upload.file_name,
        "purpose": "fine-tune",
        "status": "error" if code else READ.get(JobState(upload.state), "uploaded"),
        "status_details": f"{code}: {message}" if code else None,
    }


def results_object(run: Run) -> Shape:
    return {
        "id": f"file-results-{run.pk}",
        "object": "file",
        "bytes": len(reading.results_csv(run)),
        "created_at": stamp(run.finished_at),
        "expires_at": None,
        "filename": "step_metrics.csv",
        "purpose": "fine-tune-results",
        "status": "processed",
        "status_details": None,
    }


def job_object(job: FineTuningJob, now: datetime) -> Shape:
    run, adapter = job.run, reading.adapter_of(job)
    hyper = finetuning.resolved(job.method, job.hyperparameters, run.recipe if run else None)
    return {
        "id": job.public_id,
        "object": "fine_tuning.job",
        "created_at": stamp(job.created_at),
        "error": _error(job),
        "fine_tuned_model": reading.fine_tuned_name(adapter) if adapter else None,
        "finished_at": stamp(job.finished_at or (run.finished_at if run and run.is_over else None)),
        "hyperparameters": {name: value for name, value in hyper.items() if name != "beta"},
        "model": job.model,
        "organization_id": job.project.slug,
        "result_files": [f"file-results-{run.pk}"] if run and run.state == JobState.SUCCEEDED else [],
        "seed": job.seed,
        "status": reading.status(job),
        "trained_tokens": run.tokens_seen if run and run.state == JobState.SUCCEEDED else None,
        "training_file": job.training_file,
        "validation_file": job.validation_file or None,
        "estimated_finish": _estimated(run, now),
        "integrations": [],
        "metadata": job.metadata,
        "method": {"type": job.method, job.method: {"hyperparameters": hyper}},
        "user_provided_suffix": job.suffix or None,
    }


def _error(job: FineTuningJob) -> Shape | None:
    if job.state == finetuning.State.FAILED:
        return {"code": job.error_code, "message": job.error_message, "param": job.error_param or None}
    if job.run is not None and job.run.state == JobState.FAILED:
        return {"code": job.run.error_code, "message": job.run.error_message, "param": None}
    return None


def _estimated(run: Run | None, now: datetime) -> int | None:
    if run is None or run.state != JobState.RUNNING:
        return None
    left = selectors.remaining(run, now)
    return int(now.timestamp() + left) if left is not None else None


def event_object(event: Event) -> Shape:
    return {
        "id": event.id,
        "object": "fine_tuning.job.event",
        "created_at": stamp(event.at),
        "level": event.level,
        "message": event.message,
        "type": event.type,
        "data": event.data,
    }


def checkpoint_object(job: FineTuningJob, point: Point) -> Shape:
    return {
        "id": f"ftckpt-{job.run_id}-{point.step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": stamp(point.at),
        "fine_tuned_model_checkpoint": point.model,
        "fine_tuning_job_id": job.public_id,
        "metrics": {
            "step": point.step,
            "train_loss": point.loss,
            "train_mean_token_accuracy": point.accuracy,
            **reading.validated(point.valid_loss, point.valid_accuracy, whole=point.whole),
        },
        "step_number": point.step,
    }


def base_object(name: str, base: BaseModelVersion) -> Shape:
    return {"id": name, "object": "model", "created": stamp(base.created_at), "owned_by": base.repo_id or "luthier"}


def adapter_object(adapter: Adapter) -> Shape:
    created = stamp(adapter.created_at)
    return {
        "id": reading.fine_tuned_name(adapter), "object": "model", "created": created, "owned_by": adapter.project.slug
    }  # fmt: skip
