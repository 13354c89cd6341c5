"""What counted data says about a limit, and what a running run says about itself: losses, pace, failures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_app.engine.token_counts import Counts, histogram, quantile
from training.domain import metrics
from training.domain.failures import FAILURES, explain
from training.domain.tokens import rows_lost


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
