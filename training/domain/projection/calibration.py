"""How good past projections were, and the bands that follow from it.

Each projection is stored as a middle and a spread (of the logarithm) before any correction; its score is by how many
of its own spreads the truth lay above the middle. If the spreads were right, scores would be standard normal. The next
band reaches from the 10th to the 90th percentile of the scores so far: a split-conformal interval with normalised
residuals (Lei et al. 2018, arXiv:1604.04173, section 5.2).

Few scores are shrunk towards the prior in two ways. Their mean and spread are those of a normal model in which the
prior (mean 0, spread 1) counts as some runs (Gelman et al. 2013, section 3.3), and the percentiles are those of the
scores mixed with that normal, which weighs as PRIOR further ones: the predictive distribution of a Dirichlet process
(Ferguson 1973). With more runs both fade, and the share inside tends to 80 % whatever the spreads were.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, median
from typing import Any

from training.domain.projection.bands import Band, Guess

QUANTITIES = {
    "seconds": "Time",
    "money": "Cost",
    "memory_bytes": "Peak memory",
    "disk_bytes": "Disk",
    "tokens": "Tokens",
}
FITTED = ("seconds", "memory_bytes", "disk_bytes", "tokens")  # money is time at a price
TIMED = frozenset({"seconds", "money"})  # say nothing of a run that was interrupted
SOURCES = ("rehearsed", "measured", "scaled", "formula")
TARGET = 0.8
FEW = 5  # projections that prove nothing
PRIOR = 6.0  # scores that the normal weighs as
PRIOR_MEAN, PRIOR_SPREAD = 8.0, 5.0  # runs that the prior's mean and spread count as
FARTHEST = 6.0  # a score counts as no farther out, so that one run that went wrong does not move the rest
NEWEST = 60  # scores; older ones are of other code and other machines
NARROWEST = 0.004  # of the logarithm: no band is narrower, for nothing repeats itself exactly
NORMAL = NormalDist()

Key = tuple[str, str, str]  # device, source, quantity


@dataclass(frozen=True)
class Past:
    """One projection and what came of it, for one quantity."""

    device: str
    source: str
    quantity: str
    guess: Guess
    band: Band
    actual: float

    @property
    def score(self) -> float | None:
        return self.guess.score(self.actual)

    @property
    def inside(self) -> bool:
        return self.band.holds(self.actual)

    @property
    def error(self) -> float:
        """The logarithm of actual over predicted: above 0 it took more."""
        return math.log(self.actual / self.band.p50) if self.actual > 0 and self.band.p50 > 0 else 0.0


@dataclass(frozen=True)
class Calibration:
    """Where the 10th, 50th and 90th percentile of the scores lie, by device, source and quantity."""

    quantiles: Mapping[Key, tuple[float, float, float]] = field(default_factory=dict)

    def band(self, guess: Guess, device: str, source: str, quantity: str) -> Band:
        usual = (NORMAL.inv_cdf(0.1), 0.0, NORMAL.inv_cdf(0.9))
        low, middle, high = (guess.at(z) for z in self.quantiles.get((device, source, quantity), usual))
        return Band(min(low, middle * math.exp(-NARROWEST)), middle, max(high, middle * math.exp(NARROWEST)))


def refit(past: Sequence[Past]) -> Calibration:
    """The percentiles that the next bands use; `past` comes newest first."""
    scores: dict[Key, list[float]] = {}
    for one in past:
        if one.quantity in FITTED and one.score is not None:
            score = max(-FARTHEST, min(FARTHEST, one.score))
            scores.setdefault((one.device, one.source, one.quantity), []).append(score)
    return Calibration(
        {key: tuple(percentile(found[:NEWEST], share) for share in (0.1, 0.5, 0.9)) for key, found in scores.items()}  # type: ignore[misc]
    )


def percentile(scores: Sequence[float], share: float) -> float:
    """Of the scores, each a narrow normal so that a band does not jump with each run, mixed with the normal of all."""
    model, narrow = normal(scores)
    weight = PRIOR + len(scores)
    tail = min(share, 1 - share) * weight / (weight + 1)  # the next one counts, too: the correction of conformal bounds
    wanted = share if share == 0.5 else tail if share < 0.5 else 1 - tail
    low, high = min([*scores, model.mean]) - 9 * model.stdev, max([*scores, model.mean]) + 9 * model.stdev
    for _ in range(60):
        middle = (low + high) / 2
        seen = sum(NORMAL.cdf((middle - score) / narrow) for score in scores)
        if (PRIOR * model.cdf(middle) + seen) / weight < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def normal(scores: Sequence[float]) -> tuple[NormalDist, float]:
    """Mean and spread of the scores, shrunk to the prior; and how wide one of them is (Silverman 1986, eq. 3.31)."""
    count = len(scores)
    mean = sum(scores) / (PRIOR_MEAN + count)
    square = PRIOR_SPREAD + sum((score - mean) ** 2 for score in scores) + PRIOR_MEAN * mean**2
    spread = math.sqrt(square / (PRIOR_SPREAD + count))
    return NormalDist(mean, spread), 0.9 * spread * max(count, 1) ** -0.2 / 2


@dataclass(frozen=True)
class Coverage:
    """The share of past truths inside their bands, with its 95 % interval."""

    inside: int
    of: int
    low: float
    high: float
    bias: float  # median of actual over predicted, less one
    width: float  # median of P90 over P10

    @property
    def share(self) -> float:
        return self.inside / self.of if self.of else 0.0

    @property
    def verdict(self) -> str:
        """Is it off by more than so few runs can be by chance?"""
        if self.of < FEW:
            return "few"
        if self.high < TARGET:
            return "narrow"
        return "wide" if self.low > TARGET else "fair"


def coverage(past: Sequence[Past]) -> Coverage | None:
    if not past:
        return None
    inside = sum(one.inside for one in past)
    low, high = wilson(inside, len(past))
    return Coverage(
        inside=inside,
        of=len(past),
        low=low,
        high=high,
        bias=math.expm1(median(one.error for one in past)),
        width=median(one.band.p90 / one.band.p10 for one in past if one.band.p10 > 0),
    )


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927), which holds with few and with all inside."""
    if not count:
        return 0.0, 1.0
    share = hits / count
    centre = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def read(device: str, source: str, predicted: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Past]:
    """The parts of a stored record: {"seconds": {"p10", "p50", "p90", "middle", "sigma"}, …} beside what it came to."""
    found = []
    for quantity in QUANTITIES:
        band, value = predicted.get(quantity), actual.get(quantity)
        if not band or value is None:
            continue
        found.append(
            Past(
                device=device,
                source=source,
                quantity=quantity,
                guess=Guess(float(band["middle"]), float(band["sigma"])),
                band=Band(*(float(band[name]) for name in ("p10", "p50", "p90"))),
                actual=float(value),
            )
        )
    return found
