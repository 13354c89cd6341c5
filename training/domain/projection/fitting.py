"""Seconds of a step, fitted to measured ones: robust, and leaning on the formula where they say little."""

from collections.abc import Sequence

from training.domain.projection.formula import StepTime
from training.domain.projection.points import Point

LEAN = 0.02  # how much the formula's shape weighs against one measured run, which weighs 1
HUBER = 0.15  # relative errors beyond this count less and less (Huber 1964)
ROUNDS = 12


def fit(runs: Sequence[Sequence[Point]], prior: StepTime) -> StepTime:
    """a × batches + b × padded tokens + c × rows × length², none of them negative.

    Relative errors are minimised by iteratively reweighted least squares with Huber's weights. A ridge towards the
    prior, scaled to the points, keeps apart what the points do not: steps that are all alike say nothing about what
    a longer one would take.
    """
    points = [point for run in runs for point in run]
    weights = [point.steps / sum(one.steps for one in run) for run in runs for point in run]
    around = prior.times(scale(points, prior))
    found = around
    for _ in range(ROUNDS):
        errors = [abs(_seconds(found, point) / point.seconds - 1) for point in points]
        bent = [
            weight * min(1.0, HUBER / error if error else 1.0) for weight, error in zip(weights, errors, strict=True)
        ]
        found = _solve(points, bent, around)
    return found


def scale(points: Sequence[Point], prior: StepTime) -> float:
    """How many times as long as by the prior the measured steps took, all together."""
    expected = sum(_seconds(prior, point) * point.steps for point in points)
    return sum(point.seconds * point.steps for point in points) / expected if expected else 1.0


def _seconds(time: StepTime, point: Point) -> float:
    return time.seconds(point.batches, point.padded, point.square)


def _solve(points: Sequence[Point], weights: Sequence[float], prior: StepTime) -> StepTime:
    """Weighted ridge in units of the prior, so that 1 means “as the formula says”; what would be negative is left 0."""
    units = (prior.batch, prior.token, prior.square)
    active = [place for place in range(3) if units[place] > 0]
    while True:
        shares = _normal(points, weights, units, active)
        negative = [place for place, value in zip(active, shares, strict=True) if value < 0]
        if not negative:
            break
        active = [place for place in active if place not in negative]
    values = dict(zip(active, shares, strict=True))
    return StepTime(*(units[place] * values.get(place, 0.0) for place in range(3)))


def _normal(
    points: Sequence[Point], weights: Sequence[float], units: Sequence[float], active: Sequence[int]
) -> list[float]:
    size = len(active)
    left = [[LEAN if row == column else 0.0 for column in range(size)] for row in range(size)]
    right = [LEAN] * size
    for point, weight in zip(points, weights, strict=True):
        sizes = (point.batches, point.padded, point.square)
        features = [sizes[place] * units[place] / point.seconds for place in active]
        for row in range(size):
            right[row] += weight * features[row]
            for column in range(size):
                left[row][column] += weight * features[row] * features[column]
    return gauss(left, right)


def gauss(left: list[list[float]], right: list[float]) -> list[float]:
    """Solve a small, positive definite system."""
    size = len(right)
    table = [[*row, value] for row, value in zip(left, right, strict=True)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(table[row][at]))
        table[at], table[pivot] = table[pivot], table[at]
        for row in range(at + 1, size):
            factor = table[row][at] / table[at][at]
            table[row] = [value - factor * above for value, above in zip(table[row], table[at], strict=True)]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = sum(table[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (table[row][size] - known) / table[row][row]
    return found
