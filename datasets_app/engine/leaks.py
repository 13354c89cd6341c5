"""A stored version held against golden sets that came after it."""

from pathlib import Path
from typing import Any

from datasets_app.engine import events, leakage, limits


def compare(spec: dict[str, Any]) -> dict[str, Any]:
    """{"overlaps": {id of the golden version: {"exact", "normalised", "ngram", "near", "rows"}}}."""
    source, out = Path(spec["source"]), Path(spec["out_dir"])
    out.mkdir(parents=True, exist_ok=True)
    golden = [(int(one["id"]), Path(one["path"])) for one in spec["golden"]]
    size = sum(path.stat().st_size for path in (source, *(path for _, path in golden)))
    limits.earn(8 * size)  # what lies in the store is honest, and compressed
    events.emit("progress", phase="comparing", done=0, total=len(golden))
    found = leakage.compare(source, golden, out)
    return {"overlaps": {str(name): counts for name, counts in found.items()}}
