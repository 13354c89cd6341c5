"""The kernels over words as Python sees them: one handle for the words of a batch, one for a set of rows."""

import ctypes
import errno
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_app.engine.batch import PADDING, Batch, Bytes, Ints
from datasets_app.engine.native import library

Words32: TypeAlias = NDArray[np.uint32]

ROW = np.dtype(
    [
        ("spill", np.uint64),
        ("context", np.uint64),
        ("prompt", np.uint64),
        ("norm", np.uint64),
        ("answer", np.uint64),
        ("words", np.uint32),
        ("prompt_words", np.uint32),
        ("answer_at", np.uint32),
        ("answer_words", np.uint32),
        ("system", np.uint32),
        ("opening", np.uint32),
        ("asked", np.uint8),
        ("answered", np.uint8),
        ("spare", np.uint8, 6),
    ]
)
_P, _I = ctypes.c_void_p, ctypes.c_int64
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "words_tokens_new": (_P, []),
    "words_tokens_free": (None, [_P]),
    "words_tokenise": (ctypes.c_int, [_P, _P]),
    "words_tokens_view": (_I, [_P, _P, _P, _P, _P]),
    "words_identities": (None, [_P, _P, _P, _P]),
    "words_new": (_P, [ctypes.c_int, ctypes.c_int, ctypes.c_int]),
    "words_free": (None, [_P]),
    "words_lighten": (None, [_P]),
    "words_golden_new": (_P, [_P, _P]),
    "words_golden_drop": (None, [_P]),
    "words_golden_set": (None, [_P, _P]),
    "words_golden_unset": (None, [_P, _P]),
    "words_golden_cut": (ctypes.c_int, [_P]),
    "words_golden_leaks": (_P, [_P, ctypes.c_int, _P]),
    "words_drop_keys": (None, [_P]),
    "words_rows": (_P, [_P, _P]),
    "words_take": (ctypes.c_int, [_P, _P, _P, _I, _P, _P]),
    "words_end": (ctypes.c_int, [_P]),
    "words_set_stops": (ctypes.c_int, [_P, _P, _P, _I]),
    "words_set_phrases": (ctypes.c_int, [_P, _P, _P, _I]),
    "words_hits": (_P, [_P, _P]),
    "words_distinct": (ctypes.c_double, [_P, ctypes.c_int, _P, _P]),
    "words_curve": (_P, [_P, _P]),
    "words_jaccard": (ctypes.c_double, [_P, _I, _P, _I]),
    "words_common": (_P, [_P, ctypes.c_int, ctypes.c_int, ctypes.c_double]),
    "words_common_free": (None, [_P]),
    "words_match": (ctypes.c_int, [_P, ctypes.c_int, _P, _P, ctypes.c_double, _P, _P, _P]),
    "words_conflicts": (ctypes.c_int, [_P, _P, _P, _I, _P]),
    "words_triggers": (_P, [_P, _P, _P, _P]),
    "words_triggers_free": (None, [_P]),
    "words_triggers_found": (_I, [_P, _P, _P, _P]),
    "words_index_size": (_I, [_P]),
    "words_index_merge": (ctypes.c_int, [_P, _P, _P, _P, _P]),
    "words_index_free": (None, [_P]),
    "words_beginning_of": (ctypes.c_uint32, [_P, _I]),
    "words_plain_text": (_I, [_P, _P]),
}


class Segments(ctypes.Structure):
    _fields_ = [
        ("text", _P),
        ("start", _P),
        ("end", _P),
        ("role", _P),
        ("part", _P),
        ("flags", _P),
        ("row_seg", _P),
        ("rows", _I),
        ("segments", _I),
        ("tools_at", _P),
        ("tools", _P),
    ]


@cache
def kernels() -> ctypes.CDLL:
    loaded = library()
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def address(array: NDArray[Any]) -> int:
    return int(array.ctypes.data)


def checked(code: int) -> None:
    """Kernels answer with an errno: no memory, or what the disk said."""
    if code in (-1, errno.ENOMEM):
        raise MemoryError
    if code:
        raise OSError(code, os.strerror(code))


class View:
    """The arrays of a batch as the kernels take them; keeps them alive."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._kept = [
            np.ascontiguousarray(part)
            for part in (batch.text, batch.seg_start, batch.seg_end, batch.seg_role, batch.seg_part, batch.seg_flags)
        ]
        self._kept.append(np.ascontiguousarray(batch.row_seg))
        offsets, data = _tools(batch.table)
        self._tools = (offsets, data)
        self.segments = Segments(
            *[address(part) for part in self._kept],
            batch.rows,
            len(batch.seg_start),
            address(offsets) if offsets is not None else None,
            address(data) if data is not None else None,
        )

    @property
    def pointer(self) -> Any:
        return ctypes.byref(self.segments)


def _tools(table: pa.Table) -> tuple[Ints | None, Bytes | None]:
    """Offsets and bytes of the tools column; nothing when no row has any."""
    column = table.column("tools")
    if column.null_count == len(column):
        return None, None
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    _, offsets, data = whole.buffers()
    begin = whole.offset
    return (
        np.frombuffer(offsets, dtype=np.int64)[begin : begin + len(whole) + 1],
        np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else np.zeros(1, np.uint8),
    )


class Tokens:
    """The words of a batch."""

    def __init__(self) -> None:
        self.handle = kernels().words_tokens_new()
        if not self.handle:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            kernels().words_tokens_free(self.handle)
            self.handle = None

    def read(self, view: View) -> "Tokens":
        checked(kernels().words_tokenise(self.handle, view.pointer))
        return self

    def words(self) -> Words32:
        """A copy of all words, in order."""
        return self._arrays()[0]

    def starts(self) -> Words32:
        return self._arrays()[1]

    def scripts(self) -> Bytes:
        return self._arrays()[2]

    def _arrays(self) -> tuple[Words32, Words32, Bytes]:
        word, start, script, seg = (ctypes.c_void_p() for _ in range(4))
        n = kernels().words_tokens_view(self.handle, *[ctypes.byref(p) for p in (word, start, script, seg)])
        return copied(word, n, np.uint32), copied(start, n, np.uint32), copied(script, n, np.uint8)


def copied(pointer: ctypes.c_void_p, n: int, kind: Any) -> NDArray[Any]:
    """An array of its own with what lies at a pointer."""
    if not n or not pointer.value:
        return np.zeros(0, kind)
    size = n * np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(pointer.value), dtype=kind).copy()


class Handle:
    """A set of rows in the kernels, with the unnamed files it writes words to; `light` only compares."""

    def __init__(self, workdir: Path | None = None, *, light: bool = False) -> None:
        self._files: list[IO[bytes]] = [
            tempfile.TemporaryFile(dir=workdir)  # noqa: SIM115 - open as long as the handle
            for _ in range(3)
        ]
        self._lib = kernels()
        self.pointer = self._lib.words_new(*[file.fileno() for file in self._files])
        if not self.pointer:
            raise MemoryError
        if light:
            self._lib.words_lighten(self.pointer)

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            self._lib.words_free(self.pointer)
            self.pointer = None
        for file in self._files:
            file.close()

    def take(self, tokens: Tokens, view: View) -> tuple[float, float]:
        """(CPU seconds of near duplicates and the rest, of diversity)."""
        near, diversity = ctypes.c_double(), ctypes.c_double()
        checked(
            self._lib.words_take(
                self.pointer, tokens.handle, view.pointer, view.batch.first, ctypes.byref(near), ctypes.byref(diversity)
            )
        )
        return near.value, diversity.value

    def end(self) -> None:
        """To be called before anything is looked up."""
        checked(self._lib.words_end(self.pointer))

    def spelled(self) -> IO[bytes]:
        """Records of how words are spelled: hash (4 bytes), length (1), folded letters."""
        return self._files[2]

    def info(self) -> NDArray[Any]:
        """What the kernel keeps of each row, as a structured array of dtype ROW; valid until the next `take`."""
        rows = ctypes.c_int64()
        pointer = self._lib.words_rows(self.pointer, ctypes.byref(rows))
        if not rows.value:
            return np.zeros(0, ROW)
        return np.frombuffer((ctypes.c_char * (rows.value * ROW.itemsize)).from_address(pointer), dtype=ROW)


def words_of(texts: list[str]) -> list[Words32]:
    """The words of each text, for lists of phrases, queries and tests."""
    encoded = [text.encode("utf-8", "ignore") for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
    raw = np.frombuffer(b"".join(encoded) + bytes(PADDING), dtype=np.uint8)
    segments = Segments(address(raw), address(starts), address(ends), None, None, None, None, 0, len(texts), None, None)
    tokens = Tokens()
    checked(kernels().words_tokenise(tokens.handle, ctypes.byref(segments)))
    words, at = tokens._arrays()[:2]
    return [words[(at >= a) & (at < b)] for a, b in zip(starts, ends, strict=True)]


def tokens_of(raw: bytes) -> tuple[Words32, Words32]:
    """The words of one text, and the byte at which each begins."""
    text = np.frombuffer(raw + bytes(PADDING), dtype=np.uint8)
    span = np.array([0, len(raw)], dtype=np.int64)
    segments = Segments(address(text), address(span), address(span) + 8, *[None] * 4, 0, 1, None, None)
    tokens = Tokens()
    checked(kernels().words_tokenise(tokens.handle, ctypes.byref(segments)))
    return tokens.words(), tokens.starts()


def jaccard(one: Words32, other: Words32) -> float:
    """Exact Jaccard index of the shingles of two sequences of words; -1 when both are empty."""
    one, other = np.ascontiguousarray(one, np.uint32), np.ascontiguousarray(other, np.uint32)
    return float(kernels().words_jaccard(address(one), len(one), address(other), len(other)))
