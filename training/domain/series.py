"""Curves as chunks of a thousand points: packed to a few bytes a point, cut, and thinned so that no peak is lost."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

CHUNK = 1000  # points
SHOWN = 2000  # points of one trace, at most; more than a screen has columns
FORMAT = 1
LAST_STEP = 2**62

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """Points of one metric: steps (int64, strictly rising) and values (float64; NaN and infinities are kept)."""

    steps: Ints
    values: Floats

    @classmethod
    def of(cls, steps: Sequence[int] | Ints, values: Sequence[float] | Floats) -> "Series":
        """From any two sequences of one length; ValueError where steps do not rise or are no steps at all."""
        made = cls(np.asarray(steps, np.int64), np.asarray(values, np.float64))
        if made.steps.shape != made.values.shape or made.steps.ndim != 1:
            raise ValueError("steps and values are two rows of one length")
        if len(made) and (
            int(made.steps[0]) < 0 or int(made.steps[-1]) > LAST_STEP or (np.diff(made.steps) <= 0).any()
        ):
            raise ValueError("steps rise strictly from 0")
        return made

    def __len__(self) -> int:
        return len(self.steps)

    def __add__(self, later: "Series") -> "Series":
        """What was said later holds: points of this series from its first step on are dropped."""
        if not len(later):
            return self
        kept = self.before(int(later.steps[0]))
        return Series(np.concatenate((kept.steps, later.steps)), np.concatenate((kept.values, later.values)))

    def before(self, step: int) -> "Series":
        end = int(np.searchsorted(self.steps, step))
        return Series(self.steps[:end], self.values[:end])

    def between(self, first: int, last: int) -> "Series":
        """Both ends included."""
        start, end = np.searchsorted(self.steps, first), np.searchsorted(self.steps, last, side="right")
        return Series(self.steps[start:end], self.values[start:end])

    def chunks(self) -> list["Series"]:
        return [Series(self.steps[at : at + CHUNK], self.values[at : at + CHUNK]) for at in range(0, len(self), CHUNK)]

    def mean(self) -> float | None:
        """Of the finite values; None without any."""
        finite = self.values[np.isfinite(self.values)]
        return float(finite.mean()) if len(finite) else None

    def lists(self) -> tuple[list[int], list[float]]:
        return self.steps.tolist(), self.values.tolist()


EMPTY = Series.of([], [])


def joined(parts: Iterable[Series]) -> Series:
    """Chunks in order as one series."""
    all_parts = list(parts)
    if not all_parts:
        return EMPTY
    return Series(
        np.concatenate([part.steps for part in all_parts]), np.concatenate([part.values for part in all_parts])
    )


def pack(series: Series) -> bytes:
    """Format, kind of steps, then deflate over gaps between steps (none if all are one) and values.

    Bytes of equal rank stand together, because the first bytes of neighbours are much the same and the last are not.
    """
    gaps = np.diff(series.steps)
    even = bool(len(gaps)) and bool((gaps == gaps[0]).all())
    first = series.steps[:1].tobytes()
    told = first + (gaps[:1].tobytes() if even else _by_rank(gaps))
    return bytes((FORMAT, int(even))) + zlib.compress(told + _by_rank(series.values), 1)


def unpack(data: bytes | memoryview, count: int) -> Series:
    """`count` points again, bit for bit; ValueError for bytes that are no such chunk."""
    raw = bytes(data)
    if raw[:1] != bytes((FORMAT,)) or count < 1:
        raise ValueError("a chunk of an unknown format")
    try:
        told = zlib.decompress(raw[2:])
    except zlib.error as broken:
        raise ValueError("a chunk whose bytes are damaged") from broken
    even = raw[1] == 1
    gaps_size = 8 if even else 8 * (count - 1)
    if len(told) != 8 + gaps_size + 8 * count:
        raise ValueError("a chunk of another length than it says")
    gaps = told[8 : 8 + gaps_size]
    spread = np.repeat(np.frombuffer(gaps, np.int64), count - 1) if even else _ranked(gaps, np.int64)
    steps = np.frombuffer(told[:8], np.int64)[0] + np.concatenate((np.zeros(1, np.int64), np.cumsum(spread)))
    return Series(steps, _ranked(told[8 + gaps_size :], np.float64))


def _by_rank(numbers: NDArray[Any]) -> bytes:
    return np.frombuffer(numbers.tobytes(), np.uint8).reshape(-1, 8).T.tobytes()


def _ranked(data: bytes, kind: Any) -> NDArray[Any]:
    return cast(NDArray[Any], np.frombuffer(np.frombuffer(data, np.uint8).reshape(8, -1).T.tobytes(), kind))


@dataclass(frozen=True)
class Extremes:
    """Where a chunk is lowest and highest; None where it holds no number."""

    low_step: int | None
    low: float | None
    high_step: int | None
    high: float | None

    @classmethod
    def of(cls, series: Series) -> "Extremes":
        finite = np.isfinite(series.values)
        if not finite.any():
            return cls(None, None, None, None)
        steps, values = series.steps[finite], series.values[finite]
        low, high = int(values.argmin()), int(values.argmax())
        return cls(int(steps[low]), float(values[low]), int(steps[high]), float(values[high]))


def of_extremes(found: Sequence[tuple[int | None, float | None, int | None, float | None]]) -> Series:
    """The lowest and highest points of chunks in order, as a series."""
    table = np.array([row for row in found if row[0] is not None], np.float64).reshape(-1, 4)
    steps, values = table[:, 0::2].astype(np.int64), table[:, 1::2]
    later = np.argsort(steps, axis=1, kind="stable")
    steps, values = np.take_along_axis(steps, later, 1).ravel(), np.take_along_axis(values, later, 1).ravel()
    new = np.concatenate((np.ones(min(1, len(steps)), bool), np.diff(steps) > 0))
    return Series(steps[new], values[new])


def thin(series: Series, points: int = SHOWN) -> Series:
    """At most `points` points: first and last, and of each stretch of equal count its lowest and its highest.

    What is no number cannot be low or high; a stretch of nothing else keeps its first point, so that the gap is seen.
    """
    if len(series) <= points:
        return series
    stretches = max(1, (points - 2) // 2)
    inner = len(series) - 2
    edges: NDArray[Any] = 1 + np.arange(stretches) * inner // stretches
    values = series.values[1:-1]
    finite = np.isfinite(values)
    places = [np.array([0, len(series) - 1])]
    for fill, reduce in ((np.inf, np.minimum), (-np.inf, np.maximum)):
        filled = np.where(finite, values, fill)
        best = reduce.reduceat(filled, edges - 1)
        sizes: NDArray[Any] = np.diff(np.append(edges - 1, inner))
        hits = np.flatnonzero(filled == np.repeat(best, sizes))  # some stretches have several equally low
        owners = np.searchsorted(edges - 1, hits, side="right") - 1
        _, first = np.unique(owners, return_index=True)
        places.append(hits[first] + 1)
    chosen = np.unique(np.concatenate(places))
    return Series(series.steps[chosen], series.values[chosen])
