"""Curves of a run: its loss, what its method is about, and what its device did, over steps, time or tokens."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.domain import formatting
from training.domain import metrics

Curve = tuple[Sequence[float], Sequence[float]]
LOSS = charting.LIVE
SHOWN_ROWS = 12
MOST_MARKERS = 60  # looks; of more the dashes tell the curve from others
HELD_OUT: dict[str, Any] = {
    "name": "Validation rows",
    "line": {"color": charting.PALETTE[1], "width": 2, "dash": "dash"},
    "marker": {"symbol": "diamond", "size": 8},
    "hovertemplate": "%{y:.4f}",
}


@dataclass(frozen=True)
class Look:
    """How one metric is shown: what its values are multiplied by, their unit, and how a single one is written."""

    title: str
    unit: str
    hover: str
    factor: float = 1.0
    from_zero: bool = True
    top: float | None = None
    shown: Callable[[float], str] = formatting.sig3
    of_cards: str = ""  # what it is called where each card has its own


LOOKS = {
    "learning_rate": Look("Learning rate", "Learning rate", "%{y:.2e}"),
    "grad_norm": Look("Gradient norm", "Gradient norm", "%{y:.3g}"),
    "token_accuracy": Look("Answer tokens predicted right", "Right (%)", "%{y:.1f}\u202f%", 100, True, 101),
    "reward_accuracy": Look("Pairs in the right order", "Right (%)", "%{y:.1f}\u202f%", 100, True, 101),
    "reward_margin": Look("Margin of rewards", "Margin", "%{y:.3g}", from_zero=False),
    "entropy": Look("Entropy of the predictions", "Entropy", "%{y:.3g}"),
    "tokens_per_second": Look("Tokens a second", "Tokens/s", "%{y:,.0f}", shown=formatting.number),
    "device_use": Look("Use of the device", "Busy (%)", "%{y:.0f}\u202f%", 100, True, 101, of_cards="Use of each card"),
    "memory_bytes": Look("Memory", "GB", "%{y:.2f}\u202fGB", 1e-9, of_cards="Memory of each card"),
    "temperature": Look("Temperature of the card", "°C", "%{y:.0f}\u202f°C"),
    "power_watts": Look("Power of the card", "W", "%{y:.0f}\u202fW"),
}


@dataclass(frozen=True)
class Axis:
    """What curves are drawn over."""

    name: str
    title: str
    factor: float = 1.0


def axis(over: str, last: float) -> Axis:
    """Steps, tokens, or time in the unit that suits its length in seconds."""
    if over == "tokens":
        return Axis("tokens", "Tokens")
    if over == "seconds":
        unit, factor = ("h", 1 / 3600) if last > 7200 else ("min", 1 / 60) if last > 120 else ("s", 1.0)
        return Axis("seconds", f"Time of training ({unit})", factor)
    return Axis("step", "Step")


STEPS = Axis("step", "Step")


def loss(
    curve: Curve, *, average: Curve | None = None, over: Axis = STEPS, held_out: Curve | None = None
) -> dict[str, Any]:
    """Every point of the loss, faint, and its average, strong.

    No range is set for an axis that grows: Plotly would take each new one for a reason to forget the reader's zoom.
    `average` is given where the curve is thinned: the mean line of what was left out. `held_out` is the loss of the
    validation rows, where a run is looked at with some.
    """
    figure = go.Figure()
    smooth = average or (curve[0], metrics.smooth(curve[1]))
    name = "Mean of each thousand steps" if average else "Moving average"
    faint, strong = {"color": charting.fade(LOSS, 0.35), "width": 1}, {"color": LOSS, "width": 2.5}
    for (x, y), label, line in ((curve, "Each step", faint), (smooth, name, strong)):
        figure.add_scatter(x=_scaled(x, over), y=y, mode="lines", name=label, line=line, hovertemplate="%{y:.4f}")
    if held_out is not None:
        mode = "lines+markers" if len(held_out[0]) <= MOST_MARKERS else "lines"
        figure.add_scatter(x=_scaled(held_out[0], over), y=held_out[1], mode=mode, **HELD_OUT)
        figure.update_layout(showlegend=True)
    figure.update_layout(uirevision=over.name)  # a zoom over steps says nothing over time
    figure.update_xaxes(title={"text": over.title}, rangemode="tozero")
    figure.update_yaxes(title={"text": "Loss"})
    return charting.figure_dict(figure)


def loss_title(curve: Curve, steps: int) -> str:
    """What the curve says, computed from it."""
    if len(curve[1]) < 4:
        return "Loss"
    first, last, _ = metrics.ends(curve[1])
    verb = "fell" if last < first else "rose"
    return f"Loss {verb} from {formatting.sig3(first)} to {formatting.sig3(last)} in {formatting.number(steps)} steps"


def loss_table(curve: Curve, over: Axis = STEPS, held_out: Curve | None = None) -> dict[str, Any]:
    """A dozen places of each curve; what one has no value for is empty there."""
    if held_out is None:
        return _table(curve, over, "Loss", formatting.sig3)
    trained, looked = dict(_spread(curve)), dict(_spread(held_out))
    rows = [
        [_place(x, over), *(formatting.sig3(one[x]) if x in one else "" for one in (trained, looked))]
        for x in sorted(trained | looked)
    ]
    return {"head": [over.title, "Loss", "Validation loss"], "rows": rows}


def rewards(curves: Mapping[str, Curve], over: Axis = STEPS) -> dict[str, Any]:
    """DPO: the implicit rewards of the two answers, which ought to come apart."""
    figure = go.Figure()
    for index, (name, label) in enumerate((("reward_chosen", "Chosen"), ("reward_rejected", "Rejected"))):
        x, values = curves[name]
        style = {"mode": "lines", "name": label, "hovertemplate": "%{y:.3f}", **_line(index)}
        figure.add_scatter(x=_scaled(x, over), y=values, **style)
    figure.update_layout(uirevision=over.name)
    figure.update_xaxes(title={"text": over.title})
    figure.update_yaxes(title={"text": "Reward"}, rangemode="normal")
    return charting.figure_dict(figure)


def rewards_table(curves: Mapping[str, Curve], over: Axis = STEPS) -> dict[str, Any]:
    chosen, rejected = _spread(curves["reward_chosen"]), dict(zip(*curves["reward_rejected"], strict=True))
    rows = [
        [_place(x, over), formatting.sig3(value), formatting.sig3(rejected.get(x, math.nan))] for x, value in chosen
    ]
    return {"head": [over.title, "Chosen", "Rejected"], "rows": rows}


def metric(name: str, curve: Curve, over: Axis = STEPS, index: int = 0) -> dict[str, Any]:
    """One of LOOKS."""
    look = LOOKS[name]
    figure = go.Figure()
    figure.add_scatter(
        x=_scaled(curve[0], over),
        y=[value * look.factor for value in curve[1]],
        mode="lines" if len(curve[0]) > 1 else "markers",
        name=look.title,
        line={"color": charting.PALETTE[index % len(charting.PALETTE)]},
        hovertemplate=look.hover,
    )
    figure.update_layout(uirevision=over.name)
    figure.update_xaxes(title={"text": over.title})
    figure.update_yaxes(
        title={"text": look.unit},
        rangemode="tozero" if look.from_zero else "normal",
        exponentformat="e" if name == "learning_rate" else None,  # 4e-4, not 400µ
        range=None if look.top is None else [0, look.top],
    )
    return charting.figure_dict(figure)


def of_cards(name: str, curves: Mapping[str, Curve], over: Axis = STEPS) -> dict[str, Any]:
    """One of LOOKS, as a line for each card of a run."""
    look = LOOKS[name]
    figure = go.Figure()
    for index, (card, curve) in enumerate(curves.items()):
        y = [value * look.factor for value in curve[1]]
        # The word once before all of them: else the legend of four takes two lines on a phone, and covers the curves.
        called = {"name": card.removeprefix("Card "), "hovertemplate": f"{look.hover}<extra>{card}</extra>"}
        style = called | {"mode": "lines" if len(y) > 1 else "markers"}
        figure.add_scatter(x=_scaled(curve[0], over), y=y, **style, **charting.series_style(index))
    figure.update_layout(uirevision=over.name, showlegend=True, legend={"title": {"text": "Card"}})
    figure.update_xaxes(title={"text": over.title})
    figure.update_yaxes(title={"text": look.unit}, rangemode="tozero", range=look.top and [0, look.top])
    return charting.figure_dict(figure)


def of_cards_table(name: str, curves: Mapping[str, Curve], over: Axis = STEPS) -> dict[str, Any]:
    look, columns = LOOKS[name], [dict(zip(*curve, strict=True)) for curve in curves.values()]
    rows = [
        [_place(x, over), *(look.shown(column[x] * look.factor) if x in column else None for column in columns)]
        for x, _ in _spread(next(iter(curves.values())))
    ]
    return {"head": [over.title, *curves], "rows": rows}


def metric_table(name: str, curve: Curve, over: Axis = STEPS) -> dict[str, Any]:
    look = LOOKS[name]
    return _table(curve, over, look.unit, lambda value: look.shown(value * look.factor))


def _table(curve: Curve, over: Axis, head: str, shown: Callable[[float], str]) -> dict[str, Any]:
    return {"head": [over.title, head], "rows": [[_place(x, over), shown(value)] for x, value in _spread(curve)]}


def _scaled(x: Sequence[float], over: Axis) -> Sequence[float]:
    return x if over.factor == 1 else [value * over.factor for value in x]


def _place(x: float, over: Axis) -> str:
    return formatting.number(x) if over.factor == 1 else formatting.sig3(x * over.factor)


def _spread(curve: Curve) -> list[tuple[float, float]]:
    """A dozen points from first to last, for the table under a figure."""
    pairs = list(zip(*curve, strict=True))
    if len(pairs) <= SHOWN_ROWS:
        return pairs
    last = len(pairs) - 1
    return [pairs[round(last * place / (SHOWN_ROWS - 1))] for place in range(SHOWN_ROWS)]


def _line(index: int) -> dict[str, Any]:
    return {"line": charting.series_style(index)["line"]}
