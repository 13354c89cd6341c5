"""Figures of a request: how far each score is from its base, with its interval."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.domain import formatting


def differences(scores: Sequence[Any]) -> dict[str, Any]:
    """Difference to the base in points, one row per grader; what crosses the zero line proves nothing."""
    figure = go.Figure()
    shown = list(reversed(scores))
    for score in shown:
        proven = score.low > 0
        worse = score.high < 0
        tone = "succeeded" if proven else "failed" if worse else "attention"
        figure.add_scatter(
            x=[score.difference * 100],
            y=[score.label],
            mode="markers",
            marker={
                "color": charting.TONES[tone],
                "size": 11,
                "symbol": "circle" if proven else "x" if worse else "diamond",
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(score.high - score.difference) * 100],
                "arrayminus": [(score.difference - score.low) * 100],
                "thickness": 2,
                "width": 5,
            },
            showlegend=False,
            hovertemplate="%{y}: %{x:+.1f} points<extra></extra>",
        )
    figure.add_vline(x=0, line={"width": 1, "dash": "dot", "color": charting.BASE})
    figure.update_xaxes(title={"text": "Difference to the base (points)"}, rangemode="tozero", showgrid=True)
    figure.update_yaxes(showgrid=False, rangemode="normal", ticklabelstandoff=8)
    figure.update_layout(hovermode="closest")
    return charting.figure_dict(figure)


def differences_table(scores: Sequence[Any]) -> dict[str, Any]:
    return {
        "head": ["Score", "Base", "Adapter", "Difference", "95 % interval"],
        "rows": [
            [
                score.label,
                formatting.percent(score.base),
                formatting.percent(score.adapter),
                formatting.points(score.difference),
                f"{formatting.points(score.low)} to {formatting.points(score.high)}",
            ]
            for score in scores
        ],
    }


ARMS = (
    ("old", "Old, on its own base", charting.PALETTE[3], ""),
    ("carried", "Carried over", charting.LIVE, "/"),
    ("retrained", "Retrained", charting.PALETTE[2], "."),
)


def upgrade_arms(rows: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Scores of adapters: on their own base, as they are on the new one, and trained again, each with its interval.

    `rows` are (name, {arm: object with mean, low, high}), as shares.
    """
    figure = go.Figure()
    shown = list(reversed(rows))
    for name, label, colour, hatch in reversed(ARMS):
        mine = [(adapter, arms[name]) for adapter, arms in shown if name in arms]
        if not mine:
            continue
        figure.add_bar(
            y=[adapter for adapter, _ in mine],
            x=[arm.mean * 100 for _, arm in mine],
            orientation="h",
            name=label,
            marker={
                "color": charting.fade(colour, 0.6),
                "pattern": {"shape": hatch, "solidity": 0.2, "fillmode": "overlay"},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(arm.high - arm.mean) * 100 for _, arm in mine],
                "arrayminus": [(arm.mean - arm.low) * 100 for _, arm in mine],
                "thickness": 1.5,
                "width": 4,
                "color": charting.BASE,
            },
            hovertemplate="%{y}: %{x:.1f}\u202f%<extra>" + label + "</extra>",
        )
    figure.update_xaxes(
        range=[0, 103], ticksuffix="\u202f%", title={"text": "Score on the golden set (%)"}, showgrid=True
    )
    figure.update_yaxes(showgrid=False, rangemode="normal", categoryorder="array", categoryarray=[a for a, _ in shown])
    figure.update_layout(barmode="group", hovermode="closest", legend={"traceorder": "reversed"})
    return charting.figure_dict(figure)


def upgrade_arms_table(rows: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    def told(arms: dict[str, Any], name: str) -> str:
        arm = arms.get(name)
        if arm is None:
            return formatting.NOTHING
        return f"{formatting.percent(arm.mean)} ({formatting.percent(arm.low)} to {formatting.percent(arm.high)})"

    return {
        "head": ["Adapter", *(label for _, label, _, _ in ARMS)],
        "rows": [[adapter, *(told(arms, name) for name, _, _, _ in ARMS)] for adapter, arms in rows],
    }


WORK = (
    ("baseline", "Judged on its own base"),
    ("probe", "Probed"),
    ("carried", "Judged on the new version"),
    ("retrain", "Trained again"),
    ("retrained", "Judged again"),
)


def upgrade_costs(rows: Sequence[tuple[str, dict[str, float]]], currency: str) -> dict[str, Any]:
    """What was spent for each adapter, by kind of work. `rows` are (name, {part: amount})."""
    figure = go.Figure()
    shown = list(reversed(rows))
    for at, (name, label) in enumerate(WORK):
        if any(spent.get(name) for _, spent in shown):
            figure.add_bar(
                y=[adapter for adapter, _ in shown],
                x=[float(spent.get(name, 0)) for _, spent in shown],
                orientation="h",
                name=label,
                marker={"color": charting.PALETTE[at]},
                hovertemplate="%{y}: %{x:.3g} " + currency + "<extra>" + label + "</extra>",
            )
    figure.update_xaxes(title={"text": f"Cost ({currency})"}, rangemode="tozero", showgrid=True)
    figure.update_yaxes(showgrid=False, rangemode="normal")
    figure.update_layout(barmode="stack", hovermode="closest")
    return charting.figure_dict(figure)


def upgrade_costs_table(rows: Sequence[tuple[str, dict[str, float]]], currency: str) -> dict[str, Any]:
    return {
        "head": ["Adapter", *(label for _, label in WORK), "Together"],
        "rows": [
            [
                adapter,
                *(formatting.money(spent[name], currency) if name in spent else formatting.NOTHING for name, _ in WORK),
                formatting.money(sum(spent.values()), currency),
            ]
            for adapter, spent in rows
        ],
    }
