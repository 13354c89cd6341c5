"""Figures of several runs at once: overlaid curves, and parallel coordinates of what they were tried with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.domain import formatting

Curve = tuple[Sequence[float], Sequence[float]]
LINE_STYLES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
# Dashes as SVG draws them, for the legend beside the figure.
SVG_DASHES = {
    "solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "6 3 2 3", "longdash": "10 4", "longdashdot": "10 3 2 3",
}  # fmt: skip
MANY = 12  # lines from here on are thin, or nothing would be seen behind the last ones
FEW_POINTS = 20  # are shown as points, too
APART = 0.11  # of an upright's height between two values that are written beside it
BEST, WORST = charting.PALETTE[0], charting.PALETTE[5]


@dataclass(frozen=True)
class Style:
    """How one of many runs is drawn: eight colours, and another dash with every round of them."""

    colour: str
    dash: str

    @property
    def svg_dash(self) -> str:
        return SVG_DASHES[self.dash]


def style(index: int) -> Style:
    size = len(charting.PALETTE)
    return Style(charting.PALETTE[index % size], LINE_STYLES[(index % size + index // size) % len(LINE_STYLES)])


def overlay(
    curves: Mapping[int, Curve],
    names: Mapping[int, str],
    styles: Mapping[int, Style],
    *,
    hidden: Sequence[int] = (),
    log: bool = False,
    across: str = "Step",
    label: str = "Loss",
    marked: int = 0,
) -> dict[str, Any]:
    """One line a run, the marked one above the others and with its name at its end.

    `meta` of a trace is the number of its run, by which the legend beside the figure finds it.
    """
    figure, many = go.Figure(), len(curves) > MANY
    for pk, (xs, ys) in sorted(curves.items(), key=lambda one: one[0] == marked):
        figure.add_scatter(
            x=list(xs),
            y=list(ys),
            mode="lines" if len(xs) > FEW_POINTS else "lines+markers",
            name=names[pk],
            meta=pk,
            visible=pk not in hidden,
            line={
                "color": styles[pk].colour,
                "dash": styles[pk].dash,
                "width": 4 if pk == marked else 1 if many else 2,
            },
            hovertemplate="%{fullData.name}<br>%{y:.4~g}<extra></extra>",
        )
    figure.update_layout(hovermode="closest", showlegend=False, uirevision=f"{across} {label} {log}")
    figure.update_xaxes(title={"text": across})
    figure.update_yaxes(title={"text": label + (" (log scale)" if log else "")}, type="log" if log else "linear")
    if not log:
        figure.update_yaxes(rangemode="normal")
    if len(curves) > 1 and len(curves.get(marked, ((), ()))[0]):
        _name_at_end(figure, *curves[marked], names[marked], log=log)
    return charting.figure_dict(figure)


def _name_at_end(figure: go.Figure, xs: Sequence[float], ys: Sequence[float], name: str, *, log: bool) -> None:
    """Beside the last point, in a margin made for it, so that it covers no other line."""
    ends = [x for trace in figure.data for x in (trace.x[0], trace.x[-1])]
    first, last, y = min(ends), max(ends), ys[-1]
    figure.update_xaxes(range=[first, last + 0.05 * (last - first)])
    height = math.log10(y) if log and y > 0 else y
    figure.add_annotation(x=xs[-1], y=height, text=name, showarrow=False, xanchor="left", xshift=4)


def overlay_title(curves: Mapping[int, Curve], names: Mapping[int, str], label: str, *, rising: bool) -> str:
    """Who stands best at the end, computed from the curves."""
    ends = {pk: ys[-1] for pk, (_, ys) in curves.items() if len(ys) and math.isfinite(ys[-1])}
    if len(ends) < 2:
        return label
    best = (max if rising else min)(ends, key=lambda pk: ends[pk])
    word = "Highest" if rising else "Lowest"
    return f"{word} {label.lower()} at the end: {names[best]}, {formatting.sig3(float(ends[best]))}"


def overlay_table(curves: Mapping[int, Curve], names: Mapping[int, str], label: str, across: str) -> dict[str, Any]:
    rows = []
    for pk, (xs, ys) in curves.items():
        known = [value for value in ys if math.isfinite(value)]
        told = (
            [formatting.sig3(float(value)) for value in (known[0], min(known), max(known), known[-1])]
            if known
            else ["–"] * 4
        )
        rows.append([names[pk], formatting.sig3(float(xs[-1])) if len(xs) else "–", *told])
    return {"head": ["Run", f"{across} at the end", "First", "Lowest", "Highest", "Last"], "rows": rows}


@dataclass(frozen=True)
class Axis:
    """One upright of parallel coordinates: a value a run, numbers or words; None where it has none."""

    label: str
    values: Mapping[int, Any]
    log: bool = False

    def places(self) -> tuple[dict[int, float], list[tuple[float, str]]]:
        """Where each run stands between 0 and 1, and what is written beside the upright."""
        known = {pk: value for pk, value in self.values.items() if value is not None}
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known.values()) and known:
            return self._numbers(known)
        words = sorted({str(value) for value in known.values()})
        spread = {word: at / max(1, len(words) - 1) if len(words) > 1 else 0.5 for at, word in enumerate(words)}
        return {pk: spread[str(value)] for pk, value in known.items()}, [(spread[word], word) for word in words]

    def _numbers(self, known: Mapping[int, float]) -> tuple[dict[int, float], list[tuple[float, str]]]:
        log = self.log and min(known.values()) > 0
        scaled = {pk: math.log(value) if log else float(value) for pk, value in known.items()}
        low, high = min(scaled.values()), max(scaled.values())
        span = high - low
        places = {pk: (value - low) / span if span else 0.5 for pk, value in scaled.items()}
        told = sorted(set(known.values()))
        if len(told) > 6:
            told = [told[0], told[len(told) // 2], told[-1]]
        where = {value: places[pk] for pk, value in known.items()}
        return places, [(where[value], written(value)) for value in told]


def parallel(axes: Sequence[Axis], names: Mapping[int, str], *, rising: bool, marked: int = 0) -> dict[str, Any]:
    """A line a run through what it was tried with to what came of it (the last upright), coloured by that.

    Drawn with plain lines: they are read by name under the pointer, and the table beside says the same.
    """
    stood = [one.places() for one in axes]
    results = stood[-1][0]
    figure = go.Figure()
    for pk in sorted(names, key=lambda one: (one == marked, results.get(one, -1.0))):
        ys = [places.get(pk) for places, _ in stood]
        told = "<br>".join(f"{one.label}: {written(one.values.get(pk))}" for one in axes)
        figure.add_scatter(
            x=list(range(len(axes))),
            y=ys,
            mode="lines+markers",
            name=names[pk],
            meta=pk,
            line={"color": _shade(results.get(pk), rising), "width": 4 if pk == marked else 1.75},
            marker={"size": 8 if pk == marked else 5, "symbol": "star" if pk == marked else "circle"},
            text=[f"{names[pk]}<br>{told}"] * len(axes),
            hovertemplate="%{text}<extra></extra>",
            connectgaps=True,
        )
    for at, (_, ticks) in enumerate(stood):
        ends = {"xref": "x", "x0": at, "x1": at, "yref": "y", "y0": 0, "y1": 1}  # its label stands above it
        figure.add_shape(type="line", line={"color": charting.BASE, "width": 1}, **ends)
        for place, text in _apart(ticks, stood[at][0].get(marked)):
            anchor, shift = ("right", -8) if at == len(axes) - 1 else ("left", 8)
            figure.add_annotation(
                x=at, y=place, text=text, showarrow=False, xanchor=anchor, xshift=shift, name="solid",
            )  # fmt: skip
        anchor = "left" if at == 0 else "right" if at == len(axes) - 1 else "center"
        # In two rows, so that neighbours do not meet on a narrow screen.
        figure.add_annotation(x=at, y=1.12 + at % 2 * 0.13, text=axes[at].label, showarrow=False, xanchor=anchor)
    figure.update_layout(hovermode="closest", showlegend=False)
    figure.update_xaxes(visible=False, range=[-0.04, len(axes) - 0.96])
    figure.update_yaxes(visible=False, range=[-0.06, 1.32], rangemode="normal")
    return charting.figure_dict(figure)


def _apart(ticks: list[tuple[float, str]], marked: float | None) -> list[tuple[float, str]]:
    """Without those that would be written over each other: the marked one and both ends come first."""
    kept: list[tuple[float, str]] = []
    for tick in sorted(ticks, key=lambda one: (one[0] != marked, one[0] not in (0.0, 1.0))):
        if all(abs(tick[0] - other[0]) >= APART for other in kept):
            kept.append(tick)
    return sorted(kept)


def _shade(place: float | None, rising: bool) -> str:
    """From the colour of the worst to that of the best; grey where nothing came of it."""
    if place is None:
        return charting.BASE
    good = place if rising else 1 - place
    mixed = [round(int(WORST[at : at + 2], 16) * (1 - good) + int(BEST[at : at + 2], 16) * good) for at in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def parallel_table(axes: Sequence[Axis], names: Mapping[int, str]) -> dict[str, Any]:
    rows = [[name, *(written(one.values.get(pk)) for one in axes)] for pk, name in names.items()]
    return {"head": ["Run", *(one.label for one in axes)], "rows": rows}


def written(value: Any) -> str:
    """A value as people write it: whole numbers without a point."""
    if value is None:
        return formatting.NOTHING
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if float(value).is_integer():
        return formatting.sig3(int(value))
    return f"{value:.3g}".replace("-", formatting.MINUS, 1) if 1e-4 <= abs(value) < 1000 else formatting.sig3(value)
