"""python -m training.engine.tokens SPEC: a dataset version in tokens of one base model, without torch."""

import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from datasets_app.engine import lean
from datasets_app.engine.batch import Batch, Flag
from datasets_app.engine.token_counts import Counts
from datasets_app.engine.token_rows import RowCounter, flags_of
from datasets_app.engine.tokens import DEFAULT_LIMIT, sample_groups, stored_batches
from training.domain.tokens import SEEN_FILE
from training.engine import data, seen
from training.engine.events import Stopped, emit, run_child
from training.engine.watch import StopFlag, die_with_parent

RANDOM_ROWS = 2


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text())
    stop = StopFlag().install()
    die_with_parent()
    path, out = Path(spec["data_path"]), Path(spec["out_dir"])
    total = data.count_rows(path)
    emit("started", device="cpu", device_name="", total=total)
    counter = RowCounter(Path(spec["base_path"]))
    _first_look(counter, path, total)
    counts, kinds = measure(counter, path, total, stop)
    if counter.doubts:  # the template looked at the words after all
        counter.trusts_plans, counter.doubts = False, 0
        counts, kinds = measure(counter, path, total, stop)
    counts.facts = counter.facts() | {"telling": telling(counts, kinds)}
    out.mkdir(parents=True, exist_ok=True)
    counts.save(out)
    rows = sorted({row for _, row in counts.facts["telling"]})
    (out / SEEN_FILE).write_text(json.dumps(seen.looks(counter.chat, path, rows), ensure_ascii=False))
    counter.close()
    emit("result", stats=counts.under(DEFAULT_LIMIT))


def _first_look(counter: RowCounter, path: Path, total: int) -> None:
    """A histogram from rows spread over the file, long before all of it is counted."""
    groups, most = sample_groups(path)
    parts = [counter.count(batch) for batch in stored_batches(path, groups, most)]
    counter.doubts = counter.by_row = 0
    emit("sample", stats=Counts.joined(parts).under(DEFAULT_LIMIT) | {"of_rows": total})


class Kinds:
    """Of each row how many turns it has and if it brings tools."""

    def __init__(self) -> None:
        self.turns: list[Any] = []
        self.tools: list[Any] = []

    def add(self, batch: Batch) -> None:
        ends = np.bincount(batch.seg_row[(batch.seg_flags & Flag.ENDS_TURN) != 0], minlength=batch.rows)
        self.turns.append(ends)
        calls = np.bincount(batch.seg_row[(batch.seg_flags & Flag.CALL) != 0], minlength=batch.rows) > 0
        self.tools.append(calls | flags_of(batch.table.column("tools").is_valid()))


def measure(counter: RowCounter, path: Path, total: int, stop: StopFlag) -> tuple[Counts, Kinds]:
    parts, kinds, done = [], Kinds(), 0
    for batch in stored_batches(path):
        parts.append(counter.count(batch))
        kinds.add(batch)
        done += batch.rows
        emit("progress", phase="counting", done=done, total=total)
        if stop.asked:
            raise Stopped
    return Counts.joined(parts), kinds


def telling(counts: Counts, kinds: Kinds) -> list[tuple[str, int]]:
    """Rows that say much about the whole set: (why, index)."""
    rows = np.flatnonzero(counts.shown)
    if not len(rows):
        return [("random", 0)] if counts.rows else []
    lengths = counts.total[rows]
    turns, tools = np.concatenate(kinds.turns), np.flatnonzero(np.concatenate(kinds.tools))
    found: list[tuple[str, Any]] = [("longest", rows[int(lengths.argmax())]), ("shortest", rows[int(lengths.argmin())])]
    if turns.max() > turns.min():
        found.append(("most turns", turns.argmax()))
    if len(tools):
        found.append(("with tools", tools[0]))
    if counts.unshowable:
        found.append(("refused by the template", counts.unshowable[0]["index"]))
    found += [("random", row) for row in _some(rows.tolist())]
    return [(why, int(row)) for why, row in found]


def _some(rows: list[int]) -> Iterable[int]:
    """The same rows each time: whoever looks again sees what the first one saw."""
    return random.Random(len(rows)).sample(rows, min(RANDOM_ROWS, len(rows)))


if __name__ == "__main__":
    lean.without_pandas()
    sys.exit(run_child(main, sys.argv, "training.engine.tokens SPEC.json"))
