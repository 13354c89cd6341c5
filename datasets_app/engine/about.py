"""What is said about rows (label, tags, id), folded and laid side by side: a search reads this and no column.

`about.text` holds, one thousand rows after another, the different values of each column between line breaks;
`about.ends.npy` (int64) says where each thousand ends. It says which thousands may hold a text, never which row does.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from datasets_app.engine.index import GROUP_ROWS

COLUMNS = ("label", "tags", "source_id")
TEXT, ENDS = "about.text", "about.ends.npy"
BLOCK = 4 * 1024 * 1024  # bytes that a search holds at a time


class About:
    """Takes the tables of a version in their order and writes the two files beside its rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO = (folder / TEXT).open("wb")
        self._ends: list[int] = []
        self._waiting: list[bytes] = []
        self._rows = 0

    def take(self, table: pa.Table) -> None:
        done = 0
        while done < table.num_rows:
            some = min(GROUP_ROWS - self._rows, table.num_rows - done)
            self._waiting += [_values(table.column(name).slice(done, some)) for name in COLUMNS]
            self._rows += some
            done += some
            if self._rows == GROUP_ROWS:
                self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()
        np.save(self._folder / ENDS, np.array(self._ends, dtype=np.int64), allow_pickle=False)

    def abandon(self) -> None:
        self._file.close()

    def _flush(self) -> None:
        self._file.write(b"".join(self._waiting))
        self._ends.append(self._file.tell())
        self._waiting, self._rows = [], 0


def folded(text: str) -> bytes:
    """Two texts that are the same in any case are the same here."""
    return text.casefold().encode("utf-8", "surrogatepass")


def spellings(text: str) -> frozenset[bytes]:
    """How a text may stand here: as it is, or inside a list of tags, as JSON spells it."""
    return frozenset({folded(text), folded(orjson.dumps(text).decode()[1:-1])})


def holding(folder: Path, wanted: Sequence[frozenset[bytes]]) -> list[NDArray[np.bool_]] | None:
    """For each set of spellings, which thousands may hold one of them; None for a version without these files."""
    if not (folder / ENDS).exists():
        return None
    ends = np.load(folder / ENDS, allow_pickle=False)
    found: list[Any] = [np.zeros(len(ends), dtype=bool) for _ in wanted]
    with (folder / TEXT).open("rb") as file:
        for first, inside in _blocks(ends):
            block = file.read(int(inside[-1]))
            for hits, needles in zip(found, wanted, strict=True):
                for needle in needles:
                    hits[first + _groups(block, inside, needle)] = True
    return found


def _values(column: pa.ChunkedArray) -> bytes:
    """The different values of a column, each before a line break."""
    if column.null_count == len(column):
        return b""
    import pyarrow.compute as pc

    values = column.unique().drop_null()
    lists: Any = pa.LargeListArray if values.type == pa.large_string() else pa.ListArray
    joined = pc.binary_join(lists.from_arrays([0, len(values)], values), "\n")[0].as_py()
    return folded(joined) + b"\n"


def _blocks(ends: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(first thousand, ends within the block): as many thousands at once as BLOCK holds, one at least."""
    first = start = 0
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, start + BLOCK, side="right")))
        yield first, ends[first:last] - start
        first, start = last, int(ends[last - 1])


def _groups(block: bytes, ends: NDArray[np.int64], needle: bytes) -> NDArray[np.int64]:
    """Which stretches of the block hold the needle; a find that runs over an end counts for where it begins."""
    found = []
    at = block.find(needle)
    while at >= 0:
        group = int(np.searchsorted(ends, at, side="right"))
        found.append(group)
        at = block.find(needle, int(ends[group]))
    return np.array(found, dtype=np.int64)
