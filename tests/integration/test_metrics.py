"""The store of metrics: what is appended is there, what is said again replaces, long curves are drawn unread."""

import math

import numpy as np
import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from projects import leases
from tests.factories import training as factory
from training import notes, selectors, services
from training.domain.series import CHUNK, Series
from training.models import MetricChunk, Run

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def drafted(standing):
    return standing(factory.make_draft)


@pytest.fixture
def run(drafted, db):
    return Run.objects.get(pk=drafted.pk)


@pytest.fixture
def claimed(run):
    """A run that a worker holds."""
    services.start_run(run, by=run.created_by)
    return leases.claim([Run], owner="host/cpu/1")


def say(run, first: int, last: int, name: str = "loss", value: float = 0.0) -> None:
    steps = range(first, last + 1)
    MetricChunk.objects.append(run, {name: Series.of(steps, [step + value for step in steps])})


def counts(run, name: str = "loss") -> list[int]:
    return list(run.metrics.filter(name=name).order_by("first_step").values_list("count", flat=True))


def test_points_that_come_one_by_one_fill_a_chunk(run):
    for step in range(1, 6):
        say(run, step, step)
    assert counts(run) == [5]
    assert selectors.curve(run, "loss") == ([1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0])


def test_chunks_are_full_but_for_the_last_however_points_come(run):
    say(run, 1, 700)
    say(run, 701, 2500)
    say(run, 2501, 2501)
    assert counts(run) == [CHUNK, CHUNK, 501]
    assert selectors.curve(run, "loss")[0] == list(range(1, 2502))


def test_a_full_chunk_is_followed_by_a_new_one(run):
    say(run, 1, CHUNK)
    say(run, CHUNK + 1, CHUNK + 3)
    assert counts(run) == [CHUNK, 3]


def test_what_is_said_again_replaces_what_came_after_it_too(run):
    say(run, 1, 2500)
    say(run, 1200, 1300, value=0.5)
    steps, values = selectors.curve(run, "loss")
    assert steps == list(range(1, 1301))
    assert values[1198] == 1199.0 and values[1199] == 1200.5
    assert counts(run) == [CHUNK, 300]


def test_a_new_attempt_forgets_every_curve_beyond_its_checkpoint(run):
    say(run, 1, 1500)
    say(run, 1, 1500, "grad_norm")
    MetricChunk.objects.cut(run, 1100)
    assert counts(run) == counts(run, "grad_norm") == [CHUNK, 100]
    MetricChunk.objects.cut(run, 0)
    assert not run.metrics.exists()


def test_other_runs_keep_theirs(run):
    other = factory.make_draft()
    say(run, 1, 10)
    say(other, 1, 10)
    MetricChunk.objects.cut(run, 5)
    assert selectors.curve(other, "loss")[0][-1] == 10


def test_what_is_no_number_is_kept_as_it_is(run):
    MetricChunk.objects.append(run, {"loss": Series.of([1, 2, 3], [1.0, math.nan, math.inf])})
    values = selectors.curve(run, "loss")[1]
    assert values[0] == 1.0 and math.isnan(values[1]) and values[2] == math.inf
    chunk = run.metrics.get()
    assert (chunk.low, chunk.high, chunk.mean) == (1.0, 1.0, 1.0)


def test_the_database_takes_no_two_chunks_from_one_step(run):
    say(run, 1, 3)
    with pytest.raises(IntegrityError):
        MetricChunk.of(run, "loss", Series.of([1], [1.0])).save()


def test_the_end_of_a_curve_is_read_from_its_last_chunks(run):
    say(run, 1, 5 * CHUNK + 10)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = selectors.newest(run, "loss", 50)
    assert found.steps.tolist() == list(range(5 * CHUNK - 39, 5 * CHUNK + 11))
    assert len(queries) == 1
    assert selectors.newest(run, "nothing", 5).lists() == ([], [])


@pytest.fixture
def long(run):
    """200,000 points, one of them far above and one far below the rest."""
    values = np.random.default_rng(3).normal(1, 0.1, 200_000)
    values[77_777], values[144_444] = 9.0, -7.0
    MetricChunk.objects.append(run, {"loss": Series.of(np.arange(1, 200_001), values)})
    return run, values


def test_a_long_curve_is_drawn_without_reading_it_and_keeps_its_peaks(long):
    run, values = long
    with CaptureQueriesContext(connection) as queries:
        drawn = selectors.drawn(run, "loss")
    assert drawn.count == 200_000
    assert len(drawn.points) <= 2000
    shown = dict(zip(*drawn.points.lists(), strict=True))
    assert shown[77_778] == 9.0 and shown[144_445] == -7.0
    assert shown[1] == values[0] and shown[200_000] == values[-1]
    assert drawn.average.values == pytest.approx(1.0, abs=0.05)
    assert len(queries) == 2


def test_a_part_of_a_long_curve_is_drawn_point_by_point(long):
    run, values = long
    drawn = selectors.drawn(run, "loss", first=77_000, last=78_500)
    assert drawn.count == 1501
    assert drawn.points.steps.tolist() == list(range(77_000, 78_501))
    assert drawn.points.values.tolist() == values[76_999:78_500].tolist()


def test_nothing_is_drawn_where_nothing_was_said(run):
    drawn = selectors.drawn(run, "loss")
    assert (drawn.count, len(drawn.points), drawn.average) == (0, 0, None)


@pytest.mark.parametrize(("by", "at"), [("step", 1.0), ("seconds", 0.5), ("tokens", 64.0)])
def test_many_runs_are_drawn_over_steps_time_and_tokens(run, by, at):
    other = factory.make_draft()
    steps = range(1, 2001)
    points = {
        "loss": Series.of(steps, [1 / step for step in steps]),
        "seconds": Series.of(steps, [0.5 * step for step in steps]),
        "tokens": Series.of(steps, [64 * step for step in steps]),
    }
    MetricChunk.objects.append(run, points)
    found = selectors.thinned([run, other], "loss", 100, by)
    assert set(found) == {run.pk}
    across, values = found[run.pk]
    assert len(across) <= 100
    assert (across[0], values[0], across[-1]) == (at, 1.0, 2000 * at)


def test_a_run_without_a_clock_is_not_drawn_over_it(run):
    say(run, 1, 5)
    assert selectors.thinned([run], "loss", by="tokens") == {}


def test_steps_told_together_are_kept_one_by_one(claimed):
    run = claimed
    told = {"loss": [3.0, None, 1.0], "grad_norm": [1.0, 1.0, 2.0]}
    notes.note_run(run, {"event": "metrics", "step": 4, "values": {"loss": 1}, "steps": [2, 3, 4], "each": told})
    steps, values = selectors.curve(run, "loss")
    assert steps == [2, 3, 4]
    assert values[0] == 3.0 and math.isnan(values[1])
    run.refresh_from_db()
    assert (run.step, run.last_loss) == (4, 1.0)


def test_a_start_from_a_checkpoint_takes_the_curves_back_to_it(claimed):
    run = claimed
    for step in range(1, 8):
        notes.note_run(run, {"event": "metrics", "step": step, "values": {"loss": 1.0 / step}, "tokens": 10 * step})
    notes.note_run(run, {"event": "started", "total": 20, "resumed_from": 5})
    assert selectors.curve(run, "loss")[0] == [1, 2, 3, 4, 5]
    assert selectors.curve(run, "tokens")[1][-1] == 50
    run.refresh_from_db()
    assert run.step == 5
