"""Which rows a rehearsal takes, what it expects to cost, and how it says that something does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain import rehearsal
from training.domain.recipe import Recipe


def test_the_longest_rows_come_first_and_a_fair_draw_after_them():
    lengths = np.arange(1, 1001)
    places = rehearsal.choose(lengths, Recipe(batch_size=8))
    assert len(places) == 30 * 8
    first = lengths[places[: 6 * 8]]
    assert first.tolist() == list(range(1000, 952, -1))
    assert 350 < lengths[places[48:]].mean() < 650


def test_few_rows_come_again():
    places = rehearsal.choose(np.array([5, 9, 7]), Recipe(batch_size=4), steps=3)
    assert len(places) == 12 and set(places) == {0, 1, 2}
    assert places[0] == 1
    assert rehearsal.choose(np.array([], int), Recipe()) == []


def test_packed_steps_take_as_many_rows_as_fill_them():
    lengths = np.full(5000, 100)
    assert len(rehearsal.choose(lengths, Recipe(packing=True, max_length=1000, batch_size=2), steps=4)) == 80


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 12))
def test_every_place_exists(lengths, batch, steps):
    places = rehearsal.choose(np.array(lengths), Recipe(batch_size=batch), steps)
    assert len(places) == batch * steps
    assert min(places) >= 0 and max(places) < len(lengths)


def test_only_what_matters_makes_another_rehearsal():
    facts = {"fingerprint": "a", "content_hash": "b", "parent": "", "device": "cpu"}
    usual = rehearsal.digest(Recipe(), **facts)
    assert rehearsal.digest(Recipe(learning_rate=1e-5, epochs=9, seed=4), **facts) == usual
    for other in (Recipe(batch_size=4), Recipe(max_length=512), Recipe(rank=8), Recipe(packing=True)):
        assert rehearsal.digest(other, **facts) != usual
    assert rehearsal.digest(Recipe(), **facts | {"device": "cuda"}) != usual


def test_a_rehearsal_expects_to_take_a_minute_at_most():
    stages = {"starting": 1, "loading": 10, "warm_up": 1, "saving": 1, "closing": 1, "training": 36_000}
    projection = {"stages": stages, "saves": 0, "steps": 1000, "seconds": {"p10": 1e4, "p50": 3.6e4, "p90": 7e4}}
    found = rehearsal.expected(projection)
    assert found.steps == 30
    assert found.seconds.p50 == pytest.approx(49)
    assert found.seconds.p10 < found.seconds.p50 < found.seconds.p90 <= 75
    pairs = rehearsal.expected(projection | {"stages": stages | {"reference": 500}})
    assert pairs.seconds.p50 == found.seconds.p50 + rehearsal.REFERENCE_SECONDS


def test_a_short_run_is_rehearsed_in_less():
    stages = {"starting": 1, "loading": 5, "warm_up": 0, "saving": 0, "closing": 0, "training": 2}
    found = rehearsal.expected({"stages": stages, "saves": 0, "steps": 10, "seconds": {"p10": 7, "p50": 8, "p90": 9}})
    assert (found.steps, found.seconds.p50) == (10, 8)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"fits_rows": 2, "fits_tokens": 512}, "What fits: 2 rows at once or rows of at most 512 tokens."),
        ({"fits_rows": 1, "fits_tokens": 0}, "What fits: 1 row at once."),
        ({"fits_rows": 0, "fits_tokens": 0}, "Nothing smaller was found to fit."),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(found, words):
    said = rehearsal.misfit(row=41, tokens=2048, rows=8, limit="16 GB", **found)
    assert said.startswith("Row 41 has 2048 tokens; with 8 rows at once that needs more memory than 16 GB.")
    assert said.endswith(words)
