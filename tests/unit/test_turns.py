"""Whose turn it is: urgency, then fairness between projects, then patience."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from projects.domain.turns import Waiting, first, line_up

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = 1, 2, 3


def waiting(job, project=A, priority=0, minute=0):
    return Waiting(job, project, priority, START + timedelta(minutes=minute))


def order(*jobs, running=None):
    return [one.job for one in line_up(jobs, running or {})]


def test_nobody_waits():
    assert first([], {}) is None
    assert line_up([], {A: 2}) == []


def test_the_urgent_goes_first_whatever_its_project_has_at_work():
    jobs = [waiting("old"), waiting("urgent", project=B, priority=1, minute=9)]

    assert first(jobs, {B: 5}).job == "urgent"
    assert order(*jobs, running={B: 5}) == ["urgent", "old"]


def test_among_equals_the_project_with_the_least_at_work_goes_first():
    jobs = [waiting("of the busy", project=A, minute=0), waiting("of the idle", project=B, minute=5)]

    assert first(jobs, {A: 1}).job == "of the idle"
    assert first(jobs, {A: 1, B: 1}).job == "of the busy"


def test_one_project_cannot_flood_the_line():
    flood = [waiting(f"a{n}", project=A, minute=n) for n in range(4)]
    others = [waiting("b0", project=B, minute=10), waiting("c0", project=C, minute=11)]

    assert order(*flood, *others) == ["a0", "b0", "c0", "a1", "a2", "a3"]
    assert order(*flood, *others, running={A: 1}) == ["b0", "c0", "a0", "a1", "a2", "a3"]


def test_two_floods_take_turns():
    jobs = [waiting(f"a{n}", A, minute=n) for n in range(3)] + [waiting(f"b{n}", B, minute=5 + n) for n in range(3)]

    assert order(*jobs) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_within_a_project_the_older_goes_first():
    assert order(waiting("late", minute=2), waiting("early", minute=1)) == ["early", "late"]


JOBS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(-1, 1), st.integers(0, 1000)), max_size=30, unique_by=lambda job: job[2]
)


@given(JOBS, st.dictionaries(st.integers(1, 4), st.integers(0, 5)))
def test_the_line_is_what_taking_one_after_the_other_gives(jobs, running):
    left = [waiting(number, project, priority, minute) for number, (project, priority, minute) in enumerate(jobs)]
    line, busy, taken = line_up(left, running), dict(running), []
    while left:
        turn = first(left, busy)
        left.remove(turn)
        taken.append(turn)
        busy[turn.project] = busy.get(turn.project, 0) + 1

    assert line == taken


@given(JOBS)
def test_nobody_is_passed_by_more_than_one_round_of_equals(jobs):
    """Between two starts of a project every other one that waits, and had no more at work, has had its own."""
    line = [one.project for one in line_up([waiting(0, project, 0, minute) for project, _, minute in jobs], {})]

    for place, project in enumerate(line):
        before, after = line[:place], line[place:]
        for other in set(after) - {project}:
            assert before.count(project) <= before.count(other)
