"""Rows that belong together: clusters of near duplicates, groups by key, and hashes that spread them evenly."""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
CLUSTERS = "words.clusters.npy"


def clusters_of(rows_path: Path, rows: int) -> Ints:
    """(rows,) the first row of each row's cluster of near duplicates; a row without likes is its own.

    Taken from the file that the analysis left beside the rows. Without one, rows with the same prompt in its normal
    form are taken for near duplicates.
    """
    path = rows_path.parent / CLUSTERS
    if path.is_file():
        leaders = np.load(path, allow_pickle=False).astype(np.int64)
        return np.where(leaders < 0, np.arange(rows), leaders)
    import pyarrow.parquet as pq

    column = pq.read_table(rows_path, columns=["prompt_norm_hash"], use_threads=False).column(0).to_numpy()
    own = np.arange(rows)
    first = _firsts(column)
    return np.where(column == 0, own, first)


def joined(*keys: Ints) -> Ints:
    """Labels of rows (the smallest place of a member) where two rows with an equal key, of any kind, go together."""
    size = len(keys[0])
    codes = [np.unique(key, return_inverse=True)[1] for key in keys]
    labels: Ints = np.arange(size, dtype=np.int64)
    while True:
        before = labels
        for code in codes:
            least: Ints = np.full(int(code.max(initial=-1)) + 1, size, dtype=np.int64)
            np.minimum.at(least, code, labels)
            labels = least[code]
        labels = labels[labels]  # a shortcut: whoever follows a row follows whom that row follows
        if np.array_equal(labels, before):
            return labels


def mixed(hashes: Ints, seed: int) -> NDArray[np.uint64]:
    """Splitmix64 of each hash with the seed: uniform over 64 bits (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = hashes.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _firsts(values: Any) -> Ints:
    """For each place the first place with the same value."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)
