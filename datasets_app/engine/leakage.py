"""Rows of a version that also stand in a golden set: exactly, in other form, in a run of 13 words, or nearly.

Words decide, in every script. A question put in other words (a paraphrase) shares neither a run of 13 words nor 0.8 of
its 3-grams and is out of reach here; so is a translation.
"""

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datasets_app.engine.batch import COLUMNS, PADDING, Batch, Bytes, Ints, segments_of
from datasets_app.engine.table import as_row
from datasets_app.engine.words_native import Handle, Tokens, View, address, copied, kernels

KINDS = ("exact", "normalised", "near", "ngram")  # closest first; numbered as in words_golden.c
SHOWN_ROWS = 1000
MOST_SETS = 32  # that fit into one look-up
BATCH_ROWS = 1000
FILE = "words.overlap.{}.npy"


class Golden:
    """Golden sets in a form in which each row of a version is looked up while it passes.

    A row counts once for each set, under the closest kind: *exact* (the prompt), *normalised* (the prompt without
    case, width, punctuation), *near* (Jaccard index of 3-grams of the prompts, or of the whole rows, at least 0.8),
    *ngram* (a run of 13 words). Wording that stands in many golden rows is the task's own and does not count for the
    last two.
    """

    def __init__(self, kept: Handle, golden: Sequence[tuple[int, Path]], workdir: Path | None = None) -> None:
        if len(golden) > MOST_SETS:
            raise ValueError(f"At most {MOST_SETS} golden sets at once.")
        self.ids = [number for number, _ in golden]
        self._lib, self._of, self._kept = kernels(), Handle(workdir, light=True), kept
        sets: list[Bytes] = []
        for number, (_, path) in enumerate(golden):
            rows = take_stored(path, self._of)
            sets.append(np.full(rows, number, np.uint8))
        self._of.end()
        of_row = np.concatenate([*sets, np.zeros(1, np.uint8)])
        self._made = self._lib.words_golden_new(self._of.pointer, address(of_row))
        if not self._made:
            raise MemoryError
        self._lib.words_golden_set(kept.pointer, self._made)

    def __del__(self) -> None:
        if getattr(self, "_made", None):
            if self._kept.pointer:
                self._lib.words_golden_unset(self._kept.pointer, self._made)
            self._lib.words_golden_drop(self._made)
            self._made = None

    def overlaps(self) -> dict[int, dict[str, Any]]:
        """By golden set: number of rows of each kind, and the first thousand of each.

        "cut" is told when the sets hold more words than are looked up as runs; the other kinds are whole all the same.
        """
        cut = {"cut": True} if self._lib.words_golden_cut(self._made) else {}
        return {number: _counted(*self.found(n)) | cut for n, number in enumerate(self.ids)}

    def found(self, n: int) -> tuple[Ints, NDArray[np.int64]]:
        """(rows, kinds) of the n-th set: all of them, rows ascending."""
        many = ctypes.c_int64()
        pointer = self._lib.words_golden_leaks(self._made, n, ctypes.byref(many))
        if not many.value:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        both = copied(ctypes.c_void_p(pointer), many.value, np.int64)
        return both >> 2, both & 3

    def save(self, folder: Path) -> None:
        """words.overlap.<id>.npy: int64 pairs of row and kind (its number in KINDS), all of them."""
        for n, number in enumerate(self.ids):
            rows, kinds = self.found(n)
            np.save(folder / FILE.format(number), np.stack([rows, kinds], axis=1), allow_pickle=False)


def golden_of(kept: Handle, golden: Sequence[tuple[int, Path]], workdir: Path | None = None) -> list[Golden]:
    """Any number of golden sets, as many objects as they need."""
    return [Golden(kept, golden[at : at + MOST_SETS], workdir) for at in range(0, len(golden), MOST_SETS)]


def compare(
    version: Path, golden: Sequence[tuple[int, Path]], workdir: Path | None = None
) -> dict[int, dict[str, Any]]:
    """Overlaps of a stored version with golden sets, both given by their rows.parquet, as `Golden.overlaps` tells them.

    For golden sets that came after the version. Paraphrases are out of reach.
    """
    found: dict[int, dict[str, Any]] = {}
    for part in _passed(version, golden, workdir):
        found |= part.overlaps()
    return found


def rows_found(
    version: Path, golden: Sequence[tuple[int, Path]], workdir: Path | None = None
) -> list[tuple[Ints, Ints]]:
    """For each golden set all (rows, kinds numbered as in KINDS), for a step that drops them."""
    parts = _passed(version, golden, workdir)
    return [part.found(n) for part in parts for n in range(len(part.ids))]


def _passed(version: Path, golden: Sequence[tuple[int, Path]], workdir: Path | None) -> list[Golden]:
    kept = Handle(workdir, light=True)
    parts = golden_of(kept, golden, workdir)
    take_stored(version, kept)
    return parts


def _counted(rows: Ints, kinds: Ints) -> dict[str, Any]:
    listed = {kind: rows[kinds == n] for n, kind in enumerate(KINDS)}
    counts: dict[str, Any] = {kind: len(found) for kind, found in listed.items()}
    return counts | {"rows": {kind: found[:SHOWN_ROWS].tolist() for kind, found in listed.items() if len(found)}}


def take_stored(path: Path, into: Handle) -> int:
    """All rows of a rows.parquet into a handle; returns their number."""
    rows, tokens = 0, Tokens()
    for batch in stored(path):
        view = View(batch)
        into.take(tokens.read(view), view)
        rows += batch.rows
    return rows


def stored(path: Path) -> Iterator[Batch]:
    """The rows of a rows.parquet as batches that hold their segments and tools, and nothing else."""
    columns = ["kind", "messages", "chosen", "rejected", "tools", "text"]
    with pq.ParquetFile(path) as file:
        first = 0
        for part in file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            yield _segmented(part, first)
            first += len(part)


def _segmented(part: pa.RecordBatch, first: int) -> Batch:
    blank = dict.fromkeys(("label", "tags", "source_id"))
    texts, about, row_seg = [], [], [0]
    for n, record in enumerate(part.to_pylist()):
        for segment in segments_of(as_row(record | blank)):
            texts.append(segment.text)
            about.append((n, segment.role, segment.part, segment.flags))
        row_seg.append(len(texts))
    ends: Ints = np.cumsum([len(text) for text in texts], dtype=np.int64)
    described = np.array(about, dtype=np.int64).reshape(-1, 4)
    tools = part.column("tools").cast(pa.large_string())
    nothing = {name: pa.nulls(len(part), COLUMNS.field(name).type) for name in COLUMNS.names}
    return Batch(
        first=first,
        rows=len(part),
        text=np.frombuffer(b"".join(texts) + bytes(PADDING), dtype=np.uint8),
        seg_start=np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]]),
        seg_end=ends,
        seg_row=described[:, 0].astype(np.int32),
        seg_role=described[:, 1].astype(np.uint8),
        seg_part=described[:, 2].astype(np.uint8),
        seg_flags=described[:, 3].astype(np.uint8),
        row_seg=np.array(row_seg, dtype=np.int64),
        line=np.zeros(len(part), np.int64),
        digest=np.zeros((len(part), 32), np.uint8),
        table=pa.table(nothing | {"tools": tools}, schema=COLUMNS),
    )
