"""What people may do with datasets: create and delete."""

from django.db import transaction
from django.db.models import ProtectedError

from datasets_app.domain.purposes import Purpose
from datasets_app.models import Build, Dataset, DatasetVersion, Part, Upload, VersionDiff
from projects import artefacts
from projects.access import requires
from projects.domain.errors import Invalid, Refused
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
    versions = DatasetVersion.every.filter(dataset=dataset)  # the proposed and the declined too
    if DatasetVersion.every.filter(parents__dataset=dataset).exclude(dataset=dataset).exists():
        raise Refused("Versions of another dataset were made from this one.", code="has_descendants")
    record(dataset, "dataset.deleted", actor=by.email, reason=reason, versions=versions.count())
    keys = set(dataset.uploads.values_list("key", flat=True)) | set(versions.values_list("key", flat=True))
    keys |= set(dataset.uploads.exclude(staged_key="").values_list("staged_key", flat=True))
    keys |= set(Part.objects.filter(incoming__dataset=dataset, incoming__upload=None).values_list("key", flat=True))
    keys |= set(VersionDiff.objects.filter(after__in=versions).exclude(key="").values_list("key", flat=True))
    dataset.proposals.all().delete()
    dataset.uploads.all().delete()
    dataset.builds.all().delete()
    versions.delete()
    dataset.delete()
    return keys
