"""The body of reading an upload: what the child is given, what it says, what becomes of its result."""

from pathlib import Path

from django.db import transaction

from datasets_app.domain.codes import HOPELESS
from datasets_app.ingest.children import Event, command
from datasets_app.ingest.versions import commit_version
from datasets_app.models import BadRow, Upload
from projects import artefacts, leases

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


def failed_upload(upload: Upload, code: str) -> None:
    """What no other reading can save need not take up room."""
    if code in HOPELESS and not Upload.objects.filter(key=upload.key).exclude(pk=upload.pk).exists():
        transaction.on_commit(lambda: artefacts.delete(upload.key))
