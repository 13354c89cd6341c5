"""What changed from one version to another: rows added, removed and edited, by arrays of a few bytes a row.

Rows are the same when content, label and tags are. Of the others a removed and an added row are one edited row when
they have the same id in the source, the same line of the same file, the same prompt, or prompts that are nearly equal.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datasets_app.domain import hashing
from datasets_app.engine import events, limits
from datasets_app.engine.groups import mixed
from datasets_app.engine.table import as_row

Ints: TypeAlias = NDArray[np.int64]
NOTHING = 0
NEAR = 0.5  # Jaccard of word 3-grams from which two prompts are one, edited
MOST_NEAR = 20_000  # rows left on either side beyond which prompts are not compared word by word
MOST_HELD_BY = 50  # a run of words that so many rows have says nothing
LABELS_SHOWN = 20
FILES = ("added", "removed", "edited")


@dataclass
class Side:
    """One version: a few numbers a row. `content` covers label and tags too."""

    path: Path
    content: Ints
    source_id: Ints
    line: Ints
    prompt: Ints
    labels: Counter[str]

    @classmethod
    def read(cls, path: Path) -> "Side":
        file, parts, labels = pq.ParquetFile(path), [], Counter[str]()
        limits.earn(sum(file.metadata.row_group(g).total_byte_size for g in range(file.num_row_groups)) // 4)
        limits.earn_time(path.stat().st_size * 20)
        for group in range(file.num_row_groups):
            names = ["row_hash", "label", "tags", "source_id", "line", "prompt_norm_hash"]
            table = file.read_row_group(group, columns=names, use_threads=False)
            label, tags = hashed(table.column("label")), hashed(table.column("tags"))
            content = table.column("row_hash").to_numpy() ^ mixed(label, 1).view(np.int64)
            content ^= mixed(tags, 2).view(np.int64)
            parts.append(
                (
                    content,
                    hashed(table.column("source_id")),
                    table.column("line").to_numpy(),
                    table.column("prompt_norm_hash").to_numpy(),
                )
            )
            labels.update(value for value in table.column("label").to_pylist() if value is not None)
        nothing: list[Ints] = [np.zeros(0, np.int64)] * 4
        content, ids, lines, prompts = (
            [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else nothing
        )
        return cls(path, content, ids, lines, prompts, labels)


def compare(spec: dict[str, Any]) -> dict[str, Any]:
    """The rows of each kind as .npy files in the folder, and their counts."""
    out = Path(spec["out_dir"])
    out.mkdir(parents=True, exist_ok=True)
    events.emit("progress", phase="reading", done=0, total=2)
    before, after = Side.read(Path(spec["before"])), Side.read(Path(spec["after"]))
    events.emit("progress", phase="matching", done=1, total=2)
    old, new = without_equal(before.content, after.content)
    same = len(before.content) - len(old)
    pairs = Pairs(old, new)
    pairs.by(before.source_id, after.source_id)
    if spec.get("related"):
        pairs.by(before.line, after.line)
    pairs.by(before.prompt, after.prompt)
    pairs.near(before.path, after.path)
    edited = pairs.found()
    arrays = {"added": pairs.new, "removed": pairs.old, "edited": edited}
    for name, rows in arrays.items():
        np.save(out / f"{name}.npy", rows, allow_pickle=False)
    summary = {
        "same": same,
        **{name: len(rows) for name, rows in arrays.items()},
        "rows": [len(before.content), len(after.content)],
        "labels": changed_labels(before.labels, after.labels),
    }
    return {"summary": summary}


def without_equal(before: Ints, after: Ints) -> tuple[Ints, Ints]:
    """Places of either side that have no equal on the other; of several equal rows each takes one partner."""
    mine, theirs = _numbered(before), _numbered(after)
    both = np.isin(mine, theirs), np.isin(theirs, mine)
    return np.flatnonzero(~both[0]), np.flatnonzero(~both[1])


def _numbered(values: Ints) -> NDArray[np.uint64]:
    """Each value mixed with how often it came before, so that the second of two equal ones is a value of its own."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(values) else order
    sizes: Ints = np.diff(np.append(starts, len(values)))
    rank: Ints = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values)) - np.repeat(starts, sizes)
    plain: NDArray[np.uint64] = values.astype(np.uint64)
    return plain ^ np.where(rank > 0, mixed(rank, 3), np.uint64(0))


class Pairs:
    """Rows without an equal, and the edits that explain them."""

    def __init__(self, old: Ints, new: Ints) -> None:
        self.old, self.new = old, new
        self._found: list[Ints] = []

    def by(self, before: Ints, after: Ints) -> None:
        """Rows whose key stands once on either side."""
        mine, theirs = before[self.old], after[self.new]
        one, two = _once(mine), _once(theirs)
        shared, a, b = np.intersect1d(mine[one], theirs[two], assume_unique=True, return_indices=True)
        kept = shared != NOTHING
        self._take(one[a[kept]], two[b[kept]])

    def near(self, before: Path, after: Path) -> None:
        """Rows whose prompts share at least half of their runs of three words, the closest first."""
        if not len(self.old) or not len(self.new) or max(len(self.old), len(self.new)) > MOST_NEAR:
            return
        mine, theirs = shingles(before, self.old), shingles(after, self.new)
        holders: dict[int, list[int]] = defaultdict(list)
        for n, marks in enumerate(theirs):
            for mark in marks:
                holders[mark].append(n)
        likes = sorted(
            (-likeness, a, b)
            for a, marks in enumerate(mine)
            for b, likeness in _likes(marks, theirs, holders)
            if likeness >= NEAR
        )
        used_a, used_b = set[int](), set[int]()
        for _, a, b in likes:
            if a not in used_a and b not in used_b:
                used_a.add(a)
                used_b.add(b)
                self._found.append(np.array([[self.old[a], self.new[b]]]))
        self.old = np.delete(self.old, sorted(used_a))
        self.new = np.delete(self.new, sorted(used_b))

    def found(self) -> Ints:
        """(edits, 2): the place before and the place after, in the order of the new version."""
        if not self._found:
            return np.zeros((0, 2), np.int64)
        pairs = np.concatenate(self._found).astype(np.int64)
        return pairs[np.argsort(pairs[:, 1], kind="stable")]

    def _take(self, a: Ints, b: Ints) -> None:
        if len(a):
            self._found.append(np.stack([self.old[a], self.new[b]], axis=1))
            self.old, self.new = np.delete(self.old, a), np.delete(self.new, b)


def _once(values: Ints) -> Ints:
    """Places of the values that stand there once."""
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    return first[counts == 1]


def _likes(marks: set[int], theirs: list[set[int]], holders: dict[int, list[int]]) -> Iterable[tuple[int, float]]:
    counts: Counter[int] = Counter()
    for mark in marks:
        held = holders.get(mark, ())
        if len(held) <= MOST_HELD_BY:
            counts.update(held)
    for b, _ in counts.most_common(10):
        yield b, len(marks & theirs[b]) / max(1, len(marks | theirs[b]))


def shingles(path: Path, places: Ints) -> list[set[int]]:
    """Hashes of all runs of three words of each row's prompt, in its normal form."""
    found: list[set[int]] = []
    for record in rows_at(path, places):
        words = hashing.normalised(" ".join(hashing.prompt_texts(as_row(record)))).split()
        size = max(1, len(words) - 2)
        found.append({hash(tuple(words[n : n + 3])) for n in range(size)} if words else set())
    return found


def rows_at(path: Path, places: Ints) -> Iterable[dict[str, Any]]:
    """The rows of these ascending places, a group at a time."""
    file, start = pq.ParquetFile(path), 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        inside = places[(places >= start) & (places < end)] - start
        if len(inside):
            yield from file.read_row_group(group, use_threads=False).take(inside).to_pylist()
        start = end


def changed_labels(before: Counter[str], after: Counter[str]) -> list[list[Any]]:
    """[label, rows before, rows after] of the labels whose number changed most."""
    names = [name for name in before.keys() | after.keys() if before[name] != after[name]]
    ranked = sorted(names, key=lambda name: (-abs(after[name] - before[name]), name))
    return [[name, before[name], after[name]] for name in ranked[:LABELS_SHOWN]]


def hashed(column: Any) -> Ints:
    """Texts as numbers, each different one hashed once; nothing is NOTHING."""
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
    numbers = [hashing.to_int64(hashlib.sha256(value.encode()).digest()) for value in encoded.dictionary.to_pylist()]
    table = np.array([*numbers, NOTHING], dtype=np.int64)
    codes = encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    return table[codes]
