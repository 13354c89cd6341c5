"""The month's budget, its projection, and how the time of an attempt is split."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from projects.domain import budget, phases
from projects.domain.budget import Month, RequestState

NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)


def month(limit=100, spent=0, held=0):
    amount = None if limit is None else Decimal(limit)
    return Month(budget.month_of(NOW), amount, Decimal(spent), Decimal(held))


@pytest.mark.parametrize(
    ("limit", "spent", "held", "amount", "fits", "over"),
    [
        (100, 60, 30, 10, True, 0),  # to the last cent
        (100, 60, 30, "10.000001", False, "0.000001"),
        (100, 120, 0, 1, False, 21),  # a month that is over already
        (0, 0, 0, 1, False, 1),
        (0, 0, 0, 0, True, 0),
        (None, 1000, 1000, 1000, True, None),
        (None, 0, 0, None, True, None),
        (100, 0, 0, None, False, None),  # nobody can tell what it costs
    ],
)
def test_what_fits_into_a_month(limit, spent, held, amount, fits, over):
    wanted = None if amount is None else Decimal(amount)
    now = month(limit, spent, held)

    assert now.fits(wanted) is fits
    assert now.over_by(wanted) == (None if over is None else Decimal(over))


def test_a_month_is_cut_in_utc():
    late = datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    assert budget.month_of(late) == datetime(2026, 11, 1, tzinfo=UTC)
    assert budget.next_month(datetime(2026, 12, 1, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert budget.next_month(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 2, 1, tzinfo=UTC)
    assert month().end == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_refusal_says_what_why_and_what_next():
    said = budget.refusal("router v3", Decimal("12.40"), month(100, 90, 5), "EUR")

    for part in ("“router v3” may cost up to €12.40 (P90)", "€5.00 of this month's budget of €100.00 is left"):
        assert part in said.message
    assert "€90.00 is spent and €5.00 held" in said.message
    assert "say why it should start" in said.message
    assert "1 December" in said.message
    assert (said.code, said.status, said.field) == ("over_budget", 409, "budget_reason")


def test_a_refusal_of_what_cannot_be_projected_says_so():
    said = budget.refusal("router v3", None, month(), "USD").message

    assert "cannot be projected yet" in said
    assert "$100.00" in said


def test_a_month_that_is_overspent_has_nothing_left_to_show():
    assert "€0.00 of this month's budget" in budget.refusal("x", Decimal(1), month(100, 130), "EUR").message


def test_the_end_of_a_month_follows_its_last_days():
    steady = budget.month_end(month(spent=45), [Decimal(3)] * 15, 15)
    wild = budget.month_end(month(spent=45), [Decimal(0), Decimal(6)] * 8, 15)

    assert (steady.p10, steady.p50, steady.p90) == (90, 90, 90)
    assert wild.p10 < wild.p50 == 90 < wild.p90


def test_what_is_held_is_the_least_that_is_still_expected():
    end = budget.month_end(month(spent=10, held=50), [Decimal(1)] * 10, 2)

    assert (end.p10, end.p50, end.p90) == (12, 60, 60)


def test_a_ledger_of_a_few_days_says_nothing_about_a_month():
    assert budget.month_end(month(), [Decimal(1)] * 6, 20) is None


def test_a_request_is_decided_once():
    machine = budget.REQUEST

    assert [machine.is_final(state) for state in RequestState] == [False, True, True, True]


MARKS = [["preparing", 2.0], ["loading", 5.0], ["working", 20.0], ["training", 21.0], ["saving", 81.0]]


def test_the_time_of_an_attempt_is_split_by_its_phases():
    parts = phases.split(MARKS, 90.0)

    assert parts == {
        "starting": 2.0, "preparing": 3.0, "loading": 15.0, "working": 1.0, "training": 60.0, "saving": 9.0,
    }  # fmt: skip
    assert sum(parts.values()) == 90.0
    assert phases.idle(parts, {"training"}) == 29.0
    assert phases.idle(parts, None) == 0.0


def test_a_device_waits_until_somebody_finds_out_that_its_worker_is_gone():
    parts = phases.split(MARKS, 50.0, waited=40.0)

    assert parts["training"] == 29.0
    assert "saving" not in parts, "it never came to that"
    assert phases.idle(parts, {"training"}) == 20.0 + 40.0
    assert phases.idle(parts, None) == 40.0


def test_an_attempt_that_never_said_anything_only_held_its_device():
    parts = phases.split([], 12.0)

    assert parts == {"starting": 12.0}
    assert phases.idle(parts, {"training"}) == 12.0


def test_a_phase_that_comes_again_is_added_up():
    parts = phases.split([["training", 0], ["saving", 10], ["training", 12]], 20)

    assert parts == {"training": 18.0, "saving": 2.0}


@pytest.mark.parametrize("marks", [[["training", 5], ["saving", 3]], [["training", -4]], [["training", 99]]])
def test_clocks_that_disagree_never_make_time(marks):
    assert sum(phases.split(marks, 10.0).values()) == pytest.approx(10.0)
