"""Rules of a review: which rows, in which order, what a look counts, what becomes of a row."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from datasets_app.domain import reviewing
from datasets_app.domain.reviewing import BadScope, Look, Scope, read_scope

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def seconds(n):
    return timedelta(seconds=n)


@pytest.mark.parametrize(
    ("given", "read", "words"),
    [
        ({}, Scope(), "all rows"),
        ({"all": True}, Scope(), "all rows"),
        ({"share": 0.1}, Scope(share=0.1), "10\u202f% of all rows, drawn by lot"),
        ({"number": 1200}, Scope(number=1200), "1\u202f200 of all rows, drawn by lot"),
        ({"finding": "pii"}, Scope("finding", "pii"), "the rows with “pii”"),
        ({"label": "billing"}, Scope("label", "billing"), "the rows labelled “billing”"),
        ({"tag": " a  b "}, Scope("tag", "a b"), "the rows tagged “a b”"),
        ({"text": "refund", "number": 5}, Scope("text", "refund", number=5), "5 of the rows that hold “refund”"),
    ],
)
def test_a_choice_of_rows_is_read_and_said(given, read, words):
    assert read_scope(given) == read
    assert str(read).startswith(words)
    assert read_scope(read.as_dict()) == read


@pytest.mark.parametrize(
    "given",
    [
        {"everything": True},
        {"label": "a", "tag": "b"},
        {"share": 0},
        {"share": 1.1},
        {"share": True},
        {"share": float("nan")},
        {"number": 0},
        {"number": 2.5},
        {"number": 3, "share": 0.5},
        {"text": "x" * 201},
    ],
)
def test_a_choice_that_cannot_be_followed_says_why(given):
    with pytest.raises(BadScope, match=r"\.$"):
        read_scope(given)


def test_all_rows_come_in_their_order_and_a_sample_by_lot():
    rows = np.arange(1000)
    share, number = Scope(share=0.1), Scope(number=50)

    assert reviewing.drawn(rows, Scope(), 7).tolist() == rows.tolist()
    assert len(reviewing.drawn(rows, share, 7)) == 100
    some = reviewing.drawn(rows, number, 7).tolist()
    assert len(set(some)) == 50
    assert some != sorted(some)
    assert some == reviewing.drawn(rows, number, 7).tolist()
    assert some != reviewing.drawn(rows, number, 8).tolist()
    assert len(reviewing.drawn(rows, Scope(number=5000), 7)) == 1000
    assert len(reviewing.drawn(rows, Scope(share=1e-9), 7)) == 1


def test_the_share_for_two_people_is_exact_and_at_least_one_row():
    assert reviewing.doubled(1000, 0.1, 3).sum() == 100
    assert reviewing.doubled(12, 0.01, 3).sum() == 1
    assert reviewing.doubled(12, 0, 3).sum() == 0
    assert reviewing.doubled(12, 1, 3).sum() == 12
    assert reviewing.doubled(0, 1, 3).sum() == 0


def test_a_million_rows_are_planned_in_a_moment():
    rows = np.arange(1_000_000)

    assert len(reviewing.drawn(rows, Scope(share=0.5), 1)) == 500_000
    assert reviewing.doubled(1_000_000, 0.1, 1).sum() == 100_000


def test_time_counts_by_the_servers_clock_up_to_two_idle_minutes():
    def looked(**changes):
        return reviewing.looked(**{"now": NOW, "held_since": NOW - seconds(300), "seen_at": None} | changes)

    assert looked(seen_at=NOW - seconds(30)) == 30
    assert looked(seen_at=NOW - seconds(30), seen=45) == 75
    assert looked(seen_at=NOW - seconds(900)) == 120
    assert looked(seen_at=NOW + seconds(5)) == 0, "a clock that went back"
    assert looked(seen_at=NOW - seconds(30), claimed=9999) == 30


def test_offline_the_pages_own_measure_counts_within_what_the_server_knows():
    def looked(claimed, held):
        return reviewing.looked(now=NOW, held_since=NOW - seconds(held), seen_at=None, claimed=claimed)

    assert looked(20, 300) == 20
    assert looked(9999, 300) == 120
    assert looked(60, 10) == 10
    assert looked(-5, 10) == looked(None, 10) == 0


ACCEPT, REJECT = Look("accept"), Look("reject")


@pytest.mark.parametrize(
    ("looks", "ruling", "becomes"),
    [
        ([], None, "untouched"),
        ([Look("skip")], None, "untouched"),
        ([ACCEPT], None, "accept"),
        ([ACCEPT, Look("skip")], None, "accept"),
        ([ACCEPT, ACCEPT], None, "accept"),
        ([ACCEPT, REJECT], None, "disputed"),
        ([ACCEPT, REJECT], REJECT, "reject"),
        ([Look("fix", "a"), Look("fix", "a")], None, "fix"),
        ([Look("fix", "a"), Look("fix", "b")], None, "disputed"),
    ],
)
def test_what_becomes_of_a_row(looks, ruling, becomes):
    assert reviewing.settle(looks, ruling).verdict == becomes


def test_speed_leaves_out_what_took_no_time():
    found = reviewing.speed([10, 0, 20, 60])

    assert (found.median, found.mean, found.per_hour) == (20, 30, 120)
    assert reviewing.speed([0.0]) is None


def test_positions_are_dealt_out_in_turn():
    assert [reviewing.share_of(10, 3, at) for at in range(3)] == [4, 3, 3]
    assert reviewing.share_of(0, 3, 1) == 0
    assert reviewing.share_of(10, 0, 0) == 0
