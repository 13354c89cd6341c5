"""Damage planted into a real database and onto a real disk: the oracle and the witness read it from there."""

import shutil
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from benchmarks.chaos import history, oracle, witness
from benchmarks.chaos.workload import Promise
from projects.models import Attempt, AuditEvent
from tests.factories.training import make_run
from training.domain.series import Series
from training.models import Adapter, MetricChunk, Run

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]

WRITER = {"name": "harness"}


@pytest.fixture
def watched():
    """The witness's triggers, with a writer that a test may choose; gone again afterwards."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        connection.connection.create_function("chaos_writer", 0, lambda: WRITER["name"])
    with connection.cursor() as cursor:
        for statement in witness.statements(connection.vendor):
            cursor.execute(statement)
    yield
    WRITER["name"] = "harness"
    with connection.cursor() as cursor:
        for number, (_, table, *_rest) in enumerate(witness.WATCHED):
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER chaos_{number}{on}")
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP FUNCTION chaos_{number}()")
        cursor.execute(f"DROP TABLE {witness.TABLE}")


def write_as(name: str) -> None:
    WRITER["name"] = name
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, false)", [name])


@pytest.fixture
def run():
    """A run of the fake engine; its weights are not those of the chain, so it is judged as a real one."""
    made = make_run()
    Run.objects.filter(pk=made.pk).update(name="real 1")
    return made


def judged(run) -> set[str]:
    promise = Promise("real 1", "real", run=run.pk, accepted=True)
    facts = oracle.gather({run.pk: promise})
    return {violation.kind for fact in facts for violation in oracle.judge(fact)} | {
        violation.kind for violation in oracle.unkept([promise], facts)
    }


def test_an_honest_run_is_judged_well(run):
    assert judged(run) == set()


def files_gone(run):
    shutil.rmtree(Path(default_storage.path(Adapter.objects.get().key)))


def row_gone(run):
    Adapter.objects.all().delete()


def one_more_attempt(run):
    first = Attempt.objects.get(job_label="training.run")
    first.pk, first.fence, first.number = None, 5, 2
    first.save()


def stuck(run):
    Run.objects.filter(pk=run.pk).update(state="running")


def told_again(run):
    said = AuditEvent.objects.get(action="run.succeeded")
    said.pk = None
    said.save()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (files_gone, oracle.LOST),
        (row_gone, oracle.LOST),
        (one_more_attempt, oracle.DUPLICATE),
        (stuck, oracle.STUCK),
        (told_again, oracle.DUPLICATE),
    ],
)
def test_planted_damage_is_read_from_rows_and_disk(run, damage, kind):
    damage(run)

    assert kind in judged(run)


def test_a_run_that_somebody_was_promised_and_that_is_gone_is_lost():
    promise = Promise("plain 1", "plain", run=4711, accepted=True)

    assert [violation.kind for violation in oracle.unkept([promise], [])] == [oracle.LOST]


def test_the_witness_sees_a_write_under_an_old_fence(run, watched):
    Run.objects.filter(pk=run.pk).update(state="running", fence=2)
    write_as(f"supervise|training.run|{run.pk}|1")

    Run.objects.filter(pk=run.pk).update(step=99)
    MetricChunk.objects.append(run, {"entropy": Series.of([99], [1.0])})

    offences = [text for one in witness.writes() if (text := witness.offence(one))]
    assert len(offences) == 2
    assert "fence 1 wrote run" in offences[0]
    write_as("harness")


def test_the_witness_has_nothing_against_the_holder_of_the_lease(run, watched):
    Run.objects.filter(pk=run.pk).update(state="running", fence=2)
    write_as(f"supervise|training.run|{run.pk}|2")

    Run.objects.filter(pk=run.pk).update(step=99)
    MetricChunk.objects.append(run, {"entropy": Series.of([99], [1.0])})

    assert len(witness.writes()) == 3
    assert [one for one in witness.writes() if witness.offence(one)] == []
    write_as("harness")


def test_the_witness_lets_money_be_summed_after_the_end_and_nothing_else(run, watched):
    write_as(f"supervise|training.run|{run.pk}|{run.fence}")

    Run.objects.filter(pk=run.pk).update(cost=17, seconds=99.5)
    assert witness.writes() == []
    Run.objects.filter(pk=run.pk).update(step=99)

    assert [bool(witness.offence(one)) for one in witness.writes()] == [True]
    write_as("harness")


def test_the_history_of_a_run_tells_its_attempts_and_its_audit_log(run):
    text = history.tell(run.pk)

    assert "attempt f1" in text
    assert "run.succeeded" in text
    assert "there is no run" in history.tell(4711)
