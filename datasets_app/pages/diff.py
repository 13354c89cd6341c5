"""The page of what changed between two versions."""

from typing import Any

from django.core.paginator import Paginator

from datasets_app import selectors
from datasets_app.domain import diffing
from datasets_app.models import DatasetVersion
from projects.domain.states import JobState

ROWS_A_PAGE = 10
KINDS = {"edited": "Edited", "added": "Added", "removed": "Removed"}


def diff_page(before: DatasetVersion, after: DatasetVersion, query: Any) -> dict[str, Any]:
    diff = selectors.diff_of(before, after)
    ready = diff is not None and diff.state == JobState.SUCCEEDED
    rows = diff_rows(diff, query) if ready else {}
    return {
        "before": before,
        "after": after,
        "dataset": after.dataset,
        "diff": diff,
        "ready": ready,
        "waiting": diff is not None and diff.is_active,
        "changed_findings": selectors.changed_findings(before, after),
        "changed_lengths": [one for one in selectors.changed_lengths(before, after) if one[1] != one[2]],
        **rows,
    }


def diff_rows(diff: Any, query: Any) -> dict[str, Any]:
    """One page of one list, each row with its places and the words that changed."""
    counts = {kind: diff.summary.get(kind, 0) for kind in KINDS}
    kind = query.get("rows", "")
    if kind not in KINDS:
        kind = next((name for name, n in counts.items() if n), "edited")
    page = Paginator(range(counts[kind]), ROWS_A_PAGE).get_page(query.get("page"))
    start = page.start_index() - 1 if counts[kind] else 0
    pairs = selectors.diff_rows(diff, kind, start, ROWS_A_PAGE) if counts[kind] else []
    return {
        "kind": kind,
        "tabs": [(name, title, counts[name]) for name, title in KINDS.items()],
        "page": page,
        "pairs": [_pair(**pair) for pair in pairs],
    }


def _pair(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    parts = diffing.rows(before or {}, after or {})
    return {
        "before": before["index"] if before else None,
        "after": after["index"] if after else None,
        "parts": [part for part in parts if part.changed] if before and after else parts,
        "same": sum(not part.changed for part in parts) if before and after else 0,
        "edits": ((after or {}).get("provenance") or {}).get("edits", []),
    }
