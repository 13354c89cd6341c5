"""Projections: more work costs more, what was measured narrows the band, and the reason is given."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_app.engine.token_counts import Counts, histogram, quantile
from training.domain import metrics, projection
from training.domain.failures import FAILURES, explain
from training.domain.projection import PastRun, Shape
from training.domain.recipe import Recipe
from training.domain.tokens import rows_lost

TINY = Shape(1_046_016, hidden=192, layers=2, vocab=835, heads=4)


def stats(lengths=(50,) * 500, limit=128) -> dict:
    """Rows of these lengths, the last ten tokens of each trained."""
    return counted([(length, [(length - 10, length)]) for length in lengths]).under(limit)


def counted(rows) -> Counts:
    """Rows as (tokens, trained stretches)."""
    flat = [span for _, spans in rows for span in spans]
    return Counts(
        total=np.array([total for total, _ in rows], np.int32),
        spans=np.array(flat, np.int32).reshape(-1, 2),
        row_span=np.cumsum([0, *(len(spans) for _, spans in rows)]),
        shown=np.ones(len(rows), bool),
    )


def project(recipe=None, past=(), data=None, device="cpu", price="0.10"):
    return projection.project(
        data or stats(),
        recipe or Recipe(epochs=4, rank=32),
        TINY,
        past=past,
        device=device,
        hour_price=Decimal(price),
        currency="EUR",
    )


def test_a_projection_counts_steps_and_tokens_of_all_epochs():
    found = project()
    assert (found.rows, found.steps, found.tokens, found.trained_tokens) == (500, 252, 100_000, 20_000)


def test_money_is_time_times_price_at_every_quantile():
    found = project(price="3.60")
    for name in ("p10", "p50", "p90"):
        assert float(found.money[name]) == pytest.approx(getattr(found.seconds, name) / 1000, abs=1e-4)


def test_measured_runs_narrow_the_band_and_say_so():
    guess = project()
    measured = project(past=[PastRun(7000, True, TINY.parameters)] * 5)
    assert guess.source == "formula" and "formula" in guess.why
    assert measured.source == "measured" and "5 finished runs" in measured.why
    assert measured.rate == 7000
    width = [found.seconds.p90 / found.seconds.p10 for found in (guess, measured)]
    assert width[0] > 2 * width[1]


def test_runs_on_other_bases_are_scaled_by_size():
    found = project(past=[PastRun(7000, False, TINY.parameters * 10)])
    assert (found.source, found.rate) == ("scaled", 70_000)


def test_a_tiny_run_on_a_cpu_lies_inside_the_formulas_band():
    """252 steps over 100,000 tokens took 12 to 30 seconds on one thread, loading included."""
    found = project()
    assert found.seconds.p10 < 25 < found.seconds.p90


@given(st.floats(0.1, 50), st.integers(1, 64), st.integers(1, 2000))
def test_bands_are_ordered_and_finite(epochs, batch, rows):
    found = project(Recipe(epochs=epochs, batch_size=batch), data=stats((40,) * rows))
    for band in (found.seconds, found.memory_bytes):
        assert 0 < band.p10 <= band.p50 <= band.p90 < math.inf


def test_more_of_anything_takes_more():
    assert project(Recipe(epochs=8)).seconds.p50 > project(Recipe(epochs=4)).seconds.p50
    assert project(Recipe(batch_size=64)).memory_bytes.p50 > project(Recipe(batch_size=8)).memory_bytes.p50
    assert project(Recipe(four_bit=True)).memory_bytes.p50 < project(Recipe()).memory_bytes.p50


def test_rows_left_out_are_not_paid_for():
    data = stats([50] * 90 + [500] * 10)
    kept, dropped = project(Recipe(cut="cut"), data=data), project(Recipe(cut="drop"), data=data)
    assert (kept.rows, dropped.rows) == (100, 90)
    assert dropped.tokens == 90 * 50 * 3
    assert kept.tokens == (90 * 50 + 10 * 128) * 3


def test_predicted_against_actual_says_if_it_lay_inside():
    found = project().as_dict()
    rows = projection.compare(found, {"seconds": found["seconds"]["p50"], "money": "99", "memory_bytes": None})
    assert [(row["name"], row["inside"]) for row in rows] == [("seconds", True), ("money", False)]


def test_a_profile_counts_what_a_limit_cuts():
    found = stats([50] * 8 + [130, 200])
    assert (found["rows"], found["cut"], found["answers_cut"], found["untrained"]) == (10, 2, 2, 2 - 1)
    assert found["cut_rows"] == [8, 9]
    assert sum(found["histogram"]["counts"]) == 10


def test_an_answer_that_ends_exactly_at_the_limit_is_whole():
    assert counted([(128, [(118, 128)])]).under(128)["answers_cut"] == 0
    assert counted([(129, [(119, 129)])]).under(128)["answers_cut"] == 1


def test_rows_lost_depend_on_the_decision():
    counts = counted([(50, [(45, 50)]), (90, [(85, 90)]), (40, []), (0, [])])
    counts.shown[3] = False
    found = counts.under(64)
    assert found["untrained_short"] == 1
    assert rows_lost(found, "drop") == 3  # too long, untrained, unshowable
    assert rows_lost(found, "cut") == 3  # nothing of row 1's answer lies within the limit


@given(st.lists(st.integers(1, 100_000), max_size=300))
def test_histograms_lose_no_row(lengths):
    ordered = np.sort(np.array(lengths, np.int32))
    found = histogram(ordered)
    assert sum(found["counts"]) == len(lengths)
    assert len(found["edges"]) == len(found["counts"]) + 1 <= 42
    if lengths:
        assert found["edges"][0] <= quantile(ordered, 0.5) < found["edges"][-1]


def test_eta_follows_the_pace_and_knows_its_doubt():
    steady = metrics.eta(range(1, 11), range(10, 110, 10), 20)
    assert steady.middle == 100
    assert steady.low < 100 < steady.high
    uneven = metrics.eta([1, 2, 3, 4, 5], [0, 5, 20, 22, 40], 10)
    assert uneven.high / uneven.middle > steady.high / steady.middle
    assert metrics.eta([1], [1.0], 10) is None
    assert metrics.eta([], [], 10) is None


def test_smoothing_starts_without_a_bias():
    assert metrics.smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("losses", "tone"),
    [
        ([2, 1], "waiting"),
        ([2, 1.5, 1, 0.5, 0.3, 0.2], "succeeded"),
        ([1.0] * 30, "attention"),
        ([2, 0.5, 0.3] + [0.2] * 20 + [3.0] * 30, "attention"),
        ([2, 1, 1, float("nan")], "failed"),
    ],
)
def test_the_verdict_on_a_loss_is_computed(losses, tone):
    found, sentence = metrics.verdict(losses)
    assert found == tone
    assert sentence.endswith(".")


def test_every_failure_says_what_happened_and_what_to_do():
    assert len(FAILURES) >= 25
    for failure in FAILURES.values():
        assert failure.title.endswith(".") and failure.advice.endswith(".")
    assert explain("never heard of").advice
