"""Are we sure? Paired intervals, an exact test for pass/fail scores, and what a set of n rows can see."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

CONFIDENCE = 0.95
RESAMPLES = 10_000
# Planning values: two-sided 5 %, power 80 %, and one row in five changing between base and adapter.
Z = 1.959964
REACH = Z + 0.841621
CHANGING = 0.2
_BLOCK = 2_000_000  # draws held in memory at once


@dataclass(frozen=True)
class Interval:
    """A mean difference with its confidence interval, on the scale of the scores (0.1 is ten points)."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    differences: Sequence[float],
    *,
    rng: "Generator",
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Percentile interval of the mean of paired differences (Efron and Tibshirani 1993, chapter 13)."""
    import numpy

    values = numpy.asarray(differences, dtype=float)
    means = numpy.empty(resamples)
    step = max(1, _BLOCK // len(values))
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        means[start:stop] = values[rng.integers(0, len(values), (stop - start, len(values)))].mean(axis=1)
    tail = (1 - confidence) / 2
    bounds: Sequence[float] = numpy.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(bounds[0]), float(bounds[1]))


def paired_interval(
    base: Sequence[float],
    adapter: Sequence[float],
    *,
    binary: bool,
    rng: "Generator",
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of adapter minus base over the same rows: the bootstrap, widened where it is too narrow.

    With few changed rows a percentile bootstrap is overconfident: four gains and no loss already exclude
    zero, though four heads in a row are no news (p = 0.125). For pass/fail scores the interval therefore also
    spans the exact one; where all rows have the same difference, what n rows cannot rule out (3 in n).
    """
    differences = [after - before for before, after in zip(base, adapter, strict=True)]
    interval = bootstrap_interval(differences, rng=rng, resamples=resamples)
    low, high = interval.low, interval.high
    gains, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if binary and gains + losses:
        share_low, share_high = exact_share(gains, gains + losses)
        changed = (gains + losses) / len(differences)
        low, high = min(low, (2 * share_low - 1) * changed), max(high, (2 * share_high - 1) * changed)
    elif high - low < 1e-12:
        unseen = min(1.0, 3 / len(differences))
        low, high = low - unseen * (1 + low), high + unseen * (1 - high)
    return Interval(interval.mean, low, high)


def exact_share(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share. It excludes 1/2 just when the sign test is significant."""
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: _at_least(hits, trials, p) - tail)
    high = 1.0 if hits == trials else _solve(lambda p: _at_least(hits + 1, trials, p) - (1 - tail))
    return low, high


def score_interval(gains: int, losses: int, n: int) -> tuple[float, float]:
    """Tango's score interval of a paired difference of shares (1998): holds where few rows change, and none at all."""

    def low_of(down: int, up: int) -> float:
        """Lower bound of (up - down) / n, where the score statistic reaches the quantile."""

        def beyond(difference: float) -> float:
            b = -up - down + (2 * n - up + down) * difference
            c = -down * difference * (1 - difference)
            share = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
            spread = n * (2 * share + difference * (1 - difference))
            return Z - (up - down - n * difference) / math.sqrt(spread) if spread > 0 else Z

        return 2 * _solve(lambda p: beyond(2 * p - 1)) - 1

    low, high = low_of(losses, gains), -low_of(gains, losses)
    return max(-1.0, low), min(1.0, high)


def mcnemar(gains: int, losses: int) -> float:
    """Exact two-sided p value that as many gains against losses are chance (McNemar 1947, binomial form)."""
    return min(1.0, 2 * _at_least(max(gains, losses), gains + losses, 0.5)) if gains + losses else 1.0


def minimum_detectable(n: int, *, changing: float = CHANGING) -> float:
    """Smallest true difference that n paired rows show in four of five evaluations: 0.125 for 100 rows."""
    return min(1.0, REACH * math.sqrt(changing / n)) if n else 1.0


def rows_needed(difference: float, *, changing: float = CHANGING) -> int | None:
    """Golden rows that would show a difference of this size, or None for no difference at all."""
    return math.ceil(changing * (REACH / difference) ** 2) if abs(difference) > 1e-9 else None


def _at_least(hits: int, trials: int, p: float) -> float:
    """P(X >= hits) of a binomial, summed in logarithms."""
    if p <= 0:
        return float(hits <= 0)
    if p >= 1:
        return 1.0
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(p)
        + (trials - k) * math.log1p(-p)
        for k in range(hits, trials + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def _solve(rising: Callable[[float], float]) -> float:
    """Root in 0..1 of a rising function, by halving."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
