"""Which run ended with the lowest loss, told apart only where the noise of the steps allows it.

The loss of the last fifth of a run is a series of noisy, correlated steps. Its mean has the standard error of as many
independent steps as it is worth (Geyer 1992, an AR(1) estimate). Runs that saw the same batches in the same order are
compared step by step, which takes the batches' own noise out. The intervals hold for all pairs together (Bonferroni).
They cover the noise of steps, not that of another seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, fmean

from projects.domain.contests import Contest

LAST, FEWEST = 0.2, 8  # share of the steps at the end, and steps at least
FEWEST_LOOKS = 5  # at held-out rows: there are hardly more than twenty, each over all of the rows
CONFIDENCE = 0.95
NOTE = (
    "The interval covers the noise between steps, not that of another seed, and a lower training loss may be learned "
    "by heart: a golden set would say more."
)

MEASURE, VALIDATION_MEASURE = "Loss at the end", "Validation loss at the end"
VALIDATION_NOTE = (
    "Every run was looked at with the same rows. The interval covers what the loss jumps by from look to look, not the "
    "noise of another seed or of other rows: a golden set would say more."
)


@dataclass(frozen=True)
class Ending:
    """The last losses of one run, of steps or of looks. Those with the same `order` are of the same rows at the same

    steps.
    """

    key: int
    losses: Sequence[float]
    order: str = ""


@dataclass(frozen=True)
class Mean:
    value: float
    error: float
    freedom: float


def ending(losses: Sequence[float], fewest: int = FEWEST) -> list[float]:
    """The last fifth, at least eight steps."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    return finite[-max(fewest, math.ceil(len(finite) * LAST)) :]


def mean(values: Sequence[float]) -> Mean:
    """Mean of a series, with the error of as many independent values as it is worth."""
    n, middle = len(values), fmean(values)
    if n < 3:
        return Mean(middle, math.inf, 1)
    left = _without_trend(values)
    variance = sum(x * x for x in left) / (n - 2)
    if variance <= 1e-24:
        return Mean(middle, 0.0, n - 2)
    follow = sum(a * b for a, b in pairwise(left)) / sum(x * x for x in left)
    # A short series shows too little of its correlation (Marriott and Pope 1954): add what it hides.
    follow = min(max(follow + (1 + 4 * max(follow, 0.0)) / n, 0.0), 0.99)
    worth = max(2.0, n * (1 - follow) / (1 + follow))
    return Mean(middle, math.sqrt(variance / worth), max(1.0, worth - 1))


def _without_trend(values: Sequence[float]) -> list[float]:
    n, middle = len(values), fmean(values)
    centre = (n - 1) / 2
    slope = sum((at - centre) * value for at, value in enumerate(values)) / sum((at - centre) ** 2 for at in range(n))
    return [value - middle - slope * (at - centre) for at, value in enumerate(values)]


def contest(endings: Sequence[Ending], measure: str = MEASURE, note: str = NOTE) -> Contest | None:
    """All runs by their last loss, the lowest first; None where none has any."""
    known = {one.key: one for one in endings if one.losses}
    if not known:
        return None
    values = {key: fmean(one.losses) for key, one in known.items()}
    order = tuple(sorted(values, key=lambda key: (values[key], key)))
    pairs = max(1, len(order) * (len(order) - 1) // 2)
    versus = {key: _interval(known[order[0]], known[key], pairs) for key in order[1:]}
    tied = (order[0], *(key for key in order[1:] if versus[key][1] <= 0))
    told: Mapping[str, float] = {}
    if len(order) > 1:
        middle, low, high = versus[order[1]]
        told = {"difference": middle} | ({"low": low, "high": high} if math.isfinite(low) else {})
    steps = min(len(one.losses) for one in known.values())
    return Contest(measure, False, order, values, tied, n=steps, note=note, **told)


def _interval(first: Ending, other: Ending, pairs: int) -> tuple[float, float, float]:
    """How much lower the first ended, and its interval at the level that all pairs together need."""
    if first.order and first.order == other.order and len(first.losses) == len(other.losses):
        gap = mean([b - a for a, b in zip(first.losses, other.losses, strict=True)])
    else:
        one, two = mean(first.losses), mean(other.losses)
        error = math.hypot(one.error, two.error)
        parts = one.error**4 / one.freedom + two.error**4 / two.freedom
        gap = Mean(two.value - one.value, error, error**4 / parts if parts and math.isfinite(error) else 1.0)
    width = student(1 - (1 - CONFIDENCE) / 2 / pairs, gap.freedom) * gap.error if gap.error else 0.0
    return gap.value, gap.value - width, gap.value + width


def student(probability: float, freedom: float) -> float:
    """Quantile of Student's t (Hill 1970, by the Cornish–Fisher series); exact for one and two degrees of freedom."""
    if freedom < 1.5:
        return math.tan(math.pi * (probability - 0.5))
    if freedom < 2.5:
        alpha = 4 * probability * (1 - probability)
        return 2 * (probability - 0.5) * math.sqrt(2 / alpha)
    z, v = NormalDist().inv_cdf(probability), freedom
    z2 = z * z
    terms = (
        z * (z2 + 1) / 4 / v,
        z * (5 * z2 * z2 + 16 * z2 + 3) / 96 / v**2,
        z * (3 * z2**3 + 19 * z2 * z2 + 17 * z2 - 15) / 384 / v**3,
        z * (79 * z2**4 + 776 * z2**3 + 1482 * z2 * z2 - 1920 * z2 - 945) / 92160 / v**4,
    )
    return z + sum(terms)
