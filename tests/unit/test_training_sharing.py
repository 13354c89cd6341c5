"""How rows are shared out among cards: by any lengths, for any number of cards."""

from hypothesis import given
from hypothesis import strategies as st

from training.domain.sharing import shares, spread

LENGTHS = st.lists(st.integers(1, 5000), max_size=60)


@given(LENGTHS, st.integers(1, 16))
def test_every_row_is_somebodys_and_nobodys_twice(lengths, cards):
    found = shares(lengths, cards)

    assert len(found) == cards
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    assert all(rows == sorted(rows) for rows in found)
    assert found == shares(list(lengths), cards)


@given(LENGTHS.filter(bool), st.integers(1, 16))
def test_no_card_has_more_than_the_mean_and_one_row(lengths, cards):
    loads = [sum(lengths[row] for row in rows) for rows in shares(lengths, cards)]

    assert max(loads) <= sum(lengths) / cards + max(lengths)
    assert min(map(len, shares(lengths, cards))) > 0 or len(lengths) < cards


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16))
def test_a_step_keeps_its_rows_and_no_card_takes_more_at_once(rows, accumulation, cards):
    together, batches = spread(rows, accumulation, cards)

    assert together * batches == rows * accumulation
    assert batches <= accumulation
    assert -(-together // cards) <= rows
    assert cards > 1 or (together, batches) == (rows, accumulation)


def test_what_was_added_up_lies_side_by_side():
    assert spread(1, 8, 2) == (2, 4)
    assert spread(1, 8, 8) == (8, 1)
    assert spread(4, 3, 2) == (6, 2)
    assert spread(1, 7, 2) == (1, 7)  # seven cannot be halved
