"""The house look of every Plotly figure: template, tones, the palette of eight, and the way into a page."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go

# Eight colours that keep 3:1 on the light and on the dark ground and stay apart under deuteranopia and
# protanopia (tests/unit/test_palette.py computes it). The page's script never changes them, only the ground.
PALETTE = ("#3a72cd", "#9d9508", "#2b7858", "#579cb9", "#8b5797", "#b5451c", "#8389f3", "#ae8678")

# The six tones of states, in the strength that a line or a bar needs.
TONES = {
    "waiting": "#7a8698",
    "running": "#2f7fdb",
    "succeeded": "#1f8f5a",
    "attention": "#b9770e",
    "failed": "#d64545",
    "void": "#8b5cd6",
}

# Meaning before order: what stands on the base, what is live, what is only a candidate.
BASE = TONES["waiting"]
LIVE = PALETTE[0]
CANDIDATE = PALETTE[6]

# Besides colour: the n-th series also has its own dash and marker.
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "hexagon")
MAX_POINTS = 2000

_AXIS = {"automargin": True, "showline": False, "zeroline": False, "ticks": "", "title": {"standoff": 8}}

HOUSE = go.layout.Template(
    layout={
        "colorway": list(PALETTE),
        "margin": {"l": 8, "r": 12, "t": 10, "b": 8},
        "hovermode": "x unified",
        "hoverdistance": 40,
        "bargap": 0.35,
        "bargroupgap": 0.08,
        "separators": ".\u202f",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "xaxis": {**_AXIS, "showgrid": False, "showline": True},
        "yaxis": {**_AXIS, "showgrid": True, "rangemode": "tozero", "hoverformat": ".4~r"},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "dragmode": "zoom",
    },
    data={
        "scatter": [{"line": {"width": 2}, "marker": {"size": 6}}],
        "bar": [{"marker": {"line": {"width": 0}, "cornerradius": 2}}],
        "histogram": [{"marker": {"line": {"width": 0}}}],
    },
)


def figure_dict(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON-ready data for components/figure.html, in the house template."""
    figure.update_layout(template=HOUSE)
    whole = figure.to_plotly_json()
    return {"data": plain(whole.get("data", [])), "layout": plain(whole["layout"])}


def plain(value: Any) -> Any:
    """Only what JSON knows: what is not a finite number becomes a gap, dates become ISO text."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def fade(colour: str, opacity: float) -> str:
    """A colour of ours, see-through: for bands, projections and what is out of focus."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def series_style(index: int) -> dict[str, Any]:
    """Colour, dash and marker of the n-th series, as arguments of go.Scatter."""
    at = index % len(PALETTE)
    return {
        "line": {"color": PALETTE[at], "dash": DASHES[at]},
        "marker": {"color": PALETTE[at], "symbol": SYMBOLS[at]},
    }


def direct_label(x: Any, y: Any, text: str, colour: str) -> dict[str, Any]:
    """An annotation at the right end of a line, instead of a legend; leave a right margin for it."""
    return {
        "x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "xshift": 6,
        "font": {"color": colour, "size": 12},
    }  # fmt: skip


def thin(xs: Sequence[Any], ys: Sequence[float], limit: int = MAX_POINTS) -> tuple[list[Any], list[float]]:
    """At most `limit` points that still show every peak: the lowest and the highest of each stretch."""
    if len(xs) <= limit:
        return list(xs), list(ys)
    stretches = max(1, (limit - 2) // 2)
    step = (len(xs) - 2) / stretches
    kept = {0, len(xs) - 1}
    for number in range(stretches):
        start = 1 + int(number * step)
        inside = range(start, max(start + 1, 1 + int((number + 1) * step)))
        kept.add(min(inside, key=lambda at: ys[at]))
        kept.add(max(inside, key=lambda at: ys[at]))
    order = sorted(kept)
    return [xs[at] for at in order], [ys[at] for at in order]
