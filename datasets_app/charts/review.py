"""Figures of a review: who said what, and how fast it goes."""

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from datasets_app.charts.words import MOST_BARS, short
from projects import charting
from projects.contributions import Figure
from projects.domain import formatting

REVIEW_LOOK = (
    ("accept", charting.TONES["succeeded"], ""),
    ("fix", charting.TONES["running"], "/"),
    ("swap", charting.TONES["void"], "\\"),
    ("reject", charting.TONES["failed"], "x"),
    ("skip", charting.TONES["waiting"], "."),
)


def review_people(people: Sequence[tuple[str, dict[str, int]]], words: dict[str, str]) -> Figure | None:
    """Verdicts by person, as shares of what each has looked at. `people` are (name, rows by verdict)."""
    if not people:
        return None
    looks = _looks_said(verdict for _, counts in people for verdict in counts)
    shown = list(reversed(people[:MOST_BARS]))
    totals = {name: sum(counts.values()) or 1 for name, counts in shown}
    figure = go.Figure(
        [
            go.Bar(
                orientation="h",
                name=words[verdict],
                y=[short(name) for name, _ in shown],
                x=[counts.get(verdict, 0) / totals[name] for name, counts in shown],
                customdata=[counts.get(verdict, 0) for _, counts in shown],
                hovertemplate="%{customdata} rows",
                marker={"color": colour, "pattern": {"shape": hatching, "solidity": 0.25}},
            )
            for verdict, colour, hatching in looks
        ]
    )
    figure.update_layout(
        barmode="stack",
        showlegend=True,
        hovermode="y unified",
        xaxis={"title": {"text": "share of the rows looked at"}, "tickformat": ".0%", "range": [0, 1]},
        yaxis={"showgrid": False, "type": "category"},
    )
    said = {verdict: sum(counts.get(verdict, 0) for _, counts in people) for verdict, *_ in looks}
    whole = sum(said.values()) or 1
    title = f"{formatting.percent(said.get('accept', 0) / whole, 0)} of the looks accept the row as it is"
    table = {
        "head": ["Person", *(words[verdict] for verdict, *_ in looks)],
        "rows": [
            [name, *(formatting.number(counts.get(verdict, 0)) for verdict, *_ in looks)] for name, counts in people
        ],
    }
    return Figure("review-people", title, charting.figure_dict(figure), table)


def review_days(days: Sequence[tuple[Any, str, int]], words: dict[str, str]) -> Figure | None:
    """Rows looked at a day. `days` are (date, verdict, rows), oldest first; a single day needs no chart."""
    dates = sorted({day for day, *_ in days})
    if len(dates) < 2:
        return None
    counts = {(day, verdict): n for day, verdict, n in days}
    looks = _looks_said(verdict for _, verdict, _ in days)
    figure = go.Figure(
        [
            go.Bar(
                name=words[verdict],
                x=dates,
                y=[counts.get((day, verdict), 0) for day in dates],
                marker={"color": colour, "pattern": {"shape": hatching, "solidity": 0.25}},
            )
            for verdict, colour, hatching in looks
        ]
    )
    figure.update_layout(
        barmode="stack", showlegend=True, xaxis={"title": {"text": "day"}}, yaxis={"title": {"text": "rows looked at"}}
    )
    per_day = [sum(counts.get((day, verdict), 0) for verdict, *_ in looks) for day in dates]
    last, best = formatting.number(per_day[-1]), formatting.number(max(per_day))
    title = f"{last} rows were looked at on the last day, {best} on the best"
    table = {
        "head": ["Day", *(words[verdict] for verdict, *_ in looks)],
        "rows": [
            [f"{day:%d %b %Y}", *(formatting.number(counts.get((day, verdict), 0)) for verdict, *_ in looks)]
            for day in dates
        ],
    }
    return Figure("review-days", title, charting.figure_dict(figure), table)


def _looks_said(verdicts: Iterable[str]) -> list[tuple[str, str, str]]:
    """The verdicts that were given at all, always in the same order and colour."""
    said = set(verdicts)
    return [look for look in REVIEW_LOOK if look[0] in said]
