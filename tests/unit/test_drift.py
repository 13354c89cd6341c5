"""Drift: exactly nothing for the same, a threshold from reloads, and a verdict only where the interval tells."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.domain import drift
from evaluation.domain.drift import Reading
from training.domain.compatibility import Judgement, Reason, Verdict


def figures(sizes, reloads=(0.0, 0.0)):
    readings = [Reading(n, 4, size / 2, size, 1.0, 1.0 - size) for n, size in enumerate(sizes)]
    return drift.figures(readings, reloads, numpy.random.default_rng(0))


def test_the_same_reads_nothing_at_all():
    found = figures([0.0] * 20)

    assert (found["adapter"]["mean"], found["adapter"]["high"], found["effect"]["mean"]) == (0.0, 0.0, 0.0)
    assert found["verdict"] == Verdict.COMPATIBLE


def test_a_drift_has_figures_with_an_interval_and_what_becomes_of_the_effect():
    found = figures([0.1, 0.2, 0.3] * 8)

    assert found["verdict"] == Verdict.DRIFTED
    assert found["adapter"]["mean"] == pytest.approx(0.2)
    assert found["adapter"]["low"] < 0.2 < found["adapter"]["high"]
    assert (found["effect"]["own"], found["effect"]["other"]) == (1.0, pytest.approx(0.8))
    assert found["effect"]["high"] < 0


@given(st.lists(st.floats(0, 1e-2), max_size=4))
def test_the_threshold_is_never_below_its_floor_nor_the_noise_of_reloads(reloads):
    limit = drift.threshold(reloads)

    assert limit >= drift.FLOOR
    assert all(limit >= drift.TIMES * one for one in reloads)


def test_noise_of_reloads_is_not_taken_for_a_drift():
    assert figures([0.01] * 20)["verdict"] == Verdict.DRIFTED
    assert figures([0.01] * 20, reloads=[0.002])["verdict"] == Verdict.COMPATIBLE


def test_too_few_prompts_and_wide_intervals_cannot_tell():
    assert figures([0.2] * 7)["verdict"] == Verdict.UNKNOWN
    assert figures([0.0] * 19 + [0.01])["verdict"] == Verdict.UNKNOWN


SUSPECTED = Judgement(Verdict.DRIFTED, (Reason("weights", "Its weights are others.", Verdict.DRIFTED),))


def test_what_was_measured_settles_what_structure_suspects():
    same = drift.together(SUSPECTED, figures([1e-6] * 20))
    other = drift.together(SUSPECTED, figures([0.2] * 20))
    open_ = drift.together(SUSPECTED, figures([0.2] * 3))

    assert [one.verdict for one in (same, other, open_)] == [Verdict.COMPATIBLE, Verdict.DRIFTED, Verdict.DRIFTED]
    assert same.codes == ["measured", "weights"]


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.INCOMPATIBLE])
def test_nothing_measured_changes_what_is_certain(verdict):
    assert drift.together(Judgement(verdict), figures([1e-6] * 20)).verdict == verdict


def test_an_unproven_base_stays_unproven():
    found = Judgement(Verdict.UNKNOWN, (Reason("base_unproven", "Nothing proves it.", Verdict.UNKNOWN),))

    assert drift.together(found, figures([1e-6] * 20)).verdict == Verdict.UNKNOWN
