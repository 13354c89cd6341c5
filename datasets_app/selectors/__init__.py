"""Reads of datasets, versions, findings and uploads."""

from datasets_app.selectors.datasets import dataset_list, latest_version
from datasets_app.selectors.diff import changed_findings, changed_lengths, descends, diff_of, diff_rows
from datasets_app.selectors.dismissals import Decided, history, standing
from datasets_app.selectors.exports import Lost, lost_in, row_groups
from datasets_app.selectors.findings import (
    FindingView,
    column,
    finding,
    findings,
    found_rows,
    verdict,
)
from datasets_app.selectors.overlaps import golden_versions, missing_comparisons, overlaps
from datasets_app.selectors.proposals import is_stale, proposals, same_rows
from datasets_app.selectors.rows import JSON_COLUMNS, ROWS_FILE, TEXT_COLUMNS, read_rows, read_rows_at, version_path
from datasets_app.selectors.search import answer_lines, descendants, matches
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
    "Decided",
    "FindingView",
    "Lost",
    "Making",
    "Offer",
    "Storage",
    "answer_lines",
    "assembly",
    "bad_codes",
    "bad_lines",
    "bad_texts",
    "changed_findings",
    "changed_lengths",
    "column",
    "dataset_list",
    "descendants",
    "descends",
    "diff_of",
    "diff_rows",
    "finding",
    "findings",
    "found_rows",
    "golden_versions",
    "history",
    "is_stale",
    "latest_version",
    "lines_left",
    "lost_in",
    "making",
    "matches",
    "menders",
    "missing_comparisons",
    "offers",
    "origin_policy",
    "over_time",
    "overlaps",
    "policy_breaches",
    "proposals",
    "read_rows",
    "read_rows_at",
    "recipe_steps",
    "refuse_full",
    "row_groups",
    "same_rows",
    "saved_recipes",
    "standing",
    "storage_of",
    "stored",
    "unfinished",
    "usable_versions",
    "verdict",
    "version_path",
]
