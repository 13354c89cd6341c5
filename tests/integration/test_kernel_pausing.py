"""Pausing and resuming: what rests costs nothing, keeps its place, and of two wishes exactly one is granted."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from projects import leases, pausing, slots, supervision
from projects.domain.errors import Refused
from projects.domain.states import Outcome
from projects.models import Attempt, AuditEvent, LedgerEntry
from tests.factories.projects import make_project
from tests.factories.toys import Toy, make_kind, queued_toy

pytestmark = pytest.mark.django_db
BY = "anna@example.org"
SAVES = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
SLOW = "say('started', device='cpu', pid=os.getpid())\nwhile True: time.sleep(0.05)\n"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLOW


@pytest.fixture
def project(toys, settings, tmp_path):
    settings.HEARTBEAT_SECONDS = settings.CANCEL_POLL_SECONDS = 0.05
    make_kind(tmp_path)
    return make_project(gpu_hour_price=Decimal("3.6"))


def drive(project, tmp_path, script, on_event, **changes):
    kind, heard = make_kind(tmp_path, script, on_event=on_event, **changes)
    toy = queued_toy(project)
    toy = leases.claim([Toy], owner="here/cpu/1")
    supervision.supervise(kind, toy)
    toy.refresh_from_db()
    return toy, heard


def pause_on_start(job, event):
    if event["event"] == "started":
        pausing.request_pause(job, actor=BY, reason="the card is needed")


def claimed(project):
    queued_toy(project)
    return leases.claim([Toy], owner="here/cpu/1")


def test_what_waits_rests_at_once_and_nobody_takes_it(project):
    toy = queued_toy(project)
    pausing.request_pause(toy, actor=BY, reason="not today")

    assert toy.state == "paused"
    assert leases.claim([Toy], owner="here") is None
    assert AuditEvent.objects.get(action="toy.paused").reason == "not today"


def test_a_running_job_saves_rests_and_gives_its_slot_away(project, tmp_path):
    toy, heard = drive(project, tmp_path, SAVES + SLOW, pause_on_start, grace_seconds=10)

    assert (toy.state, toy.lease_until, toy.error_code, toy.finished_at) == ("paused", None, "", None)
    assert slots.free_places("cpu") == slots.places("cpu")
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.error_code) == ("paused", "")
    assert LedgerEntry.objects.get().outcome == "paused"
    assert heard.failed == []
    assert AuditEvent.objects.get(action="toy.pause_requested").reason == "the card is needed"


def test_what_did_not_save_in_time_rests_too_and_says_so(project, tmp_path):
    toy, _ = drive(project, tmp_path, DEAF, pause_on_start, grace_seconds=0.2)

    assert toy.state == "paused"
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.error_code) == ("paused", "grace_over")
    assert "checkpoint before" in attempt.error_message


def test_what_finishes_while_it_is_asked_to_rest_has_finished(project, tmp_path):
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('started')\ntime.sleep(0.3)\nsay('result', answer=42)"
    toy, _ = drive(project, tmp_path, script, pause_on_start, grace_seconds=10)

    assert (toy.state, Attempt.objects.get().outcome) == ("succeeded", "succeeded")


def test_what_fails_while_it_is_asked_to_rest_has_failed(project, tmp_path):
    script = "say('started')\ntime.sleep(0.3)\nsay('failed', code='broken', message='No.')\nsys.exit(1)"
    toy, _ = drive(
        project,
        tmp_path,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + script,
        pause_on_start,
        grace_seconds=10,
    )

    assert (toy.state, toy.error_code) == ("failed", "broken")


def test_cancelling_wins_over_pausing(project, tmp_path):
    def both(job, event):
        pause_on_start(job, event)
        if event["event"] == "started":
            leases.request_cancel(job, actor=BY)

    toy, heard = drive(project, tmp_path, SAVES + SLOW, both, grace_seconds=10)

    assert toy.state == "cancelled"
    assert heard.failed == ["cancelled"]


def test_time_in_which_it_rests_costs_nothing(project):
    toy = claimed(project)
    began = leases.database_time() - timedelta(seconds=7200)
    Attempt.objects.update(device="cuda", started_at=began)
    leases.hold(toy)
    pausing.rest(toy, cause="training")
    Attempt.objects.update(ended_at=began + timedelta(seconds=1800))  # an hour and a half ago
    booked = LedgerEntry.objects.count()

    pausing.resume_job(toy, actor=BY)
    toy = leases.claim([Toy], owner="here/cpu/2")
    leases.finish(toy, Outcome.SUCCEEDED, cause="training")

    lines = LedgerEntry.objects.order_by("pk")
    assert (booked, len(lines)) == (1, 2)
    assert lines[1].started_at >= toy.queued_at, "the second line begins with the second attempt"
    assert float(lines[1].amount) < 0.01


def test_a_resumed_job_goes_on_as_the_same_attempt_of_a_person(project):
    toy = queued_toy(project)
    pausing.request_pause(toy, actor=BY)
    pausing.resume_job(toy, actor=BY)

    assert (toy.state, toy.attempt, toy.pause_requested_at) == ("queued", 1, None)
    assert leases.claim([Toy], owner="here").pk == toy.pk


def test_what_rests_can_be_cancelled(project):
    toy = queued_toy(project)
    pausing.request_pause(toy, actor=BY)
    leases.request_cancel(toy, actor=BY, reason="no more")

    assert (toy.state, toy.finished_at is not None) == ("cancelled", True)


def test_a_worker_lost_after_the_wish_leaves_it_resting(project):
    toy = claimed(project)
    pausing.request_pause(toy, actor=BY)
    Toy.objects.update(lease_until=leases.database_time() - timedelta(seconds=1))

    assert leases.give_back(toy, cause="training") is True

    toy.refresh_from_db()
    attempt = Attempt.objects.get()
    assert (toy.state, toy.infra_failures) == ("paused", 1)
    assert (attempt.outcome, attempt.error_code) == ("lost", "worker_lost")


def test_a_job_whose_host_is_stopped_goes_back_to_its_queue(project, tmp_path, monkeypatch):
    def stop_host(job, event):
        if event["event"] == "started":
            monkeypatch.setattr(supervision.stopping, "is_set", lambda: True)

    toy, _ = drive(project, tmp_path, SAVES + SLOW, stop_host, grace_seconds=10)

    attempt = Attempt.objects.get()
    assert (toy.state, attempt.outcome, attempt.error_code) == ("queued", "interrupted", "host_stopped")


def test_a_wish_that_comes_while_the_host_is_stopped_is_kept(project, tmp_path, monkeypatch):
    def stop_host(job, event):
        if event["event"] == "started":
            monkeypatch.setattr(supervision.stopping, "is_set", lambda: True)
            monkeypatch.setattr(supervision.Lease, "keep", lambda self: None)
            pausing.request_pause(job, actor=BY)

    toy, _ = drive(project, tmp_path, SAVES + SLOW, stop_host, grace_seconds=10)

    assert toy.state == "paused"


def test_asking_twice_is_asking_once(project):
    toy = claimed(project)
    pausing.request_pause(toy, actor=BY)
    asked = toy.pause_requested_at
    pausing.request_pause(toy, actor=BY)

    assert toy.pause_requested_at == asked
    assert AuditEvent.objects.filter(action="toy.pause_requested").count() == 1


def test_what_cannot_be_paused_or_resumed_says_why(project):
    over, running = claimed(project), None
    leases.finish(over, Outcome.SUCCEEDED, cause="training")
    running = claimed(project)
    leases.request_cancel(running, actor=BY)
    for act, row, code in [
        (pausing.request_pause, over, "not_running"),
        (pausing.resume_job, over, "not_paused"),
        (pausing.request_pause, running, "being_cancelled"),
        (pausing.resume_job, running, "not_paused"),
    ]:
        with pytest.raises(Refused) as refused:
            act(row, actor=BY)
        assert refused.value.code == code


def test_a_wish_against_a_row_that_just_ended_is_refused_not_lost(project, monkeypatch):
    """The row ends between the look and the write."""
    toy = claimed(project)
    rival = Toy.objects.get(pk=toy.pk)
    refresh = Toy.refresh_from_db

    def end_first(self, *args, **kwargs):
        refresh(self, *args, **kwargs)
        monkeypatch.setattr(Toy, "refresh_from_db", refresh)
        leases.finish(rival, Outcome.SUCCEEDED, cause="training")

    for act in (pausing.request_pause, leases.request_cancel):
        monkeypatch.setattr(Toy, "refresh_from_db", end_first)
        with pytest.raises(Refused, match=r"succeeded|already over"):
            act(toy, actor=BY)
        monkeypatch.setattr(Toy, "refresh_from_db", refresh)
        Toy.objects.filter(pk=toy.pk).delete()
        toy = claimed(project)
        rival = Toy.objects.get(pk=toy.pk)


@pytest.mark.django_db(transaction=True)
def test_of_resume_and_cancel_at_once_exactly_one_is_granted(project):
    for _ in range(5):
        toy = queued_toy(project)
        pausing.request_pause(toy, actor=BY)
        start, answers = threading.Barrier(2), []

        def ask(act, pk, start=start, answers=answers):
            row = Toy.objects.get(pk=pk)
            start.wait()
            try:
                act(row, actor=BY)
                answers.append(act.__name__)
            except Refused as refused:
                answers.append(refused.code)
            connection.close()

        threads = [
            threading.Thread(target=ask, args=(act, toy.pk)) for act in (pausing.resume_job, leases.request_cancel)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        toy.refresh_from_db()
        # Resumed first and cancelled while it waits again is fine: both were granted, one after the other.
        granted = {"resume_job", "request_cancel"} & set(answers)
        assert granted and len(answers) == 2
        assert toy.state == ("cancelled" if "request_cancel" in granted else "queued")
        assert set(answers) - granted <= {"just_changed", "not_paused"}
        Toy.objects.all().delete()


def test_a_child_that_hangs_is_killed_and_its_work_goes_on_elsewhere(project, tmp_path):
    began = time.monotonic()
    once = tmp_path / "once"
    script = (
        f"first = not os.path.exists({str(once)!r})\nopen({str(once)!r}, 'w').close()\n"
        "say('progress', phase='training', done=1, total=2)\nif first: time.sleep(300)\nsay('result', answer=42)"
    )
    patience = {"training": 0.3}
    make_kind(tmp_path, script, patience=lambda phase: patience.get(phase, 60))
    queued_toy(project)
    supervision.claim_and_start("cpu")

    assert time.monotonic() - began < 30
    toy = Toy.objects.get()
    assert (toy.state, toy.infra_failures) == ("succeeded", 1)
    lost, done = Attempt.objects.order_by("pk")
    assert (lost.outcome, lost.error_code, done.outcome) == ("lost", "stalled", "succeeded")
    assert "while training" in lost.error_message
    assert AuditEvent.objects.filter(action="toy.queued", reason__contains="said nothing").exists()
