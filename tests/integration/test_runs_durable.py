"""Runs that rest and go on, fail in plain words and are taken up from a checkpoint: services, pages and API alike."""

import threading

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from projects import leases
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import Attempt, AuditEvent, LedgerEntry
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import notes, selectors, services
from training.models import Adapter, Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}
    settings.CANCEL_POLL_SECONDS = 0.1


def url(name, run):
    return reverse(name, args=[run.project.slug, run.pk])


def api(run, path=""):
    return f"/api/v1/projects/{run.project.slug}/runs/{run.pk}/{path}"


def page_of(client, run, by=None):
    client.force_login(by or run.created_by)
    return client.get(run.get_absolute_url()).content.decode()


def running():
    """A run that a worker has just taken, without a process."""
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)
    return leases.claim([Run], owner="here/gpu/1")


def saved(run, step, **more):
    event = {"event": "checkpoint", "step": step, "sha256": f"{step:064x}", "bytes": 10, "kept": [step]}
    notes.note_run(run, event | more)


# Pausing


@pytest.mark.django_db(transaction=True)
def test_a_paused_run_keeps_its_work_costs_nothing_and_goes_on_from_there(settings):
    settings.ENGINES["training.run"] = factory.fake_engine("slow")
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)

    def pause_when_running():
        for _ in range(400):
            seen = Run.objects.get(pk=run.pk)
            if seen.step >= 3:
                services.pause_run(seen, by=run.created_by, reason="the card is needed")
                break
            threading.Event().wait(0.05)
        connection.close()

    pauser = threading.Thread(target=pause_when_running)
    pauser.start()
    run_jobs()
    pauser.join()

    run.refresh_from_db()
    assert (run.state, run.checkpoint_step, run.lease_until) == (JobState.PAUSED, 3, None)
    assert [one.step for one in selectors.checkpoints(run) if one.is_whole] == [3, 2]

    settings.ENGINES["training.run"] = factory.fake_engine("ok")
    services.resume_run(run, by=run.created_by)
    run_jobs()
    run.refresh_from_db()

    assert (run.state, run.attempt) == (JobState.SUCCEEDED, 1)
    outcomes = Attempt.objects.filter(job_label="training.run").order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["paused", "succeeded"]
    first, second = LedgerEntry.objects.filter(subject_kind="training.run").order_by("pk")
    assert (first.outcome, second.outcome) == ("paused", "succeeded")
    assert second.started_at >= run.queued_at > first.ended_at, "nothing is booked between the two"
    assert selectors.curve(run, "loss")[0] == [1, 2, 3, 4, 5]
    assert Adapter.objects.filter(run=run).count() == 1
    told = AuditEvent.objects.filter(target=f"training.run:{run.pk}").order_by("pk").values_list("action", flat=True)
    life = ["created", "queued", "running", "pause_requested", "paused", "queued", "running", "succeeded"]
    assert list(told) == [f"run.{word}" for word in life]


def test_a_waiting_run_is_paused_resumed_and_cancelled_from_its_page(client):
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)
    assert "Pause run" in page_of(client, run)

    assert client.post(url("run-pause", run), {"reason": "later"}).status_code == 302
    run.refresh_from_db()
    page = page_of(client, run)
    assert run.state == JobState.PAUSED
    assert "Resume run" in page and "Retry run" not in page and "goes on from the start" in page
    assert 'hx-trigger="every 2s"' not in page

    client.post(url("run-resume", run))
    run.refresh_from_db()
    assert run.state == JobState.QUEUED
    client.post(url("run-pause", run))
    client.post(url("run-cancel", run), {"reason": "not at all"})
    run.refresh_from_db()
    assert run.state == JobState.CANCELLED


def test_pause_and_resume_by_program(client):
    run = factory.make_draft()
    client.force_login(run.created_by)
    assert client.post(api(run, "pause/"), {}, **JSON).json()["code"] == "not_running"
    services.start_run(run, by=run.created_by)

    paused = client.post(api(run, "pause/"), {"reason": "later"}, **JSON)
    assert (paused.status_code, paused.json()["state"]) == (202, "paused")
    again = client.post(api(run, "pause/"), {}, **JSON)
    assert (again.status_code, again.json()["code"]) == (409, "not_running")
    assert client.post(api(run, "resume/"), {}, **JSON).json()["state"] == "queued"
    assert client.post(api(run, "resume/"), {}, **JSON).json()["code"] == "not_paused"
    assert client.post(api(run, "pause/"), {"x": 1}, **JSON).status_code == 400


@pytest.mark.parametrize("name", ["run-pause", "run-resume"])
def test_who_may_let_a_run_rest_or_go_on(client, name):
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)
    client.force_login(make_member(run.project, Role.VIEWER))
    assert client.post(url(name, run)).status_code == 403
    assert client.post(api(run, name.removeprefix("run-") + "/"), {}, **JSON).status_code == 403
    client.force_login(make_member(make_project(), Role.OWNER))
    assert client.post(url(name, run)).status_code == 404
    assert client.post(api(run, name.removeprefix("run-") + "/"), {}, **JSON).status_code == 404


def test_a_run_that_is_pausing_says_so(client):
    run = running()
    notes.note_run(run, {"event": "started", "total": 10})
    services.pause_run(run, by=run.created_by)
    page = page_of(client, run)
    assert "Pausing" in page and "a checkpoint is being saved" in page
    assert 'data-dialog="pause-run"' not in page and 'data-dialog="cancel-run"' in page


def test_a_paused_run_is_not_deleted():
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)
    services.pause_run(run, by=run.created_by)
    with pytest.raises(Refused) as refused:
        services.delete_run(run, by=run.created_by)
    assert refused.value.code == "still_running"


# Saving and stopping


def test_a_full_disk_is_shown_while_it_lasts(client):
    run = running()
    notes.note_run(run, {"event": "started", "total": 10})
    for step in (3, 4):
        notes.note_run(run, {"event": "warning", "code": "disk_full", "message": "The disk is full.", "step": step})
    assert (run.degraded["code"], run.degraded["step"]) == ("disk_full", 3), "since when, not how often"
    page = page_of(client, run)
    assert "Running, degraded" in page and "goes on without new checkpoints" in page
    assert client.get(api(run)).json()["degraded"]["code"] == "disk_full"

    saved(run, 5)

    assert "degraded" not in page_of(client, run)
    assert client.get(api(run)).json()["degraded"] == {}


@pytest.mark.parametrize(("grace", "words"), [(12.0, "its worker waits up to 12"), (4.0, "its worker waits 4")])
def test_the_time_that_stopping_takes_stands_beside_what_the_worker_gives(client, grace, words):
    run = running()
    notes.note_run(run, {"event": "started", "total": 10})
    notes.note_run(run, {"event": "stop_time", "stop_seconds": 7.2, "grace": grace})
    page = page_of(client, run)
    assert "Saving and stopping takes 7" in page and words in page
    assert ("LUTHIER_STOP_GRACE_SECONDS" in page) == (grace < 7)
    assert client.get(api(run)).json()["stop_seconds"] == 7.2


def test_what_a_worker_gives_and_knows_is_told_to_the_engine(settings, tmp_path):
    from training import supervisor
    from training.domain.spec import RunSpec, digest

    settings.STOP_GRACE_SECONDS = 17
    run = running()
    saved(run, 5)
    supervisor.prepare_run(run, tmp_path)
    spec = RunSpec.load(tmp_path / "spec.json")
    assert (spec.grace_seconds, spec.fence, spec.checkpoints) == (17, run.fence, {"5": f"{5:064x}"})
    assert spec.digest == digest(run.spec)


# Checkpoints and retries


def test_the_page_lists_checkpoints_and_a_retry_goes_on_from_the_newest(client, settings):
    run = factory.make_run(behaviour="crash")
    assert [(one["step"], len(one["sha256"])) for one in run.checkpoints] == [(2, 64), (1, 64)]
    page = page_of(client, run)
    assert "every byte verified" in page and "Retry from step 2" in page and 'data-dialog="retry-from-1"' in page
    assert [one["is_whole"] for one in client.get(api(run, "checkpoints/")).json()] == [True, True]

    settings.ENGINES["training.run"] = factory.fake_engine("ok")
    client.post(url("run-retry", run))
    run_jobs()
    run.refresh_from_db()
    assert run.state == JobState.SUCCEEDED
    assert selectors.checkpoints(run) == [], "after a success nothing needs them"


@pytest.mark.parametrize(("chosen", "first_step"), [(1, 2), (0, 1)])
def test_a_person_chooses_where_to_go_on(client, settings, chosen, first_step):
    run = factory.make_run(behaviour="fail")
    run.metrics.all().delete()
    settings.ENGINES["training.run"] = factory.fake_engine("ok")
    client.force_login(run.created_by)
    assert client.post(url("run-retry", run), {"start_at": chosen}).status_code == 302
    run.refresh_from_db()
    assert run.start_at == chosen

    run_jobs()

    run.refresh_from_db()
    assert (run.state, run.start_at) == (JobState.SUCCEEDED, None), "the choice holds for one start"
    assert selectors.curve(run, "loss")[0][0] == first_step


def flip(run, step):
    path = run.checkpoint_dir / f"ckpt-{step}" / "optimizer.pt"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_shown_never_offered_and_passed_over(client, settings):
    run = factory.make_run(behaviour="fail")
    flip(run, 2)
    page = page_of(client, run)
    assert "Optimizer.pt has another checksum. It is never gone on from." in page
    assert "Retry from step 1" in page and "Retry from step 2" not in page
    refused = client.post(api(run, "retry/"), {"start_at": 2}, **JSON)
    assert (refused.status_code, refused.json()["code"]) == (409, "no_checkpoint")
    assert "There is one of step 1" in refused.json()["message"]
    assert client.post(url("run-retry", run), {"start_at": "2"}).status_code == 409
    assert client.post(url("run-retry", run), {"start_at": "x"}).status_code == 400

    settings.ENGINES["training.run"] = factory.fake_engine("fail")
    client.post(api(run, "retry/"), {}, **JSON)
    run_jobs()
    run.refresh_from_db()
    assert [one["step"] for one in run.checkpoints] == [2, 1], "the damaged one was written anew"
    assert all(one.is_whole for one in selectors.checkpoints(run))


def test_a_checkpoint_that_was_removed_by_hand_is_told(client):
    run = factory.make_run(behaviour="fail")
    for path in (run.checkpoint_dir / "ckpt-2").iterdir():
        path.unlink()
    (run.checkpoint_dir / "ckpt-2").rmdir()
    assert [one.problem for one in selectors.checkpoints(run)] == ["it is not there any more", ""]


# Failures


def test_a_failure_is_told_with_its_place_its_price_and_buttons(client):
    run = factory.make_run(behaviour="oom")
    page = page_of(client, run)
    assert "The device ran out of memory at step 3." in page
    assert "at step 3 of 5" in page and "the longest row is row 4 with 61 tokens" in page
    assert f"row={4}" in page and ">row 1</a>" in page
    assert "A retry would fail the same way." in page
    assert "New run with half the rows at once" in page
    assert "is not lost, for the checkpoint of step 2 keeps what was done" in page
    assert "<summary>Traceback</summary>" in page and "torch/nn.py" in page and "/opt/x/" not in page

    told = client.get(api(run)).json()["failure"]
    assert (told["code"], told["retry"], told["rows"], told["resume_step"]) == ("oom", "fails again", [1, 4], 2)
    assert told["remedy"] == {"label": "with half the rows at once", "changes": {"batch_size": 4, "accumulation": 2}}
    assert 0 < float(told["kept"]) <= float(told["spent"])
    assert "/opt/x/" not in client.get(api(run)).json()["error_detail"]


def test_the_button_opens_a_new_run_with_the_change_filled_in(client):
    run = factory.make_run(behaviour="oom", recipe={"batch_size": 6, "epochs": 2})
    client.force_login(run.created_by)
    page = client.get(reverse("run-create", args=[run.project.slug]), {"like": run.pk, "fix": "oom"})
    form = page.context["form"]
    assert (form["batch_size"].value(), form["accumulation"].value(), form["epochs"].value()) == (3, 2, 2)
    assert (form["base"].value(), form["name"].value()) == (run.base_id, f"{run.name}, changed")
    assert "Rows at once: 6 → 3" in page.content.decode()
    foreign = factory.make_run()
    assert client.get(reverse("run-create", args=[run.project.slug]), {"like": foreign.pk}).status_code == 404


def test_a_failure_that_a_retry_may_mend_offers_one(client):
    page = page_of(client, factory.make_run(behaviour="crash"))
    assert "A retry may help by itself." in page and "Retry from step 2" in page
    assert "Something nobody expected." in page and "<summary>End of the log</summary>" in page


def test_a_viewer_reads_why_it_failed_and_gets_no_buttons(client):
    run = factory.make_run(behaviour="oom")
    page = page_of(client, run, make_member(run.project, Role.VIEWER))
    assert "What to do:" in page and "New run with" not in page and "Retry from" not in page


def test_what_no_checkpoint_keeps_is_lost(client):
    run = factory.make_run(behaviour="fail")
    for step in (1, 2):
        flip(run, step)
    spent = selectors.spent(run, selectors.attempts(run, timezone.now()), selectors.whole_steps(run))
    assert (spent.kept, spent.lost) == (0, spent.total)
    assert "no checkpoint keeps any of it" in page_of(client, run)


# Going on from an adapter


def test_an_adapter_is_trained_further_and_names_its_parent(client):
    parent = factory.make_adapter()
    by = parent.run.started_by
    client.force_login(by)
    page = client.get(reverse("adapter-detail", args=[parent.project.slug, parent.pk])).content.decode()
    assert f"?parent={parent.pk}&amp;like={parent.run_id}" in page
    filled = client.get(reverse("run-create", args=[parent.project.slug]), {"parent": parent.pk, "like": parent.run_id})
    assert filled.context["form"]["parent"].value() == str(parent.pk)
    assert filled.context["form"]["rank"].value() == parent.rank

    child = factory.make_adapter(
        parent.project, by, base=parent.base, version=parent.dataset_version, parent=parent, name="further"
    )

    assert child.run.spec["parent"]["digest"] == parent.digest
    assert str(parent) in page_of(client, child.run)
    page = client.get(reverse("adapter-detail", args=[child.project.slug, child.pk])).content.decode()
    assert "Goes on from" in page and parent.get_absolute_url() in page
    assert (
        client.get(f"/api/v1/projects/{child.project.slug}/runs/{child.run_id}/").json()["parent_adapter"] == parent.pk
    )
    lineage = client.get(reverse("lineage", args=[child.project.slug]), {"focus": f"adapter:{child.pk}"})
    assert "goes on from" in lineage.content.decode()
