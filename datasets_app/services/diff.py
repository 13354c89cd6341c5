"""Asking for the differences of two versions."""

from datasets_app import ingest
from datasets_app.models import DatasetVersion, VersionDiff
from projects.access import requires
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.models import User


@requires(Permission.PROJECT_VIEW)
def compare_versions(after: DatasetVersion, *, by: User, before: DatasetVersion) -> VersionDiff:
    """The differences from `before`, computed once for each pair."""
    if before.dataset.project_id != after.dataset.project_id:
        raise Invalid("There is no such version in this project.", code="not_found", field="before")
    if before.pk == after.pk:
        raise Invalid("Choose two different versions.", code="same_version", field="before")
    if before.kind != after.kind:
        raise Invalid(
            f"{before} holds {before.get_kind_display().lower()} rows and {after} {after.get_kind_display().lower()} "
            "rows; they cannot be compared row by row.",
            code="mixed_kinds",
            field="before",
        )
    return ingest.queue_diff(before, after, actor=by.email)
