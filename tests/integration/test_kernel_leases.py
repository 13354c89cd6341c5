"""Claim, heartbeat, fence, loss: what keeps a job from running twice or being forgotten."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from projects import leases, reconciler
from projects.domain.errors import Refused
from projects.domain.states import JobState, Outcome
from projects.leases import LostLease
from projects.models import Attempt, AuditEvent, LedgerEntry
from tests.factories.projects import make_project
from tests.factories.toys import Toy, make_kind, make_toy, queued_toy

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(toys, tmp_path):
    make_kind(tmp_path)
    return make_project(gpu_hour_price=Decimal("3.6"))


def expire(toy):
    past = leases.database_time() - timedelta(seconds=1)
    Toy.objects.filter(pk=toy.pk).update(lease_until=past)


def claimed(project, owner="host/cpu/1"):
    queued_toy(project)
    return leases.claim([Toy], owner=owner)


def test_a_claim_raises_the_fence_and_opens_an_attempt(project):
    toy = claimed(project)

    attempt = Attempt.objects.get()
    assert (toy.state, toy.fence, toy.owner) == ("running", 1, "host/cpu/1")
    assert toy.lease_until > leases.database_time()
    assert (attempt.fence, attempt.number, attempt.worker, attempt.ended_at) == (1, 1, "host/cpu/1", None)
    assert AuditEvent.objects.filter(action="toy.running", actor="worker").exists()


def test_a_job_is_claimed_once(project):
    claimed(project)

    assert leases.claim([Toy], owner="host/cpu/2") is None


def test_the_more_urgent_job_goes_first_and_then_the_older_one(project):
    first, second, urgent = queued_toy(project), queued_toy(project), queued_toy(project, priority=5)

    order = [leases.claim([Toy], owner="o").pk for _ in range(3)]

    assert order == [urgent.pk, first.pk, second.pk]


def test_of_two_claimers_of_the_same_row_one_wins(project):
    toy = queued_toy(project)
    rival = Toy.objects.get(pk=toy.pk)

    assert leases._take(toy, "host/a") is True
    assert leases._take(rival, "host/b") is False
    assert Attempt.objects.count() == 1


def test_a_heartbeat_prolongs_the_lease(project):
    toy = claimed(project)
    before = toy.lease_until

    leases.heartbeat(toy)

    toy.refresh_from_db()
    assert toy.lease_until > before


def test_whoever_lost_the_fence_can_write_nothing(project):
    zombie = claimed(project)
    expire(zombie)
    leases.give_back(zombie, cause="training")
    successor = leases.claim([Toy], owner="host/cpu/2")

    for write in (
        lambda: leases.fenced_update(zombie, product="zombie"),
        lambda: leases.heartbeat(zombie),
        lambda: leases.finish(zombie, Outcome.SUCCEEDED, cause="training"),
        lambda: leases.hand_back(zombie, cause="training"),
    ):
        with pytest.raises(LostLease):
            write()
    successor.refresh_from_db()
    assert (successor.state, successor.fence, successor.product) == ("running", 2, "")


def test_finishing_writes_state_attempt_and_ledger_together(project):
    toy = claimed(project)
    Attempt.objects.update(
        device="cuda", device_name="H200", started_at=leases.database_time() - timedelta(seconds=1800)
    )

    leases.finish(toy, Outcome.FAILED, cause="training", code="out_of_memory", message="It did not fit.")

    toy.refresh_from_db()
    attempt, line = Attempt.objects.get(), LedgerEntry.objects.get()
    assert (toy.state, toy.error_code, toy.lease_until) == ("failed", "out_of_memory", None)
    assert (attempt.outcome, attempt.error_code) == ("failed", "out_of_memory")
    assert (line.outcome, line.unit, line.cause, line.attempt) == ("failed", "GPU h", "training", attempt)
    assert float(line.quantity) == pytest.approx(0.5, abs=0.001)
    assert float(line.amount) == pytest.approx(1.8, abs=0.01)


def test_a_living_worker_keeps_its_job(project):
    toy = claimed(project)

    assert leases.give_back(toy, cause="training") is False
    assert reconciler.sweep()["given_back"] == 0


def test_one_job_that_cannot_be_given_back_keeps_no_other_from_it(project, caplog):
    odd, toy = claimed(project), claimed(project, "host/cpu/2")
    expire(odd)
    expire(toy)
    Attempt.objects.filter(job_id=odd.pk).delete()  # a row that somebody has damaged by hand

    assert reconciler.sweep()["given_back"] == 1

    toy.refresh_from_db()
    assert toy.state == "queued"
    assert f"{odd.pk} cannot be given back" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_reconciler_does_not_wait_for_who_is_storing_a_result(project):
    """The row is locked while a result is stored, and that may take longer than a lease."""
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("SQLite has one lock for all rows")
    toy = claimed(project)
    expire(toy)
    stored, looked = threading.Event(), threading.Event()

    def store():
        with transaction.atomic():
            leases.hold(Toy.objects.get(pk=toy.pk))
            stored.set()
            looked.wait(20)
            leases.finish(Toy.objects.get(pk=toy.pk), Outcome.SUCCEEDED, cause="training")
        connection.close()

    thread = threading.Thread(target=store)
    thread.start()
    stored.wait(20)
    assert reconciler.sweep()["given_back"] == 0
    looked.set()
    thread.join()

    toy.refresh_from_db()
    assert (toy.state, toy.fence) == ("succeeded", 1)


def test_a_job_whose_worker_is_gone_goes_back_to_the_queue(project):
    toy = claimed(project)
    expire(toy)

    assert reconciler.sweep()["given_back"] == 1

    toy.refresh_from_db()
    assert (toy.state, toy.infra_failures, toy.attempt) == ("queued", 1, 1)
    assert Attempt.objects.get().outcome == "lost"
    assert LedgerEntry.objects.get().outcome == "lost"


def test_after_three_losses_a_job_is_left_alone_and_a_retry_starts_afresh(project):
    toy = queued_toy(project)
    for _ in range(3):
        toy = leases.claim([Toy], owner="host")
        expire(toy)
        leases.give_back(toy, cause="training")

    toy.refresh_from_db()
    assert (toy.state, toy.error_code) == ("failed", leases.QUARANTINED)
    assert LedgerEntry.objects.filter(outcome="lost").count() == 3

    leases.queue_job(toy, actor="anna@example.org")
    assert (toy.state, toy.infra_failures, toy.attempt, toy.error_code) == ("queued", 0, 2, "")


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled(project):
    toy = claimed(project)
    leases.request_cancel(toy, actor="anna@example.org", reason="wrong data")
    expire(toy)

    leases.give_back(toy, cause="training")

    toy.refresh_from_db()
    assert toy.state == "cancelled"
    assert Attempt.objects.get().outcome == "cancelled"


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_told(project):
    waiting, running = queued_toy(project), None
    leases.request_cancel(waiting, actor="anna@example.org", reason="not needed")
    running = claimed(project)
    leases.request_cancel(running, actor="anna@example.org", reason="too slow")

    assert waiting.state == "cancelled"
    assert running.state == "running"
    assert running.cancel_requested_at is not None
    assert AuditEvent.objects.get(action="toy.cancel_requested").reason == "too slow"


def test_what_is_over_cannot_be_cancelled(project):
    toy = claimed(project)
    leases.finish(toy, Outcome.SUCCEEDED, cause="training")

    with pytest.raises(Refused, match="already over"):
        leases.request_cancel(toy, actor="anna@example.org")


def test_a_finished_job_stays_finished(project):
    toy = claimed(project)
    leases.finish(toy, Outcome.SUCCEEDED, cause="training")

    with pytest.raises(Refused, match="cannot become"):
        leases.queue_job(toy, actor="anna@example.org")


def test_a_job_handed_back_in_good_order_is_no_failure(project):
    toy = claimed(project)

    leases.hand_back(toy, cause="training")

    toy.refresh_from_db()
    assert (toy.state, toy.infra_failures) == ("queued", 0)
    assert Attempt.objects.get().outcome == "interrupted"


def test_every_claim_is_a_line_in_the_ledger(project):
    toy = queued_toy(project)
    for outcome in (Outcome.FAILED, Outcome.CANCELLED, Outcome.SUCCEEDED):
        toy = leases.claim([Toy], owner="host")
        leases.finish(toy, outcome, cause="training")
        if outcome is not Outcome.SUCCEEDED:
            leases.queue_job(toy, actor="anna@example.org")

    assert list(LedgerEntry.objects.order_by("pk").values_list("outcome", flat=True)) == [
        "failed",
        "cancelled",
        "succeeded",
    ]
    assert list(Attempt.objects.order_by("pk").values_list("number", flat=True)) == [1, 2, 3]


def test_the_sweep_wakes_queues_whose_wake_up_was_lost(project, monkeypatch, settings):
    woken = []
    monkeypatch.setattr("projects.waking.wake", woken.append)
    settings.WAKE_AGAIN_SECONDS = 30
    toy = queued_toy(project)
    reconciler.sweep()
    assert woken == []

    Toy.objects.filter(pk=toy.pk).update(queued_at=leases.database_time() - timedelta(seconds=60))
    assert reconciler.sweep()["queues_woken"] == 1
    assert woken == ["cpu"]


def test_a_draft_cannot_be_finished_or_cancelled(project):
    toy = make_toy(project)

    with pytest.raises(LostLease):
        leases.finish(toy, Outcome.SUCCEEDED, cause="training")
    with pytest.raises(Refused):
        leases.request_cancel(toy, actor="anna@example.org")
    assert JobState(toy.state) is JobState.DRAFT
