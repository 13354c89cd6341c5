"""The way of a figure into a page: JSON-ready, in the house template, thin enough to draw."""

import json
import math
from datetime import date, datetime
from decimal import Decimal

import plotly.graph_objects as go
import pytest

from projects import charting


def test_a_figure_becomes_strict_json_in_the_house_template():
    figure = go.Figure(go.Scatter(x=[1, 2, 3], y=[0.5, math.nan, math.inf]))
    written = charting.figure_dict(figure)
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read["data"][0]["y"] == [0.5, None, None]
    assert read["layout"]["template"]["layout"]["colorway"] == list(charting.PALETTE)


def test_numbers_of_every_kind_and_dates_become_plain():
    class Array:
        def tolist(self):
            return [1, math.nan]

    value = {"a": (Decimal("1.5"), date(2026, 1, 2)), "b": datetime(2026, 1, 2, 3), "c": Array(), "d": "x", "e": None}
    assert charting.plain(value) == {
        "a": [1.5, "2026-01-02"],
        "b": "2026-01-02T03:00:00",
        "c": [1, None],
        "d": "x",
        "e": None,
    }


def test_large_arrays_are_written_as_numbers_not_as_packed_bytes():
    figure = go.Figure(go.Scatter(x=list(range(1000)), y=[float(n) for n in range(1000)]))
    assert charting.figure_dict(figure)["data"][0]["y"][-1] == 999.0


def test_a_faded_colour_keeps_its_hue():
    assert charting.fade("#3a72cd", 0.25) == "rgba(58,114,205,0.25)"


def test_series_beyond_the_eighth_begin_again():
    assert charting.series_style(9) == charting.series_style(1)


def test_short_series_are_left_as_they_are():
    assert charting.thin([1, 2, 3], [3.0, 2.0, 1.0]) == ([1, 2, 3], [3.0, 2.0, 1.0])


@pytest.mark.parametrize("length", [2001, 5000, 100_000])
def test_a_long_series_keeps_its_ends_and_its_peak(length):
    ys = [math.sin(at / 50) for at in range(length)]
    ys[length // 3] = 99.0
    xs, thinned = charting.thin(range(length), ys)
    assert len(xs) <= charting.MAX_POINTS
    assert (xs[0], xs[-1]) == (0, length - 1)
    assert 99.0 in thinned
    assert xs == sorted(xs)


def test_a_direct_label_carries_the_colour_of_its_line():
    label = charting.direct_label(3, 0.5, "Base", charting.BASE)
    figure = go.Figure(layout={"annotations": [label]})
    assert figure.layout.annotations[0].font.color == charting.BASE
