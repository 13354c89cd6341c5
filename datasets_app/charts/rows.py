"""Figures of one version: lengths, turns, labels, languages."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from datasets_app.charts.words import MOST_BARS, rows_of, short
from projects import charting
from projects.contributions import Figure
from projects.domain import formatting

PROMPT, ANSWER = charting.BASE, charting.LIVE


def lengths(chars: dict[str, Any]) -> Figure | None:
    """Characters of prompts and answers. `chars` is {"prompt": spread, "answer": spread} of engine.stats."""
    parts = [(name, chars[name], colour) for name, colour in (("prompt", PROMPT), ("answer", ANSWER))]
    parts = [part for part in parts if part[1]["counts"] and part[1]["longest"]]
    if not parts:
        return None
    wide = any(spread["longest"] > 20 * max(10, spread["edges"][0]) for _, spread, _ in parts)
    figure = go.Figure([_histogram(name, spread, colour) for name, spread, colour in parts])
    figure.update_layout(
        barmode="overlay",
        bargap=0.05,
        showlegend=len(parts) > 1,
        xaxis={"title": {"text": "characters"}, "type": "log" if wide else "linear"},
        yaxis={"title": {"text": "rows"}},
    )
    name, spread, _ = parts[-1]
    title = (
        f"Half of the {name}s have at most {formatting.number(spread['median'])} characters, "
        f"the longest {formatting.number(spread['longest'])}"
    )
    rows = [
        [name.title(), f"{formatting.number(low)}–{formatting.number(high - 1)}", formatting.number(n)]
        for name, spread, _ in parts
        for low, high, n in _bins(spread)
        if n
    ]
    return Figure(
        "lengths", title, charting.figure_dict(figure), {"head": ["Part", "Characters", "Rows"], "rows": rows}
    )


def _bins(spread: dict[str, Any]) -> list[tuple[int, int, int]]:
    edges = spread["edges"]
    return list(zip(edges, edges[1:], spread["counts"], strict=False))


def _histogram(name: str, spread: dict[str, Any], colour: str) -> go.Bar:
    bins = [(max(low, 1), high, n) for low, high, n in _bins(spread)]
    return go.Bar(
        name=name.title(),
        x=[(low + high) / 2 for low, high, _ in bins],
        width=[max(high - low, 1) for low, high, _ in bins],
        y=[n for _, _, n in bins],
        customdata=[f"{low}–{high - 1}" for low, high, _ in _bins(spread)],
        hovertemplate="%{customdata} characters: %{y} rows",
        marker={"color": charting.fade(colour, 0.7), "line": {"width": 1, "color": colour}},
    )


def turns(counts: Sequence[Sequence[int]]) -> Figure | None:
    """Rows by number of turns; a set where all rows have the same number needs no chart."""
    if len(counts) < 2:
        return None
    labels = [f"{n}+" if n == 12 else str(n) for n, _ in counts]
    values = [rows for _, rows in counts]
    figure = go.Figure(
        go.Bar(x=labels, y=values, marker={"color": ANSWER}, hovertemplate="%{x} turns: %{y} rows<extra></extra>")
    )
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": {"text": "turns in a row"}, "type": "category"},
        yaxis={"title": {"text": "rows"}},
    )
    usual, rows = max(counts, key=lambda pair: pair[1])
    share = formatting.percent(rows / sum(values), 0)
    table = {
        "head": ["Turns", "Rows"],
        "rows": [[label, formatting.number(n)] for label, n in zip(labels, values, strict=True)],
    }
    return Figure("turns", f"{share} of the rows have {usual} turns", charting.figure_dict(figure), table)


def labels(distribution: dict[str, Any], number: int) -> Figure:
    """Rows by label: at most twenty bars, the rest together. `distribution` is an entry of stats["labels"]."""
    counts = [(str(value), int(n)) for value, n in distribution["counts"]]
    shown = counts[:MOST_BARS]
    rest = sum(n for _, n in counts[MOST_BARS:])
    if rest:
        shown = [*shown, (f"{len(counts) - MOST_BARS} others", rest)]
    total = sum(n for _, n in counts)
    bars = list(reversed(shown))
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[short(name) for name, _ in bars],
            x=[n for _, n in bars],
            text=[formatting.percent(n / total, 0) for _, n in bars],
            textposition="auto",
            customdata=[name for name, _ in bars],
            marker={"color": ANSWER},
            hovertemplate="%{customdata}: %{x} rows<extra></extra>",
        )
    )
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": {"text": "rows"}, "showgrid": True},
        yaxis={"showgrid": False, "type": "category"},
    )
    table = {
        "head": ["Label", "Rows", "Share"],
        "rows": [[name, formatting.number(n), formatting.percent(n / total)] for name, n in shown],
    }
    return Figure(
        f"labels-{number}", _balance(distribution["source"], counts, total), charting.figure_dict(figure), table
    )


def _balance(source: str, counts: list[tuple[str, int]], total: int) -> str:
    (most, n), (least, k) = max(counts, key=lambda c: c[1]), min(counts, key=lambda c: c[1])
    what = {"label": "Labels", "answer": "Answers"}.get(source, f"Answers by “{source.removeprefix('answer.')}”")
    if n <= 1.5 * k:
        return f"{what}: {len(counts)} classes of about the same size"
    share = formatting.percent(n / total, 0)
    return f"{what}: “{short(most)}” has {share} of the rows, “{short(least)}” {rows_of(k)}"


def languages(counts: Sequence[Sequence[Any]]) -> Figure | None:
    """Rows by language; one needs no chart. `counts` are (code, name, rows) of stats["languages"]["rows"]."""
    known = sorted(((name, int(n)) for _, name, n in counts if n), key=lambda pair: -pair[1])
    if len(known) < 2:
        return None
    total = sum(n for _, n in known)
    name, most = known[0]
    title = f"{formatting.percent(most / total, 0)} of the rows are {name}, beside {len(known) - 1} other"
    title += " kind" if len(known) == 2 else " kinds"
    return bars("languages", title, known, "Language", "rows")


def bars(id: str, title: str, counts: Sequence[tuple[str, int]], what: str, unit: str) -> Figure:
    """Horizontal bars, the largest on top, at most twenty; the table holds them all."""
    shown = list(reversed(counts[:MOST_BARS]))
    total = sum(n for _, n in counts) or 1
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[short(name) for name, _ in shown],
            x=[n for _, n in shown],
            text=[formatting.number(n) for _, n in shown],
            textposition="auto",
            customdata=[name for name, _ in shown],
            marker={"color": ANSWER},
            hovertemplate=f"%{{customdata}}: %{{x}} {unit}<extra></extra>",
        )
    )
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": {"text": unit}, "showgrid": True},
        yaxis={"showgrid": False, "type": "category"},
    )
    rows = [[name, formatting.number(n), formatting.percent(n / total)] for name, n in counts]
    table = {"head": [what, unit.capitalize(), "Share"], "rows": rows}
    return Figure(id, title, charting.figure_dict(figure), table)
