"""Supervision with a real child process: what it says, how it ends, and that nothing of it is left behind."""

import time
from pathlib import Path

import psutil
import pytest

from projects import leases, slots, supervision
from projects.domain.errors import Refused
from projects.jobs import Limits
from projects.models import Attempt, LedgerEntry
from tests.factories.projects import make_project
from tests.factories.toys import Toy, make_kind, queued_toy

pytestmark = pytest.mark.django_db

SLOW = "say('started', device='cpu', pid=os.getpid())\nwhile True: time.sleep(0.05)\n"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLOW


@pytest.fixture
def project(toys, settings):
    settings.HEARTBEAT_SECONDS = 0.05
    settings.CANCEL_POLL_SECONDS = 0.05
    return make_project()


def drive(project, tmp_path, script="say('result')", **changes):
    """Queue one toy, let a worker take it, and return it as it ended, with what its hooks heard."""
    _, heard = make_kind(tmp_path, script, **changes)
    toy = queued_toy(project)
    supervision.claim_and_start("cpu")
    toy.refresh_from_db()
    return toy, heard


def is_gone(pid: int) -> bool:
    for _ in range(40):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_child_that_says_its_result_makes_the_job_succeed(project, tmp_path):
    script = "say('started', device='cuda', device_name='H200')\nsay('progress', phase='steps', done=3, total=4)\n"
    toy, heard = drive(project, tmp_path, script + "print('noise')\nsay('result', answer='forty-two')")

    assert (toy.state, toy.product) == ("succeeded", "forty-two")
    assert toy.progress == {"phase": "steps", "done": 3, "total": 4}
    assert [event["event"] for event in heard.events] == ["started", "progress", "result"]
    assert heard.after == [toy.pk]
    attempt = Attempt.objects.get()
    assert (attempt.device, attempt.device_name, attempt.outcome) == ("cuda", "H200", "succeeded")
    assert LedgerEntry.objects.get().unit == "GPU h"


def test_a_child_that_says_why_it_failed_is_quoted(project, tmp_path):
    toy, heard = drive(
        project,
        tmp_path,
        "say('failed', code='out_of_memory', message='It did not fit.', detail='at step 3')\nsys.exit(1)",
    )

    assert (toy.state, toy.error_code, toy.error_message) == ("failed", "out_of_memory", "It did not fit.")
    assert toy.error_detail == "at step 3"
    assert heard.failed == ["out_of_memory"]


def test_what_a_child_says_about_its_failure_may_hold_any_character(project, tmp_path):
    toy, _ = drive(project, tmp_path, "say('failed', code='x' * 300, message='bad \\ud800 and \\x00')\nsys.exit(1)")

    assert toy.state == "failed"
    assert "\x00" not in toy.error_message
    assert len(toy.error_code) <= 60


def test_a_crash_leaves_the_end_of_the_log(project, tmp_path):
    toy, _ = drive(project, tmp_path, "raise RuntimeError('the plate broke')")

    assert (toy.state, toy.error_code) == ("failed", "crashed")
    assert "the plate broke" in toy.error_detail


def test_an_end_without_a_result_is_a_failure(project, tmp_path):
    toy, _ = drive(project, tmp_path, "say('progress', phase='x', done=1, total=1)")

    assert (toy.state, toy.error_code) == ("failed", "no_result")


def test_a_result_followed_by_a_bad_exit_is_a_failure(project, tmp_path):
    toy, _ = drive(project, tmp_path, "say('result', answer=1)\nsys.exit(3)")

    assert (toy.state, toy.product) == ("failed", "")


def test_a_refusal_while_completing_is_the_jobs_failure(project, tmp_path):
    def complete(job, workdir, result):
        leases.fenced_update(job, product="half")
        raise Refused("The adapter holds no tensors.", code="empty_adapter")

    toy, _ = drive(project, tmp_path, "say('result')", complete=complete)

    assert (toy.state, toy.error_code, toy.product) == ("failed", "empty_adapter", "")


def test_a_refusal_while_preparing_starts_no_child(project, tmp_path):
    def prepare(job, workdir):
        raise Refused("The dataset is gone.", code="artefact_damaged")

    toy, heard = drive(project, tmp_path, prepare=prepare)

    assert (toy.state, toy.error_code) == ("failed", "artefact_damaged")
    assert heard.events == []


def test_a_full_disk_while_preparing_is_told(project, tmp_path):
    def prepare(job, workdir):
        raise OSError(28, "No space left on device")

    toy, _ = drive(project, tmp_path, prepare=prepare)

    assert (toy.state, toy.error_code) == ("failed", "storage_failed")
    assert "No space left" in toy.error_message


def test_the_child_knows_no_secrets(project, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    monkeypatch.setenv("SECRET_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    toy, _ = drive(project, tmp_path, "say('result', answer=[v for v in os.environ.values() if 'secret' in v])")

    assert toy.product == "[]"


def cancel_on(event_name):
    def on_event(job, event):
        if event["event"] == event_name:
            leases.request_cancel(job, actor="anna@example.org")
            cancel_on.pid = event.get("pid")

    return on_event


def test_a_cancelled_child_may_save_and_ends(project, tmp_path):
    saves = (
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(tmp_path / 'saved')!r}, 'w').close(), sys.exit(143)))\n"
    )
    toy, heard = drive(project, tmp_path, saves + SLOW, on_event=cancel_on("started"), grace_seconds=10)

    assert toy.state == "cancelled"
    assert (tmp_path / "saved").exists()
    assert heard.failed == ["cancelled"]
    assert Attempt.objects.get().outcome == "cancelled"


def test_a_child_that_does_not_listen_is_killed_after_its_grace(project, tmp_path):
    started = time.monotonic()
    toy, _ = drive(project, tmp_path, DEAF, on_event=cancel_on("started"), grace_seconds=0.3)

    assert toy.state == "cancelled"
    assert time.monotonic() - started < 30
    assert is_gone(cancel_on.pid)


def test_grandchildren_go_with_the_child(project, tmp_path):
    script = "import subprocess\ngrand = subprocess.Popen(['sleep', '300'])\nsay('result', answer=grand.pid)"
    toy, _ = drive(project, tmp_path, script)

    assert toy.state == "succeeded"
    assert is_gone(int(toy.product))


def test_a_worker_that_lost_its_lease_kills_its_child_and_writes_nothing(project, tmp_path):
    def take_away(job, event):
        take_away.pid = event["pid"]
        Toy.objects.filter(pk=job.pk).update(fence=job.fence + 1)

    toy, heard = drive(project, tmp_path, DEAF, on_event=take_away)

    assert (toy.state, toy.fence) == ("running", 2)
    assert is_gone(take_away.pid)
    assert heard.failed == heard.after == []
    assert Attempt.objects.get().outcome == ""
    assert not LedgerEntry.objects.exists()


def test_a_child_killed_from_outside_is_lost_work_that_goes_on(project, tmp_path, settings):
    settings.SLOTS = {"cpu": 1, "gpu": 1}
    once = tmp_path / "once"
    script = (
        f"first = not os.path.exists({str(once)!r})\nopen({str(once)!r}, 'w').close()\n"
        "if first: os.kill(os.getpid(), signal.SIGKILL)\nsay('result', answer='second time')"
    )
    toy, _ = drive(project, tmp_path, script)

    assert (toy.state, toy.product, toy.fence) == ("succeeded", "second time", 2)
    assert list(Attempt.objects.order_by("pk").values_list("outcome", flat=True)) == ["lost", "succeeded"]


def test_a_child_that_is_always_killed_is_left_alone_in_the_end(project, tmp_path):
    toy, _ = drive(project, tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")

    assert (toy.state, toy.error_code) == ("failed", "infra_quarantined")
    assert Attempt.objects.filter(outcome="lost").count() == 3


@pytest.mark.parametrize(
    ("limits", "script", "code"),
    [
        (Limits(cpu_seconds=1), "while True: pass", {"cpu_limit", "killed"}),
        (
            Limits(file_bytes=1000),
            "open(sys.argv[0] + '.big', 'wb', 0).write(b'x' * 5000) == 5000 or sys.exit(4)",
            {"file_limit", "crashed"},
        ),
        (Limits(memory_bytes=300_000_000), "x = bytearray(2_000_000_000)", {"crashed"}),
    ],
    ids=["processor time", "file size", "memory"],
)
def test_limits_end_a_greedy_child(project, tmp_path, limits, script, code):
    toy, _ = drive(project, tmp_path, script, limits=limits)

    assert toy.state == "failed"
    assert toy.error_code in code


def test_the_workdir_carries_the_fence(project, tmp_path):
    seen = []

    def complete(job, workdir, result):
        seen.append(workdir)

    toy, _ = drive(project, tmp_path, "say('result')", complete=complete)

    assert seen[0].parts[-3:] == (toy.job_label, str(toy.pk), "f1")
    assert (seen[0] / "engine.log").exists()


def test_a_host_takes_no_more_than_its_slots(project, tmp_path, settings):
    settings.SLOTS = {"cpu": 1, "gpu": 1}
    make_kind(tmp_path)
    busy = queued_toy(project)
    leases.claim([Toy], owner=f"{slots.host_name()}/cpu/1")
    waiting = queued_toy(project)

    assert supervision.claim_and_start("cpu") == 0
    waiting.refresh_from_db()
    assert waiting.state == "queued"

    leases.hand_back(Toy.objects.get(pk=busy.pk), cause="training")
    assert supervision.claim_and_start("cpu") == 2


def test_the_tail_of_a_log_is_text_whatever_is_in_it(tmp_path):
    log = Path(tmp_path / "engine.log")
    log.write_bytes(b"a\x00\xff" * 20_000)

    text = supervision.tail(log)

    assert len(text) <= 20_000
    assert "\x00" not in text
    assert supervision.tail(tmp_path / "none") == ""


def test_a_lease_is_kept_while_a_child_works(project, tmp_path):
    beats = []

    def on_event(job, event):
        beats.append(Toy.objects.values_list("heartbeat_at", flat=True).get(pk=job.pk))

    steps = "for n in range(3):\n    say('progress', phase='x', done=n, total=3)\n    time.sleep(0.6)\n"
    toy, _ = drive(project, tmp_path, steps + "say('result')", on_event=on_event)

    assert toy.state == "succeeded"
    assert beats[0] < beats[2]
