"""Reads of datasets, versions, findings and uploads."""

from datasets_app.selectors.datasets import dataset_list, latest_version
from datasets_app.selectors.findings import FindingView, findings, golden_versions, overlaps, shared_prompts, verdict
from datasets_app.selectors.rows import JSON_COLUMNS, ROWS_FILE, TEXT_COLUMNS, read_rows, read_rows_at, version_path
from datasets_app.selectors.uploads import BadCode, bad_codes

__all__ = [
    "JSON_COLUMNS",
    "ROWS_FILE",
    "TEXT_COLUMNS",
    "BadCode",
    "FindingView",
    "bad_codes",
    "dataset_list",
    "findings",
    "golden_versions",
    "latest_version",
    "overlaps",
    "read_rows",
    "read_rows_at",
    "shared_prompts",
    "verdict",
    "version_path",
]
