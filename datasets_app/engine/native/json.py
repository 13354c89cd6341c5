"""JSON at the speed of C: strict checks that name the place of a fault, and rows without an object for each."""

import ctypes
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import Format, Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import COLUMNS, PADDING, Batch, columns_of, segments_of
from datasets_app.engine.native import library

FORMATS = {
    Format.OPENAI_CHAT: 0,
    Format.SHAREGPT: 1,
    Format.PROMPT_COMPLETION: 2,
    Format.ALPACA: 3,
    Format.TEXT: 4,
}
# What the kernel reads of each format by itself; a row with another field that the format knows goes to Python.
ABOUT = frozenset({"label", "category", "id", "tags", "tools"})
PLAIN = {
    Format.OPENAI_CHAT: frozenset({"messages"}) | ABOUT,
    Format.SHAREGPT: frozenset({"conversations", "system"}) | ABOUT,
    Format.PROMPT_COMPLETION: frozenset({"prompt", "completion"}) | ABOUT,
    Format.ALPACA: frozenset({"instruction", "input", "output", "system"}) | ABOUT,
    Format.TEXT: frozenset({"text"}) | ABOUT,
}
CODES = (
    None,
    Code.INVALID_JSON,
    Code.INVALID_UTF8,
    Code.LONE_SURROGATE,
    Code.NOT_A_NUMBER,
    Code.NUMBER_TOO_LARGE,
    Code.TOO_DEEP,
    Code.DUPLICATE_KEY,
    Code.TOO_MANY_VALUES,
)
OUT_OF_MEMORY = 9
HINTS = (
    "valid JSON",
    "a value: a text in double quotes, a number, true, false, null, a list or an object",
    "a field name in double quotes",
    "a colon behind the field name",
    "a comma or the closing bracket",
    "nothing behind the end of the row",
    "the closing quote of a text",
    "a control character written as an escape",
    "an escape of JSON behind the backslash",
    "a digit",
    "more: the row ends too early",
    "another entry behind the comma, or no comma",
)
LEVELS = 64
WORTH_TAKING = 256 * 1024  # bytes; less is copied, so that small batches hold no more than they need
STORED = ("messages", "chosen", "rejected", "tools", "text")
KINDS = [Kind.SFT, Kind.PREFERENCE, Kind.TEXT]
NAMES = [name for name in COLUMNS.names if name != "kind"]


class Why(IntEnum):
    """Why the kernel stopped."""

    MORE = 0  # it needs more bytes
    FULL = 1
    OTHER = 2  # a line for Python
    NO_MEMORY = 3


class Stop(NamedTuple):
    at: int  # where in the data the next line begins
    why: Why
    start: int  # of the line for Python
    end: int
    lines: int  # read so far, the bad and the empty ones included


class Fault(NamedTuple):
    code: Code
    at: int  # byte, from 0
    hint: str
    path: str  # of keys and indices: messages[2].content


@cache
def _functions() -> ctypes.CDLL:
    lib, number, pointer = library(), ctypes.c_int64, ctypes.c_void_p
    lib.luthier_json_new.restype = pointer
    lib.luthier_json_new.argtypes = [ctypes.c_int, ctypes.c_char_p, number, number]
    for one in (lib.luthier_json_free, lib.luthier_json_reset, lib.luthier_json_skip, lib.luthier_json_drop):
        one.argtypes, one.restype = [pointer], None
    lib.luthier_json_digest.argtypes, lib.luthier_json_digest.restype = [pointer], number
    lib.luthier_json_give.argtypes, lib.luthier_json_give.restype = [pointer, ctypes.c_int], None
    lib.luthier_json_feed.restype = number
    lib.luthier_json_feed.argtypes = [pointer, ctypes.c_char_p, number, number, ctypes.c_int, *[number] * 3, pointer]
    lib.luthier_json_row.argtypes = [pointer, ctypes.c_char_p, number, number, number]
    lib.luthier_json_sign.restype = number
    lib.luthier_json_sign.argtypes = [ctypes.c_char_p, number, number, number, pointer]
    lib.luthier_json_append.argtypes = [pointer, number, ctypes.c_char_p, pointer, number, ctypes.c_char_p, number]
    lib.luthier_json_view.argtypes = [pointer, pointer]
    lib.luthier_json_unknown.restype = number
    lib.luthier_json_unknown.argtypes = [pointer, number, ctypes.c_char_p, pointer]
    lib.luthier_json_stored.restype = number
    lib.luthier_json_stored.argtypes = [pointer, ctypes.c_int, number, *[pointer] * 5]
    lib.luthier_json_check.argtypes = [ctypes.c_char_p, number, pointer]
    lib.luthier_sha256.argtypes = [ctypes.c_char_p, pointer, number, pointer, ctypes.c_int]
    return lib


def check(data: bytes) -> Fault | None:
    """The first fault of a text that should be one strict JSON value."""
    out = (ctypes.c_int64 * (3 + 2 * LEVELS))()
    code = _functions().luthier_json_check(data, len(data), out)
    if not code:
        return None
    if code == OUT_OF_MEMORY:
        raise MemoryError
    named = CODES[code]
    if named is None:
        raise ValueError(code)
    steps = [(int(out[3 + 2 * n]), int(out[4 + 2 * n])) for n in range(out[2])]
    return Fault(named, int(out[0]), HINTS[out[1]], _path(data, steps))


def _path(data: bytes, steps: Sequence[tuple[int, int]]) -> str:
    path = ""
    for start, n in steps:
        if start < 0:
            path += f"[{n}]"
        else:
            path += ("." if path else "") + data[start : start + n].decode("utf-8", "replace")
    return path


def sha256(texts: Sequence[bytes], *, instructions: bool = True) -> list[bytes]:
    """The digest of each text."""
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    out = ctypes.create_string_buffer(32 * len(texts) + 1)
    _functions().luthier_sha256(b"".join(texts), sizes.ctypes.data, len(texts), out, instructions)
    return [out.raw[32 * n : 32 * n + 32] for n in range(len(texts))]


class Walk:
    """Goes through a document from one end of an element to the next, whatever pieces it comes in."""

    def __init__(self, level: int) -> None:
        """`level`: 1 for the elements of the outermost list, 0 for values that follow one another."""
        self._lib, self._level = _functions(), level
        self._state = (ctypes.c_int64 * 2)()

    def next_sign(self, data: bytes, at: int) -> int:
        """Where from `at` on an element begins or ends; the end of the data, or one byte behind it, for nowhere."""
        return int(self._lib.luthier_json_sign(data, at, len(data), self._level, self._state))

    def begin_anew(self) -> None:
        self._state[0] = 0


class _Owned:
    """Memory that a kernel has given away, for as long as somebody looks at it."""

    def __init__(self, lib: ctypes.CDLL, address: int) -> None:
        self._drop, self._address = lib.luthier_json_drop, address

    def __del__(self) -> None:
        self._drop(self._address)


class Gathered:
    """The arrays of a batch as the kernel fills them."""

    def __init__(self, fmt: int = 0, special: bytes = b"", lines: int = 0) -> None:
        self._lib = _functions()
        self._kernel = self._lib.luthier_json_new(fmt, special, len(special), lines)
        if not self._kernel:
            raise MemoryError
        self.digesting = 0.0  # CPU seconds spent on digests

    def __del__(self) -> None:
        if getattr(self, "_kernel", None):
            self._lib.luthier_json_free(self._kernel)

    @property
    def rows(self) -> int:
        return self._view()[0]

    def _taken(self, first: int, table: Callable[[int, Sequence[int]], pa.Table]) -> Batch:
        """What was gathered, as a batch of its own; then it starts anew."""
        self.digesting = self._lib.luthier_json_digest(self._kernel) / 1e9
        view = self._view()
        rows = view[0]

        def array(n: int, kind: Any, extra: int = 0) -> NDArray[Any]:
            return np.frombuffer(ctypes.string_at(view[2 + 2 * n], view[3 + 2 * n] + extra), dtype=kind)

        batch = Batch(
            first=first,
            rows=rows,
            text=np.frombuffer(self._given(-1, view[2], view[3] + PADDING), dtype=np.uint8),
            seg_start=array(1, np.int64),
            seg_end=array(2, np.int64),
            seg_row=array(3, np.int32),
            seg_role=array(4, np.uint8),
            seg_part=array(5, np.uint8),
            seg_flags=array(6, np.uint8),
            row_seg=array(7, np.int64),
            line=array(8, np.int64),
            digest=array(9, np.uint8).reshape(rows, 32),
            table=table(rows, view[22:]),
        )
        self._lib.luthier_json_reset(self._kernel)
        return batch

    def _given(self, column: int, address: int, size: int) -> pa.Buffer:
        """The text (-1) or the values of a column, copied when they are few and taken over when they are many."""
        if size < WORTH_TAKING:
            return pa.py_buffer(ctypes.string_at(address, size))
        self._lib.luthier_json_give(self._kernel, column)
        return pa.foreign_buffer(address, size, base=_Owned(self._lib, address))

    def _view(self) -> list[int]:
        out = (ctypes.c_int64 * (22 + 5 * len(NAMES)))()
        self._lib.luthier_json_view(self._kernel, out)
        return list(out)


class Rows(Gathered):
    """Gathers rows until they are taken as a batch: lines of JSONL by itself, others as Python hands them in."""

    def __init__(self, fmt: Format, known: frozenset[str], *, lines: int) -> None:
        """`known`: fields of this format that some reader looks at; `lines`: how many were read before."""
        special = b"".join(bytes([len(n.encode())]) + n.encode() for n in sorted(known - PLAIN[fmt]))
        super().__init__(FORMATS[fmt], special, lines)
        self._kind = b"text" if fmt == Format.TEXT else b"sft"
        self._stop = (ctypes.c_int64 * 4)()

    def feed(self, data: bytes, at: int, *, last: bool, rows: int, size: int, longest: int) -> Stop:
        """Lines from data[at] on, until there are `rows` rows, `size` bytes of text, or something else stops it."""
        stop = self._stop
        at = self._lib.luthier_json_feed(self._kernel, data, at, len(data), last, rows, size, longest, stop)
        if stop[0] == Why.NO_MEMORY:
            raise MemoryError
        return Stop(at, Why(stop[0]), stop[1], stop[2], stop[3])

    def row(self, text: bytes, line: int) -> bool:
        """One row by itself; False when it is for Python."""
        taken = self._lib.luthier_json_row(self._kernel, text, 0, len(text), line)
        if taken < 0:
            raise MemoryError
        return bool(taken)

    def skip_line(self) -> None:
        """One line was passed over elsewhere."""
        self._lib.luthier_json_skip(self._kernel)

    def append(self, line: int, row: Row, digest: bytes) -> None:
        """A row of the same kind that went through Python."""
        segments = list(segments_of(row))
        columns = columns_of(row)
        values = [columns[name] for name in NAMES]
        texts = [None if value is None else value.encode() for value in values]
        meta = [n for s in segments for n in (len(s.text), s.role, s.part, s.flags)]
        meta += [-1 if text is None else len(text) for text in texts]
        blob = b"".join([*(s.text for s in segments), *(text for text in texts if text)])
        numbers = (ctypes.c_int64 * len(meta))(*meta)
        if not self._lib.luthier_json_append(self._kernel, line, digest, numbers, len(segments), blob, len(blob)):
            raise MemoryError

    def unknown(self) -> dict[str, int]:
        """Fields that nobody reads, with the number of rows that had them."""
        name, size, found = ctypes.create_string_buffer(64), ctypes.c_int64(), {}
        n = 0
        while count := self._lib.luthier_json_unknown(self._kernel, n, name, ctypes.byref(size)):
            found[name.raw[: size.value].decode()] = int(count)
            n += 1
        return found

    def take(self, first: int) -> Batch:
        return self._taken(first, self._table)

    def _table(self, rows: int, view: Sequence[int]) -> pa.Table:
        columns = [same_text(self._kind, rows)]
        for n, name in enumerate(NAMES):
            data, size, *rest = view[5 * n : 5 * n + 5]
            given = partial(self._given, n, data, size)
            columns.append(_column(COLUMNS.field(name).type, rows, given, *rest))
        return pa.Table.from_arrays(columns, schema=COLUMNS)


class Stored(Gathered):
    """Segments and digests of rows in their stored form."""

    def batch(
        self, table: pa.Table, lines: NDArray[np.int64], kind: Kind, first: int
    ) -> tuple[Batch, NDArray[np.bool_]]:
        """The rows of a table of COLUMNS; and which of them still need a digest, for what they hold is Python's."""
        rows = table.num_rows
        columns = [_parts(table.column(name)) for name in STORED]
        data, offsets, there = (
            (ctypes.c_void_p * len(STORED))(*(None if part is None else part[n] for part in columns)) for n in range(3)
        )
        lines = np.ascontiguousarray(lines, dtype=np.int64)
        python: NDArray[np.uint8] = np.zeros(rows, dtype=np.uint8)
        done = self._lib.luthier_json_stored(
            self._kernel, KINDS.index(kind), rows, data, offsets, there, lines.ctypes.data, python.ctypes.data
        )
        if done < rows:
            raise ValueError(f"row {first + done} is not of the stored form")
        return self._taken(first, lambda *_: table), python.astype(bool)


def _parts(column: pa.ChunkedArray) -> tuple[int, int, int, Any] | None:
    """Addresses of data, offsets and validity (a byte each) of large strings; None for a column of nulls."""
    if column.null_count == len(column):
        return None
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    _, offsets, data = array.buffers()
    there = np.ascontiguousarray(array.is_valid().to_numpy(zero_copy_only=False)).view(np.uint8)
    kept = (array, there)  # as long as the addresses are used
    return data.address if data is not None else 0, offsets.address + 8 * array.offset, there.ctypes.data, kept


def same_text(text: bytes, rows: int) -> pa.Array:
    offsets: NDArray[np.int32] = np.arange(0, len(text) * rows + 1, len(text), dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text * rows))


def _column(
    kind: pa.DataType, rows: int, data: Callable[[], pa.Buffer], offsets: int, valid: int, nulls: int
) -> pa.Array:
    if nulls == rows:
        return pa.nulls(rows, kind)
    there = None
    if nulls:
        flags = np.frombuffer(ctypes.string_at(valid, rows), dtype=np.uint8)
        there = pa.py_buffer(np.packbits(flags, bitorder="little"))
    starts = np.frombuffer(ctypes.string_at(offsets, 8 * (rows + 1)), dtype=np.int64)
    if kind == pa.string():
        starts = starts.astype(np.int32)
    return pa.Array.from_buffers(kind, rows, [there, pa.py_buffer(starts), data()])
