"""Figures of a version and of a dataset over its versions; each says its message in its title."""

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.contributions import Figure
from projects.domain import formatting

MOST_BARS = 20
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
            y=[_short(name) for name, _ in bars],
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
    return f"{what}: “{_short(most)}” has {share} of the rows, “{_short(least)}” {_rows(k)}"


def versions(rows: Sequence[tuple[str, int, int, int]]) -> Figure | None:
    """What there is to look at in each version. `rows` are (name, rows, rows with errors, rows with warnings)."""
    if len(rows) < 2:
        return None
    names = [name for name, *_ in rows]
    parts = [("Errors", 2, charting.TONES["failed"], ""), ("Warnings", 3, charting.TONES["attention"], "/")]
    figure = go.Figure(
        [
            go.Bar(
                name=part,
                x=names,
                y=[row[at] for row in rows],
                marker={"color": colour, "pattern": {"shape": hatching, "solidity": 0.25}},
            )
            for part, at, colour, hatching in parts
        ]
    )
    figure.update_layout(
        barmode="stack",
        showlegend=True,
        xaxis={"type": "category", "title": {"text": "version"}},
        yaxis={"title": {"text": "rows to look at"}},
    )
    table = {
        "head": ["Version", "Rows", "Errors", "Warnings"],
        "rows": [[name, *(formatting.number(n) for n in counts)] for name, *counts in rows],
    }
    return Figure("versions", _progress(rows), charting.figure_dict(figure), table)


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
                y=[_short(name) for name, _ in shown],
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


def _progress(rows: Sequence[tuple[str, int, int, int]]) -> str:
    (_, _, *before), (name, _, *after) = rows[-2], rows[-1]
    now, change = sum(after), sum(after) - sum(before)
    if not now:
        return f"{name} has nothing left to look at"
    more = (
        f"{formatting.number(abs(change))} {'more' if change > 0 else 'fewer'} than before" if change else "as before"
    )
    return f"{name} has {_rows(now)} to look at, {more}"


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{formatting.number(n)} rows"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 28 else text[:27] + "…"
