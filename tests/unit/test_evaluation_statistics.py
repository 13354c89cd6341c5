"""Are we sure? Known values, and a simulation of how often the interval holds the truth."""

import math
import random

import numpy
import pytest

from evaluation.domain import statistics


def rng(seed=0):
    return numpy.random.default_rng(seed)


def test_the_bootstrap_agrees_with_the_normal_interval_on_many_rows():
    source = random.Random(3)
    values = [source.gauss(0.1, 0.5) for _ in range(2_000)]
    interval = statistics.bootstrap_interval(values, rng=rng())
    mean = sum(values) / len(values)
    half = 1.96 * math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    assert interval.mean == pytest.approx(mean)
    assert interval.low == pytest.approx(mean - half, abs=0.002)
    assert interval.high == pytest.approx(mean + half, abs=0.002)


def test_the_same_seed_gives_the_same_interval():
    values = [0.0, 1.0, -1.0, 0.5] * 25
    first, second = (statistics.bootstrap_interval(values, rng=rng(9)) for _ in range(2))
    assert first == second
    assert first != statistics.bootstrap_interval(values, rng=rng(10))


@pytest.mark.parametrize(
    ("gains", "losses", "p"),
    [
        (0, 0, 1.0),
        (4, 0, 0.125),
        (6, 0, 0.03125),
        (5, 5, 1.0),
        (10, 2, 0.038574),
        (1, 0, 1.0),
        (2, 10, 0.038574),
    ],
)
def test_mcnemar_gives_the_exact_binomial_p_value(gains, losses, p):
    assert statistics.mcnemar(gains, losses) == pytest.approx(p, abs=1e-6)


def test_mcnemar_holds_for_large_counts():
    assert statistics.mcnemar(2_600, 2_400) == pytest.approx(0.00489, abs=2e-4)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (81, 263, 0.2527, 0.3676)],
)
def test_the_exact_share_is_that_of_clopper_and_pearson(hits, trials, low, high):
    assert statistics.exact_share(hits, trials) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("n", "points"), [(100, 12.5), (500, 5.6), (1_000, 4.0), (5, 56.0)])
def test_the_golden_set_shows_what_the_mission_says(n, points):
    assert statistics.minimum_detectable(n) * 100 == pytest.approx(points, abs=0.05)


def test_rows_needed_is_the_inverse_of_the_detectable_difference():
    assert statistics.rows_needed(statistics.minimum_detectable(500)) in (500, 501)
    assert statistics.rows_needed(-0.02) == statistics.rows_needed(0.02) == 3_925
    assert statistics.rows_needed(0.0) is None
    assert statistics.minimum_detectable(0) == 1.0


def pairs(gains, losses, same):
    return [0] * gains + [1] * losses + [0] * same, [1] * gains + [0] * losses + [0] * same


@pytest.mark.parametrize("gains", range(1, 12))
def test_a_pass_or_fail_interval_excludes_zero_only_when_the_exact_test_does(gains):
    base, adapter = pairs(gains, 0, 100 - gains)
    interval = statistics.paired_interval(base, adapter, binary=True, rng=rng())
    assert (interval.low > 0) == (statistics.mcnemar(gains, 0) < 0.05) == (gains >= 6)


def test_all_gains_are_no_certainty():
    interval = statistics.paired_interval([0] * 100, [1] * 100, binary=True, rng=rng())
    assert interval.mean == interval.high == 1.0
    assert interval.low == pytest.approx(0.9276, abs=1e-3)


@pytest.mark.parametrize("binary", [True, False])
def test_no_change_at_all_leaves_room_for_what_was_not_seen(binary):
    interval = statistics.paired_interval([0.4] * 30, [0.4] * 30, binary=binary, rng=rng())
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.0, -0.1, 0.1))


def test_arms_of_different_length_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        statistics.paired_interval([1.0], [1.0, 0.0], binary=False, rng=rng())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "gain", "loss", "binary"),
    [(100, 0.15, 0.05, True), (100, 0.02, 0.02, True), (50, 0.60, 0.10, True), (200, 0.30, 0.10, False)],
)
def test_the_interval_holds_the_truth_19_times_in_20(n, gain, loss, binary):
    """1,000 golden sets from a known world; the error of the share itself is 0.7 points."""
    world, hits = rng(42), 0
    for _ in range(1_000):
        drawn = world.choice([1.0, -1.0, 0.0], size=n, p=[gain, loss, 1 - gain - loss])
        if not binary:
            drawn *= world.choice([0.25, 0.75], size=n)
        truth = (gain - loss) * (1.0 if binary else 0.5)
        interval = statistics.paired_interval([0.0] * n, list(drawn), binary=binary, rng=world, resamples=1_000)
        hits += interval.low <= truth <= interval.high
    assert hits / 1_000 >= 0.93


@pytest.mark.slow
def test_an_adapter_that_is_no_better_is_rarely_called_better():
    """500 golden sets on which nothing is gained: at most one in forty may exclude zero upwards."""
    world, wrong = rng(7), 0
    for _ in range(500):
        drawn = world.choice([1.0, -1.0, 0.0], size=100, p=[0.05, 0.05, 0.9])
        interval = statistics.paired_interval([0.0] * 100, list(drawn), binary=True, rng=world, resamples=1_000)
        wrong += interval.low > 0
    assert wrong / 500 <= 0.03
