"""What becomes of adapters on a new version of their base: verdicts, sums, estimates, ends, and the report as text."""

from datetime import date
from decimal import Decimal

import numpy
import pytest

from deployments.domain import costing, upgrade_report, upgrades
from deployments.domain.endings import Ending
from deployments.domain.upgrades import Against, Arm, Known, Outcome, Part, Step, Use
from training.domain.compatibility import Verdict


def against(low, high, n=100):
    middle = (low + high) / 2
    return Against(n, Arm(0.9, 0.85, 0.95), Arm(0.9 + middle, 0.8, 0.95), middle, low, high)


BETTER, WORSE, EITHER = against(-0.02, 0.05), against(-0.4, -0.2), against(-0.2, 0.1)


@pytest.mark.parametrize(
    ("known", "outcome", "says"),
    [
        (Known(Verdict.COMPATIBLE, measured=True), Outcome.SURVIVED, "Measured, it says the same"),
        (Known(Verdict.COMPATIBLE), Outcome.SURVIVED, "By structure"),
        (Known(Verdict.DRIFTED), Outcome.UNKNOWN, "Nobody has measured"),
        (Known(Verdict.DRIFTED, measured=True), Outcome.UNKNOWN, "only its golden set can say"),
        (Known(Verdict.DRIFTED, measured=True, carried=BETTER), Outcome.SURVIVED, "not worse"),
        (Known(Verdict.COMPATIBLE, measured=True, carried=WORSE), Outcome.LOST, "worse"),
        (Known(Verdict.DRIFTED, carried=EITHER), Outcome.UNKNOWN, "too close to say"),
        (Known(Verdict.DRIFTED, carried=WORSE, retrained=BETTER), Outcome.CAME_BACK, "Retrained: "),
        (Known(Verdict.DRIFTED, carried=WORSE, retrained=WORSE), Outcome.LOST, "Retrained: "),
        (Known(Verdict.DRIFTED, carried=WORSE, retrained=EITHER), Outcome.UNKNOWN, "too close"),
        (Known(Verdict.DRIFTED, carried=BETTER, retrained=WORSE), Outcome.SURVIVED, "not worse"),
        (Known(Verdict.INCOMPATIBLE, "q_proj is 8×8."), Outcome.LOST, "q_proj is 8×8."),
        (Known(Verdict.INCOMPATIBLE, retrained=BETTER), Outcome.CAME_BACK, "does not belong"),
        (Known(Verdict.INCOMPATIBLE, troubles={"retrain": "Out of memory."}), Outcome.LOST, "Out of memory."),
        (Known(Verdict.DRIFTED, troubles={"probe": "A bit has flipped."}), Outcome.UNKNOWN, "A bit has flipped."),
        (Known(Verdict.UNKNOWN), Outcome.UNKNOWN, "Nobody has measured"),
    ],
)
def test_the_golden_set_decides_then_the_drift_then_nobody(known, outcome, says):
    found = upgrades.judge(known)

    assert (found.outcome, says in found.why) == (outcome, True), found


def test_a_wider_margin_lets_more_survive():
    known = Known(Verdict.DRIFTED, carried=against(-0.08, 0.02))

    assert upgrades.judge(known, 0.05).outcome == Outcome.UNKNOWN
    assert upgrades.judge(known, 0.1).outcome == Outcome.SURVIVED


def test_scores_are_paired_by_the_number_of_their_row():
    old = {index: float(index % 10 != 0) for index in range(100)}
    rng = numpy.random.default_rng(0)

    same = upgrades.against(old, dict(old), binary=True, rng=rng)
    worse = upgrades.against(old, {index: float(index % 2) for index in range(50, 150)}, binary=True, rng=rng)

    assert same is not None and worse is not None
    assert (same.n, same.difference, same.not_worse(0.05)) == (100, 0.0, True)
    assert same.old.low < 0.9 < same.old.high
    assert (worse.n, worse.not_worse(0.05)) == (50, False)
    assert upgrades.against(old, {200: 1.0}, binary=True, rng=rng) is None
    assert Against.read(same.as_dict()) == same


def test_a_small_golden_set_proves_nothing_even_where_all_rows_agree():
    rows = {index: 1.0 for index in range(20)}
    found = upgrades.against(rows, dict(rows), binary=True, rng=numpy.random.default_rng(0))

    assert found is not None
    assert found.not_worse(0.05) is None


def test_what_is_live_comes_first_then_what_was_deployed_then_what_is_worked_with():
    uses = [Use(), Use(runs=3), Use(deployments=1), Use(live=("production",)), Use(live=("a", "b"))]

    assert sorted(uses, key=lambda use: use.key) == uses[::-1]


def test_steps_become_parts_once_and_in_order():
    assert upgrades.parts_of([Step.PROBE]) == [Part.PROBE]
    assert upgrades.parts_of([Step.RETRAIN, Step.EVALUATE]) == [
        Part.BASELINE, Part.CARRIED, Part.RETRAIN, Part.RETRAINED,
    ]  # fmt: skip
    assert upgrades.parts_of(list(Step)) == list(Part)


def test_the_headline_counts():
    counts = upgrades.counts([Outcome.SURVIVED, Outcome.SURVIVED, Outcome.CAME_BACK, Outcome.LOST])

    assert counts == {"survived": 2, "came_back": 1, "lost": 1, "unknown": 0}
    assert upgrades.headline(counts) == (
        "3 of 4 adapters can move to the new version: 2 survived as they are, 1 came back by training again, 1 lost."
    )
    assert upgrades.headline(upgrades.counts([])) == "No adapter stands on the old version."


def test_estimates_get_wider_the_less_they_rest_on():
    price = Decimal("3.6")  # a thousandth a second
    same = costing.again(100, scale=2, price=price)
    few = costing.from_past([1.0, 1.0], work=200, price=price)
    many = costing.from_past([1.0] * 10, work=200, price=price)
    guessed = costing.guessed(200, price)

    assert [one.p50 for one in (same, few, many, guessed)] == [200] * 4
    assert same.p90 == many.p90 < few.p90 < guessed.p90
    assert same.money50 == pytest.approx(Decimal("0.2"), abs=Decimal("0.00001"))
    assert [one.source for one in (same, many, guessed)] == ["same", "measured", "formula"]


def test_a_sum_is_not_known_where_a_part_is_not():
    one = costing.guessed(100, Decimal(36))

    assert costing.added([one, one]).money90 == 2 * one.money90
    assert costing.added([one, None]).money90 is None
    assert costing.added([]).money90 == 0


def test_a_larger_model_is_expected_to_take_longer():
    sizes = [(1e8, 2e8), (7e9, 1.4e10)]
    times = [
        costing.evaluation_formula(questions=200, parameters=int(p), size=int(b), answer=32, device="cuda")
        for p, b in sizes
    ]
    probes = [
        costing.probe_formula(questions=64, parameters=int(p), size=int(b), reloads=2, device="cuda") for p, b in sizes
    ]

    assert times[0] < times[1] and probes[0] < probes[1]


@pytest.mark.parametrize(
    ("days", "tone", "words"),
    [
        (400, "waiting", "in 400 days"),
        (91, "waiting", "in 91 days"),
        (90, "attention", "in 90 days"),
        (1, "attention", "in 1 day"),
        (0, "failed", "today"),
        (-1, "failed", "1 day ago"),
        (-1500, "failed", "1\N{THIN SPACE}500 days ago"),
    ],
)
def test_an_end_warns_as_it_comes_near(days, tone, words):
    today = date(2026, 3, 1)
    ending = Ending(date.fromordinal(today.toordinal() + days), today)

    assert (ending.tone, ending.words, ending.is_past) == (tone, words, days <= 0)


def test_markdown_shows_names_and_reads_nothing_into_them():
    line = {
        "name": "router | *v1* <b>", "live": ["production"], "outcome": "came_back", "why": "As it is: worse.",
        "drift": {"mean": 0.25, "low": 0.2, "high": 0.3}, "carried": WORSE.as_dict(), "retrained": BETTER.as_dict(),
        "replacement": {"adapter": 7, "name": "router on v2"}, "cost": "0.25",
    }  # fmt: skip
    base = {"id": 1, "name": "tiny", "fingerprint": "a" * 64}
    text = upgrade_report.markdown(
        {
            "old": base,
            "new": base | {"name": "tiny\n# 2"},
            "margin": 0.05,
            "headline": "1 of 1.",
            "cost": "0.25",
            "currency": "EUR",
            "adapters": [line],
        }
    )

    assert "# tiny → tiny \\# 2\n" in text
    row = next(one for one in text.splitlines() if one.startswith("| router"))
    assert row.startswith("| router \\| \\*v1\\* \\<b\\> | production | Came back | 0.25 (0.2 to 0.3) | 90.0 % |")
    assert "router on v2" in row and row.endswith("| 0.25 |")
