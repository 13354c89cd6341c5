"""When a worker process starts afresh, counted in its own beats."""

from projects.domain.stalls import Hearing, Judge

QUIET = Hearing(heard=False, running=False, overdue=False)
BUSY = Hearing(heard=False, running=True, overdue=False)
HEARD = Hearing(heard=True, running=False, overdue=False)
OVERDUE = Hearing(heard=False, running=False, overdue=True)


def judge():
    return Judge(beat_seconds=10, canary_seconds=30, limit_seconds=120)


def beats_until_afresh(hearing, at_most=2000, one=None):
    one = one or judge()
    return next((count for count in range(1, at_most) if one.beat(hearing)), None)


def test_whoever_is_alone_and_hears_nothing_is_judged_by_the_canaries_alone():
    """Without a broker nothing is sent, and nothing that was sent is missing."""
    assert beats_until_afresh(QUIET) is None


def test_a_canary_that_nobody_took_counts_at_the_second_look():
    one = judge()

    assert one.beat(OVERDUE) == ""
    assert "canaries" in one.beat(OVERDUE)


def test_a_canary_that_came_late_after_all_is_forgiven():
    one = judge()
    one.beat(OVERDUE)
    one.beat(HEARD)

    assert one.beat(OVERDUE) == ""


def test_a_task_that_holds_the_process_ends_it_after_the_limit():
    assert beats_until_afresh(BUSY) == 12


def test_a_process_that_gets_messages_is_never_held():
    one = judge()
    for _ in range(100):
        assert one.beat(Hearing(heard=True, running=True, overdue=False)) == ""


def test_of_several_workers_the_one_that_gets_no_share_starts_afresh():
    rivals = Hearing(heard=False, running=False, overdue=False, rivals=3)

    assert beats_until_afresh(rivals) == 72  # 3 workers, each expects a canary every 9 beats, 8 times that


def test_a_share_by_chance_late_is_no_stall():
    one, rivals = judge(), Hearing(heard=False, running=False, overdue=False, rivals=2)
    for _ in range(10):
        for _ in range(47):
            assert one.beat(rivals) == ""
        one.beat(Hearing(heard=True, running=False, overdue=False, rivals=2))
