"""Pages and API of sweeps: the same services, the same words, for those who may."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from projects import reconciler
from projects.domain.permissions import Role
from projects.models import AuditEvent
from tests.factories import datasets
from tests.factories.projects import make_member, make_project, make_user, run_jobs
from tests.factories.sweeps import plan_sweep, run_sweep, start_sweep
from tests.factories.training import fake_engine, make_base
from training.domain.recipe import KNOBS
from training.models import Run, Sweep

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_engines(settings):
    """Which engine runs are given is forgotten with the test."""
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def parts(client, settings):
    """A project with a base and data, an engine that needs no torch, and an engineer at the door."""
    settings.ENGINES = settings.ENGINES | {"training.run": fake_engine()}
    client.project = make_project()
    client.by = make_member(client.project)
    client.base = make_base(client.project, client.by)
    client.version = datasets.make_version(project=client.project, by=client.by)
    client.force_login(client.by)
    return client


def at(client, name, *args):
    return reverse(name, args=[client.project.slug, *args])


def form(client, **fields):
    recipe = {knob.name: knob.default for knob in KNOBS if knob.kind != "bool"} | {"target_modules": "all-linear"}
    values = {
        "name": "rank and rate", "base": client.base.pk, "dataset_version": client.version.pk, "strategy": "grid",
        "at_once": 2, "stopping": "none", "grace": 30, "max_length": 64, "try_rank": "2, 4",
    }  # fmt: skip
    return recipe | values | fields


def body(client, **fields):
    return {
        "name": "rank and rate", "base": client.base.pk, "dataset_version": client.version.pk,
        "recipe": {"max_length": 64}, "space": [{"name": "rank", "values": [2, 4]}],
    } | fields  # fmt: skip


def test_a_sweep_is_planned_seen_started_and_followed(parts):
    answer = parts.post(at(parts, "sweep-create"), form(parts))
    sweep = Sweep.objects.get()
    assert answer["Location"] == sweep.get_absolute_url()
    run_jobs()

    draft = parts.get(sweep.get_absolute_url()).content.decode()
    assert "Cost of all, at most" in draft
    assert "rank 2" in draft
    assert "Start sweep" in draft

    parts.post(at(parts, "sweep-start", sweep.pk))
    assert "No run has begun" in parts.get(sweep.get_absolute_url()).content.decode()
    reconciler.sweep()
    polled = parts.get(at(parts, "sweep-status", sweep.pk))
    status = polled.content.decode()
    assert 'hx-trigger="every 3s"' in status and "HX-Refresh" not in polled
    assert "#2" in status
    run_jobs()

    assert parts.get(at(parts, "sweep-status", sweep.pk))["HX-Refresh"] == "true"  # with the buttons of its end
    done = parts.get(sweep.get_absolute_url()).content.decode()
    assert "No clear winner between #1 and #2" in done
    assert "Proposed" in done
    assert 'id="sweep-parallel"' in done
    assert "every 3s" not in done
    assert sweep.name in parts.get(at(parts, "sweep-list")).content.decode()
    assert [row["name"] for row in parts.get(at(parts, "run-list") + f"?sweep={sweep.pk}").context["rows"]] == [
        "rank and rate #2",
        "rank and rate #1",
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"try_rank": ""}, "try_rank"),
        ({"try_rank": "2, x"}, "try_rank"),
        ({"try_rank": "2 .. 8"}, "strategy"),
        ({"strategy": "random", "runs": ""}, "runs"),
        ({"at_once": 0}, "at_once"),
        ({"try_learning_rate": "0 .. 1 log", "strategy": "tpe", "runs": 2}, "try_learning_rate"),
    ],
)
def test_what_is_wrong_stands_at_its_field(parts, fields, field):
    answer = parts.post(at(parts, "sweep-create"), form(parts, **fields))

    assert answer.status_code == 400
    assert field in answer.context["form"].errors
    assert not Sweep.objects.exists()


def test_the_api_plans_starts_and_tells(parts):
    created = parts.post(at(parts, "api-sweep-list"), body(parts), content_type="application/json")
    assert created.status_code == 201, created.content
    number = created.json()["id"]
    assert (created.json()["runs_wanted"], created.json()["state"], created.json()["result"]) == (2, "draft", None)
    waits = parts.post(at(parts, "api-sweep-start", number), {}, content_type="application/json")
    assert (waits.status_code, waits.json()["code"]) == (409, "tokens_not_counted")
    run_jobs()

    started = parts.post(at(parts, "api-sweep-start", number), {}, content_type="application/json")
    assert started.status_code == 202
    assert Decimal(started.json()["money"]["held"]) == Decimal(started.json()["projection"]["money"]["p90"])
    reconciler.sweep()
    run_jobs()

    told = parts.get(at(parts, "api-sweep-detail", number)).json()
    assert told["state"] == "succeeded"
    assert [trial["state"] for trial in told["trials"]] == ["succeeded", "succeeded"]
    assert told["result"]["winner"] in [trial["run"] for trial in told["trials"]]
    assert told["result"]["clear"] is False
    again = parts.post(at(parts, "api-sweep-repeat", number), {}, content_type="application/json")
    assert (again.status_code, again.json()["state"], again.json()["recipe"]["seed"]) == (201, "draft", 1)
    assert parts.delete(at(parts, "api-sweep-detail", number)).status_code == 204
    assert Run.objects.count() == 3


def test_the_api_refuses_in_the_words_of_the_domain(parts):
    for fields, code in (
        ({"space": [{"name": "rank", "values": [2, 2]}]}, "bad_space"),
        ({"space": [{"name": "colour", "values": [1, 2]}]}, None),
        ({"base": 10**9}, "not_in_project"),
        ({"golden": parts.version.pk}, "wrong_purpose"),
        ({"colour": 1}, None),
        ({"runs": 3}, "out_of_range"),
    ):
        answer = parts.post(at(parts, "api-sweep-list"), body(parts, **fields), content_type="application/json")
        assert answer.status_code == 400, fields
        assert code is None or answer.json()["code"] == code, answer.content


def test_cancelling_by_page_and_api():
    sweep = start_sweep()
    client = Client()
    client.force_login(sweep.created_by)
    client.project = sweep.project

    client.post(at(client, "sweep-cancel", sweep.pk), {"reason": "Wrong data."})
    sweep.refresh_from_db()
    assert sweep.state == "cancelled"
    assert AuditEvent.objects.filter(action="sweep.finished").count() == 1
    refused = client.post(at(client, "api-sweep-cancel", sweep.pk), {}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "already_over")


def test_viewers_see_and_do_nothing_and_outsiders_see_nothing(client):
    sweep = run_sweep()
    client.project = sweep.project
    client.force_login(make_member(sweep.project, Role.VIEWER))
    seen = client.get(sweep.get_absolute_url()).content.decode()

    assert "Train it again" not in seen
    assert "Cancel all" not in seen
    assert client.get(at(client, "sweep-create")).status_code == 403
    for name in ("sweep-start", "sweep-cancel", "sweep-repeat", "sweep-delete"):
        assert client.post(at(client, name, sweep.pk)).status_code == 403
    client.force_login(make_user())
    assert client.get(sweep.get_absolute_url()).status_code == 404
    assert client.get(at(client, "api-sweep-detail", sweep.pk)).status_code == 404


def test_beyond_the_budget_the_draft_asks_why_and_the_owner_answers_on_its_page(client):
    sweep = plan_sweep(make_project(monthly_budget=Decimal("0.00")))
    client.project = sweep.project
    client.force_login(sweep.created_by)
    assert "Ask for a yes" in client.get(sweep.get_absolute_url()).content.decode()

    client.post(at(client, "sweep-start", sweep.pk), {"budget_reason": "It decides the release."})

    client.force_login(make_member(sweep.project, Role.OWNER))
    page = client.get(sweep.get_absolute_url()).content.decode()
    assert "It decides the release." in page
    assert "Waits for your yes" in page


def test_a_plan_whose_long_rows_are_undecided_has_no_start(parts):
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    version = datasets.make_version(project=parts.project, by=parts.by, rows=rows)

    def planned(cut):
        parts.post(at(parts, "sweep-create"), form(parts, dataset_version=version.pk, cut=cut))
        run_jobs()
        sweep = Sweep.objects.latest("pk")
        start = parts.post(at(parts, "sweep-start", sweep.pk))
        return parts.get(sweep.get_absolute_url()).content.decode(), start

    page, start = planned("refuse")
    assert start.status_code == 400
    assert "1 row is longer than 64 tokens" in page and "cannot start as it is planned" in page
    assert "Start sweep" not in page and at(parts, "sweep-create") in page
    page, start = planned("drop")
    assert start.status_code == 302 and "longer than 64 tokens" not in page


def test_a_project_without_data_says_what_comes_first(client):
    client.project = make_project()
    client.force_login(make_member(client.project))

    assert "No sweep yet" in client.get(at(client, "sweep-list")).content.decode()
    assert "First, a base model" in client.get(at(client, "sweep-create")).content.decode()
