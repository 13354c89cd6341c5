"""Figures of counted things that stand before a run."""

import pytest

from training.charts import data as charts


@pytest.mark.parametrize(
    ("edges", "limit", "each"),
    [([4, 5, 6, 7], 64, 1), ([4, 5, 6, 7], 6, 1), ([105, 106], 16, None), ([0, 16, 32, 48], 16, None)],
)
def test_each_length_has_its_own_tick_only_where_few_are_in_sight(edges, limit, each):
    figure = charts.lengths({"edges": edges, "counts": [1] * (len(edges) - 1)}, limit)
    assert figure["layout"]["xaxis"].get("dtick") == each


def test_what_lies_beyond_the_limit_is_marked_without_colour_too():
    bars = charts.lengths({"edges": [0, 16, 32, 48], "counts": [5, 2, 1]}, 32)["data"][0]
    assert list(bars["marker"]["pattern"]["shape"]) == ["", "", "/"]


@pytest.mark.parametrize(
    ("stats", "title"),
    [
        ({"cut": 0, "longest": 90, "limit": 128, "rows": 4}, "Every row fits: the longest has 90 of 128 tokens"),
        ({"cut": 1, "longest": 90, "limit": 64, "rows": 4}, "1 row (25.0\u202f%) is longer than 64 tokens"),
        ({"cut": 3, "longest": 90, "limit": 64, "rows": 4}, "3 rows (75.0\u202f%) are longer than 64 tokens"),
    ],
)
def test_the_title_says_what_the_figure_shows(stats, title):
    assert charts.lengths_title(stats) == title
