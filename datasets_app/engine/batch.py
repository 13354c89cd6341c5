"""About a thousand rows at a time, as arrays: what every analyser looks at and what is written to Parquet.

A batch is made either by the native JSON kernel, without a Python object per row, or by `batch_of_rows` from rows
that went through `domain.formats`. Both give the same arrays for the same rows; a property test holds them together.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from datasets_app.domain import hashing
from datasets_app.domain.formats.base import Message, Row
from datasets_app.domain.purposes import Kind

Ints: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]

PADDING = 64  # zero bytes after the text, so that kernels may read ahead
BATCH_ROWS, BATCH_BYTES = 1000, 4 * 1024 * 1024


class Role(IntEnum):
    SYSTEM = 0
    USER = 1
    ASSISTANT = 2
    TOOL = 3


class Part(IntEnum):
    """Where in its row a segment stands."""

    PROMPT = 0  # before the last answer, the system turn included
    ANSWER = 1  # the last assistant turn; the chosen answer of a pair
    REJECTED = 2
    DOCUMENT = 3  # rows of kind text


class Flag(IntEnum):
    """Bits of `seg_flags`."""

    TRAINED = 1  # an assistant turn whose weight is not 0, or a document
    CALL = 2  # the tool calls of a turn as JSON, a segment of their own after its content
    THINKING = 4  # thinking or reasoning_content, a segment of its own before the content
    ENDS_TURN = 8  # the last segment of its turn


ROLES = {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}

# What a row is made of, one column each; nested values as JSON texts. The writer adds index and hashes.
COLUMNS = pa.schema(
    [
        ("kind", pa.string()),
        ("messages", pa.large_string()),
        ("chosen", pa.large_string()),
        ("rejected", pa.large_string()),
        ("tools", pa.large_string()),
        ("text", pa.large_string()),
        ("label", pa.string()),
        ("tags", pa.string()),
        ("source_id", pa.string()),
        ("extras", pa.string()),  # JSON of what a row carries besides: chat_template_kwargs, parallel_tool_calls
        ("provenance", pa.string()),  # JSON: origin, teacher, licence, depth, contributor, edited_by, edited_at
    ]
)


@dataclass(slots=True)
class Batch:
    """`rows` rows from index `first` of the version on. Segment arrays are in the order of rows and turns."""

    first: int
    rows: int
    text: Bytes  # UTF-8 of all segments one after another, then PADDING zero bytes
    seg_start: Ints  # (segments,) byte offsets into `text`
    seg_end: Ints
    seg_row: NDArray[np.int32]  # row inside the batch, ascending
    seg_role: NDArray[np.uint8]  # Role
    seg_part: NDArray[np.uint8]  # Part
    seg_flags: NDArray[np.uint8]  # Flag bits
    row_seg: Ints  # (rows + 1,): segments of row i are row_seg[i]:row_seg[i + 1]
    line: Ints  # (rows,) in the uploaded file
    digest: Bytes  # (rows, 32) sha256 of the canonical row, see domain.hashing.canonical
    table: pa.Table  # COLUMNS

    def segment(self, n: int) -> str:
        return self.text[self.seg_start[n] : self.seg_end[n]].tobytes().decode()

    def segments_of(self, row: int) -> range:
        return range(int(self.row_seg[row]), int(self.row_seg[row + 1]))


@dataclass(slots=True)
class Segment:
    text: bytes
    role: int
    part: int
    flags: int


def batch_of_rows(rows: Sequence[tuple[int, Row]], first: int = 0) -> Batch:
    """The arrays of rows given as (line, row)."""
    texts: list[bytes] = []
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS.names}
    seg_row, seg_role, seg_part, seg_flags, row_seg = [], [], [], [], [0]
    digests = bytearray()
    for n, (_, row) in enumerate(rows):
        for segment in segments_of(row):
            texts.append(segment.text)
            seg_row.append(n)
            seg_role.append(segment.role)
            seg_part.append(segment.part)
            seg_flags.append(segment.flags)
        row_seg.append(len(seg_row))
        digests += hashlib.sha256(hashing.canonical(row)).digest()
        for name, value in columns_of(row).items():
            columns[name].append(value)
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return Batch(
        first=first,
        rows=len(rows),
        text=np.frombuffer(b"".join(texts) + bytes(PADDING), dtype=np.uint8),
        seg_start=np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]]),
        seg_end=ends,
        seg_row=np.array(seg_row, dtype=np.int32),
        seg_role=np.array(seg_role, dtype=np.uint8),
        seg_part=np.array(seg_part, dtype=np.uint8),
        seg_flags=np.array(seg_flags, dtype=np.uint8),
        row_seg=np.array(row_seg, dtype=np.int64),
        line=np.array([line for line, _ in rows], dtype=np.int64),
        digest=np.frombuffer(bytes(digests), dtype=np.uint8).reshape(len(rows), 32),
        table=pa.table(columns, schema=COLUMNS),
    )


def columns_of(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind.value,
        "messages": dumped(row.messages),
        "chosen": dumped(row.chosen),
        "rejected": dumped(row.rejected),
        "tools": dumped(row.tools),
        "text": row.text,
        "label": row.label,
        "tags": dumped(row.tags),
        "source_id": row.source_id,
        "extras": dumped(row.extras),
        "provenance": dumped(row.provenance),
    }


def dumped(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def segments_of(row: Row) -> Iterator[Segment]:
    if row.kind == Kind.TEXT:
        yield Segment((row.text or "").encode(), Role.USER, Part.DOCUMENT, Flag.TRAINED | Flag.ENDS_TURN)
        return
    last = len(row.messages) - 1
    for n, turn in enumerate(row.messages):
        answer = row.kind == Kind.SFT and n == last
        yield from _turn(turn, Part.ANSWER if answer else Part.PROMPT)
    for turns, part in ((row.chosen, Part.ANSWER), (row.rejected, Part.REJECTED)):
        for turn in turns or []:
            yield from _turn(turn, part)


def _turn(turn: Message, part: Part) -> Iterator[Segment]:
    role = ROLES[turn["role"]]
    trained = Flag.TRAINED if role == Role.ASSISTANT and turn.get("weight", 1) else 0
    calls = turn.get("tool_calls")
    for name in ("thinking", "reasoning_content"):
        if turn.get(name):
            yield Segment(turn[name].encode(), role, part, trained | Flag.THINKING)
    yield Segment(turn["content"].encode(), role, part, trained | (0 if calls else Flag.ENDS_TURN))
    if calls:
        yield Segment(orjson.dumps(calls), role, part, trained | Flag.CALL | Flag.ENDS_TURN)
