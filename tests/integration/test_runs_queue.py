"""Runs that wait: their priority, their place in the line, and what they wait for, on page and API."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from projects import leases, pausing
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState, Outcome
from projects.domain.turns import Priority
from projects.models import Attempt, AuditEvent
from projects.selectors import queue
from tests.factories import training
from tests.factories.hosts import make_host
from tests.factories.projects import make_member, make_project
from training import selectors, services
from training.domain.series import Series
from training.models import MetricChunk, Run

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def drafted(standing):
    def make():
        project = make_project(name="Routing")
        return training.make_draft(project, make_member(project, Role.OWNER), name="router")

    return standing(make)


@pytest.fixture
def draft(drafted, db):
    return Run.objects.get(pk=drafted.pk)


@pytest.fixture
def project(draft):
    return draft.project


@pytest.fixture
def owner(draft):
    return draft.created_by


def start(draft, by, name="router"):
    """A copy of the draft, started; making a whole draft takes a second."""
    run = Run.objects.get(pk=draft.pk)
    run.pk, run.name = None, name
    run._state.adding = True
    run.save()
    return services.start_run(run, by=by)


def claim(host="forge", place="gpu:0"):
    return leases.claim([Run], owner=f"{host}/gpu/1", place=place)


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def text(answer):
    return " ".join(answer.content.decode().split())


def test_an_urgent_run_goes_before_older_ones(draft, owner):
    start(draft, owner, "first")
    second = start(draft, owner, "second")

    services.set_priority(second, by=owner, priority=Priority.HIGH)

    assert claim().pk == second.pk
    event = AuditEvent.objects.get(action="run.priority_changed")
    assert (event.actor, event.detail) == (owner.email, {"from": 0, "to": 1})


def test_high_priority_is_for_owners_and_any_priority_for_those_who_start_runs(project, draft, owner):
    run = start(draft, owner)
    engineer, reviewer = make_member(project, Role.ENGINEER), make_member(project, Role.REVIEWER)

    services.set_priority(run, by=engineer, priority=Priority.LOW)
    with pytest.raises(PermissionDenied, match="Ask an owner"):
        services.set_priority(run, by=engineer, priority=Priority.HIGH)
    with pytest.raises(PermissionDenied):
        services.set_priority(run, by=reviewer, priority=Priority.LOW)

    run.refresh_from_db()
    assert run.priority == Priority.LOW


def test_what_does_not_wait_has_no_turn(draft, owner):
    with pytest.raises(Refused, match="Only what waits") as refused:
        services.set_priority(draft, by=owner, priority=Priority.LOW)
    assert refused.value.code == "not_waiting"

    run = start(draft, owner)
    claim()
    with pytest.raises(Refused):
        services.set_priority(run, by=owner, priority=Priority.HIGH)


def test_a_retry_keeps_the_priority(draft, owner):
    run = start(draft, owner)
    services.set_priority(run, by=owner, priority=Priority.LOW)
    leases.finish(claim(), Outcome.FAILED, cause="training", code="x", message="It did not fit.")

    assert services.retry_run(Run.objects.get(pk=run.pk), by=owner).priority == Priority.LOW


def test_page_and_api_set_a_priority_with_the_same_refusals(project, draft, owner):
    run = start(draft, owner)
    engineer = signed_in(make_member(project, Role.ENGINEER))
    page, api = f"/projects/{project.slug}/runs/{run.pk}", f"/api/v1/projects/{project.slug}/runs/{run.pk}"

    answer = engineer.post(f"{page}/priority/", {"priority": "low"}, follow=True)
    assert "now waits with low priority" in text(answer)
    assert engineer.post(f"{page}/priority/", {"priority": "high"}).status_code == 403
    assert engineer.post(f"{page}/priority/", {"priority": "very"}).status_code == 400
    by_api = engineer.post(f"{api}/priority/", {"priority": "normal"}, content_type="application/json")
    assert (by_api.status_code, by_api.json()["priority"]) == (200, "normal")
    assert engineer.post(f"{api}/priority/", {"priority": "high"}, content_type="application/json").status_code == 403
    claim()
    late = engineer.post(f"{api}/priority/", {"priority": "low"}, content_type="application/json")
    assert (late.status_code, late.json()["code"]) == (409, "not_waiting")


def test_a_run_without_any_worker_says_so_everywhere(project, draft, owner):
    run = start(draft, owner)
    client = signed_in(owner)

    said = "No worker for the gpu queue has announced itself yet."
    assert said in text(client.get(run.get_absolute_url()))
    assert said in text(client.get(f"/projects/{project.slug}/runs/"))
    waiting = client.get(f"/api/v1/projects/{project.slug}/runs/{run.pk}/").json()["waiting"]
    assert (waiting["code"], waiting["ahead"]) == ("no_worker", 0)
    listed = client.get(f"/api/v1/projects/{project.slug}/runs/?state=queued").json()["results"][0]
    assert listed["waiting"] == waiting


def test_silent_and_drained_hosts_are_told_apart(draft, owner):
    run = start(draft, owner)
    host = make_host("forge", cards=1, silent=180)
    assert queue.reason(run).code == "worker_silent"
    assert "3\u202fmin" in queue.reason(run).text

    now = leases.database_time()
    host.processes.update(beat_at=now)
    host.draining_at = now
    host.save()
    assert queue.reason(run).text == "The only host with a GPU is being drained."


def test_a_host_that_hears_only_other_queues_does_not_count(draft, owner):
    make_host("small", queues=["cpu"])

    assert queue.reason(start(draft, owner)).code == "no_worker"


def test_taken_slots_are_named_with_when_the_first_is_free(draft, owner):
    make_host("forge", cards=1)
    start(draft, owner, "busy")
    busy = claim()
    Run.objects.filter(pk=busy.pk).update(started_at=leases.database_time() - timedelta(minutes=10), total_steps=40)
    steps = range(1, 21)
    clock = Series.of(steps, [30.0 * step for step in steps])
    MetricChunk.objects.append(busy, {"tokens_per_second": Series.of(steps, [9.0] * 20), "seconds": clock})
    first, second = start(draft, owner, "first"), start(draft, owner, "second")

    why = queue.reason(second)

    assert (why.code, why.ahead) == ("slots_taken", 1)
    assert why.free_in == pytest.approx(600, rel=0.01)
    assert why.text == "The only GPU slot is taken by “busy”; it is expected to be free in about 10\u202fmin."
    assert queue.reason(first).place == "Next in line."


def test_before_there_is_a_pace_the_projection_says_when_a_run_ends(draft, owner):
    start(draft, owner)
    run = claim()
    run.projection = {"seconds": {"p50": 500}}

    assert selectors.remaining(run, run.started_at + timedelta(seconds=100)) == pytest.approx(400)
    assert selectors.remaining(run, run.started_at + timedelta(seconds=900)) == 0.0


def test_names_of_other_projects_are_not_told(draft, owner):
    make_host("forge", cards=1)
    other = make_project()
    run = start(draft, owner, "secret name")
    Run.objects.filter(pk=run.pk).update(project=other)
    claim()

    why = queue.reason(start(draft, owner, "mine"))

    assert "1 job of other projects" in why.text
    assert "secret" not in why.text


def test_with_a_free_slot_it_is_a_matter_of_seconds(draft, owner):
    make_host("forge", cards=2)
    first, second, third = (start(draft, owner, name) for name in ("a", "b", "c"))

    whys = queue.reasons([first, second, third])

    assert [whys[run.job_label, run.pk].code for run in (first, second, third)] == [
        "starting",
        "starting",
        "behind_others",
    ]


def test_a_flood_of_one_project_stands_behind_the_first_of_another(draft, owner):
    flood = [start(draft, owner, f"flood {n}") for n in range(3)]
    other = make_project()
    run = start(draft, owner, "polite")
    Run.objects.filter(pk=run.pk).update(project=other)
    run = Run.objects.get(pk=run.pk)

    assert [queue.reason(one).ahead for one in [*flood, run]] == [0, 2, 3, 1]


def test_what_waits_for_people_says_for_whom(project, draft, owner):
    held, resting = start(draft, owner, "held"), start(draft, owner, "resting")
    Run.objects.filter(pk=held.pk).update(state=JobState.HELD)
    pausing.request_pause(resting, actor="anna@example.org")
    held.refresh_from_db()

    whys = queue.reasons([held, resting, draft])

    assert whys[held.job_label, held.pk].whole == "Waits for an owner's yes."
    assert whys[resting.job_label, resting.pk].whole.startswith("Paused by anna@example.org")
    assert len(whys) == 2


def test_a_list_of_waiting_runs_looks_at_the_queue_once(project, draft, owner, django_assert_max_num_queries):
    make_host("forge", cards=1)
    start(draft, owner, "busy")
    claim()
    runs = [start(draft, owner, f"run {n}") for n in range(6)]

    with django_assert_max_num_queries(6):
        assert len(queue.reasons(runs)) == 6


def test_lost_workers_are_told_apart_from_attempts_of_people(project, draft, owner):
    run = start(draft, owner)
    for _ in range(2):
        leases.lose(claim(), cause="training", code="worker_lost", message="The worker stopped answering.")
    claim()

    titles = [(one.title, one.lost) for one in selectors.attempts(run, leases.database_time())]
    page = text(signed_in(owner).get(run.get_absolute_url()))

    assert titles == [("Attempt 1, third start", 2), ("Attempt 1, second start", 1), ("Attempt 1", 0)]
    assert "Attempt 1, third start" in page
    assert "Worker lost twice before in this attempt." in page
    assert Attempt.objects.filter(job_id=run.pk, job_label="training.run").count() == 3
    shown = signed_in(owner).get(f"/api/v1/projects/{project.slug}/runs/{run.pk}/").json()
    assert (shown["attempt"], shown["infra_failures"], shown["place"]) == (1, 2, "gpu:0")
