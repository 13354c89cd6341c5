"""The analyser that counts rows in tokens of a base model, and the reading of a stored version for counting."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import COLUMNS, PADDING, ROLES, Batch, Flag, Part, Role
from datasets_app.engine.facts import Facts
from datasets_app.engine.token_counts import Counts
from datasets_app.engine.token_rows import RowCounter

DEFAULT_LIMIT = 1024  # what TRL cuts at when nobody says otherwise
SAMPLE_ROWS = 2000


class Tokens:
    """Counts every row; `finish` puts the sums under `max_length` into the stats, `save` the counts by row."""

    name = "tokens"

    def __init__(self, tokenizer_dir: Path | str, max_length: int | None = None) -> None:
        self.limit = max_length or DEFAULT_LIMIT
        self._counter = RowCounter(Path(tokenizer_dir), without_template=True)
        self._parts: list[Counts] = []
        self.counts = Counts()

    def take(self, batch: Batch) -> None:
        self._parts.append(self._counter.count(batch))

    def finish(self, facts: Facts) -> None:
        self.counts = Counts.joined(self._parts)
        self.counts.facts = self._counter.facts()
        self._counter.close()
        facts.stats["tokens"] = self.counts.under(self.limit)

    def save(self, folder: Path) -> None:
        self.counts.save(folder)


# Stored versions


def stored_batches(path: Path, groups: Sequence[int] | None = None, most: int | None = None) -> Iterator[Batch]:
    """The rows of a rows.parquet as batches with what counting needs: no digests, no lines."""
    with pq.ParquetFile(path) as file:
        names = [name for name in COLUMNS.names if name in file.schema_arrow.names]
        first = 0
        for group in range(file.num_row_groups) if groups is None else groups:
            table = file.read_row_group(group, columns=names, use_threads=False)
            table = table if most is None else table.slice(0, most)
            yield batch_of_table(table, first)
            first += table.num_rows


def sample_groups(path: Path) -> tuple[list[int], int]:
    """Row groups spread over the file, and how many rows of each, for a first look at about 2,000 rows."""
    with pq.ParquetFile(path) as file:
        groups = file.num_row_groups
        wanted = min(groups, 8)
        return sorted({groups * n // wanted for n in range(wanted)}), -(-SAMPLE_ROWS // max(1, wanted))


def batch_of_table(table: pa.Table, first: int) -> Batch:
    """The segments of stored rows; columns that the file does not have are empty."""
    columns = [
        table.column(name).cast(kind) if name in table.column_names else pa.nulls(table.num_rows, kind)
        for name, kind in zip(COLUMNS.names, COLUMNS.types, strict=True)
    ]
    table = pa.table(columns, schema=COLUMNS)
    made = _Segments()
    kinds, texts = table.column("kind").to_pylist(), table.column("text").to_pylist()
    turns = [table.column(name).to_pylist() for name in ("messages", "chosen", "rejected")]
    for row, kind in enumerate(kinds):
        made.row = row
        if kind == Kind.TEXT:
            made.add((texts[row] or "").encode(), Role.USER, Part.DOCUMENT, Flag.TRAINED | Flag.ENDS_TURN)
        else:
            messages, chosen, rejected = (orjson.loads(column[row]) if column[row] else [] for column in turns)
            made.conversation(messages, chosen, rejected, kind)
        made.bounds.append(len(made.rows))
    return made.batch(table, first)


class _Segments:
    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.rows: list[int] = []
        self.codes: list[tuple[int, int, int]] = []
        self.bounds = [0]
        self.row = 0

    def add(self, text: bytes, role: int, part: int, flags: int) -> None:
        self.texts.append(text)
        self.rows.append(self.row)
        self.codes.append((role, part, flags))

    def conversation(self, messages: list[Any], chosen: list[Any], rejected: list[Any], kind: str) -> None:
        last = len(messages) - 1 if kind == Kind.SFT else -1
        for place, turn in enumerate(messages):
            self._turn(turn, Part.ANSWER if place == last else Part.PROMPT)
        for turn in chosen:
            self._turn(turn, Part.ANSWER)
        for turn in rejected:
            self._turn(turn, Part.REJECTED)

    def _turn(self, turn: dict[str, Any], part: Part) -> None:
        role = ROLES[turn["role"]]
        flags = Flag.TRAINED if role == Role.ASSISTANT and turn.get("weight", 1) else 0
        for name in ("thinking", "reasoning_content"):
            if turn.get(name):
                self.add(turn[name].encode(), role, part, flags | Flag.THINKING)
        calls = turn.get("tool_calls")
        self.add(turn["content"].encode(), role, part, flags | (0 if calls else Flag.ENDS_TURN))
        if calls:
            self.add(orjson.dumps(calls), role, part, flags | Flag.CALL | Flag.ENDS_TURN)

    def batch(self, table: pa.Table, first: int) -> Batch:
        ends = np.cumsum([len(text) for text in self.texts], dtype=np.int64)
        codes = np.array(self.codes, np.uint8).reshape(-1, 3)
        rows = table.num_rows
        return Batch(
            first=first,
            rows=rows,
            text=np.frombuffer(b"".join([*self.texts, bytes(PADDING)]), np.uint8),
            seg_start=np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]]),
            seg_end=ends,
            seg_row=np.array(self.rows, np.int32),
            seg_role=codes[:, 0],
            seg_part=codes[:, 1],
            seg_flags=codes[:, 2],
            row_seg=np.array(self.bounds, np.int64),
            line=np.zeros(rows, np.int64),
            digest=np.zeros((rows, 32), np.uint8),
            table=table,
        )
