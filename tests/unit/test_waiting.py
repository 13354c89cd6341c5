"""Why a job waits, in words."""

from dataclasses import replace

import pytest

from projects.domain import waiting
from projects.domain.waiting import Scene

BUSY = Scene("gpu", heard=1, open=1, silent_for=2, slots=1, on_cards=True, taken_by=["tickets v3"])


@pytest.mark.parametrize(
    ("scene", "ahead", "code", "whole"),
    [
        (
            Scene("gpu"),
            0,
            "no_worker",
            "Next in line. No worker for the gpu queue has announced itself yet. Start one.",
        ),
        (
            Scene("gpu", silent_for=184),
            2,
            "worker_silent",
            "2 ahead of it. No worker for the gpu queue has been heard of for 3\u202fmin 4\u202fs.",
        ),
        (
            replace(BUSY, open=0),
            0,
            "draining",
            "Next in line. The only host with a GPU is being drained.",
        ),
        (
            Scene("cpu", heard=2, silent_for=1),
            1,
            "draining",
            "1 ahead of it. All 2 hosts that take work of the cpu queue are being drained.",
        ),
        (
            replace(BUSY, free_in=731),
            0,
            "slots_taken",
            "Next in line. The only GPU slot is taken by “tickets v3”; it is expected to be free in about 12\u202fmin.",
        ),
        (
            replace(BUSY, slots=4, others=2, free_in=40),
            3,
            "slots_taken",
            "3 ahead of it. All 4 GPU slots are taken by “tickets v3” and 2 jobs of other projects; the first is "
            "expected to be free in about 40\u202fs.",
        ),
        (
            replace(BUSY, on_cards=False, slots=2, others=1, free_in=2),
            0,
            "slots_taken",
            "Next in line. All 2 slots of the gpu queue are taken by “tickets v3” and 1 job of other projects; the "
            "first is expected to be free any moment now.",
        ),
        (
            replace(BUSY, taken_by=[], others=1),
            0,
            "slots_taken",
            "Next in line. The only GPU slot is taken by 1 job of other projects.",
        ),
        (
            replace(BUSY, slots=5, taken_by=["a", "b", "c", "d", "e"]),
            0,
            "slots_taken",
            "Next in line. All 5 GPU slots are taken by “a”, “b”, “c” and 2 more of this project.",
        ),
        (
            replace(BUSY, slots=3, free=2, taken_by=["a"]),
            2,
            "behind_others",
            "2 ahead of it. 2 slots are free, and those before it take them.",
        ),
        (
            replace(BUSY, slots=3, free=2, taken_by=["a"]),
            1,
            "starting",
            "1 ahead of it. A worker takes it within seconds.",
        ),
    ],
)
def test_a_queued_job_says_what_it_waits_for(scene, ahead, code, whole):
    why = waiting.queued(scene, ahead)

    assert (why.code, why.whole, why.ahead) == (code, whole, ahead)


def test_what_waits_for_people_has_no_place_in_the_line():
    assert waiting.held().whole == "Waits for an owner's yes."
    assert waiting.paused("anna@example.org").whole == (
        "Paused by anna@example.org; it goes on when somebody resumes it."
    )
    assert waiting.paused("").whole == "Paused."


def test_a_line_of_a_list_leaves_out_who_holds_the_slots():
    why = waiting.queued(replace(BUSY, slots=2, others=1, free_in=731), 1)

    assert why.in_brief == (
        "1 ahead of it. All 2 GPU slots are taken; the first is expected to be free in about 12\u202fmin."
    )
    assert waiting.held().in_brief == waiting.held().whole
