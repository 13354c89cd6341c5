"""Random numbers by row: row n of a seed is the same whoever makes it, in whatever order."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Table: TypeAlias = NDArray[np.intp]
BITS = 16
STEPS = 1 << BITS


class Draw:
    """A counter-based stream (Philox) keyed by seed and row; raw bits only, so that no release of numpy changes it."""

    def __init__(self, seed: int, row: int, stream: int = 0) -> None:
        self._source = np.random.Philox(key=[seed * 64 + stream, row])
        self._bits = iter(self._source.random_raw(64).tolist())

    def bits(self) -> int:
        for value in self._bits:
            return int(value)
        self._bits = iter(self._source.random_raw(64).tolist())
        return self.bits()

    def below(self, bound: int) -> int:
        return self.bits() % bound

    def unit(self) -> float:
        return (self.bits() >> 11) / (1 << 53)

    def chance(self, share: float) -> bool:
        return self.unit() < share

    def one(self, values: Sequence[T]) -> T:
        return values[self.bits() % len(values)]

    def text(self, alphabet: str, length: int) -> str:
        return "".join(alphabet[self.bits() % len(alphabet)] for _ in range(length))

    def between(self, low: float, high: float) -> float:
        """Log-uniform."""
        return math.exp(math.log(low) + self.unit() * math.log(high / low))

    def many(self, count: int) -> NDArray[np.uint16]:
        return self._source.random_raw(count // 4 + 1).view(np.uint16)[:count]


def zipf(kinds: int, exponent: float = 1.0) -> Table:
    """A table of 65,536 places in which rank r stands in proportion to 1/(r + 2)^exponent, each at least by chance."""
    weights = 1.0 / np.power(np.arange(kinds) + 3.0, exponent)
    edges = np.cumsum(weights) / weights.sum()
    return np.searchsorted(edges, (np.arange(STEPS) + 0.5) / STEPS).astype(np.intp)


def log_normal(median: float, sigma: float, low: int, high: int) -> list[int]:
    """4,096 quantiles, so that a draw is one look-up."""
    normal = NormalDist(math.log(median), sigma)
    return [round(min(high, max(low, math.exp(normal.inv_cdf((n + 0.5) / 4096))))) for n in range(4096)]
