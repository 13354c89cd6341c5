"""Rows kept aside and rows that wait: what of a reading is stored before, or beside, a version."""

import shutil
from pathlib import Path
from typing import Any

from datasets_app import selectors
from datasets_app.ingest.children import Event
from datasets_app.models import BadRow, Build, DatasetVersion, Upload
from projects import artefacts
from projects.domain.errors import Refused
from projects.transitions import record

AT_ONCE = 500
EXAMPLES = "examples"  # folder in which the child leaves the first bad rows of a file without a good one


def keep_aside(upload: Upload, workdir: Path) -> dict[str, Any]:
    """Store the original text of the bad rows, if there are any; fields of the upload that say where."""
    source = workdir / "out" / selectors.BAD_FILE
    if not source.is_file():
        return {}
    folder = workdir / "aside"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source.rename(folder / selectors.BAD_FILE)
    return _committed(upload, folder, {})


def keep_examples(upload: Upload, workdir: Path) -> dict[str, Any]:
    """Of a file without a good row the first bad ones are stored, so that fixes can be shown before they are chosen."""
    folder = workdir / EXAMPLES
    return _committed(upload, folder, {}) if (folder / selectors.BAD_FILE).is_file() else {}


def stage(upload: Upload, workdir: Path, result: Event) -> dict[str, Any]:
    """Store the good rows, and the text of the bad ones beside them, of a version that is not made yet."""
    base = upload.mends
    if base is not None:
        _refuse_foreign(base, result)
    about = {"kind": result["kind"], "rows": result["rows_good"], "format": result["detected_format"]}
    fields = _committed(upload, workdir / "out", about)
    if base is not None:
        mark_mended(upload, base, workdir / "out" / selectors.ROWS_FILE)
    record(upload, "upload.staged", actor="worker", rows=result["rows_good"], bad=result["rows_bad"])
    return fields


def _committed(upload: Upload, folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    key = f"datasets/{upload.dataset_id}/staged-{upload.pk}-f{upload.fence}"
    return {"staged_key": key, "staged_manifest": {**artefacts.commit_directory(folder, key), **about}}


def _refuse_foreign(base: Upload, result: Event) -> None:
    base.refresh_from_db()
    if not base.is_in_the_making:
        raise Refused("What these rows were to join is a version already, or was discarded.", code="not_in_the_making")
    kind = base.staged_manifest.get("kind")
    if kind != result["kind"]:
        raise Refused(f"These are {result['kind']} rows; they were to join {kind} rows.", code="mixed_kinds")


def note_version(build: Build, version: DatasetVersion) -> None:
    """The upload whose rows waited has its version now; what mended it has none of its own."""
    base = build.staged.filter(mends=None).first()
    if base is not None:
        Upload.objects.filter(pk=base.pk).update(version=version)


def mark_mended(upload: Upload, base: Upload, path: Path) -> None:
    """The bad rows of `base` whose lines are among the rows of this file are bad no more."""
    import pyarrow.parquet as pq

    lines = pq.read_table(path, columns=["line"], use_threads=False).column("line").to_pylist()
    for start in range(0, len(lines), AT_ONCE):
        some = lines[start : start + AT_ONCE]
        BadRow.objects.filter(upload=base, mended_by=None, line__in=some).update(mended_by=upload)
