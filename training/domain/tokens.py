"""What counted data says about a run: rows it would lose, in numbers and words."""

from collections.abc import Mapping
from typing import Any

SEEN_FILE = "seen.json"  # beside the counts: telling rows as the model will see them


def rows_lost(stats: Mapping[str, Any], cut: str) -> int:
    """How many rows a run with this cut policy would leave out."""
    if cut == "drop":
        return int(stats["cut"] + stats["unshowable"] + stats["untrained_short"])
    return int(stats["unshowable"] + stats["untrained"])


def rows_are(count: int) -> str:
    """1 row is, 2 rows are."""
    return "1 row is" if count == 1 else f"{count} rows are"
