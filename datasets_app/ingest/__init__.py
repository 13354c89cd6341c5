"""Bodies of the background work on datasets."""

from datasets_app.ingest.builds import complete_build, prepare_build
from datasets_app.ingest.children import ENGINE, Event, command
from datasets_app.ingest.overlaps import measure_overlaps
from datasets_app.ingest.uploads import (
    CUT,
    complete_upload,
    failed_upload,
    keep_bad_rows,
    on_upload_event,
    prepare_upload,
)
from datasets_app.ingest.versions import after, commit_version, refuse_known_content

__all__ = [
    "CUT",
    "ENGINE",
    "Event",
    "after",
    "command",
    "commit_version",
    "complete_build",
    "complete_upload",
    "failed_upload",
    "keep_bad_rows",
    "measure_overlaps",
    "on_upload_event",
    "prepare_build",
    "prepare_upload",
    "refuse_known_content",
]
