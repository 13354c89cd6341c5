"""Bodies of the background work on datasets."""

from datasets_app.ingest.builds import (
    after_preview,
    complete_build,
    complete_preview,
    failed_build,
    prepare_build,
    prepare_preview,
)
from datasets_app.ingest.children import ENGINE, Event, command
from datasets_app.ingest.diff import queue_diff
from datasets_app.ingest.overlaps import (
    after_comparison,
    compare_later,
    complete_comparison,
    prepare_comparison,
    queue_comparison,
    queue_sharing,
)
from datasets_app.ingest.proposals import propose, stage_for
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
    "after_comparison",
    "after_preview",
    "command",
    "commit_version",
    "compare_later",
    "complete_build",
    "complete_comparison",
    "complete_preview",
    "complete_upload",
    "failed_build",
    "failed_upload",
    "keep_bad_rows",
    "on_upload_event",
    "prepare_build",
    "prepare_comparison",
    "prepare_preview",
    "prepare_upload",
    "propose",
    "queue_comparison",
    "queue_diff",
    "queue_sharing",
    "refuse_known_content",
    "stage_for",
]
