"""Calibration: the bands follow what past projections came to, and say how sure that is."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain.projection import calibration
from training.domain.projection.bands import Band, Guess
from training.domain.projection.calibration import Calibration, Past, coverage, percentile, refit, wilson


def past(actual: float, *, middle=100.0, sigma=0.3, source="measured", quantity="seconds", known=None) -> Past:
    guess = Guess(middle, sigma)
    band = (known or Calibration()).band(guess, "cpu", source, quantity)
    return Past("cpu", source, quantity, guess, band, actual)


def test_without_a_past_the_band_is_that_of_the_guess():
    band = Calibration().band(Guess(100, 0.3), "cpu", "formula", "seconds")
    assert band.p50 == 100
    assert (band.p10, band.p90) == (pytest.approx(68.1, abs=0.1), pytest.approx(146.9, abs=0.1))


def test_few_scores_change_little_and_many_decide():
    usual = percentile([], 0.9)
    assert usual == pytest.approx(1.367, abs=0.01), "a little beyond 1.28, for the next one counts, too"
    assert percentile([0.1] * 2, 0.9) > 0.9
    assert percentile([0.1] * 200, 0.9) < 0.6
    assert percentile([3.0] * 5, 0.9) > usual


def test_a_bias_is_learned():
    """Everything takes twice as long as guessed: the middle follows."""
    known = refit([past(200 * math.exp(0.02 * at)) for at in range(-10, 11)])
    assert known.band(Guess(100, 0.3), "cpu", "measured", "seconds").p50 == pytest.approx(200, rel=0.1)
    assert known.band(Guess(100, 0.3), "cuda", "measured", "seconds").p50 == 100  # another device's own


@pytest.mark.parametrize("truth", [0.05, 0.3, 1.0])
def test_whatever_the_spread_was_the_share_inside_tends_to_four_fifths(truth):
    """Each run is predicted from those before it; the guesses say 0.3 while the truth is narrower, equal or wider."""
    rng = random.Random(3)
    seen: list[Past] = []
    for _ in range(150):
        known = refit(seen)
        actual = 100 * math.exp(rng.gauss(0.1, truth))
        seen.insert(0, past(actual, known=known))
    late = coverage(seen[:100])
    assert 0.7 <= late.share <= 0.9


def test_money_is_not_fitted_apart_from_time():
    known = refit([past(500, quantity="money")] * 40)
    assert known.quantiles == {}


@given(st.lists(st.floats(0.01, 1e6), max_size=30), st.floats(1e-3, 2))
def test_bands_stay_ordered_whatever_happened(actuals, sigma):
    known = refit([past(actual, sigma=sigma) for actual in actuals])
    band = known.band(Guess(50, sigma), "cpu", "measured", "seconds")
    assert 0 < band.p10 < band.p50 < band.p90 < math.inf


def test_coverage_comes_with_its_interval_and_its_bias():
    rows = [Past("cpu", "measured", "seconds", Guess(100, 0.3), Band(80, 100, 125), 110.0)] * 9
    rows += [Past("cpu", "measured", "seconds", Guess(100, 0.3), Band(80, 100, 125), 300.0)]
    found = coverage(rows)
    assert (found.inside, found.of) == (9, 10)
    assert found.low < 0.8 < found.high and found.verdict == "fair"
    assert found.bias == pytest.approx(0.1)
    assert found.width == pytest.approx(125 / 80)
    assert coverage([]) is None


def test_a_verdict_needs_more_than_chance():
    def share(inside: int, of: int):
        band = Band(80, 100, 125)
        actuals = [100.0] * inside + [300.0] * (of - inside)
        return coverage([Past("cpu", "measured", "seconds", Guess(100, 0.3), band, value) for value in actuals])

    assert share(2, 4).verdict == share(0, 1).verdict == share(4, 4).verdict == "few"
    assert share(10, 40).verdict == "narrow"
    assert share(60, 60).verdict == "wide"


@pytest.mark.parametrize(("hits", "count", "low", "high"), [(8, 10, 0.490, 0.943), (0, 0, 0, 1), (10, 10, 0.722, 1)])
def test_wilsons_interval(hits, count, low, high):
    """The figures of 8 and 10 of 10 are those of Newcombe 1998, method 3."""
    found = wilson(hits, count)
    assert found == (pytest.approx(low, abs=0.001), pytest.approx(high, abs=0.001))


def test_a_stored_record_is_read_by_quantity():
    predicted = {"seconds": {"p10": 1, "p50": 2, "p90": 4, "middle": 2, "sigma": 0.5}, "disk_bytes": None}
    (one,) = calibration.read("cpu", "formula", predicted, {"seconds": 3.0, "memory_bytes": 5})
    assert one.inside and one.score == pytest.approx(math.log(1.5) / 0.5) and one.error == pytest.approx(math.log(1.5))
