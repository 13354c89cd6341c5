"""The invariants: all hold over honest work, and each is broken by the damage it is there for."""

import io
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone

from projects import invariants, leases
from projects.models import Attempt, AuditEvent, InvariantCheck, LedgerEntry
from projects.transitions import record
from tests.factories.projects import make_project
from tests.factories.toys import Toy, make_kind, queued_toy
from tests.factories.training import make_adapter
from training.models import Adapter, Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(toys, tmp_path):
    make_kind(tmp_path)
    return make_project()


def broken(**wanted) -> dict[str, list[str]]:
    return {one.name: one.rows for one in invariants.check(**wanted)}


def running(project) -> Toy:
    queued_toy(project)
    toy = leases.claim([Toy], owner="host/cpu/1")
    assert toy is not None
    return toy


def finished(project) -> Toy:
    toy = running(project)
    leases.finish(toy, leases.Outcome.SUCCEEDED, cause="training")
    return toy


def test_honest_work_breaks_nothing(project):
    finished(project)
    running(project)
    queued_toy(project)
    lost = running(project)
    leases.lose(lost, cause="training", code="killed", message="It was killed.")

    assert broken(deep=True) == {}
    assert len(invariants.known()) >= 15
    assert all(one.sentence.endswith(".") for one in invariants.known())


def overdue(toy):
    Toy.objects.filter(pk=toy.pk).update(lease_until=timezone.now() - timedelta(minutes=5))


def without_lease(toy):
    Toy.objects.filter(pk=toy.pk).update(lease_until=None)


def requeued_with_its_lease(toy):
    Toy.objects.filter(pk=toy.pk).update(state="queued")


def attempt_gone(toy):
    Attempt.objects.all().delete()


def claimed_by_nobody(toy):
    Toy.objects.filter(pk=toy.pk).update(fence=7)


def never_queued(toy):
    Toy.objects.filter(pk=toy.pk).update(state="queued", queued_at=None, lease_until=None)


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (overdue, {"leases_run"}),
        (without_lease, {"leases_run"}),
        (requeued_with_its_lease, {"leases_end", "open_attempts"}),
        (attempt_gone, {"open_attempts", "claims"}),
        (claimed_by_nobody, {"open_attempts", "claims"}),
        (never_queued, {"times", "open_attempts"}),
    ],
)
def test_damage_to_a_running_job_is_found(project, damage, names):
    damage(running(project))

    assert set(broken()) == names


def no_end(toy):
    Toy.objects.filter(pk=toy.pk).update(finished_at=None)


def lease_kept(toy):
    Toy.objects.filter(pk=toy.pk).update(lease_until=timezone.now())


def again(toy, **changes) -> Attempt:
    """One more ended attempt of it, which nobody paid."""
    attempt = Attempt.objects.get()
    for name, value in ({"pk": None, "fence": 2, "number": 2} | changes).items():
        setattr(attempt, name, value)
    attempt.save()
    Toy.objects.filter(pk=toy.pk).update(fence=2)
    return attempt


def unpaid(toy):
    again(toy, outcome="lost", fence=0)
    Toy.objects.filter(pk=toy.pk).update(fence=1)
    Attempt.objects.filter(fence=0).update(job_id=toy.pk + 1000)  # of a job that was deleted since


def paid_other_times(toy):
    Attempt.objects.update(started_at=timezone.now() - timedelta(hours=1))


def paid_too_little(toy):
    Attempt.objects.update(ended_at=timezone.now() + timedelta(hours=1))


def paid_before_the_end(toy):
    Attempt.objects.update(ended_at=None, outcome="")


def attempt_failed(toy):
    Attempt.objects.update(outcome="failed")


def job_failed(toy):
    Toy.objects.filter(pk=toy.pk).update(state="failed")


def told_again(toy):
    record(toy, "toy.succeeded", actor="worker")


def succeeded_again(toy):
    entry = LedgerEntry.objects.get()
    entry.pk, entry.attempt = None, again(toy)
    entry.save()


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (no_end, {"times"}),
        (lease_kept, {"leases_end"}),
        (unpaid, {"paid_once"}),
        (paid_other_times, {"ledger_is_usage"}),
        (paid_too_little, {"ledger_is_usage"}),
        (paid_before_the_end, {"paid_once", "open_attempts", "one_success", "ledger_is_usage"}),
        (attempt_failed, {"one_success", "ledger_is_usage"}),
        (job_failed, {"one_success"}),
        (told_again, {"told_once"}),
        (succeeded_again, {"one_success"}),
    ],
)
def test_damage_to_a_finished_job_is_found(project, damage, names):
    damage(finished(project))

    assert set(broken()) == names


def stored(key: str) -> Path:
    return Path(default_storage.path(key))


def files_gone(adapter):
    shutil.rmtree(stored(adapter.key))


def another_manifest(adapter):
    place = stored(adapter.key) / "MANIFEST.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"digest": "0" * 64}))


def row_gone(adapter):
    Adapter.objects.all().delete()


def run_failed(adapter):
    Run.objects.update(state="failed")
    Attempt.objects.filter(job_label="training.run").update(outcome="failed")


def of_an_older_fence(adapter):
    Adapter.objects.update(key=adapter.key.replace("-f1", "-f0"))
    stored(adapter.key).rename(stored(adapter.key.replace("-f1", "-f0")))


def metrics_gone(adapter):
    adapter.run.metrics.all().delete()


def version_gone(adapter):
    shutil.rmtree(stored(adapter.dataset_version.key))


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (files_gone, {"adapter_files"}),
        (another_manifest, {"adapter_files"}),
        (row_gone, {"one_adapter"}),
        (run_failed, {"one_adapter", "ledger_is_usage"}),
        (of_an_older_fence, {"adapter_fence"}),
        (metrics_gone, {"metrics"}),
        (version_gone, {"version_files"}),
    ],
)
def test_damage_to_a_run_and_its_files_is_found(damage, names):
    damage(make_adapter())

    assert set(broken()) == names


def test_a_flipped_byte_is_found_by_a_deep_look():
    adapter = make_adapter()
    weights = stored(adapter.key) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")

    assert broken() == {}
    assert list(broken(deep=True)) == ["adapter_files"]


def command(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("invariants", *words, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_that_all_is_well(project):
    status, text = command()

    assert status == 0
    assert text.count("holds  ") == len(invariants.known())


def test_the_command_names_the_rows(project):
    toy = running(project)
    overdue(toy)

    status, text = command("--json")

    said = json.loads(text)
    assert status == 1
    assert [one["name"] for one in said["broken"]] == ["leases_run"]
    assert f"{Toy._meta.label_lower} {toy.pk}" in said["broken"][0]["rows"][0]
    assert "BROKEN" in command()[1]


def test_the_periodic_check_is_kept_and_shown(project, client, monkeypatch):
    overdue(running(project))

    check = invariants.check_and_keep()

    assert not check.holds
    shown = client.get("/health/ready")
    assert shown.status_code == 200
    assert (shown.json()["invariants"]["status"], shown.json()["invariants"]["broken"]) == ("broken", ["leases_run"])

    Toy.objects.all().delete()
    Attempt.objects.all().delete()
    assert invariants.check_and_keep().holds
    assert client.get("/health/ready").json()["invariants"]["status"] == "hold"


def test_what_was_only_a_moment_is_not_reported(project, monkeypatch):
    """Without one snapshot two queries may see different rows: what is gone at the second look was never broken."""
    seen = iter([["a row"], []])
    monkeypatch.setattr(invariants, "_known", {})
    invariants.register("moment", "It holds.", lambda deep: next(seen))

    assert invariants.check_and_keep().holds


def test_old_checks_are_forgotten(project, monkeypatch):
    monkeypatch.setattr(invariants, "KEPT_CHECKS", 3)
    for _ in range(6):
        invariants.check_and_keep()

    assert InvariantCheck.objects.count() <= 4


def test_the_check_is_sent_by_beat():
    entry = settings.CELERY_BEAT_SCHEDULE["check_invariants"]

    assert (entry["task"], entry["options"]["queue"]) == ("projects.check_invariants", "cpu")


def test_the_audit_log_of_long_ago_is_read_when_looking_deep(project):
    toy = finished(project)
    told_again(toy)
    AuditEvent.objects.update(at=timezone.now() - timedelta(days=3))

    assert "told_once" not in broken()
    assert "told_once" in broken(deep=True)
