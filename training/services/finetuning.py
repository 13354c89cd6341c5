"""What the OpenAI API orders, done by the services that pages and our own API call."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from datasets_app import services as datasets
from datasets_app.domain.names import display_name
from datasets_app.models import Dataset, DatasetVersion, Upload
from projects import leases, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User
from training import selectors
from training.domain import finetuning
from training.domain.finetuning import REASONS, SUFFIX, State
from training.models import Adapter, BaseModelVersion, FineTuningJob, TokenProfile
from training.selectors import finetuning as reading
from training.services.pauses import pause_run, resume_run
from training.services.runs import cancel_run, launch_run
from training.services.tokens import ensure_profile

logger = logging.getLogger(__name__)
AT_ONCE = 50  # jobs that one sweep looks at
NOT_YET = frozenset({"tokens_not_counted", "not_compared"})
# What our words for a part are called in an order.
PARAMS = {
    "dataset_version": "training_file", "validation_version": "validation_file", "base": "model", "parent": "model",
    "cut": "training_file", "leak_reason": "metadata.leak_reason", "budget_reason": "metadata.budget_reason",
}  # fmt: skip


class NoSuchFile(Refused):
    status = 404
    code = "file_not_found"


@requires(Permission.DATASET_EDIT)
def upload_file(project: Project, *, by: User, file: Any) -> Upload:
    """Bring a file: a dataset of its own, read by the ordinary pipeline."""
    with transaction.atomic():
        dataset = datasets.create_dataset(
            project, by=by, name=_free_name(project, display_name(file.name or "")), purpose="training",
            description="Brought through the OpenAI API.",
        )  # fmt: skip
    try:
        return datasets.accept_upload(dataset, by=by, file=file)
    except BaseException:
        dataset.delete()
        raise


@requires(Permission.DATASET_DELETE)
def delete_file(upload: Upload, *, by: User) -> None:
    """Delete a file: with its rows when nothing was trained on them, else its bytes alone."""
    if upload.is_active:
        raise Refused("The file is still being read. Wait for its end.", code="still_reading")
    alone = not upload.dataset.uploads.exclude(key=upload.key).exists() and not upload.dataset.builds.exists()
    if alone:
        try:
            datasets.delete_dataset(upload.dataset, by=by, reason="Its file was deleted through the OpenAI API.")
            return
        except Refused as refused:
            if refused.code != "has_descendants":
                raise
    datasets.forget_file(upload, by=by)


@requires(Permission.RUN_START)
def create_job(
    project: Project,
    *,
    by: User,
    model: str,
    training_file: str,
    method: str = "supervised",
    hyperparameters: Mapping[str, Any],
    validation_file: str = "",
    seed: int = 0,
    suffix: str = "",
    metadata: Mapping[str, str] | None = None,
) -> FineTuningJob:
    """Order a fine-tuning. Its files may still be read: the job waits for them, and starts or fails by itself."""
    found = reading.find_model(project, model)
    if found is None:
        names = ", ".join(reading.model_names(project)[:10]) or "none yet: register a base first"
        raise Invalid(
            f"There is no model “{model[:100]}” here. There are: {names}.", code="model_not_found", field="model"
        )
    upload = find_file(project, training_file, "training_file")
    held_out = find_file(project, validation_file, "validation_file") if validation_file else None
    if held_out == upload:
        raise Invalid("A job cannot be validated with the file that it learns from. Leave the field out, or upload a "
                      "part of the rows by itself.", code="same_as_training", field="validation_file")  # fmt: skip
    if suffix and not SUFFIX.fullmatch(suffix):
        raise Invalid("A suffix has up to 64 letters, digits, “-”, “_” or “.”.", code="invalid_value", field="suffix")
    parent, base = (found, found.base) if isinstance(found, Adapter) else (None, found)
    with transaction.atomic():
        job = FineTuningJob.objects.create(
            project=project, upload=upload, training_file=training_file, model=model,
            validation_upload=held_out, validation_file=validation_file,
            base=base, parent=parent, method=method,
            hyperparameters=dict(hyperparameters), seed=seed, suffix=suffix, metadata=dict(metadata or {}),
            created_by=by,
        )  # fmt: skip
        transitions.record(job, "finetuningjob.created", actor=by.email, model=model, training_file=training_file,
                           **({"validation_file": validation_file} if validation_file else {}))  # fmt: skip
    advance(job)
    return job


def find_file(project: Project, public_id: str, field: str) -> Upload:
    number = finetuning.read_id(public_id, "file")
    upload = reading.files(project).filter(pk=number).first() if number else None
    if upload is None:
        if finetuning.read_id(public_id, "file-results"):
            raise Invalid("Results of a job cannot be trained on. Upload a file with the purpose fine-tune.",
                          code="invalid_file_purpose", field=field)  # fmt: skip
        raise NoSuchFile(f"No such File object: {public_id[:60]}", field=field)
    return upload


@requires(Permission.RUN_CANCEL)
def cancel_job(job: FineTuningJob, *, by: User) -> FineTuningJob:
    """At once while its file is looked at; later as any run is cancelled."""
    if job.run is not None:
        cancel_run(job.run, by=by, reason="Cancelled through the OpenAI API.")
    elif job.state == State.VALIDATING:
        transitions.move(job, State.CANCELLED, actor=by.email, finished_at=leases.database_time())
    else:
        raise Refused("There is nothing to cancel: it is already over.", code="already_over")
    return job


@requires(Permission.RUN_CANCEL)
def pause_job(job: FineTuningJob, *, by: User) -> FineTuningJob:
    """Let its run save and rest."""
    pause_run(_run_of(job), by=by, reason="Paused through the OpenAI API.")
    return job


@requires(Permission.RUN_START)
def resume_job(job: FineTuningJob, *, by: User) -> FineTuningJob:
    """Let its run go on."""
    resume_run(_run_of(job), by=by)
    return job


def _run_of(job: FineTuningJob) -> Any:
    if job.run is None:
        raise Refused("Only a job that is queued or running can be paused and resumed; this one is not yet.",
                      code="not_running")  # fmt: skip
    return job.run


def advance_waiting() -> int:
    """Every job whose file is looked at, one step further; part of each sweep. Returns how many came to a decision."""
    return sum(_advanced(job) for job in reading.waiting()[:AT_ONCE])


def _advanced(job: FineTuningJob) -> bool:
    """One job that cannot be helped must not keep the others waiting."""
    try:
        return advance(job)
    except Exception:
        logger.exception("%s cannot be taken further", job)
        return False


def advance(job: FineTuningJob) -> bool:
    """Take a job from its file towards its run as far as it goes now; True when it started or failed.

    Done for whoever ordered it, with the rights they have at this moment.
    """
    with transaction.atomic():
        row = FineTuningJob.objects.select_for_update(skip_locked=True, of=("self",))
        waiting = row.filter(pk=job.pk, state=State.VALIDATING.value)
        found = waiting.select_related("project", "created_by").first()
        if found is None:
            return False
        try:
            with transaction.atomic():
                started = _step(found)
        except PermissionDenied as denied:
            _fail(found, "permission_denied", f"{found.created_by} may no longer start runs here. {denied}", "")
            started = True
        except Refused as refused:
            if refused.code in NOT_YET and found.upload and found.upload.version:
                datasets.compare_soon(found.upload.version, actor=found.created_by.email)
                return False
            _fail(found, refused.code, refused.message, _param(refused))
            started = True
    job.refresh_from_db()
    return started


def _step(job: FineTuningJob) -> bool:
    """Read, registered, counted, compared: then the run is made. False while something of that is still going on."""
    base = job.base
    if base is None or (job.parent is None and job.model.startswith("ft:")):
        raise Refused("The model was deleted before it was used.", code="model_not_found", field="model")
    files = {"training_file": job.upload} | ({"validation_file": job.validation_upload} if job.validation_file else {})
    versions = {field: _read(upload, field) for field, upload in files.items()}
    if not all(versions.values()):
        return False
    profiles = [_counted(job, version, base, field) for field, version in versions.items() if version]
    if not all(profiles):
        return False
    run = launch_run(
        job.project,
        by=job.created_by,
        name=_run_name(job),
        base=base,
        version=versions["training_file"],
        validation=versions.get("validation_file"),
        parent=job.parent,
        recipe=_recipe(job, base, [profile for profile in profiles if profile]),
        **{name: str(job.metadata.get(name, "")) for name in REASONS},
    )
    transitions.move(job, State.STARTED, actor=job.created_by.email, run=run)
    return True


def _read(upload: Upload | None, field: str) -> DatasetVersion | None:
    """The version that a file became; None while it is still read."""
    if upload is None or upload.forgotten_at:
        kind = field.removesuffix("_file")
        raise Refused(f"The {kind} file was deleted before it was used.", code="file_deleted", field=field)
    if not upload.is_over:
        return None
    code, message = reading.file_problem(upload)
    if code:
        raise Invalid(message, code=code, field=field)
    return upload.version  # a reading that succeeded without bad rows made one


def _counted(job: FineTuningJob, version: DatasetVersion, base: BaseModelVersion, field: str) -> TokenProfile | None:
    """The counts that the run will rest on; asked for when nobody has, and None until they are there."""
    known = selectors.profile_for(version, base)
    if known is not None and known.state == JobState.FAILED:
        raise Invalid(f"The file could not be counted in tokens: {known.error_message}", code=known.error_code,
                      field=field)  # fmt: skip
    profile = known if known is not None and known.is_ready else ensure_profile(version, base, by=job.created_by)
    return profile if profile.is_ready else None


def _recipe(job: FineTuningJob, base: BaseModelVersion, profiles: Sequence[TokenProfile]) -> dict[str, Any]:
    return finetuning.recipe_of(
        job.method,
        job.hyperparameters,
        seed=job.seed,
        longest=max(map(selectors.longest_row, profiles)),
        context=base.context_length,
        parent=(job.parent.rank, job.parent.alpha) if job.parent else None,
    )


def _fail(job: FineTuningJob, code: str, message: str, param: str) -> None:
    transitions.move(
        job, State.FAILED, actor="luthier", reason=message, finished_at=leases.database_time(),
        error_code=(code or "failed")[:60], error_message=message, error_param=param[:100],
    )  # fmt: skip


def _param(refused: Refused) -> str:
    field = refused.field or ""
    own = {"training_file", "validation_file", "model"}
    return PARAMS.get(field, field if field in own else "hyperparameters" if field else "")


def _run_name(job: FineTuningJob) -> str:
    return job.suffix or f"{job.training_file} on {job.model}"[:100].replace("\n", " ")


def _free_name(project: Project, name: str) -> str:
    """The name of the file for its dataset; where there is one of that name, with a number."""
    chosen, number = name[:100] or "file", 1
    while Dataset.objects.filter(project=project, name=chosen).exists():
        number += 1
        chosen = f"{name[:100]} {number}"
    return chosen
