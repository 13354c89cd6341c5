"""How a version comes to be, and what happens after."""

import shutil
from pathlib import Path

from datasets_app.domain.recipes import Op
from datasets_app.ingest.children import Event
from datasets_app.ingest.diff import queue_diff
from datasets_app.ingest.overlaps import compare_later, keep_overlaps
from datasets_app.ingest.proposals import propose, stage_for
from datasets_app.models import Build, Dataset, DatasetVersion, Finding, Proposal, Upload
from projects import artefacts, faults, supervision
from projects.domain.errors import Refused
from projects.transitions import record


def commit_version(
    job: Upload | Build, workdir: Path, result: Event, *, source_format: str, steps: list[Event] | None = None
) -> DatasetVersion:
    """The files by rename under a key with the fence in it, then the row, its findings and a line of audit."""
    dataset = Dataset.objects.select_for_update().get(pk=job.dataset_id)
    if not restores(steps):
        refuse_known_content(dataset, result["content_hash"])
    kind = type(job).__name__.lower()
    key = f"datasets/{dataset.pk}/{kind}-{job.pk}-f{job.fence}"
    manifest = artefacts.commit_directory(workdir / "out", key)
    newest = DatasetVersion.every.filter(dataset=dataset).order_by("-number").first()
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=newest.number + 1 if newest else 1,
        content_hash=result["content_hash"],
        rows=result["rows_good"],
        size_bytes=sum(file["size"] for file in manifest["files"].values()),
        key=key,
        manifest=manifest,
        kind=result["kind"],
        source_format=source_format,
        recipe=steps or [],
        stats=result["stats"],
        created_by=job.uploaded_by if isinstance(job, Upload) else job.created_by,
        stage=stage_for(dataset),
    )
    faults.point("versions.written")
    Finding.objects.bulk_create(Finding(version=version, **found) for found in result["findings"])
    keep_overlaps(version, result["stats"].get("overlaps"))
    record(version, "datasetversion.created", actor="worker", rows=version.rows, content_hash=version.content_hash)
    propose(job, version)
    return version


def restores(steps: list[Event] | None) -> bool:
    """Going back makes a version with rows that the dataset has had before: that is what it is for."""
    return steps is not None and bool(steps) and steps[0]["op"] == Op.RESTORE


def refuse_known_content(dataset: Dataset, content_hash: str) -> None:
    same = dataset.versions.filter(content_hash=content_hash).first()
    if same is not None:
        raise Refused(
            f"These rows are already version {same.number} of this dataset. Nothing was added; use that version.",
            code="same_content",
        )


def after(job: Upload | Build) -> None:
    """A new version is compared with the golden sets at once, so that a leak is seen before anybody trains."""
    shutil.rmtree(supervision.workdir_of(job) / "out", ignore_errors=True)  # what was committed was copied
    job.refresh_from_db()
    if job.version is None:
        return
    compare_later(job.version)
    proposal = Proposal.objects.filter(version=job.version).select_related("base").first()
    if proposal is not None and proposal.base is not None:
        queue_diff(proposal.base, job.version, actor=proposal.proposed_by.email)
