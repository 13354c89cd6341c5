"""What people may do with datasets: create, upload, read again, clean, delete."""

import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError

from datasets_app import ingest
from datasets_app.domain.codes import HOPELESS
from datasets_app.domain.formats.base import Format
from datasets_app.domain.names import display_name
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import BadRecipe, Op, Step, read_steps
from datasets_app.models import Build, Dataset, DatasetVersion, Upload
from projects import artefacts, leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.formatting import size as readable_size
from projects.domain.permissions import Permission
from projects.models import Project, User
from projects.transitions import record


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def create_dataset(project: Project, *, by: User, name: str, purpose: str, description: str = "") -> Dataset:
    name = " ".join(name.split())
    if not name or len(name) > 120:
        raise Invalid("A dataset needs a name of at most 120 characters.", field="name")
    if purpose not in list(Purpose):
        raise Invalid(f"The purpose is one of {', '.join(Purpose)}.", field="purpose")
    if Dataset.objects.filter(project=project, name=name).exists():
        raise Invalid(f"This project already has a dataset called “{name}”.", code="name_taken", field="name")
    dataset = Dataset.objects.create(
        project=project, name=name, purpose=purpose, description=description.strip(), created_by=by
    )
    record(dataset, "dataset.created", actor=by.email, purpose=purpose)
    return dataset


@requires(Permission.DATASET_EDIT)
def accept_upload(dataset: Dataset, *, by: User, file: Any, forced_format: str = "") -> Upload:
    """Store the bytes as they are and queue their reading; nothing is parsed here."""
    refuse_format(forced_format)
    if file.size == 0:
        raise Invalid("The file is empty. Check the export that made it.", code="empty_file", field="file")
    if file.size > settings.MAX_UPLOAD_BYTES:
        raise Invalid(
            f"The file has {readable_size(file.size)}; at most {readable_size(settings.MAX_UPLOAD_BYTES)} are taken. "
            "Split it or compress it (.gz, .zst).",
            code="too_large",
            field="file",
        )
    key = f"uploads/{uuid.uuid4().hex}"
    sha256, size = artefacts.store_upload(key, file.chunks())
    try:
        return queue_reading(
            dataset,
            by,
            file_name=display_name(file.name or ""),
            key=key,
            sha256=sha256,
            size=size,
            forced_format=forced_format,
        )
    except BaseException:
        artefacts.delete(key)
        raise


@requires(Permission.DATASET_EDIT)
def reread_upload(upload: Upload, *, by: User, forced_format: str = "") -> Upload:
    """Read the same bytes once more, in a format that somebody chose; the first reading stays as it is."""
    refuse_format(forced_format)
    if upload.is_active:
        raise Refused("This upload is still being read. Wait for its end, or cancel it.", code="still_reading")
    if upload.error_code in HOPELESS:
        raise Refused(
            "The bytes of this file were not kept, because no format could read them. Upload a mended file.",
            code="bytes_gone",
        )
    return queue_reading(
        upload.dataset,
        by,
        file_name=upload.file_name,
        key=upload.key,
        sha256=upload.sha256,
        size=upload.size,
        forced_format=forced_format,
        reread_of=upload,
    )


@requires(Permission.DATASET_EDIT)
def cancel_upload(upload: Upload, *, by: User) -> Upload:
    leases.request_cancel(upload, actor=by.email)
    return upload


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def clean_version(version: DatasetVersion, *, by: User, steps: list[dict[str, Any]]) -> Build:
    """Queue a new version of the same dataset, made by following the steps."""
    try:
        recipe = read_steps(steps)
    except BadRecipe as bad:
        raise Invalid(str(bad), code="bad_recipe", field="steps") from bad
    refuse_foreign_golden(version, recipe)
    if version.builds.filter(state__in=["queued", "running"]).exists():
        raise Refused("This version is already being cleaned. Wait for the result.", code="already_cleaning")
    build = Build.objects.create(
        project=version.project,
        dataset=version.dataset,
        source=version,
        steps=[step.as_dict() for step in recipe],
        created_by=by,
    )
    record(build, "build.created", actor=by.email, steps=build.steps)
    leases.queue_job(build, actor=by.email)
    return build


@requires(Permission.DATASET_DELETE)
def delete_dataset(dataset: Dataset, *, by: User, reason: str = "") -> None:
    """Gone for good with its versions and files, unless something stands on one of them."""
    if any(job.is_active for model in (Upload, Build) for job in model.objects.filter(dataset=dataset)):
        raise Refused("This dataset is still being worked on. Wait for the end, or cancel it.", code="still_working")
    try:
        keys = remove_rows(dataset, by=by, reason=reason)
    except ProtectedError as error:
        others = sorted({str(row) for row in error.protected_objects})[:5]
        raise Refused(
            f"This dataset cannot be deleted, because others descend from it: {', '.join(others)}.",
            code="has_descendants",
        ) from error
    for key in keys:
        artefacts.delete(key)


@transaction.atomic
def remove_rows(dataset: Dataset, *, by: User, reason: str) -> set[str]:
    """Delete the rows, newest version first; returns the keys of the files that nobody needs any more."""
    if DatasetVersion.objects.filter(parents__dataset=dataset).exclude(dataset=dataset).exists():
        raise Refused("Versions of another dataset were made from this one.", code="has_descendants")
    record(dataset, "dataset.deleted", actor=by.email, reason=reason, versions=dataset.versions.count())
    keys = set(dataset.uploads.values_list("key", flat=True)) | set(dataset.versions.values_list("key", flat=True))
    dataset.uploads.all().delete()
    dataset.builds.all().delete()
    dataset.versions.all().delete()
    dataset.delete()
    return keys


def ensure_overlaps(version: DatasetVersion) -> None:
    """Compare the version with every golden set it has not been compared with yet."""
    ingest.measure_overlaps(version)


@transaction.atomic
def queue_reading(dataset: Dataset, by: User, **fields: Any) -> Upload:
    upload = Upload.objects.create(project=dataset.project, dataset=dataset, uploaded_by=by, **fields)
    record(upload, "upload.created", actor=by.email, size=upload.size, sha256=upload.sha256)
    leases.queue_job(upload, actor=by.email)
    return upload


def refuse_format(name: str) -> None:
    if name and name not in list(Format):
        raise Invalid(f"“{name}” is none of {', '.join(Format)}.", code="format_unknown", field="format")


def refuse_foreign_golden(version: DatasetVersion, steps: list[Step]) -> None:
    """Golden sets are named by id, so they are looked up inside the project of the version."""
    wanted = {pk for step in steps if step.op == Op.DROP_OVERLAP for pk in step.golden}
    known = DatasetVersion.objects.filter(
        pk__in=wanted, dataset__project=version.project, dataset__purpose=Purpose.GOLDEN
    ).count()
    if known != len(wanted):
        raise Invalid("A golden version of this recipe does not exist in this project.", field="steps")
