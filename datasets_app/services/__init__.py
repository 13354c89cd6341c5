"""What people may do with datasets, files and versions."""

from datasets_app.services.datasets import create_dataset, delete_dataset, remove_rows
from datasets_app.services.uploads import accept_upload, cancel_upload, queue_reading, refuse_format, reread_upload
from datasets_app.services.versions import clean_version, ensure_overlaps, refuse_foreign_golden

__all__ = [
    "accept_upload",
    "cancel_upload",
    "clean_version",
    "create_dataset",
    "delete_dataset",
    "ensure_overlaps",
    "queue_reading",
    "refuse_foreign_golden",
    "refuse_format",
    "remove_rows",
    "reread_upload",
]
