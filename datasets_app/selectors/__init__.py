"""Reads of datasets, versions, findings and uploads."""

from datasets_app.selectors.datasets import dataset_list, latest_version
from datasets_app.selectors.findings import FindingView, findings, golden_versions, overlaps, shared_prompts, verdict
from datasets_app.selectors.overlaps import missing_comparisons
from datasets_app.selectors.rows import JSON_COLUMNS, ROWS_FILE, TEXT_COLUMNS, read_rows, read_rows_at, version_path
from datasets_app.selectors.storage import Storage, refuse_full, storage_of, stored
from datasets_app.selectors.uploads import (
    BAD_FILE,
    BadCode,
    Making,
    Offer,
    assembly,
    bad_codes,
    bad_lines,
    bad_texts,
    lines_left,
    making,
    menders,
    offers,
    unfinished,
)
from datasets_app.selectors.versions import (
    open_proposals,
    origin_policy,
    over_time,
    policy_breaches,
    recipe_steps,
    saved_recipes,
    usable_versions,
)

__all__ = [
    "BAD_FILE",
    "JSON_COLUMNS",
    "ROWS_FILE",
    "TEXT_COLUMNS",
    "BadCode",
    "FindingView",
    "Making",
    "Offer",
    "Storage",
    "assembly",
    "bad_codes",
    "bad_lines",
    "bad_texts",
    "dataset_list",
    "findings",
    "golden_versions",
    "latest_version",
    "lines_left",
    "making",
    "menders",
    "missing_comparisons",
    "offers",
    "open_proposals",
    "origin_policy",
    "over_time",
    "overlaps",
    "policy_breaches",
    "read_rows",
    "read_rows_at",
    "recipe_steps",
    "refuse_full",
    "saved_recipes",
    "shared_prompts",
    "storage_of",
    "stored",
    "unfinished",
    "usable_versions",
    "verdict",
    "version_path",
]
