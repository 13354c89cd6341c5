"""What counted data says about a run: rows it would lose, in numbers and words."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Loss:
    """One way in which a limit of length spoils rows."""

    title: str
    tone: str
    why: str


LOSSES = {
    "answers_cut": Loss(
        "Answers lose their end",
        "failed",
        "A trainer keeps the start of a row and cuts the rest. The model never sees how these answers end, so it "
        "learns to go on or to break off.",
    ),
    "untrained": Loss(
        "Rows have nothing to train on",
        "failed",
        "Either the question alone fills the whole length, or no turn of the row counts. The time spent on them "
        "teaches nothing.",
    ),
    "cut": Loss(
        "Rows are longer than the limit",
        "attention",
        "Each of them is cut behind its first tokens. A run refuses to start until somebody decides what to do.",
    ),
}
