"""A stored version held against golden sets that came after it."""

from pathlib import Path
from typing import Any

from datasets_app.engine import events, limits
from datasets_app.engine.leakage import compare as compared


def compare(spec: dict[str, Any]) -> dict[str, Any]:
    """{"overlaps": {golden set: {"exact", "normalised", "ngram", "near", "rows": {kind: rows}}}}."""
    source, golden = Path(spec["source"]), [(int(one["id"]), Path(one["path"])) for one in spec["golden"]]
    limits.earn_time(source.stat().st_size * 20)
    limits.earn(source.stat().st_size * 8)
    events.emit("progress", phase="comparing", done=0, total=len(golden))
    found = compared(source, golden, Path(spec["out_dir"]).parent)
    return {"overlaps": {str(number): one for number, one in found.items()}}
