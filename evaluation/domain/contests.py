"""Several adapters on the same golden rows: which is best, and of which that cannot be told.

Rows are drawn anew together for all adapters (bootstrap), and every difference is set against the greatest of all
pairs in its standard errors (Romano and Wolf 2005, single step): the intervals hold for all pairs at once, so looking
at who came first is no cheating. Of right-or-wrong scores the exact test of the changed rows has to agree, too.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from evaluation.domain import statistics
from projects.domain.contests import Contest

if TYPE_CHECKING:
    from numpy.random import Generator

RESAMPLES = 4_000
_BLOCK = 250  # resamples held in memory at once
NOTE = "All of them answered the same golden rows; the interval is of another draw of rows, not of another seed."


def contest(
    rows: Mapping[int, Mapping[int, float]],
    *,
    measure: str,
    binary: bool,
    rng: "Generator",
    resamples: int = RESAMPLES,
) -> Contest | None:
    """`rows` are scores from 0 to 1 by adapter and golden row; only rows that all of them answered are compared."""
    import numpy

    shared = sorted(set.intersection(*(set(one) for one in rows.values()))) if rows else []
    if not shared:
        return None
    scores = numpy.array([[one[index] for index in shared] for one in rows.values()])
    keys, means = list(rows), scores.mean(axis=1)
    values = {key: float(mean) for key, mean in zip(keys, means, strict=True)}
    order = tuple(sorted(keys, key=lambda key: (-values[key], key)))
    if len(order) == 1:
        return Contest(measure, True, order, values, order, n=len(shared), note=NOTE)
    width, errors = _widths(scores, rng, resamples)
    places = {key: place for place, key in enumerate(keys)}
    tied = [order[0]]
    for key in order[1:]:
        first, other = places[order[0]], places[key]
        gap, error = values[order[0]] - values[key], errors[first, other]
        apart = error > 0 and gap > width * error
        if not apart or (binary and not _exact(scores[first], scores[other], len(order))):
            tied.append(key)
    gap, error = values[order[0]] - values[order[1]], float(errors[places[order[0]], places[order[1]]])
    low, high = gap - width * error, gap + width * error
    if order[1] in tied:  # an exact test that is not sure reaches zero, and so must what is told
        low = min(low, 0.0)
    return Contest(measure, True, order, values, tuple(tied), gap, low, high, len(shared), NOTE)


def _widths(scores: Any, rng: "Generator", resamples: int) -> tuple[float, Any]:
    """How many standard errors the greatest difference of all pairs reaches by chance, and the standard errors."""
    import numpy

    arms, n = scores.shape
    means = numpy.empty((resamples, arms))
    for start in range(0, resamples, _BLOCK):
        stop = min(start + _BLOCK, resamples)
        counts = rng.multinomial(n, numpy.full(n, 1 / n), size=stop - start)
        means[start:stop] = counts @ scores.T / n
    centred = means - scores.mean(axis=1)
    # var(a - b) = var(a) + var(b) - 2 cov(a, b), for all pairs at once.
    spread = numpy.cov(centred, rowvar=False)
    variances = numpy.diag(spread)
    errors = numpy.sqrt(numpy.maximum(variances[:, None] + variances[None, :] - 2 * spread, 0))
    greatest = numpy.zeros(resamples)
    for one, other in combinations(range(arms), 2):
        if errors[one, other] > 1e-12:
            apart = numpy.abs(centred[:, one] - centred[:, other]) / errors[one, other]
            numpy.maximum(greatest, apart, out=greatest)
    return float(numpy.quantile(greatest, statistics.CONFIDENCE)), errors


def _exact(first: Any, other: Any, arms: int) -> bool:
    """Whether as many changed rows are no chance, at the level that all pairs together need."""
    gains, losses = int((first > other).sum()), int((first < other).sum())
    pairs = arms * (arms - 1) // 2
    return statistics.mcnemar(gains, losses) <= (1 - statistics.CONFIDENCE) / pairs
