"""A lease under strain: the database comes and goes, files take long, a supervisor hangs, a child talks for ever."""

import sys
import time

import psutil
import pytest

from projects import faults, keeping, leases, supervision
from projects.child import Child
from projects.faults import Planned
from projects.jobs import Limits
from projects.keeping import Lease
from projects.models import Attempt, AuditEvent, LedgerEntry
from tests.factories.projects import make_project
from tests.factories.toys import Toy, make_kind, queued_toy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(toys, tmp_path, settings, monkeypatch):
    make_kind(tmp_path)
    settings.HEARTBEAT_SECONDS = settings.CANCEL_POLL_SECONDS = 0.05
    monkeypatch.setattr(keeping, "PAUSE_SECONDS", 0.02)
    return make_project()


def claimed(project) -> Toy:
    queued_toy(project)
    toy = leases.claim([Toy], owner="host/cpu/1")
    assert toy is not None
    return toy


SCRIPT = "say('started', device='cpu')\nsay('progress', phase='x', done=1, total=1)\nsay('result', answer='one')"


@pytest.mark.parametrize(
    "point",
    [
        "leases.before_heartbeat",
        "leases.before_fenced_write",
        "supervision.before_note",
        "supervision.after_note",
        "leases.held",
        "supervision.before_complete",
        "supervision.after_complete",
        "leases.end_written",
        "leases.attempt_closed",
        "leases.attempt_booked",
    ],
)
def test_a_database_that_goes_away_for_a_moment_costs_nothing(project, tmp_path, monkeypatch, point):
    """Whatever was half done in the transaction is done again, from the row as it is and not as it was remembered."""
    make_kind(tmp_path, SCRIPT)
    toy = queued_toy(project)
    monkeypatch.setattr(faults, "_armed", {point: Planned("raise")})

    supervision.claim_and_start("cpu")

    toy.refresh_from_db()
    assert (toy.state, toy.product, toy.fence) == ("succeeded", "one", 1)
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["succeeded"]
    assert LedgerEntry.objects.count() == 1
    assert AuditEvent.objects.filter(action="toy.succeeded").count() == 1


def test_files_may_take_longer_to_fetch_than_a_lease_lasts(project, settings):
    settings.SUPERVISE_INLINE = False
    toy = claimed(project)

    with Lease(toy).kept():
        time.sleep(0.4)

    assert Toy.objects.get(pk=toy.pk).heartbeat_at > Attempt.objects.get().started_at


def test_who_was_given_up_while_fetching_files_does_not_go_on(project, settings):
    settings.SUPERVISE_INLINE = False
    toy = claimed(project)

    with pytest.raises(leases.LostLease), Lease(toy).kept():
        Toy.objects.filter(pk=toy.pk).update(fence=toy.fence + 1)
        time.sleep(0.4)


def test_a_supervisor_that_starts_too_late_starts_no_child(project, tmp_path):
    kind, heard = make_kind(tmp_path, SCRIPT)
    toy = claimed(project)
    Toy.objects.filter(pk=toy.pk).update(fence=toy.fence + 1)

    supervision.supervise(kind, toy)

    assert heard.events == []
    assert not (supervision.workdir_of(toy) / "engine.log").exists()


def sleeper(tmp_path) -> Child:
    return Child(
        [sys.executable, "-c", "import time; time.sleep(60)"], workdir=tmp_path, limits=Limits(), grace_seconds=1
    )


def is_dead(child: Child) -> bool:
    return not psutil.pid_exists(child.pid) or psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE


def test_the_child_dies_in_time_while_its_supervisor_hangs(project, tmp_path, settings):
    settings.LEASE_SECONDS = 0.5
    lease = Lease(claimed(project))
    ends = time.monotonic() + settings.LEASE_SECONDS

    with sleeper(tmp_path) as child, lease.guarding(child):
        while not is_dead(child) and time.monotonic() < ends + 5:
            time.sleep(0.01)  # the supervisor waits for a database that does not answer
        assert time.monotonic() <= ends + 0.5


def test_a_child_is_left_alone_while_its_lease_is_kept(project, tmp_path, settings):
    settings.LEASE_SECONDS = 0.5
    lease = Lease(claimed(project))

    with sleeper(tmp_path) as child, lease.guarding(child):
        for _ in range(20):
            lease.keep()
            time.sleep(0.05)
        assert not is_dead(child)


def test_a_child_that_never_stops_talking_is_still_heard_and_stopped(project, tmp_path, settings, monkeypatch):
    monkeypatch.setattr(supervision, "POLL_SECONDS", 0.05)
    monkeypatch.setattr("projects.child.MOST_WAITING", 300)

    def ask(job, event):
        time.sleep(0.001)  # slower than the child talks
        if event.get("done") == 50:
            leases.request_cancel(job, actor="anna@example.org")

    make_kind(tmp_path, "n = 0\nwhile True:\n    n += 1\n    say('tick', done=n)\n", on_event=ask, grace_seconds=1)
    toy = queued_toy(project)
    began = time.monotonic()

    supervision.claim_and_start("cpu")

    toy.refresh_from_db()
    assert toy.state == "cancelled"
    assert time.monotonic() - began < 30


def test_what_a_zombie_hears_does_not_touch_its_closed_attempt(project, tmp_path):
    kind, _ = make_kind(tmp_path)
    zombie = claimed(project)
    leases.lose(Toy.objects.get(pk=zombie.pk), cause="training", code="killed", message="It was killed.")

    with pytest.raises(leases.LostLease):
        supervision._note(kind, zombie, {"event": "started", "device": "cuda"})
        leases.fenced_update(zombie, product="mine")

    assert Attempt.objects.get().device == "cpu"
