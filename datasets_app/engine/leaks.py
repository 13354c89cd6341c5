"""A stored version held against golden sets that came after it."""

from pathlib import Path
from typing import Any

import numpy as np

from datasets_app.domain import hashing
from datasets_app.engine import events, limits
from datasets_app.engine.table import read_column

SHOWN_ROWS = 1000


def compare(spec: dict[str, Any]) -> dict[str, Any]:
    """{"overlaps": [{"golden", "exact", "normalised", "ngram", "near", "rows"}]}."""
    source, found = Path(spec["source"]), []
    limits.earn_time(source.stat().st_size * 20)
    limits.earn(source.stat().st_size * 8)
    for n, golden in enumerate(spec["golden"]):
        events.emit("progress", phase="comparing", done=n, total=len(spec["golden"]))
        found.append({"golden": int(golden["id"]), **by_hashes(source, Path(golden["path"]))})
    return {"overlaps": found}


def by_hashes(source: Path, golden: Path) -> dict[str, Any]:
    """Rows whose prompt is in the golden set, as it stands or in its normal form."""
    exact = _same(source, golden, "prompt_hash")
    either = exact | _same(source, golden, "prompt_norm_hash")
    rows = np.flatnonzero(either)
    return {
        "exact": int(exact.sum()),
        "normalised": len(rows) - int(exact.sum()),
        "ngram": 0,
        "near": 0,
        "rows": rows[:SHOWN_ROWS].tolist(),
    }


def _same(source: Path, golden: Path, column: str) -> Any:
    theirs = np.array(read_column(golden, column), dtype=np.int64)
    return np.isin(np.array(read_column(source, column), dtype=np.int64), theirs[theirs != hashing.NO_PROMPT])
