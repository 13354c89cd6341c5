"""datasets.load_dataset and a map with the checks; needs the twin without malformed lines, or it gives up."""

import sys
import tempfile
from typing import Any

import datasets
from common import answer, measured

ROLES = ("system", "user", "assistant", "tool")


def check(row: dict[str, Any]) -> dict[str, Any]:
    turns = row["messages"]
    good = bool(turns) and turns[-1]["role"] == "assistant"
    return {"good": good and all(t["role"] in ROLES and isinstance(t["content"], str) for t in turns)}


datasets.disable_progress_bars()
found: dict[str, Any] = {}
with tempfile.TemporaryDirectory() as cache, measured(found):
    rows = datasets.load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=cache)
    found["rows"] = sum(rows.map(check)["good"])
answer(found)
