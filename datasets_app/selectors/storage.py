"""What a project stores, how much of it is spoken for, and how much it may."""

from dataclasses import dataclass

from django.db.models import Sum

from datasets_app.domain.codes import HOPELESS
from datasets_app.models import DatasetVersion, Incoming, Upload
from projects.domain.errors import Refused
from projects.domain.formatting import size as readable
from projects.models import Project


@dataclass(frozen=True)
class Storage:
    """Bytes. `reserved` belongs to files that are still on their way; `quota` is None when there is none."""

    uploads: int
    versions: int
    aside: int
    reserved: int
    quota: int | None

    @property
    def used(self) -> int:
        return self.uploads + self.versions + self.aside

    @property
    def taken(self) -> int:
        return self.used + self.reserved

    @property
    def left(self) -> int | None:
        return None if self.quota is None else max(0, self.quota - self.taken)


def storage_of(project: Project) -> Storage:
    uploads = Upload.objects.filter(project=project, reread_of=None, forgotten_at=None).exclude(
        error_code__in=[c.value for c in HOPELESS]
    )
    versions = DatasetVersion.every.filter(dataset__project=project)
    staged = Upload.objects.filter(project=project).exclude(staged_key="").values_list("staged_manifest", flat=True)
    arriving = Incoming.objects.filter(project=project, state=Incoming.State.OPEN)
    return Storage(
        uploads=uploads.aggregate(sum=Sum("size"))["sum"] or 0,
        versions=versions.aggregate(sum=Sum("size_bytes"))["sum"] or 0,
        aside=sum(file["size"] for manifest in staged for file in manifest.get("files", {}).values()),
        reserved=arriving.aggregate(sum=Sum("size"))["sum"] or 0,
        quota=project.storage_quota_bytes,
    )


def stored(project: Project) -> list[tuple[str, int]]:
    """For the settings: what is stored, by kind."""
    found = storage_of(project)
    named = [
        ("Uploaded files", found.uploads),
        ("Dataset versions", found.versions),
        ("Rows kept aside", found.aside),
        ("Files on their way", found.reserved),
    ]
    return [(name, size) for name, size in named if size]


def refuse_full(project: Project, size: int) -> None:
    """`size` more bytes must fit; the project's row is locked, so that two files cannot both take the last room."""
    project = Project.objects.select_for_update().get(pk=project.pk)
    if project.storage_quota_bytes is None:
        return
    found = storage_of(project)
    if size > (found.left or 0):
        waiting = f" and {readable(found.reserved)} are reserved by unfinished uploads" if found.reserved else ""
        raise Refused(
            f"The file has {readable(size)}, but only {readable(found.left or 0)} are left: of "
            f"{readable(found.quota or 0)}, {readable(found.used)} are in use{waiting}. Delete a dataset that nobody "
            "needs, discard unfinished uploads, or ask an owner to raise the limit in the settings.",
            code="quota_exceeded",
            field="file",
        )
