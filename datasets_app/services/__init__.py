"""What people may do with datasets, files and versions."""

from datasets_app.services.builds import queue_build
from datasets_app.services.datasets import create_dataset, delete_dataset, remove_rows
from datasets_app.services.diff import compare_versions
from datasets_app.services.findings import dismiss_finding, reopen_finding
from datasets_app.services.fitness import compare_soon, count_shared_soon, refuse_unfit, refuse_unreleased
from datasets_app.services.forgetting import forget_file
from datasets_app.services.incoming import abort_upload, begin_upload, finish_upload, store_part
from datasets_app.services.making import discard_making, make_version, mend_rows
from datasets_app.services.options import refuse_format
from datasets_app.services.proposals import close_proposal, comment_proposal, merge_proposal, update_proposal
from datasets_app.services.search import erase_text, forget_search, search_text
from datasets_app.services.uploads import accept_upload, cancel_upload, queue_reading, reread_upload
from datasets_app.services.versions import (
    clean_version,
    compare_version,
    delete_recipe,
    ensure_overlaps,
    preview_recipe,
    restore_version,
    save_recipe,
)

__all__ = [
    "abort_upload",
    "accept_upload",
    "begin_upload",
    "cancel_upload",
    "clean_version",
    "close_proposal",
    "comment_proposal",
    "compare_soon",
    "compare_version",
    "compare_versions",
    "count_shared_soon",
    "create_dataset",
    "delete_dataset",
    "delete_recipe",
    "discard_making",
    "dismiss_finding",
    "ensure_overlaps",
    "erase_text",
    "finish_upload",
    "forget_file",
    "forget_search",
    "make_version",
    "mend_rows",
    "merge_proposal",
    "preview_recipe",
    "queue_build",
    "queue_reading",
    "refuse_foreign_golden",
    "refuse_format",
    "refuse_unfit",
    "refuse_unreleased",
    "remove_rows",
    "reopen_finding",
    "reread_upload",
    "restore_version",
    "save_recipe",
    "search_text",
    "store_part",
    "update_proposal",
]
