"""How worker processes announce themselves, what canaries tell, and when a process starts afresh."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError

from projects import canaries, leases, presence, probes, reconciler, tasks, waking
from projects.models import Canary, Card, Host, WorkerProcess
from projects.presence import Presence
from projects.pulse import Pulse
from tests.factories.hosts import driver_output, fake_driver, make_host
from tests.factories.projects import make_project
from tests.factories.toys import make_kind, queued_toy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def host(settings, monkeypatch):
    settings.WORKER_HOST = "forge"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    probes.forget()
    yield
    # Looks that are still under way would close the connection that another test puts in place of theirs.
    for thread in threading.enumerate():
        if thread.name == "looking":
            thread.join(20)
    probes.forget()


@pytest.fixture
def sent(monkeypatch):
    found = []
    monkeypatch.setattr(waking, "send_canary", lambda queue, number: found.append((queue, number)))
    return found


def age(model, seconds, **of):
    """Let what was written seem older."""
    gap = timedelta(seconds=seconds)
    for row in model.objects.filter(**of):
        for name in ("beat_at", "sent_at", "waiting_since", "seen_at"):
            if getattr(row, name, None):
                setattr(row, name, getattr(row, name) - gap)
        row.save()


def test_a_process_announces_what_it_is(settings, tmp_path):
    settings.NVIDIA_SMI = fake_driver(tmp_path, driver_output(2, used=512, temperature=44, use=12))
    settings.SLOTS = {"cpu": 3, "gpu": 1}

    Presence(["cpu", "gpu"]).beat()

    host, process = Host.objects.get(), WorkerProcess.objects.get()
    assert (host.name, host.cards_note, host.draining_at) == ("forge", "", None)
    assert host.load["cpus"] >= 1
    assert process.places == {"cpu": ["cpu:0", "cpu:1", "cpu:2"], "gpu": ["gpu:0", "gpu:1"]}
    assert process.versions == probes.versions()
    assert process.stop_grace_seconds == settings.STOP_GRACE_SECONDS
    cards = list(host.cards.values_list("index", "name", "temperature", "utilisation", "memory_used_bytes"))
    assert cards == [(0, "NVIDIA H200", 44.0, 0.12, 512 * 1024**2), (1, "NVIDIA H200", 44.0, 0.12, 512 * 1024**2)]


def test_a_host_without_cards_says_why():
    Presence(["gpu"]).beat()

    assert "was not found" in Host.objects.get().cards_note
    assert WorkerProcess.objects.get().places == {"gpu": ["cpu:0"]}


def test_every_beat_is_written_in_the_same_rows(settings, tmp_path):
    settings.NVIDIA_SMI = fake_driver(tmp_path, driver_output(2))
    mine = Presence(["cpu"])
    first = mine.beat()
    (tmp_path / "said").write_text(driver_output(1, temperature=70))

    second = mine.beat()

    assert WorkerProcess.objects.get().beat_at == Host.objects.get().beat_at == second > first
    assert WorkerProcess.objects.get().started_at == first
    assert list(Card.objects.values_list("index", "temperature")) == [(0, 70.0)]


def test_a_host_that_was_forgotten_announces_itself_again():
    mine = Presence(["cpu"])
    mine.beat()
    Host.objects.all().delete()

    mine.beat()

    assert Host.objects.get().name == "forge"
    assert WorkerProcess.objects.count() == 1


def test_several_processes_of_a_host_share_it_and_dead_ones_are_cleared_away():
    dead, left, alive = Presence(["cpu"]), Presence(["cpu"]), Presence(["gpu"])
    for one in (dead, left, alive):
        one.beat()
    age(WorkerProcess, 1000, pk=dead.pk)
    left.leave()

    alive.beat()

    assert list(WorkerProcess.objects.values_list("pk", flat=True)) == [alive.pk]
    assert Host.objects.count() == 1


def test_a_dead_process_of_another_host_is_left_for_people_to_see():
    make_host("other", silent=1000)

    Presence(["cpu"]).beat()

    assert WorkerProcess.objects.filter(host__name="other").count() == 1


def test_rivals_are_the_living_on_the_queue_that_the_fewest_hear():
    now = leases.database_time()
    make_host("one", queues=["cpu", "gpu"])
    make_host("two", queues=["cpu"])
    make_host("gone", queues=["cpu", "gpu"], silent=1000)

    assert presence.rivals(["cpu"], now) == 2
    assert presence.rivals(["cpu", "gpu"], now) == 1


def test_canaries_leave_one_at_a_time_whoever_sends(sent):
    assert canaries.send_due(["cpu", "gpu"]) == ["cpu", "gpu"]
    assert canaries.send_due(["cpu", "gpu"]) == []
    assert sent == [("cpu", 1), ("gpu", 1)]


def test_the_next_canary_leaves_when_the_last_has_arrived(sent):
    canaries.send_due(["cpu"])
    tasks.canary(queue="cpu", number=1)
    assert canaries.send_due(["cpu"]) == []
    age(Canary, 31)

    canaries.send_due(["cpu"])

    canary = Canary.objects.get()
    assert sent == [("cpu", 1), ("cpu", 2)]
    assert (canary.seen_number, canary.seen_by, canary.number) == (1, "forge", 2)
    assert canary.seconds < 10


def test_a_canary_that_got_lost_is_followed_by_another_and_forgotten_when_that_arrives(sent):
    now = leases.database_time()
    canaries.send_due(["cpu"])
    age(Canary, 31)
    assert canaries.send_due(["cpu"]) == []  # it may still come
    age(Canary, 30)
    assert canaries.send_due(["cpu"]) == ["cpu"]
    assert not canaries.overdue(["cpu"], now)
    age(Canary, 61)
    assert canaries.overdue(["cpu"], leases.database_time())
    assert not canaries.overdue(["gpu"], leases.database_time())

    canaries.note("cpu", 2, by="forge")

    assert not canaries.overdue(["cpu"], leases.database_time())
    canaries.note("cpu", 1, by="late")
    assert Canary.objects.get().seen_by == "forge"


def test_a_machine_that_slept_does_not_call_its_canaries_overdue(sent):
    canaries.send_due(["cpu"])
    canaries.note("cpu", 1, by="forge")
    age(Canary, 10_000)

    canaries.send_due(["cpu"])

    assert not canaries.overdue(["cpu"], leases.database_time())


def test_a_beat_takes_waiting_work_that_nobody_was_woken_for(toys, tmp_path, sent):
    make_kind(tmp_path)
    toy = queued_toy(make_project())

    assert Pulse(["cpu"]).beat() == ""

    toy.refresh_from_db()
    assert (toy.state, toy.place) == ("succeeded", "cpu:0")


def test_a_process_gives_back_what_others_lost_when_no_sweep_comes(toys, tmp_path, sent, monkeypatch):
    """Beat is dead, or the broker, or every message is lost."""
    make_kind(tmp_path)
    toy = queued_toy(make_project())
    leases.claim([type(toy)], owner="gone/cpu/1")
    type(toy).objects.update(lease_until=leases.database_time() - timedelta(seconds=1))
    monkeypatch.setattr(reconciler, "_swept_at", time.monotonic())

    Pulse(["cpu"]).beat()
    toy.refresh_from_db()
    assert (toy.state, toy.fence) == ("running", 1)

    monkeypatch.setattr(reconciler, "_swept_at", time.monotonic() - 1000)
    Pulse(["cpu"]).beat()
    toy.refresh_from_db()
    assert (toy.state, toy.fence) == ("succeeded", 2)
    assert not reconciler.is_overdue()


def stalled_pulse():
    """The pulse of a process whose queue has a canary that nobody took."""
    pulse = Pulse(["cpu"])
    pulse.beat()
    age(Canary, 50)
    pulse.beat()
    age(Canary, 80)
    assert pulse.beat() == ""
    return pulse


def test_a_process_that_hears_nothing_while_the_broker_answers_starts_afresh(sent, monkeypatch):
    monkeypatch.setattr(waking, "broker_answers", lambda: True)

    assert "nobody took" in stalled_pulse().beat()


def test_while_the_broker_is_away_nobody_starts_afresh(sent, monkeypatch):
    monkeypatch.setattr(waking, "broker_answers", lambda: False)

    assert stalled_pulse().beat() == ""


def test_a_task_that_never_ends_makes_its_process_start_afresh(sent, monkeypatch):
    monkeypatch.setattr(waking, "broker_answers", lambda: True)
    pulse = Pulse(["cpu"])
    pulse.judge.limit = 3
    pulse.heard()
    pulse.begun()

    assert [pulse.beat() != "" for _ in range(4)] == [False, False, False, True]
    pulse.ended()
    assert pulse.beat() == ""


def test_a_beat_that_meets_a_database_that_is_away_is_missed_and_no_more(monkeypatch):
    def away(self):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(Presence, "beat", away)
    monkeypatch.setattr("projects.pulse.connection", type("Nothing", (), {"close": lambda self: None})())
    monkeypatch.setattr("projects.pulse.close_old_connections", lambda: None)

    assert Pulse(["cpu"])._beat_patiently() == ""


def test_whoever_leaves_in_good_order_is_not_missed(sent):
    pulse = Pulse(["cpu", "unknown"])
    pulse.beat()
    assert WorkerProcess.objects.get().queues == ["cpu"]

    pulse.leave()

    assert not WorkerProcess.objects.exists()


def test_hosts_that_are_long_gone_are_forgotten_unless_somebody_drained_them():
    month = 31 * 86_400
    make_host("gone", silent=month)
    make_host("drained", silent=month, draining_at=leases.database_time())
    make_host("yesterday", silent=86_400)

    reconciler.sweep()

    assert set(Host.objects.values_list("name", flat=True)) == {"drained", "yesterday"}
