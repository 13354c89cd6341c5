"""What the product tells of itself: every kind of event out of the flow that makes it, and nothing that should stay."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from datasets_app import services as dataset_services
from datasets_app.models import Proposal
from deployments import services as deployment_services
from evaluation import selectors as evaluation_selectors
from projects import events, invariants, leases, pausing, transitions
from projects.clock import database_time
from projects.domain.permissions import Role
from projects.models import AuditEvent, BudgetRequest, Event, LedgerEntry
from projects.services import budget
from tests.factories import deployments, training
from tests.factories.datasets import chat, clean, jsonl, make_dataset, make_upload, make_version, tickets
from tests.factories.evaluation import run_evaluation
from tests.factories.projects import make_member, make_project, run_jobs
from training import services as training_services
from training.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": training.fake_engine()}
    settings.BASE_URL = "https://luthier.example.org"
    settings.CANCEL_POLL_SECONDS = 0.1


def told(project, *names):
    """The events of a project of these names, or all of them."""
    found = Event.objects.filter(project=project).order_by("pk")
    return list(found.filter(name__in=names) if names else found)


def one(project, name):
    (event,) = told(project, name)
    return event


def cost_of(job):
    return sum(
        LedgerEntry.objects.filter(subject_kind=job.job_label, subject_id=job.pk).values_list("amount", flat=True)
    )


def test_a_run_that_succeeds_says_what_it_is_and_what_it_has_cost():
    run = training.make_run(name="tickets, rank 2")
    data = one(run.project, "run.succeeded").data

    assert data["text"] == "tickets, rank 2 has succeeded."
    assert data["project"] == {
        "slug": run.project.slug,
        "url": f"https://luthier.example.org/projects/{run.project.slug}/",
    }
    page = f"https://luthier.example.org{run.get_absolute_url()}"
    assert data["subject"] == {
        "kind": "run", "id": run.pk, "name": run.name, "url": page, "state": "succeeded", "attempt": 1,
    }  # fmt: skip
    assert data["money"] == {"so_far": str(cost_of(run)), "currency": "EUR"}
    assert Decimal(data["money"]["so_far"]) > 0
    assert "failure" not in data


def test_a_run_that_fails_says_the_code_the_cause_and_what_to_do_and_no_word_of_its_log():
    run = training.make_run(behaviour="oom")
    event = one(run.project, "run.failed")

    assert event.data["failure"]["code"] == run.error_code == "oom"
    assert event.data["failure"]["cause"] == "memory"
    assert event.data["failure"]["text"].startswith("The device ran out of memory.")
    assert event.data["money"]["so_far"] == str(cost_of(run))
    assert event.text.startswith(f"{run.name} has failed. The device ran out")
    assert event.notices.get().user == run.started_by
    assert run.error_detail[:40] not in json.dumps(event.data)


def test_what_a_retry_costs_is_added():
    run = training.make_run(behaviour="fail")
    training_services.retry_run(run, by=run.created_by)
    run_jobs()
    first, second = told(run.project, "run.failed")

    assert second.data["subject"]["attempt"] == 2
    assert Decimal(second.data["money"]["so_far"]) == cost_of(run) > Decimal(first.data["money"]["so_far"])


def test_a_run_that_is_cancelled():
    run = training.make_draft()
    training_services.start_run(run, by=run.created_by)
    owner = make_member(run.project, Role.OWNER)
    training_services.cancel_run(run, by=owner, reason="Not needed.")
    event = one(run.project, "run.cancelled")

    assert event.data["subject"]["state"] == "cancelled"
    assert event.notices.get().user == run.created_by, "whose run it is, since somebody else has stopped it"


def running():
    run = training.make_draft()
    training_services.start_run(run, by=run.created_by)
    return leases.claim([Run], owner="here/gpu/1")


def test_a_pause_by_the_system_is_told_and_one_by_a_person_is_not():
    run = running()
    pausing.request_pause(run, actor="budget", reason="Nothing is left.")
    pausing.rest(run, cause="training")
    assert "budget is used up" in one(run.project, "run.paused_by_system").text

    other = running()
    pausing.request_pause(other, actor=other.created_by.email)
    pausing.rest(other, cause="training")
    assert told(other.project, "run.paused_by_system") == []
    resting = training.make_draft()
    training_services.start_run(resting, by=resting.created_by)
    training_services.pause_run(resting, by=resting.created_by)
    assert told(resting.project, "run.paused_by_system") == []


def expire(run):
    Run.objects.filter(pk=run.pk).update(lease_until=database_time() - timedelta(seconds=1))


def test_a_lost_worker_is_told_each_time_and_the_third_time_that_nobody_tries_any_more():
    run = running()
    for n in range(1, 4):
        expire(run)
        assert leases.give_back(run, cause="training")
        if n < 3:
            run = leases.claim([Run], owner="here/gpu/1")
    lost = told(run.project, "worker.lost")

    assert [event.data["losses"] for event in lost] == [1, 2]
    assert lost[0].data["subject"]["kind"] == "run" and "queued again" in lost[0].text
    last = one(run.project, "worker.quarantined")
    assert last.data["failure"]["code"] == "infra_quarantined" and "3 times" in last.text
    assert last.notices.filter(user=run.started_by).exists()
    assert len(told(run.project, "run.failed")) == 1


def test_what_is_queued_or_handed_back_in_good_order_is_no_loss():
    run = running()
    leases.hand_back(run, cause="training")

    assert told(run.project, "worker.lost") == []


def test_work_that_waits_for_an_owners_yes():
    project = make_project(monthly_budget=Decimal("0.01"), gpu_hour_price=Decimal(1000), cpu_hour_price=Decimal(1000))
    owner, engineer = make_member(project, Role.OWNER), make_member(project)
    run = training.make_draft(project, engineer)
    training_services.start_run(run, by=engineer, budget_reason="It matters.")
    event = one(project, "budget.asked")

    assert event.data["job"]["id"] == run.pk and event.data["job"]["kind"] == "run"
    assert event.data["money"]["currency"] == "EUR" and event.data["money"]["budget"] == "0.01"
    assert "waits for an owner's yes" in event.text
    assert [notice.user for notice in event.notices.all()] == [owner]
    budget.decline_request(BudgetRequest.objects.get(), by=owner, reason="Later.")
    assert len(told(project, "budget.asked")) == 1


def test_data_that_is_ready_and_data_that_is_not():
    version = make_version()
    project = version.project
    ready = one(project, "version.ready")
    assert ready.data["subject"]["kind"] == "dataset version"
    assert (ready.data["subject"]["number"], ready.data["rows"]) == (1, version.rows)
    assert ready.data["sha256"] == version.content_hash

    cleaned = clean(version, {"op": "drop_rows", "indices": [0]})
    assert told(project, "version.ready")[-1].data["subject"]["id"] == cleaned.pk
    make_upload(make_dataset(project), b"no rows at all", name="secret plans.txt")
    failed = one(project, "version.failed")
    assert failed.data["failure"]["cause"] == "data"


def test_a_proposed_version_is_told_of_once_it_is_merged():
    project = make_project()
    author, second = make_member(project), make_member(project, Role.REVIEWER)
    version = make_version(project=project, by=author)
    project.review_data_changes = True
    project.save()
    make_upload(make_version_dataset(version), jsonl(tickets(5)), by=author)
    assert len(told(project, "version.ready")) == 1

    proposal = Proposal.objects.get()
    dataset_services.merge_proposal(proposal, by=second)
    assert told(project, "version.ready")[-1].data["subject"]["id"] == proposal.version_id


def make_version_dataset(version):
    return type(version.dataset).objects.get(pk=version.dataset_id)


def test_a_review_from_its_question_to_a_rollback():
    project = make_project()
    slot = deployments.make_slot(project)
    first = deployments.make_live(deployments.make_adapter(project), slot)
    asked, yes = one(project, "review.requested"), one(project, "review.approved")
    assert asked.data["subject"]["id"] == yes.data["subject"]["id"] == first.request_id
    assert yes.notices.filter(user=first.request.requested_by).exists()
    assert one(project, "deployment.succeeded").data["subject"]["id"] == first.pk

    deployments.make_live(deployments.make_adapter(project), slot)
    back = deployment_services.roll_back(slot, by=make_member(project, Role.OWNER), reason="Worse.")
    run_jobs()
    assert one(project, "deployment.rolled_back").data["subject"]["id"] == back.pk
    assert len(told(project, "deployment.succeeded")) == 2


def test_a_review_that_ends_in_a_no_and_one_that_wants_changes():
    request = deployments.make_request()
    reviewer = make_member(request.project, Role.REVIEWER)
    give = {"by": reviewer, "digest": request.digest, "body": "Not yet, the golden set is old.", "session": True}
    deployment_services.request_changes(request, **give)
    assert one(request.project, "review.changes_requested").data["subject"]["state"] == "changes_requested"
    other = deployments.make_request()
    reviewer = make_member(other.project, Role.REVIEWER)
    deployment_services.reject(other, by=reviewer, digest=other.digest, body="No, it forgets too much.", session=True)
    event = one(other.project, "review.rejected")
    assert event.notices.get().user == other.requested_by
    assert "forgets" not in json.dumps(event.data), "what people write to each other stays here"


def test_whoever_may_decide_hears_of_a_review_and_whoever_asked_does_not():
    project = make_project()
    owner, reviewer = make_member(project, Role.OWNER), make_member(project, Role.REVIEWER)
    deployments.make_request(deployments.make_adapter(project), by=make_member(project))

    event = one(project, "review.requested")
    hear = {notice.user for notice in event.notices.all()}
    assert hear >= {owner, reviewer}
    assert {person.memberships.get(project=project).role for person in hear} == {"owner", "reviewer"}


@pytest.mark.parametrize("mode", ["better", "fail"])
def test_an_evaluation_ends(mode):
    evaluation = run_evaluation(mode="better" if mode == "better" else "crash")
    event = one(evaluation.project, f"evaluation.{evaluation.state}")

    assert evaluation_selectors is not None
    assert event.data["subject"]["id"] == evaluation.pk
    assert event.data["money"]["so_far"] == str(cost_of(evaluation))
    assert ("failure" in event.data) is (evaluation.state == "failed") is (mode == "fail")


def test_a_sweep_can_be_told_of_by_whoever_builds_one():
    run = training.make_draft()
    line = transitions.record(run, "sweep.finished", actor="worker")

    assert Event.objects.get(audit_id=line.pk).text == f"The sweep {run.name} is through."


def test_no_row_no_address_and_no_word_of_a_log_is_in_any_event():
    secret = "The launch code is 7-ZULU-9"
    project = make_project()
    by = make_member(project, email="private.person@example.org", name="Private Person")
    rows = [*tickets(30), chat(secret, f"{secret} indeed")]
    version = make_version(project=project, by=by, rows=rows)
    for behaviour in ("ok", "fail", "oom", "crash"):
        training.make_run(project, by, behaviour=behaviour, version=version)
    make_upload(make_dataset(project, by), f"{secret}\n{secret}".encode(), name="notes.txt", by=by)
    everything = json.dumps([event.data for event in told(project)])

    assert len(told(project)) >= 6
    for word in ("ZULU", "private.person", "Private Person", "Traceback", "@example.org"):
        assert word not in everything, word


def test_a_description_that_fails_keeps_no_run_from_ending(monkeypatch):
    kind = events.known("run.succeeded")

    def broken(row, line):
        raise KeyError("no such thing")

    monkeypatch.setitem(events._by_action, "run.succeeded", [type(kind)(**{**vars(kind), "describe": broken})])
    run = training.make_run()

    assert run.state == "succeeded"
    assert one(run.project, "run.succeeded").data["subject"] == {"kind": "run", "id": run.pk}


def test_every_kind_has_a_meaning_an_example_and_a_name_of_its_own():
    kinds = events.catalogue()
    names = [kind.name for kind in kinds]

    assert len(names) == len(set(names)) >= 20
    for kind in kinds:
        assert kind.meaning.endswith(".") and kind.group
        assert {"text", "project", "subject"} <= set(kind.example)
        assert kind.name.count(".") == 1
        assert kind.actions or kind.name == "webhook.ping"


def test_an_end_that_nobody_is_told_of_breaks_an_invariant():
    run = training.make_run()
    assert invariants.check() == []
    event = one(run.project, "run.succeeded")
    Event.objects.filter(pk=event.pk).delete()
    assert AuditEvent.objects.filter(pk=event.audit_id).exists()

    (broken,) = invariants.check()
    assert broken.name == "told" and f"training.run:{run.pk}" in broken.rows[0]
