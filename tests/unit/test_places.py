"""Places of a host, one or several."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.domain import places, waiting
from projects.domain.waiting import Needs, Scene

FREE = st.lists(st.integers(0, 15).map(lambda number: f"gpu:{number}"), max_size=40)


@given(FREE, st.integers(1, places.MOST))
def test_chosen_places_are_different_free_and_read_back(free, count):
    chosen = places.choose(free, count)

    if chosen is None:
        assert len(set(free)) < count
    else:
        parts = places.parts(chosen)
        assert len(parts) == len(set(parts)) == count and set(parts) <= set(free)
        assert places.join(parts) == chosen and len(chosen) <= 60


@pytest.mark.parametrize(
    ("place", "parts"), [("", [""]), ("gpu:3", ["gpu:3"]), ("gpu:0,2", ["gpu:0", "gpu:2"]), ("cpu:10", ["cpu:10"])]
)
def test_a_place_of_one_is_itself(place, parts):
    assert places.parts(place) == parts


CARDS = Scene("gpu", heard=2, open=2, slots=6, free=3, on_cards=True)


@pytest.mark.parametrize(
    ("needs", "code", "said"),
    [
        (Needs(8, 4, 3), "no_such_host", "no host has more than 4"),
        (Needs(4, 4, 3), "needs_cards", "Needs 4 cards on one host, 3 free."),
        (Needs(4, 4, 3, "forge"), "needs_cards", "forge keeps what becomes free for it"),
        (Needs(2, 4, 3), "starting", "within seconds"),
    ],
)
def test_a_run_that_needs_several_cards_says_what_it_waits_for(needs, code, said):
    why = waiting.queued(CARDS, 0, needs)

    assert why.code == code and said in why.text
