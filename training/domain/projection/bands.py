"""P10, P50 and P90: bands around what is not known yet, and how they add up."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

# z of the 90th percentile of a normal distribution.
Z90 = 1.2816


@dataclass(frozen=True)
class Band:
    """A projection is never one number."""

    p10: float
    p50: float
    p90: float

    def times(self, factor: float) -> "Band":
        return Band(self.p10 * factor, self.p50 * factor, self.p90 * factor)

    def holds(self, actual: float) -> bool:
        return self.p10 <= actual <= self.p90


@dataclass(frozen=True)
class Guess:
    """A middle and the spread of its logarithm, before anything is known about how good such guesses are."""

    middle: float
    sigma: float

    def at(self, z: float) -> float:
        return self.middle * math.exp(z * self.sigma)

    def times(self, factor: float) -> "Guess":
        return Guess(self.middle * factor, self.sigma)

    def score(self, actual: float) -> float | None:
        """By how many of its own spreads the truth lay above it; None where there is nothing to compare."""
        if self.middle <= 0 or actual <= 0 or self.sigma <= 0:
            return None
        return math.log(actual / self.middle) / self.sigma


def total(parts: Iterable[Guess]) -> Guess:
    """The sum of independent log-normal parts as one log-normal of the same mean square (Fenton 1960)."""
    parts = list(parts)
    middle = sum(part.middle for part in parts)
    if middle <= 0:
        return Guess(0.0, 0.01)
    variance = sum((part.middle**2) * math.expm1(part.sigma**2) for part in parts)
    return Guess(middle, math.sqrt(math.log1p(variance / middle**2)))
