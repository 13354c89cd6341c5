"""Curves in chunks: bit for bit what was said, few bytes, and no peak is lost when they are thinned."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.domain import series
from training.domain.series import CHUNK, EMPTY, Extremes, Series

floats = st.floats(allow_nan=True, allow_infinity=True)
gaps = st.lists(st.tuples(st.integers(1, 2**40), floats), min_size=1, max_size=60)


def rising(points) -> Series:
    return Series.of(np.cumsum([gap for gap, _ in points]), [value for _, value in points])


def noisy(count: int, seed: int = 1) -> Series:
    random = np.random.default_rng(seed)
    return Series.of(np.arange(1, count + 1), 2 / np.sqrt(np.arange(1, count + 1)) + random.normal(0, 0.1, count))


@settings(deadline=None)
@given(gaps)
def test_a_chunk_is_read_bit_for_bit(points):
    packed = rising(points)
    read = series.unpack(series.pack(packed), len(packed))
    assert read.steps.tolist() == packed.steps.tolist()
    assert read.values.tobytes() == packed.values.tobytes()


def test_a_chunk_of_steps_in_a_row_takes_less_than_the_values_alone():
    assert len(series.pack(noisy(CHUNK))) < 8 * CHUNK


@pytest.mark.parametrize("data", [b"", b"\x02\x00abc", b"\x01\x01abc", series.pack(noisy(3))[:-2]])
def test_bytes_that_are_no_chunk_are_refused(data):
    with pytest.raises(ValueError, match="chunk"):
        series.unpack(data, 3)


def test_a_chunk_of_another_length_is_refused():
    with pytest.raises(ValueError, match="another length"):
        series.unpack(series.pack(noisy(5)), 4)


@pytest.mark.parametrize("steps", [[1, 1], [2, 1], [-1, 4], [0, 2**63 - 1]])
def test_steps_that_do_not_rise_are_refused(steps):
    with pytest.raises(ValueError, match="rise"):
        Series.of(steps, [0.0, 0.0])


def test_rows_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Series.of([1, 2], [0.0])


def test_what_is_said_later_holds():
    whole = Series.of([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]) + Series.of([3, 4, 5], [30.0, 40.0, 50.0])
    assert whole.lists() == ([1, 2, 3, 4, 5], [1.0, 2.0, 30.0, 40.0, 50.0])
    assert (whole + EMPTY).lists() == whole.lists()


@settings(deadline=None)
@given(st.lists(floats, min_size=1, max_size=400), st.integers(4, 60))
def test_a_thinned_curve_keeps_its_ends_its_lowest_and_its_highest(values, points):
    whole = Series.of(range(len(values)), values)
    thin = series.thin(whole, points)
    kept = dict(zip(*thin.lists(), strict=True))

    assert len(thin) <= max(points, 4)
    assert list(kept) == sorted(kept)
    assert all(values[step] == value or math.isnan(value) for step, value in kept.items())
    assert {0, len(values) - 1} <= set(kept)
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        assert {min(finite), max(finite)} <= set(kept.values())


def test_a_stretch_without_numbers_is_seen_as_a_gap():
    values = [1.0] * 100 + [math.nan] * 100 + [1.0] * 100
    thin = series.thin(Series.of(range(300), values), 32)
    assert 4 <= np.isnan(thin.values).sum() <= 6


def test_extremes_of_chunks_make_the_outline_of_the_curve():
    chunks = noisy(10 * CHUNK).chunks()
    found = [Extremes.of(chunk) for chunk in chunks]
    outline = series.of_extremes([(one.low_step, one.low, one.high_step, one.high) for one in found])
    assert len(outline) == 20
    assert outline.values.min() == min(chunk.values.min() for chunk in chunks)
    assert outline.values.max() == max(chunk.values.max() for chunk in chunks)
    assert (np.diff(outline.steps) > 0).all()


def test_a_chunk_without_numbers_has_no_extremes_and_no_mean():
    nothing = Series.of([1, 2], [math.nan, math.inf])
    assert Extremes.of(nothing) == Extremes(None, None, None, None)
    assert nothing.mean() is None
    assert not len(series.of_extremes([(None, None, None, None)]))


def test_a_chunk_of_one_value_is_drawn_once():
    assert series.of_extremes([(4, 0.5, 4, 0.5)]).lists() == ([4], [0.5])
