"""Looks at held-out rows: which rows, how many, and when their curve says that a run learns by heart."""

import math

import pytest

from training.domain import looks
from training.domain.looks import Course


def test_of_few_rows_all_are_read_and_of_many_a_draw_that_the_data_decides():
    assert sorted(looks.drawn("a" * 64, 20)) == list(range(20))
    first, again, other = (looks.drawn(name * 64, 50_000) for name in "aab")
    assert first == again != other
    assert len(set(first)) == looks.MOST_ROWS and 20_000 < sum(first) / len(first) < 30_000


@pytest.mark.parametrize(
    ("sizes", "epoch", "read"),
    [
        ([], 100, 0),
        ([10] * 40, 100, 40),  # fewer than the fewest: all of them, whatever the share
        ([10] * 500, 100, 100),
        ([10] * 500, 20_000, 200),  # a tenth of the epoch
        ([10] * 5000, 10**9, 1000),
        ([500, *[10] * 300], 20_000, 151),
    ],
)
def test_a_look_takes_a_thousand_rows_or_a_tenth_of_the_epoch_but_not_too_few(sizes, epoch, read):
    assert looks.rows_read(sizes, epoch) == read


def test_what_a_look_reads_is_said_in_words():
    assert looks.sentence(40, 40) == "all of its rows"
    assert looks.sentence(1, 1) == "its one row"
    assert looks.sentence(1000, 20_000) == "1,000 of its 20,000 rows, always the same ones"


def test_a_course_is_the_curve_in_a_few_figures():
    found = Course.of([0, 10, 20, 30], [2.0, 1.5, math.nan, 1.8])
    assert found == Course(first=2.0, last=1.8, best=1.5, best_step=10, last_step=30, count=3)
    assert not found.is_at_best and found.has_risen
    assert Course.of([0], [math.nan]) is None and Course.of([], []) is None


FALLING = [2.0 - step * 0.01 for step in range(100)]
RISING = [1.0 + step * 0.01 for step in range(100)]
STEPS = list(range(100))


@pytest.mark.parametrize(
    ("looked", "trained", "overfits"),
    [
        ([2.0, 1.5, 1.8], FALLING, True),
        ([2.0, 1.5, 1.52], FALLING, False),  # within what a curve jumps by
        ([2.0, 1.5, 1.8], RISING, False),  # both rise: that is no learning by heart
        ([2.0, 1.5, 1.4], FALLING, False),
        ([1.5, 1.8], FALLING, False),  # two looks say too little
        ([1.5, 1.6, 1.8], FALLING, True),  # never better than at the start
    ],
)
def test_overfitting_is_a_clear_rise_while_the_training_loss_falls(looked, trained, overfits):
    steps = [99 * at // (len(looked) - 1) for at in range(len(looked))]
    assert looks.overfitting(Course.of(steps, looked), STEPS, trained) is overfits


def test_without_any_look_nothing_overfits():
    assert not looks.overfitting(None, STEPS, FALLING)
    assert not looks.overfitting(Course.of([0, 1, 2], [2.0, 1.0, 3.0]), [], [])


def test_the_warning_names_the_best_checkpoint_and_what_to_do():
    told = looks.warning(Course.of([0, 50, 100], [2.0, 1.5, 1.8]), epochs=3, total=100)
    assert "best at step 50 (1.50) and has risen to 1.80" in told and "1.50 epochs" in told
    never = looks.warning(Course.of([0, 50, 100], [1.5, 1.6, 1.8]), epochs=3, total=100)
    assert "never better than before the first step" in never


@pytest.mark.parametrize(
    ("step", "total", "every", "seconds", "spaced", "left"),
    [
        (0, 100, 20, 0, 100, 5),  # at 20, 40, 60, 80 and at the end: the last step has no checkpoint of its own
        (20, 100, 20, 0, 100, 4),
        (99, 100, 20, 0, 100, 1),
        (50, 101, 20, 0, 101, 4),
        (10, 100, 0, 700, 100, 3),  # by time: at 300 and 600 seconds, and at the end
        (10, 100, 0, 20, 100, 1),
        (0, 100, 20, 0, 30, 7),  # at 30 and 90 as well; 60 is one of the others
        (31, 100, 0, 20, 30, 3),
    ],
)
def test_looks_that_are_still_to_come_are_counted(step, total, every, seconds, spaced, left):
    assert looks.left(step, total, every=every, seconds=seconds, spaced=spaced) == left


@pytest.mark.parametrize(
    ("steps", "tokens", "look", "spaced"),
    [
        (342, 113_835, 2_500, 35),  # nine between the first and the last: a tenth of the time, at half a step's a token
        (342, 113_835, 10, 17),  # twenty at most
        (342, 113_835, 50_000, 342),  # no time for any
        (5, 10**9, 10, 1),  # at each of the few steps
        (0, 0, 0, 1),
    ],
)
def test_looks_are_spread_over_a_run_as_far_as_its_time_allows(steps, tokens, look, spaced):
    assert looks.spacing(steps, tokens, look) == spaced
    between = [step for step in range(1, steps) if step % spaced == 0]
    assert len(between) <= looks.MOST_LOOKS
    assert len(between) * look * looks.FORWARD <= looks.SHARE_OF_RUN * tokens
