"""Bodies of background work: what the reading child is given, what it says on the way, what becomes of its result."""

import shutil
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction

from datasets_app import selectors
from datasets_app.domain.codes import HOPELESS
from datasets_app.domain.purposes import Purpose
from datasets_app.models import BadRow, Build, Dataset, DatasetVersion, Finding, Overlap, Upload
from projects import artefacts, leases, supervision
from projects.domain.errors import Refused
from projects.transitions import record

Event = dict[str, Any]
ENGINE = "datasets.engine"
CUT = 300  # characters of what was found and expected that are kept


def prepare_upload(upload: Upload, workdir: Path) -> list[str]:
    """An earlier attempt may have left bad rows behind; this one tells them anew."""
    upload.bad_rows.all().delete()
    leases.fenced_update(upload, bad_codes={}, rows_bad=0, rows_good=0, samples=[], detected_format="", file_type="")
    spec = {
        "task": "upload",
        "source": str(artefacts.local_file(upload.key)),
        "file_name": upload.file_name,
        "forced_format": upload.forced_format,
        "purpose": upload.dataset.purpose,
    }
    return command(workdir, spec)


def prepare_build(build: Build, workdir: Path) -> list[str]:
    wanted = {pk for step in build.steps for pk in step.get("golden", [])}
    golden = selectors.golden_versions(build.project).filter(pk__in=wanted)
    spec = {
        "task": "build",
        "source": str(selectors.version_path(build.source)),
        "steps": build.steps,
        "golden": [{"id": version.pk, "path": str(selectors.version_path(version))} for version in golden],
        "purpose": build.dataset.purpose,
    }
    return command(workdir, spec)


def command(workdir: Path, spec: dict[str, Any]) -> list[str]:
    path = workdir / "spec.json"
    limits = getattr(settings, "DATASET_LIMITS", {})
    path.write_bytes(orjson.dumps({**spec, "out_dir": str(workdir / "out"), "limits": limits}))
    return [*settings.ENGINES[ENGINE], str(path)]


def on_upload_event(upload: Upload, event: Event) -> None:
    if event["event"] == "detected":
        leases.fenced_update(upload, detected_format=event["format"], file_type=event["file_type"])
    elif event["event"] == "samples":
        leases.fenced_update(upload, samples=event["samples"])
    elif event["event"] == "bad_rows":
        keep_bad_rows(upload, event["rows"])


@transaction.atomic
def keep_bad_rows(upload: Upload, rows: list[Event]) -> None:
    codes = dict(upload.bad_codes)
    for row in rows:
        codes[row["code"]] = codes.get(row["code"], 0) + 1
    leases.fenced_update(upload, bad_codes=codes, rows_bad=sum(codes.values()))
    BadRow.objects.bulk_create(
        BadRow(
            upload=upload,
            line=row["line"],
            field=row["field"][:200],
            code=row["code"],
            found=row["found"][:CUT],
            expected=row["expected"][:CUT],
        )
        for row in rows
    )


def complete_upload(upload: Upload, workdir: Path, result: Event) -> None:
    version = commit_version(upload, workdir, result, source_format=result["detected_format"])
    leases.fenced_update(
        upload,
        version=version,
        rows_good=result["rows_good"],
        rows_bad=result["rows_bad"],
        bad_codes=result["bad_codes"],
        samples=result["samples"],
        detected_format=result["detected_format"],
        file_type=result["file_type"],
    )


def complete_build(build: Build, workdir: Path, result: Event) -> None:
    version = commit_version(build, workdir, result, source_format=build.source.source_format, steps=result["steps"])
    version.parents.add(build.source)
    leases.fenced_update(build, version=version)


def commit_version(
    job: Upload | Build, workdir: Path, result: Event, *, source_format: str, steps: list[Event] | None = None
) -> DatasetVersion:
    """The files by rename under a key with the fence in it, then the row, its findings and a line of audit."""
    dataset = Dataset.objects.select_for_update().get(pk=job.dataset_id)
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
    )
    Finding.objects.bulk_create(Finding(version=version, **found) for found in result["findings"])
    record(version, "datasetversion.created", actor="worker", rows=version.rows, content_hash=version.content_hash)
    return version


def refuse_known_content(dataset: Dataset, content_hash: str) -> None:
    same = dataset.versions.filter(content_hash=content_hash).first()
    if same is not None:
        raise Refused(
            f"These rows are already version {same.number} of this dataset. Nothing was added; use that version.",
            code="same_content",
        )


def failed_upload(upload: Upload, code: str) -> None:
    """What no other reading can save need not take up room."""
    if code in HOPELESS and not Upload.objects.filter(key=upload.key).exclude(pk=upload.pk).exists():
        transaction.on_commit(lambda: artefacts.delete(upload.key))


def after(job: Upload | Build) -> None:
    """A new version is compared with the golden sets at once, so that a leak is seen before anybody trains."""
    shutil.rmtree(supervision.workdir_of(job) / "out", ignore_errors=True)  # what was committed was copied
    job.refresh_from_db()
    if job.version is not None:
        measure_overlaps(job.version)


def measure_overlaps(version: DatasetVersion) -> None:
    """Fill in the missing pairs of this version: with golden sets, or a golden set with what trains already."""
    project = version.project
    if version.dataset.purpose == Purpose.GOLDEN:
        trained = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose=Purpose.TRAINING)
        pairs = [(other, version) for other in trained.exclude(overlaps__golden_version=version)]
    else:
        golden = selectors.golden_versions(project).exclude(pk=version.pk)
        known = version.overlaps.values("golden_version")
        pairs = [(version, other) for other in golden.exclude(pk__in=known)]
    for mine, golden_version in pairs:
        exact, normalised, rows = selectors.shared_prompts(mine, golden_version)
        Overlap.objects.update_or_create(
            version=mine,
            golden_version=golden_version,
            defaults={"exact": exact, "normalised": normalised, "rows": rows[:1000]},
        )
