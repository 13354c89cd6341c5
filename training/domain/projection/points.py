"""Measured steps: how long one took and what was in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

GROUPS = 32


@dataclass(frozen=True)
class Point:
    """One step, or the mean of several alike: its batches, padded tokens, sum of rows × length², and seconds."""

    batches: float
    padded: float
    square: float
    seconds: float
    steps: int = 1

    def as_list(self) -> list[float]:
        return [
            round(self.batches, 3),
            round(self.padded, 1),
            round(self.square, 1),
            round(self.seconds, 6),
            self.steps,
        ]

    @classmethod
    def read(cls, raw: Sequence[Any]) -> "Point":
        batches, padded, square, seconds, steps = raw
        return cls(float(batches), float(padded), float(square), float(seconds), int(steps))


def condense(points: Sequence[Point], groups: int = GROUPS) -> list[Point]:
    """At most so many points: steps of like size become their mean."""
    ordered = sorted(points, key=lambda point: point.padded)
    if len(ordered) <= groups:
        return ordered
    edges = [round(len(ordered) * place / groups) for place in range(groups + 1)]
    return [_mean(ordered[low:high]) for low, high in pairwise(edges)]


def _mean(points: Sequence[Point]) -> Point:
    count = sum(point.steps for point in points)

    def mean(name: str) -> float:
        return float(sum(getattr(point, name) * point.steps for point in points) / count)

    return Point(mean("batches"), mean("padded"), mean("square"), mean("seconds"), count)
