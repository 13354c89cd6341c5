"""The body of reading an upload: what the child is given, what it says, what becomes of its result."""

from pathlib import Path
from typing import Any

import orjson
from django.db import transaction

from datasets_app import selectors
from datasets_app.domain.codes import HOPELESS, Code
from datasets_app.ingest.aside import keep_aside, keep_examples, stage
from datasets_app.ingest.children import Event, command
from datasets_app.ingest.versions import commit_version
from datasets_app.models import BadRow, Upload
from projects import artefacts, leases, supervision
from projects.domain.errors import Refused

CUT = 300  # characters of what was found and expected that are kept
FRESH: dict[str, Any] = {
    "bad_codes": {}, "rows_bad": 0, "rows_good": 0, "samples": [], "head": {}, "detected_format": "", "file_type": "",
}  # fmt: skip


def prepare_upload(upload: Upload, workdir: Path) -> list[str]:
    """An earlier attempt may have left bad rows behind; this one tells them anew."""
    upload.bad_rows.all().delete()
    leases.fenced_update(upload, **FRESH)
    spec = {
        "task": "upload",
        "source": [str(path) for path in artefacts.local_files(upload.key)],
        "file_name": upload.file_name,
        "forced_format": upload.forced_format,
        "mapping": upload.mapping,
        "provenance": upload.provenance,
        "purpose": upload.dataset.purpose,
        "golden": [
            {"id": version.pk, "path": str(selectors.version_path(version))}
            for version in selectors.golden_versions(upload.project).exclude(dataset=upload.dataset)
        ],
        "policy": selectors.origin_policy(upload.project),
        "fixes": upload.mapping.get("fixes", []),
        "by": upload.uploaded_by.email,
        "at": upload.created_at.isoformat(timespec="seconds"),
    }
    if upload.mends is not None:
        spec |= _mending(upload, upload.mends, workdir)
    return command(workdir, spec)


def _mending(upload: Upload, base: Upload, workdir: Path) -> dict[str, Any]:
    """For a version in the making: where the rows kept aside lie, which are still bad, how the file was read."""
    if not base.is_in_the_making:
        raise Refused("What these rows were to join is a version already, or was discarded.", code="not_in_the_making")
    lines = workdir / "lines.json"
    lines.write_bytes(orjson.dumps(selectors.bad_lines(base)))
    folder = artefacts.fetch_directory(base.staged_key)
    spec = {
        "task": "mend",
        "bad": str(folder / selectors.BAD_FILE),
        "lines": str(lines),
        "forced_format": upload.forced_format or base.detected_format,
        "mapping": upload.mapping or base.mapping,
    }
    return spec


def on_upload_event(upload: Upload, event: Event) -> None:
    if event["event"] == "detected":
        leases.fenced_update(upload, detected_format=event["format"], file_type=event["file_type"])
    elif event["event"] == "samples":
        leases.fenced_update(upload, samples=event["samples"])
    elif event["event"] == "head":
        leases.fenced_update(upload, head={name: event.get(name) for name in ("columns", "turns", "roles", "records")})
    elif event["event"] == "progress" and "rows" in event:
        leases.fenced_update(upload, rows_good=event["rows"], rows_bad=max(upload.rows_bad, event.get("bad", 0)))
    elif event["event"] == "bad_rows":
        keep_bad_rows(upload, event["rows"])


@transaction.atomic
def keep_bad_rows(upload: Upload, rows: list[Event]) -> None:
    codes = dict(upload.bad_codes)
    for row in rows:
        codes[row["code"]] = codes.get(row["code"], 0) + 1
    # A row with several faults is one bad row; the child counts them in the end.
    leases.fenced_update(upload, bad_codes=codes, rows_bad=upload.rows_bad + len({row["line"] for row in rows}))
    BadRow.objects.bulk_create(
        BadRow(
            upload=upload,
            line=row["line"],
            field=row["field"][:200],
            code=row["code"],
            found=row["found"][:CUT],
            expected=row["expected"][:CUT],
            column=row.get("column"),
            fix=(row.get("fix") or "")[:40],
        )
        for row in rows
    )


def complete_upload(upload: Upload, workdir: Path, result: Event) -> None:
    """A version, or, where rows are kept aside and somebody wants to mend them, rows that wait for it."""
    facts: dict[str, Any] = {}
    if upload.mends is not None or (upload.hold and result["rows_bad"]):
        facts |= stage(upload, workdir, result)
    else:
        facts |= keep_aside(upload, workdir)
        facts["version"] = commit_version(upload, workdir, result, source_format=result["detected_format"])
    for name in ("rows_good", "rows_bad", "bad_codes", "samples", "detected_format", "file_type"):
        facts[name] = result[name]
    leases.fenced_update(upload, **facts)


def failed_upload(upload: Upload, code: str) -> None:
    """What no other reading can save need not take up room; what fixes could save shows them on its page."""
    if code == Code.NO_GOOD_ROWS and upload.mends is None:
        kept = keep_examples(upload, supervision.workdir_of(upload))
        if kept:
            leases.fenced_update(upload, **kept)
    if code in HOPELESS and not Upload.objects.filter(key=upload.key).exclude(pk=upload.pk).exists():
        transaction.on_commit(lambda: artefacts.delete(upload.key))
