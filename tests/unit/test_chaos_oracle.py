"""The oracle of the tests under fire: silent about an honest run, and loud about every planted damage."""

import dataclasses
import random
import re
from collections import Counter

import pytest

from benchmarks.chaos import messages, witness
from benchmarks.chaos.__main__ import shares
from benchmarks.chaos.client import Client
from benchmarks.chaos.oracle import DUPLICATE, LOST, OTHER, STUCK, ZOMBIE, Facts, Violation, judge
from benchmarks.chaos.points import APART, NEEDS
from benchmarks.chaos.strikes import Choice
from benchmarks.chaos.witness import Write, offence
from projects import faults


def attempt(fence: int, outcome: str, **changes) -> dict:
    return {"fence": fence, "outcome": outcome, "ended": bool(outcome), "lines": int(bool(outcome))} | changes


HONEST = Facts(
    run=7,
    state="succeeded",
    fence=3,
    adapters=["adapters/7/run-7-f3"],
    stored=["adapters/7/run-7-f3"],
    metric_steps=[1, 2, 3, 4],
    total_steps=4,
    attempts=[attempt(1, "lost"), attempt(2, "interrupted"), attempt(3, "succeeded")],
    audit=["run.created", "run.queued", *["run.running"] * 3, "run.succeeded"],
)
CANCELLED = dataclasses.replace(
    HONEST,
    state="cancelled",
    cancel_accepted=True,
    adapters=[],
    stored=[],
    attempts=[attempt(1, "lost"), attempt(2, "interrupted"), attempt(3, "cancelled")],
    audit=["run.created", "run.queued", *["run.running"] * 3, "run.cancelled"],
)


def found(facts: Facts) -> set[str]:
    return {violation.kind for violation in judge(facts)}


BEGUN_ANEW = dataclasses.replace(
    HONEST, attempts=[attempt(1, "lost"), attempt(2, "cancelled"), attempt(3, "succeeded")], audit=[
        *HONEST.audit, "run.cancelled", "run.queued",
    ]
)  # fmt: skip


@pytest.mark.parametrize("facts", [HONEST, CANCELLED, BEGUN_ANEW, dataclasses.replace(HONEST, cancel_accepted=True)])
def test_an_honest_run_breaks_nothing(facts):
    assert judge(facts) == []


PLANTED = {
    "a run that is still queued": (STUCK, {"state": "queued", "attempts": HONEST.attempts[:2], "fence": 2}),
    "a run that failed": (LOST, {"state": "failed", "error_code": "internal", "adapters": []}),
    "a run that was quarantined": (LOST, {"state": "failed", "error_code": "infra_quarantined", "adapters": []}),
    "a run cancelled by nobody": (LOST, {"state": "cancelled", "adapters": []}),
    "a success without an adapter": (LOST, {"adapters": []}),
    "two adapters": (DUPLICATE, {"adapters": ["adapters/7/run-7-f2", "adapters/7/run-7-f3"]}),
    "an adapter whose files are gone": (LOST, {"stored": []}),
    "an adapter of an old fence": (ZOMBIE, {"adapters": ["a/run-7-f2"], "stored": ["a/run-7-f2"]}),
    "weights with a step lost": (LOST, {"weights_ok": False}),
    "a step without metrics": (LOST, {"metric_steps": [1, 2, 4]}),
    "a claim without an attempt": (DUPLICATE, {"attempts": HONEST.attempts[1:]}),
    "two attempts of one fence": (DUPLICATE, {"attempts": [attempt(1, "lost"), *HONEST.attempts]}),
    "an attempt that never ended": (STUCK, {"attempts": [attempt(1, ""), *HONEST.attempts[1:]]}),
    "an attempt paid twice": (DUPLICATE, {"attempts": [attempt(1, "lost", lines=2), *HONEST.attempts[1:]]}),
    "an attempt never paid": (DUPLICATE, {"attempts": [attempt(1, "lost", lines=0), *HONEST.attempts[1:]]}),
    "an open attempt that is paid": (ZOMBIE, {"attempts": [attempt(1, "", lines=1), *HONEST.attempts[1:]]}),
    "two successes": (DUPLICATE, {"attempts": [attempt(1, "lost"), attempt(2, "succeeded"), attempt(3, "succeeded")]}),
    "a success told twice": (DUPLICATE, {"audit": [*HONEST.audit, "run.succeeded"]}),
    "a claim that nobody told": (DUPLICATE, {"audit": ["run.running", "run.running", "run.succeeded"]}),
    "an end with a lease": (STUCK, {"owner_of_lease": True}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_damage_is_found(name):
    kind, damage = PLANTED[name]

    assert kind in found(dataclasses.replace(HONEST, **damage))


def test_a_cancelled_run_must_not_have_an_adapter():
    assert found(dataclasses.replace(CANCELLED, adapters=["adapters/7/run-7-f3"])) == {OTHER}


def test_the_last_attempt_tells_how_a_run_ended():
    failed = dataclasses.replace(
        CANCELLED, state="failed", plan="fail", attempts=[*CANCELLED.attempts[:2], attempt(3, "lost")]
    )

    assert found(failed) == {OTHER}


def test_violations_name_their_run():
    assert judge(dataclasses.replace(HONEST, stored=[]))[0] == Violation(
        LOST, 7, "adapters/7/run-7-f3 is not whole on the disk"
    )


# The witness


def write(writer: str, **changes) -> Write:
    return Write(**({"what": "run", "job": 7, "fence": 3, "state": "running", "writer": writer} | changes))


@pytest.mark.parametrize("writer", ["supervise|training.run|7|3", "worker-alpha", "web", "harness"])
def test_honest_writes_are_no_offence(writer):
    assert offence(write(writer)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        write("supervise|training.run|7|2"),
        write("supervise|training.run|7|2", what="metric"),
        write("supervise|training.run|7|3", what="adapter", state="succeeded"),
        write("supervise|training.run|7|3", state="queued"),
        write("supervise|training.run|8|3"),
        write("supervise|datasets.upload|7|3"),
        write("supervise|training.run|7|3", what="attempt", own_fence=2),
        write("supervise|training.run|7|2", what="ledger", state="", own_fence=2),
    ],
)
def test_writes_of_zombies_are_offences(wrong):
    assert offence(wrong)


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_the_witness_watches_every_table_that_a_worker_writes(vendor):
    text = "\n".join(witness.statements(vendor))

    assert set(re.findall(r"ON (\w+) FOR EACH ROW", text)) == {
        "training_run", "training_metricchunk", "training_adapter", "projects_attempt", "projects_ledgerentry",
    }  # fmt: skip


# Messages


def test_messages_meet_their_fates_as_often_as_wanted():
    rng, chances = random.Random(3), messages.rates("lost=0.2,tripled=0.1,late=0.1")

    met = Counter(messages.fate(chances, rng.random()) for _ in range(10_000))

    assert met["lost"] == pytest.approx(2000, rel=0.1)
    assert met["tripled"] == pytest.approx(1000, rel=0.15)
    assert met[None] == pytest.approx(6000, rel=0.05)


def test_an_unknown_fate_is_an_error():
    with pytest.raises(ValueError, match="eaten"):
        messages.rates("eaten=0.5")


@pytest.mark.parametrize(("chances", "times"), [({"lost": 1.0}, 0), ({"tripled": 1.0}, 3), ({}, 1)])
def test_a_message_is_sent_as_often_as_its_fate_says(chances, times):
    sent, noted = [], []
    send = messages.unreliable(lambda self, name: sent.append(name), chances, lambda what, name: noted.append(what))

    send(None, "projects.wake_workers")

    assert len(sent) == times
    assert noted == list(chances)


# The harness itself


def test_faults_are_dealt_out_and_none_is_forgotten():
    assert shares(1000, ["a", "b", "c"]) == {"a": 334, "b": 333, "c": 333}


def test_points_that_need_somebody_exist():
    assert set(NEEDS) | APART <= set(faults.POINTS)


def test_what_everything_stands_on_rests_between_two_strikes():
    struck = []
    choice = Choice(1, 10, lambda: bool(struck.append(1)) or True)

    assert [choice.try_now(now) for now in (0, 5, 11)] == [True, False, True]
    assert len(struck) == 2


def test_a_client_notes_every_answer_that_must_not_come(monkeypatch):
    client = Client("http://127.0.0.1:9", "token")

    assert client._once("GET", "/", None, {}) is None
    assert client.seen.total() == 1
    assert client.broken == []
