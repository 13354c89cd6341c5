"""Agreement between two people, against figures computed by hand and against the edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_app.domain.agreement import agreement

YES_NO = ("yes", "no")
VERDICTS = ("accept", "fix", "reject")


def table(yes_yes, yes_no, no_yes, no_no):
    pairs = [("yes", "yes")] * yes_yes + [("yes", "no")] * yes_no
    return agreement(pairs + [("no", "yes")] * no_yes + [("no", "no")] * no_no, YES_NO)


def test_a_table_worked_out_by_hand():
    """po = 35/50 = 0.7; pe = 0.5·0.6 + 0.5·0.4 = 0.5; kappa = 0.4; variance (0.10972 + 0.10188 − 0.01) / 12.5."""
    found = table(20, 5, 10, 15)

    assert (found.pairs, found.same, found.raw) == (50, 35, 0.7)
    assert found.chance == pytest.approx(0.5)
    assert found.kappa == pytest.approx(0.4)
    assert found.low == pytest.approx(0.4 - 1.959964 * 0.016128**0.5, abs=1e-4)
    assert found.high == pytest.approx(0.6489, abs=1e-3)
    assert found.reading == "fair"
    assert found.table == ((20, 5), (10, 15))


def test_the_same_raw_agreement_can_mean_different_things():
    """Both agree on 60 of 100, but where one says yes far more often chance does more of it."""
    even, uneven = table(45, 15, 25, 15), table(25, 35, 5, 35)

    assert even.raw == uneven.raw == 0.6
    assert even.kappa == pytest.approx(0.1304, abs=1e-4)
    assert uneven.kappa == pytest.approx(0.2593, abs=1e-4)


def test_three_verdicts():
    """po = 12/16; margins 10/16, 3/16, 3/16 on both sides; pe = 118/256; kappa = (192 − 118) / (256 − 118)."""
    pairs = [("accept", "accept")] * 8 + [("fix", "fix")] * 2 + [("reject", "reject")] * 2
    pairs += [("accept", "fix"), ("accept", "reject"), ("fix", "accept"), ("reject", "accept")]
    found = agreement(pairs, VERDICTS)

    assert found.raw == 0.75
    assert found.chance == pytest.approx(118 / 256)
    assert found.kappa == pytest.approx(74 / 138)


def test_nothing_to_compare():
    found = agreement([], VERDICTS)

    assert (found.pairs, found.raw, found.kappa) == (0, None, None)
    assert found.reading == "nothing to compare yet"


def test_everybody_giving_one_verdict_leaves_kappa_undefined_and_says_so():
    found = agreement([("accept", "accept")] * 40, VERDICTS)

    assert found.raw == 1.0
    assert (found.kappa, found.low, found.high) == (None, None, None)
    assert found.reading.startswith("not defined: everybody gave the same verdict")


def test_perfect_agreement_on_few_rows_is_not_certainty():
    few = agreement([("accept", "accept"), ("reject", "reject")], VERDICTS)
    many = agreement([("accept", "accept"), ("reject", "reject")] * 200, VERDICTS)

    assert few.kappa == many.kappa == 1.0
    assert few.reading == "almost perfect"
    assert few.is_thin and not many.is_thin
    assert few.low < 0
    assert many.low == pytest.approx(2 * 0.025 ** (1 / 400) - 1)
    assert few.high == many.high == 1.0


def test_the_exact_opposite_is_less_than_chance():
    found = agreement([("accept", "reject"), ("reject", "accept")] * 20, VERDICTS)

    assert found.kappa == pytest.approx(-1.0)
    assert found.reading == "less than chance"


@pytest.mark.parametrize(
    ("kappa", "word"),
    [(0.0, "slight"), (0.2, "slight"), (0.21, "fair"), (0.41, "moderate"), (0.61, "substantial"), (0.81, "almost")],
)
def test_the_words_of_the_bands(kappa, word):
    from datasets_app.domain.agreement import Agreement

    assert Agreement(50, 40, YES_NO, (), 0.5, kappa, 0, 1).reading.startswith(word)


def test_an_unknown_verdict_is_an_error_not_a_zero():
    with pytest.raises(ValueError, match="unknown verdicts: maybe"):
        agreement([("yes", "maybe")], YES_NO)


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(VERDICTS)), max_size=60))
def test_kappa_stays_in_its_bounds_and_does_not_care_who_was_first(pairs):
    found = agreement(pairs, VERDICTS)
    turned = agreement([(second, first) for first, second in pairs], VERDICTS)

    assert sum(map(sum, found.table)) == len(pairs)
    if found.kappa is None:
        assert turned.kappa is None
    else:
        assert found.kappa == pytest.approx(turned.kappa)
        assert -1 <= found.low <= found.kappa + 1e-9
        assert found.kappa - 1e-9 <= found.high <= 1
