"""Figures about money: what they show, what their titles say, and that their tables say the same."""

import json
from datetime import date, timedelta
from decimal import Decimal

from projects import charts

D = Decimal
SINCE, UNTIL = date(2026, 11, 1), date(2026, 11, 30)


def over_time(rows, since=SINCE, until=UNTIL):
    return charts.cost_over_time(rows, since=since, until=until, currency="EUR")


def test_every_day_has_its_place_also_without_costs():
    figure = over_time([(date(2026, 11, 3), "training", D(5))])

    (trace,) = figure.figure["data"]
    assert len(trace["x"]) == 30
    assert trace["y"][2] == 5
    assert sum(trace["y"]) == 5


def test_the_title_is_computed_from_what_is_shown():
    rows = [(date(2026, 11, 3), "training", D(9)), (date(2026, 11, 4), "evaluation", D(3))]

    assert over_time(rows).title == "€12.00 in the last 30 days, 75\u202f% of it for training"
    assert over_time([]).title == "Nothing spent in the last 30 days"


def test_the_table_says_the_same():
    rows = [(date(2026, 11, 3), "training", D(9)), (date(2026, 11, 3), "evaluation", D(3))]

    assert over_time(rows).table == {
        "head": ["Day", "Training", "Evaluation", "Sum"],
        "rows": [["2026-11-03", "€9.00", "€3.00", "€12.00"]],
    }


def test_a_cause_has_the_same_colour_whatever_stands_beside_it():
    alone = over_time([(SINCE, "evaluation", D(1))]).figure["data"]
    both = over_time([(SINCE, "training", D(1)), (SINCE, "evaluation", D(1))]).figure["data"]

    assert alone[0]["marker"]["color"] == both[1]["marker"]["color"]


def test_a_year_is_shown_by_weeks_and_loses_no_money():
    since = UNTIL - timedelta(days=364)
    rows = [(since + timedelta(days=n), "training", D(1)) for n in range(365)]

    figure = over_time(rows, since=since)

    (trace,) = figure.figure["data"]
    assert len(trace["x"]) <= 54
    assert sum(trace["y"]) == 365
    assert figure.table["head"][0] == "Week from"


def test_outcomes_are_told_by_colour_and_by_hatching():
    rows = [("training", outcome, D(1)) for outcome in charts.OUTCOMES]

    traces = charts.cost_by_outcome(rows, currency="EUR").figure["data"]

    looks = [(trace["marker"]["color"], trace["marker"]["pattern"]["shape"]) for trace in traces]
    assert len({colour for colour, _ in looks}) == len({shape for _, shape in looks}) == len(traces) == 6


def test_what_ended_without_a_result_is_the_message():
    rows = [("training", "succeeded", D(6)), ("training", "failed", D(1)), ("evaluation", "lost", D(1))]
    figure = charts.cost_by_outcome(rows, currency="EUR")

    assert figure.title == "€2.00 (25\u202f%) ended without a result"
    assert figure.table["rows"] == [
        ["Training", "€6.00", "€1.00", "€0.00", "€7.00"],
        ["Evaluation", "€0.00", "€0.00", "€1.00", "€1.00"],
    ]
    good = charts.cost_by_outcome(rows[:1], currency="EUR")
    assert good.title == "All of it went into work that succeeded"


def test_an_outcome_nobody_knows_is_shown_all_the_same():
    figure = charts.cost_by_outcome([("people", "reviewed_rows", D(1))], currency="EUR")

    assert [trace["name"] for trace in figure.figure["data"]] == ["Reviewed Rows"]


def test_figures_are_plain_json():
    for figure in (over_time([(SINCE, "training", D("0.5"))]), charts.cost_by_outcome([], currency="EUR")):
        assert json.loads(json.dumps(figure.figure)) == figure.figure


MONTHS = [(date(2026, 9, 1), D(80), D(20)), (date(2026, 10, 1), D(120), D(0)), (date(2026, 11, 1), D(10), D(10))]


def by_month(budget=100):
    limit = None if budget is None else D(budget)
    return charts.cost_by_month(MONTHS, budget=limit, currency="EUR")


def test_months_stand_in_two_parts_under_the_budget():
    figure = by_month()

    kept, lost, line = figure.figure["data"]
    assert (kept["y"], lost["y"]) == ([60, 120, 0], [20, 0, 10])
    assert kept["x"] == ["Sep 2026", "Oct 2026", "Nov 2026"]
    assert (line["name"], line["y"]) == ("Budget now €100.00", [100, 100, 100])
    assert figure.title == "1 of 3 months went beyond today's budget"
    assert figure.table["rows"][1] == ["October 2026", "€120.00", "€0.00", "€120.00", "120\u202f%"]


def test_months_within_the_budget_are_told_as_such():
    assert by_month(budget=500).title == "All of 3 months stayed within today's budget"


def test_without_a_budget_months_have_no_line():
    figure = by_month(budget=None)

    assert len(figure.figure["data"]) == 2
    assert figure.table["head"] == ["Month", "With a result", "Without a result", "Sum"]
    assert figure.title == "€10.00 in November 2026 so far"


def test_a_budget_of_nothing_divides_by_nothing():
    figure = by_month(budget=0)

    assert "Of the budget" not in figure.table["head"]
    assert figure.title == "3 of 3 months went beyond today's budget"


def test_what_was_lost_is_told_by_its_cause():
    figure = charts.lost_by_cause([("Memory", D(30)), ("Data", D(10))], currency="EUR")

    (bar,) = figure.figure["data"]
    assert (bar["y"], bar["x"]) == (["Data", "Memory"], [10, 30])
    assert figure.title == "Memory cost most of what was lost"
    assert figure.table["rows"] == [["Memory", "€30.00", "75\u202f%"], ["Data", "€10.00", "25\u202f%"]]


def test_nothing_lost_is_no_error():
    figure = charts.lost_by_cause([], currency="EUR")

    assert (figure.title, figure.table["rows"]) == ("Nothing was lost", [])
