"""The body of comparing two versions row by row."""

import shutil
from pathlib import Path

from django.db import IntegrityError, transaction

from datasets_app import selectors
from datasets_app.ingest.children import Event, command
from datasets_app.models import DatasetVersion, VersionDiff
from projects import artefacts, leases, supervision
from projects.domain.states import JobState


def queue_diff(before: DatasetVersion, after: DatasetVersion, *, actor: str) -> VersionDiff:
    """The comparison of this pair: the one there is, or a new one in the queue; one that failed is tried again."""
    try:
        with transaction.atomic():
            diff, made = VersionDiff.objects.get_or_create(
                before=before, after=after, defaults={"project": after.project}
            )
            if made or diff.state in (JobState.FAILED, JobState.CANCELLED):
                leases.queue_job(diff, actor=actor, priority=3)
    except IntegrityError:  # somebody else asked in the same moment
        diff = VersionDiff.objects.get(before=before, after=after)
    return diff


def prepare_diff(diff: VersionDiff, workdir: Path) -> list[str]:
    return command(
        workdir,
        {
            "task": "diff",
            "before": str(selectors.version_path(diff.before)),
            "after": str(selectors.version_path(diff.after)),
            "related": selectors.descends(diff.after, diff.before),
        },
    )


def complete_diff(diff: VersionDiff, workdir: Path, result: Event) -> None:
    key = f"diffs/{diff.pk}-f{diff.fence}"
    artefacts.commit_directory(workdir / "out", key)
    leases.fenced_update(diff, summary=result["summary"], key=key)


def after_diff(diff: VersionDiff) -> None:
    shutil.rmtree(supervision.workdir_of(diff) / "out", ignore_errors=True)
