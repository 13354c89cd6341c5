"""Lengths of rows, times of steps, and projections against what came: figures of counted and measured things."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.domain import formatting
from training.domain.projection.calibration import Past
from training.domain.projection.points import Point

LOSS = charting.LIVE
FEW_LENGTHS = 12  # so few that each gets its own tick


def lengths(histogram: Mapping[str, Sequence[int]], limit: int) -> dict[str, Any]:
    """Rows by length in tokens; what lies beyond the limit is red and hatched."""
    edges, counts = list(histogram["edges"]), list(histogram["counts"])
    beyond = [edge >= limit for edge in edges[:-1]]
    figure = go.Figure(
        go.Bar(
            x=[(low + high) / 2 for low, high in pairwise(edges)],
            y=counts,
            width=[high - low for low, high in pairwise(edges)],
            customdata=[f"{low} to {high - 1}" for low, high in pairwise(edges)],
            marker={
                "color": [charting.TONES["failed"] if flag else LOSS for flag in beyond],
                "pattern": {"shape": ["/" if flag else "" for flag in beyond]},
            },
            hovertemplate="%{customdata} tokens: %{y} rows<extra></extra>",
        )
    )
    first = edges[0]
    if limit <= edges[-1]:
        first = min(first, limit)
        figure.add_vline(x=limit, line={"color": charting.TONES["failed"], "dash": "dash", "width": 1.5})
    figure.update_layout(hovermode="closest", bargap=0)
    figure.update_xaxes(title={"text": "Tokens in a row"}, dtick=1 if edges[-1] - first <= FEW_LENGTHS else None)
    figure.update_yaxes(title={"text": "Rows"})
    return charting.figure_dict(figure)


def lengths_table(histogram: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    edges, counts = histogram["edges"], histogram["counts"]
    rows = [
        [f"{formatting.number(low)} – {formatting.number(high - 1)}", formatting.number(count)]
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]
    return {"head": ["Tokens", "Rows"], "rows": rows}


def lengths_title(stats: Mapping[str, Any]) -> str:
    if not stats["cut"]:
        longest, limit = formatting.number(stats["longest"]), formatting.number(stats["limit"])
        return f"Every row fits: the longest has {longest} of {limit} tokens"
    share = formatting.percent(stats["cut"] / stats["rows"])
    count, limit = formatting.number(stats["cut"]), formatting.number(stats["limit"])
    noun, verb = ("row", "is") if stats["cut"] == 1 else ("rows", "are")
    return f"{count} {noun} ({share}) {verb} longer than {limit} tokens"


def step_times(points: Sequence[Point]) -> dict[str, Any]:
    """Seconds of a step by the tokens it computes."""
    figure = go.Figure()
    figure.add_scatter(
        x=[point.padded for point in points],
        y=[point.seconds for point in points],
        mode="markers",
        name="Steps",
        marker={"color": LOSS, "size": 8},
        hovertemplate="%{x:,.0f} tokens: %{y:.3f}\u202fs<extra></extra>",
    )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(title={"text": "Tokens computed in a step, padding included"}, rangemode="tozero")
    figure.update_yaxes(title={"text": "Seconds"})
    return charting.figure_dict(figure)


def step_times_title(points: Sequence[Point]) -> str:
    steps = sum(point.steps for point in points)
    mean = sum(point.seconds * point.steps for point in points) / steps
    each = formatting.duration(mean) if mean >= 1 else f"{formatting.sig3(mean * 1000)}{formatting.NARROW}ms"
    return f"A step takes {each} on average; {steps} were measured"


def step_times_table(points: Sequence[Point]) -> dict[str, Any]:
    rows = [
        [formatting.number(point.padded), point.steps, formatting.sig3(point.seconds)]
        for point in sorted(points, key=lambda point: point.padded)
    ]
    return {"head": ["Tokens", "Steps", "Seconds each"], "rows": rows}


def predicted_and_actual(past: Sequence[Past], label: str, unit: str, scale: float = 1) -> dict[str, Any]:
    """Each run as a point with its band, on the diagonal if it took just what was predicted; both axes logarithmic."""
    figure = go.Figure()
    ends = [value * scale for one in past for value in (one.actual, one.band.p10, one.band.p90) if value > 0]
    low, high = min(ends) / 1.3, max(ends) * 1.3
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        name="Exactly as predicted",
        line={"color": charting.BASE, "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    for inside, word, colour, symbol in (
        (True, "Inside its band", charting.TONES["succeeded"], "circle"),
        (False, "Outside", charting.TONES["attention"], "x"),
    ):
        rows = [one for one in past if one.inside == inside]
        if rows:
            figure.add_scatter(**_cloud(rows, word, colour, symbol, scale))
    figure.update_layout(hovermode="closest", showlegend=True)
    span = [math.log10(low), math.log10(high)]
    figure.update_xaxes(title={"text": f"Predicted, P10 – P90 ({unit})"}, type="log", range=span)
    figure.update_yaxes(title={"text": f"{label}, actual ({unit})"}, type="log", range=span, rangemode="normal")
    return charting.figure_dict(figure)


def _cloud(rows: Sequence[Past], word: str, colour: str, symbol: str, scale: float) -> dict[str, Any]:
    return {
        "x": [one.band.p50 * scale for one in rows],
        "y": [one.actual * scale for one in rows],
        "mode": "markers",
        "name": word,
        "marker": {"color": colour, "symbol": symbol, "size": 8},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(one.band.p90 - one.band.p50) * scale for one in rows],
            "arrayminus": [(one.band.p50 - one.band.p10) * scale for one in rows],
            "color": charting.fade(colour, 0.45),
            "thickness": 1.5,
            "width": 3,
        },
        "hovertemplate": "predicted %{x:.4~r}, actual %{y:.4~r}<extra></extra>",
    }


def calibration_title(past: Sequence[Past], label: str) -> str:
    inside, of = sum(one.inside for one in past), len(past)
    share = formatting.percent(inside / of, 0)
    return f"{label}: {inside} of {of} run{'s' if of > 1 else ''} inside the band ({share}; 80 % is the aim)"


def calibration_table(past: Sequence[Past], written: Callable[[float], str]) -> dict[str, Any]:
    rows = []
    for at, one in enumerate(past, start=1):
        values = (one.band.p10, one.band.p50, one.band.p90, one.actual)
        rows.append([at, one.source, *map(written, values), "inside" if one.inside else "outside"])
    return {"head": ["Newest first", "Source", "P10", "P50", "P90", "Actual", "Where"], "rows": rows}
