"""Figures for evaluations: numbers in, figure out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.domain import formatting

PER_CENT = {"ticksuffix": "\u202f%", "title": {"text": "Score (%)"}}


def arms(scores: Sequence[Any]) -> dict[str, Any]:
    """Base and adapter of every grader on one line from 0 to 100 %; the bar is the interval of the difference."""
    figure = go.Figure()
    shown = list(reversed(scores))
    labels = [score.label for score in shown]
    for score in shown:
        figure.add_scatter(
            x=[score.base * 100, score.adapter * 100],
            y=[score.label] * 2,
            mode="lines",
            line={"color": charting.fade(charting.BASE, 0.45), "width": 6},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=[score.base * 100 for score in shown],
        y=labels,
        mode="markers",
        name="Base",
        marker={"color": charting.BASE, "size": 11, "symbol": "diamond"},
        hovertemplate="base %{x:.1f}\u202f%<extra></extra>",
    )
    figure.add_scatter(
        x=[score.adapter * 100 for score in shown],
        y=labels,
        mode="markers",
        name="Adapter, with the 95\u202f% interval of the difference",
        marker={"color": charting.LIVE, "size": 12, "symbol": "circle"},
        error_x=_bars(shown, charting.LIVE),
        hovertemplate="adapter %{x:.1f}\u202f%<extra></extra>",
    )
    figure.update_xaxes(range=[-3, 103], **PER_CENT)
    figure.update_yaxes(showgrid=False, rangemode="normal")
    figure.update_layout(hovermode="closest", legend={"traceorder": "normal"})
    return charting.figure_dict(figure)


def _bars(scores: Sequence[Any], colour: str) -> dict[str, Any]:
    """Error bars of the adapter: the interval of the difference set on the base, as far as scores can go."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [min(score.high - score.difference, 1 - score.adapter) * 100 for score in scores],
        "arrayminus": [min(score.difference - score.low, score.adapter) * 100 for score in scores],
        "color": colour,
        "thickness": 1.5,
        "width": 5,
    }


def equivalence(drawn: Sequence[tuple[str, Any]], margin: float) -> dict[str, Any]:
    """Differences to the adapter in points, each with its interval; between the dotted lines they count as equal."""
    figure = go.Figure()
    shown = list(reversed(drawn))
    figure.add_scatter(
        x=[lead["difference"] * 100 for _, lead in shown],
        y=[label for label, _ in shown],
        mode="markers",
        marker={"color": charting.LIVE, "size": 11, "symbol": "circle"},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(lead["high"] - lead["difference"]) * 100 for _, lead in shown],
            "arrayminus": [(lead["difference"] - lead["low"]) * 100 for _, lead in shown],
            "color": charting.LIVE,
            "thickness": 1.5,
            "width": 5,
        },
        showlegend=False,
        hovertemplate="%{y} %{x:+.1f} points<extra></extra>",
    )
    figure.add_vline(x=0, line={"color": charting.BASE, "width": 1})
    for side in (-margin, margin):
        figure.add_vline(x=side * 100, line={"color": charting.BASE, "width": 1.5, "dash": "dot"})
    widest = max([margin * 1.4, *(max(abs(lead["low"]), abs(lead["high"])) * 1.15 for _, lead in shown)]) * 100
    figure.update_xaxes(range=[-widest, widest], title={"text": "Difference to the adapter (points)"})
    figure.update_yaxes(showgrid=False, rangemode="normal")
    figure.update_layout(hovermode="closest")
    return charting.figure_dict(figure)


def equivalence_title(drawn: Sequence[tuple[str, Any]], margin: float) -> str:
    if all(-margin <= lead["low"] and lead["high"] <= margin for _, lead in drawn):
        return f"Every interval lies within {margin * 100:g} points of the adapter"
    worst = min(drawn, key=lambda one: one[1]["low"])
    reach = formatting.points(worst[1]["low"])
    return f"{worst[0]} reaches lowest: {reach} at worst, where {margin * 100:g} points count as equal"


def equivalence_table(drawn: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return {
        "head": ["Model", "Adapter", "Model's score", "Difference", "95 % interval", "Better / worse"],
        "rows": [
            [
                label,
                formatting.percent(lead["adapter"]),
                formatting.percent(lead["derived"]),
                formatting.points(lead["difference"]),
                f"{formatting.points(lead['low'])} to {formatting.points(lead['high'])}",
                f"{lead['gains']} / {lead['losses']}",
            ]
            for label, lead in drawn
        ],
    }


def history(moments: Sequence[datetime], names: Sequence[str], scores: Sequence[Any]) -> dict[str, Any]:
    """Scores of adapters in time on one golden set, each with its interval, above the line of their bases."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(moments),
        y=[score.base * 100 for score in scores],
        mode="lines+markers",
        name="Base",
        line={"color": charting.BASE, "dash": "dash"},
        marker={"color": charting.BASE, "symbol": "diamond", "size": 7},
        hovertemplate="base %{y:.1f}\u202f%<extra></extra>",
    )
    figure.add_scatter(
        x=list(moments),
        y=[score.adapter * 100 for score in scores],
        mode="lines+markers",
        name="Adapter, with the 95\u202f% interval of the difference",
        text=list(names),
        line={"color": charting.LIVE},
        marker={"color": charting.LIVE, "symbol": "circle", "size": 9},
        error_y=_bars(scores, charting.LIVE),
        hovertemplate="%{text} %{y:.1f}\u202f%<extra></extra>",
    )
    figure.update_yaxes(range=[-3, 103], **PER_CENT)
    figure.update_xaxes(type="date", title={"text": "Evaluated"}, **_room(moments))
    return charting.figure_dict(figure)


def _room(moments: Sequence[datetime]) -> dict[str, Any]:
    """Some time on both sides, so that the outer points do not stand on the frame."""
    pad = (moments[-1] - moments[0]) * 0.06 or timedelta(minutes=30)
    return {"range": [(moments[0] - pad).isoformat(), (moments[-1] + pad).isoformat()]}


def arms_table(scores: Sequence[Any]) -> dict[str, Any]:
    return {
        "head": ["Grader", "Base", "Adapter", "Difference", "95 % interval", "Better / worse", "Exact p"],
        "rows": [
            [
                score.label,
                formatting.percent(score.base),
                formatting.percent(score.adapter),
                formatting.points(score.difference),
                interval(score),
                f"{score.gains} / {score.losses}",
                "–" if score.p_value is None else formatting.sig3(float(score.p_value)),
            ]
            for score in scores
        ],
    }


def history_table(moments: Sequence[datetime], names: Sequence[str], scores: Sequence[Any]) -> dict[str, Any]:
    return {
        "head": ["Adapter", "Evaluated", "Base", "Score", "Difference", "95 % interval", "Rows"],
        "rows": [
            [
                name,
                f"{moment:%Y-%m-%d %H:%M}",
                formatting.percent(score.base),
                formatting.percent(score.adapter),
                formatting.points(score.difference),
                interval(score),
                formatting.number(score.n),
            ]
            for moment, name, score in zip(moments, names, scores, strict=True)
        ],
    }


def interval(score: Any) -> str:
    """+74.0 to +89.0, in points."""
    low, high = (formatting.points(value).removesuffix("pp").rstrip("\u202f") for value in (score.low, score.high))
    return f"{low} to {high}"


def history_title(label: str, scores: Sequence[Any]) -> str:
    """What the chart says, computed: the last adapter against the first, or against its base."""
    last = scores[-1]
    if len(scores) == 1:
        return f"{label} is {formatting.percent(last.adapter)}, its base {formatting.percent(last.base)}"
    change = last.adapter - scores[0].adapter
    if abs(change) < 0.0005:
        return f"{label} stands at {formatting.percent(last.adapter)} as at the first evaluation"
    verb = "rose" if change > 0 else "fell"
    return f"{label} {verb} {abs(change) * 100:.1f} points since the first evaluation"


def drift(readings: Sequence[dict[str, Any]], threshold: float) -> dict[str, Any]:
    """Drift of every prompt, the largest first, without and with the adapter, above the line that decides."""
    figure = go.Figure()
    places = list(range(1, len(readings) + 1))
    series = (
        ("base_kl", "The base alone", charting.BASE, "diamond"),
        ("adapter_kl", "With the adapter", charting.LIVE, "circle"),
    )
    for name, label, colour, symbol in series:
        figure.add_scatter(
            x=places,
            y=[reading[name] for reading in readings],
            customdata=[reading["index"] + 1 for reading in readings],
            mode="markers",
            name=label,
            marker={"color": colour, "size": 7, "symbol": symbol},
            hovertemplate="golden row %{customdata}: %{y:.3g}<extra></extra>",
        )
    figure.add_hline(y=threshold, line={"color": charting.BASE, "dash": "dash", "width": 1})
    figure.update_xaxes(title={"text": "Prompts, the most drifted first"}, showgrid=False)
    figure.update_yaxes(title={"text": "Drift (nats a token)"}, rangemode="tozero")
    figure.update_layout(hovermode="closest")
    return charting.figure_dict(figure)


def drift_title(readings: Sequence[dict[str, Any]], threshold: float) -> str:
    beyond = sum(reading["adapter_kl"] > threshold for reading in readings)
    return f"{formatting.number(beyond)} of {formatting.number(len(readings))} prompts drift beyond the threshold"


def drift_table(readings: Sequence[dict[str, Any]], most: int = 50) -> dict[str, Any]:
    rows = [[str(one["index"] + 1), f"{one['base_kl']:.3g}", f"{one['adapter_kl']:.3g}"] for one in readings[:most]]
    return {"head": ["Golden row", "The base alone", "With the adapter"], "rows": rows}
