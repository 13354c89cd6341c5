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
