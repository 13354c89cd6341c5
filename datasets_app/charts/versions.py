"""Figures over the versions of a dataset: is the data getting better?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from datasets_app.charts.words import rows_of
from projects import charting
from projects.contributions import Figure
from projects.domain import formatting


@dataclass(frozen=True, slots=True)
class Quality:
    """One version: its name, rows, and findings that count, by severity in rows."""

    name: str
    rows: int
    errors: int
    warnings: int
    diversity: dict[str, Any] = field(default_factory=dict)  # stats["diversity"]

    def per_thousand(self, found: int) -> float:
        return round(1000 * found / self.rows, 2) if self.rows else 0.0


def quality(versions: Sequence[Quality]) -> Figure | None:
    """Findings in a thousand rows, by severity, oldest version first; a single version needs no chart."""
    if len(versions) < 2:
        return None
    names = [one.name for one in versions]
    parts = [
        ("Errors", [one.per_thousand(one.errors) for one in versions], charting.TONES["failed"], ""),
        ("Warnings", [one.per_thousand(one.warnings) for one in versions], charting.TONES["attention"], "/"),
    ]
    figure = go.Figure(
        [
            go.Bar(
                name=part,
                x=names,
                y=values,
                hovertemplate="%{y} in 1,000 rows",
                marker={"color": colour, "pattern": {"shape": hatching, "solidity": 0.25}},
            )
            for part, values, colour, hatching in parts
        ]
    )
    figure.update_layout(
        barmode="stack",
        showlegend=True,
        xaxis={"type": "category", "title": {"text": "version"}},
        yaxis={"title": {"text": "findings in 1,000 rows"}, "rangemode": "tozero"},
    )
    table = {
        "head": ["Version", "Rows", "Errors", "Warnings", "Errors in 1,000", "Warnings in 1,000"],
        "rows": [
            [
                one.name,
                *(formatting.number(n) for n in (one.rows, one.errors, one.warnings)),
                f"{one.per_thousand(one.errors):g}",
                f"{one.per_thousand(one.warnings):g}",
            ]
            for one in versions
        ],
    }
    return Figure("versions", _progress(versions), charting.figure_dict(figure), table)


def _progress(versions: Sequence[Quality]) -> str:
    before, after = versions[-2], versions[-1]
    was, now = before.errors + before.warnings, after.errors + after.warnings
    if not now:
        return f"{after.name} has nothing left to look at"
    change = after.per_thousand(now) - before.per_thousand(was)
    more = (
        f"{abs(change):.3g} in 1,000 {'more' if change > 0 else 'fewer'} than {before.name}" if change else "as before"
    )
    return f"{after.name} has {rows_of(now)} to look at, {more}"


def diversity(versions: Sequence[Quality]) -> Figure | None:
    """Different word pairs after the same number of words, and how far the text compresses, version by version."""
    known = [one for one in versions if one.diversity.get("curve") and one.diversity.get("compression")]
    if len(known) < 2:
        return None
    names = [one.name for one in known]
    ratios = [round(float(one.diversity["compression"]["ratio"]), 3) for one in known]
    figure = go.Figure(
        go.Scatter(
            x=names,
            y=ratios,
            mode="lines+markers+text",
            text=[f"{ratio:.3g}" for ratio in ratios],
            textposition="top center",
            cliponaxis=False,
            hovertemplate="%{x}: %{y}<extra></extra>",
            **charting.series_style(0),
        )
    )
    figure.update_layout(
        xaxis={"type": "category", "title": {"text": "version"}},
        yaxis={"title": {"text": "compression ratio"}, "rangemode": "tozero"},
    )
    change = ratios[-1] / ratios[-2] - 1 if ratios[-2] else 0.0
    said = (
        "about as diverse as" if abs(change) < 0.02 else "more repetitive than" if change > 0 else "more diverse than"
    )
    rows = [[one.name, f"{ratio:.3g}"] for one, ratio in zip(known, ratios, strict=True)]
    table = {"head": ["Version", "Compression ratio"], "rows": rows}
    title = f"{names[-1]} is {said} {names[-2]}"
    return Figure("diversity", title, charting.figure_dict(figure), table)
