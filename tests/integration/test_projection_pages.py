"""Pages and API of rehearsals and of the calibration of projections."""

import sys

import pytest
from django.urls import reverse

from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import AuditEvent
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import services
from training.domain.recipe import KNOBS
from training.models import ProjectionRecord, Rehearsal, Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
JSON = {"content_type": "application/json"}
HTMX = {"headers": {"HX-Request": "true"}}


@pytest.fixture(autouse=True)
def _engines(settings):
    rehearsal = [sys.executable, "-m", "tests.fake_rehearsal", "ok"]
    settings.ENGINES = dict(settings.ENGINES) | {
        "training.run": factory.fake_engine(),
        "training.rehearsal": rehearsal,
    }


def fail_to_fit(settings):
    settings.ENGINES["training.rehearsal"] = [sys.executable, "-m", "tests.fake_rehearsal", "misfit"]


@pytest.fixture(scope="module")
def drafted(standing):
    return standing(factory.make_draft)


@pytest.fixture
def draft(drafted, db, client):
    draft = Run.objects.get(pk=drafted.pk)
    client.force_login(draft.created_by)
    return draft


def url(name: str, row, *args) -> str:
    return reverse(name, args=[row.project.slug, *args])


def form_data(run) -> dict:
    values = {knob.name: run.recipe[knob.name] for knob in KNOBS if knob.kind not in {"bool", "modules"}}
    parts = {"base": run.base_id, "dataset_version": run.dataset_version_id, "parent": ""}
    return values | parts | {"target_modules": "all-linear", "name": "by hand"}


def api(project, path: str) -> str:
    return f"/api/v1/projects/{project.slug}/{path}"


# From the form of a new run


def test_the_projection_offers_a_rehearsal_with_its_price_follows_it_and_shows_what_it_found(client, draft):
    projection, create = url("run-projection", draft), url("rehearsal-create", draft)
    before = client.post(projection, form_data(draft)).content.decode()
    assert "Rehearse run" in before and "takes about" in before and "costs about" in before

    asked = client.post(create, form_data(draft), **HTMX).content.decode()
    rehearsal = Rehearsal.objects.get()
    status = url("rehearsal-status", draft, rehearsal.pk)
    assert status in asked and "waits for a worker" in asked and "Cancel rehearsal" in asked
    assert "HX-Trigger" not in client.get(status).headers

    run_jobs()
    over = client.get(status, **HTMX)
    assert over.headers["HX-Trigger"] == "rehearsal-over" and "hx-trigger" not in over.content.decode()
    after = client.post(projection, form_data(draft)).content.decode()
    assert "It fits" in after and "Rehearsed: " in after and "Rehearse run" not in after


def test_without_htmx_it_has_a_page_of_its_own(client, draft):
    answer = client.post(url("rehearsal-create", draft), form_data(draft))
    assert answer["Location"] == Rehearsal.objects.get().get_absolute_url()


@pytest.mark.parametrize("changes", [{"base": ""}, {"learning_rate": "x"}, {"method": "dpo"}])
def test_what_cannot_be_rehearsed_is_told_in_place(client, draft, changes):
    answer = client.post(url("rehearsal-create", draft), form_data(draft) | changes, **HTMX)
    assert answer.status_code == 200 and "Not rehearsed" in answer.content.decode()
    assert not Rehearsal.objects.exists()


# From a draft


def test_a_draft_is_rehearsed_and_its_page_shows_the_row_that_is_too_long(client, draft, settings):
    fail_to_fit(settings)
    assert "Rehearse run" in client.get(draft.get_absolute_url()).content.decode()
    assert client.post(url("run-rehearse", draft, draft.pk))["Location"] == draft.get_absolute_url()
    run_jobs()
    page = client.get(draft.get_absolute_url()).content.decode()
    row = Rehearsal.objects.get().result["misfit"]["row"]
    assert "This run would not fit" in page and f"Row {row} has 60 tokens" in page and "Rehearse again" in page
    assert url("row-detail", draft, draft.dataset_version_id, row) in page


# Rows that are too long, and nobody has decided


@pytest.fixture
def undecided(client):
    """A draft with a row that is longer than its limit."""
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    draft = factory.make_draft(project, by, version=datasets.make_version(project=project, by=by, rows=rows))
    client.force_login(by)
    return draft


TOO_LONG = "1 row is longer than 64 tokens"


def test_what_to_decide_first_is_said_in_place_of_the_button(client, undecided):
    beside = client.post(url("run-projection", undecided), form_data(undecided)).content.decode()
    assert TOO_LONG in beside and "decide to leave them out or to cut them" in beside
    assert "Rehearse run" not in beside and "and rehearse" not in beside, "the form has a place to decide"
    decided = client.post(url("run-projection", undecided), form_data(undecided) | {"cut": "drop"}).content.decode()
    assert "Rehearse run" in decided and TOO_LONG not in decided

    page = client.get(undecided.get_absolute_url()).content.decode()
    assert TOO_LONG in page and "Rehearse run" not in page
    assert "Leave them out and rehearse" in page and "Cut them and rehearse" in page
    assert "Start run" in page, "the start asks for the same decision in its own form"


@pytest.mark.parametrize("cut", ["drop", "cut"])
def test_a_draft_keeps_the_decision_that_it_is_rehearsed_with(client, undecided, cut):
    assert client.post(url("run-rehearse", undecided, undecided.pk), {"cut": cut}).status_code == 302

    undecided.refresh_from_db()
    assert (undecided.state, undecided.recipe["cut"]) == (JobState.DRAFT, cut)
    assert Rehearsal.objects.get().recipe == undecided.recipe
    line = AuditEvent.objects.get(action="run.rows_decided")
    assert (line.actor, line.detail["cut"]) == (undecided.created_by.email, cut)
    page = client.get(undecided.get_absolute_url()).content.decode()
    assert "waits for a worker" in page and "and rehearse" not in page


def test_a_refused_rehearsal_decides_nothing(client, undecided):
    assert client.post(url("run-rehearse", undecided, undecided.pk)).status_code == 400
    assert client.post(url("run-rehearse", undecided, undecided.pk), {"cut": "halve"}).status_code == 400
    undecided.refresh_from_db()
    assert undecided.recipe["cut"] == "refuse" and not Rehearsal.objects.exists()

    started = services.start_run(undecided, by=undecided.created_by, cut="drop")
    with pytest.raises(Refused, match="already"):
        services.rehearse_run(started, by=undecided.created_by, cut="cut")


def test_a_viewer_is_told_and_decides_nothing(client, undecided):
    client.force_login(make_member(undecided.project, Role.VIEWER))
    page = client.get(undecided.get_absolute_url()).content.decode()
    assert TOO_LONG in page and "and rehearse" not in page
    assert client.post(url("run-rehearse", undecided, undecided.pk), {"cut": "drop"}).status_code == 403


def test_a_draft_that_would_learn_nothing_has_no_start(client, draft):
    Run.objects.filter(pk=draft.pk).update(recipe=draft.recipe | {"max_length": 16, "cut": "drop"})
    rows = [datasets.chat("billing " * 100, "low")]
    empty = datasets.make_version(project=draft.project, by=draft.created_by, rows=rows)
    Run.objects.filter(pk=draft.pk).update(dataset_version=empty)
    services.measure_tokens(empty, by=draft.created_by, base=draft.base)
    run_jobs()

    page = client.get(draft.get_absolute_url()).content.decode()

    why = "Not one row is left to train on within 16 tokens."
    for cut in ("drop", "cut"):
        refused = client.post(url("run-start", draft, draft.pk), {"cut": cut})
        assert refused.status_code == 409 and why in refused.content.decode()
    assert "This run cannot start as it is" in page and why in page
    assert "Start run" not in page and "Rehearse run" not in page
    assert "What it will take" not in page and "of 1 row not one is left to learn from" in page

    draft.refresh_from_db()
    form = client.post(url("run-projection", draft), form_data(draft)).content.decode()
    assert "This run could not start as it is" in form and why in form and "What it will take" not in form


def test_a_rehearsal_is_cancelled_from_the_page(client, draft):
    rehearsal = services.rehearse_run(draft, by=draft.created_by)
    answer = client.post(url("rehearsal-cancel", draft, rehearsal.pk), **HTMX)
    assert "was cancelled" in answer.content.decode()
    rehearsal.refresh_from_db()
    assert rehearsal.state == JobState.CANCELLED
    again = client.post(url("rehearsal-cancel", draft, rehearsal.pk), **HTMX)
    assert again.status_code == 409


def test_the_page_of_a_rehearsal_says_what_it_measured(client, draft, settings):
    done = services.rehearse_run(draft, by=draft.created_by)
    run_jobs()
    page = client.get(url("rehearsal-detail", draft, done.pk)).content.decode()
    for words in ("Does it fit?", "Yes", "A step takes", "Loading libraries and base", "One checkpoint"):
        assert words in page
    fail_to_fit(settings)
    draft.recipe |= {"batch_size": 4}
    draft.save()
    failed = services.rehearse_run(draft, by=draft.created_by)
    run_jobs()
    page = client.get(url("rehearsal-detail", draft, failed.pk)).content.decode()
    assert "No" in page and "This run would not fit" in page


def test_a_viewer_sees_a_rehearsal_and_may_ask_for_none(client, draft):
    rehearsal = services.rehearse_run(draft, by=draft.created_by)
    client.force_login(make_member(draft.project, Role.VIEWER))
    page = client.get(url("rehearsal-status", draft, rehearsal.pk)).content.decode()
    assert "waits for a worker" in page and "Cancel" not in page
    assert client.post(url("run-rehearse", draft, draft.pk)).status_code == 403
    client.force_login(make_member(make_project()))
    assert client.get(url("rehearsal-status", draft, rehearsal.pk)).status_code == 404


# Calibration


def test_the_calibration_of_a_new_project_says_what_will_stand_there(client, draft):
    page = client.get(url("calibration", draft)).content.decode()
    assert "No projection has come to its end yet" in page
    assert "No run has been measured on this installation yet" in page


def test_the_calibration_shows_shares_scatter_records_and_rates(client):
    run = factory.make_run()
    client.force_login(make_member(run.project, Role.VIEWER))
    for quantity in ("", "seconds", "money", "memory_bytes", "disk_bytes", "tokens", "nonsense"):
        page = client.get(url("calibration", run), {"quantity": quantity}).content.decode()
        assert "1 run inside the band" in page or "0 of 1 run" in page
        assert run.name in page and "By formula" in page and "fake" in page
        assert "true share lies in" in page
    ProjectionRecord.objects.update(whole=False)
    page = client.get(url("calibration", run)).content.decode()
    assert "1 run was interrupted" in page and "No run in one piece yet" in page


def test_rates_of_other_projects_come_without_names(client, draft):
    run = factory.make_run(name="a secret name")
    page = client.get(url("calibration", draft)).content.decode()
    assert "tiny" not in page and "fake" in page and "without their names" in page
    assert "a secret name" not in page and run.project.name not in page


def test_the_page_of_a_run_leads_to_it(client):
    run = factory.make_run()
    client.force_login(run.created_by)
    page = client.get(run.get_absolute_url()).content.decode()
    assert "Predicted and actual" in page and url("calibration", run) in page and "Peak memory" in page


# API


def test_the_api_rehearses_shows_and_cancels(client, draft):
    body = {"base": draft.base_id, "dataset_version": draft.dataset_version_id, "recipe": factory.RECIPE}
    made = client.post(api(draft.project, "rehearsals/"), body, **JSON)
    assert made.status_code == 202, made.content
    assert (made.json()["fits"], made.json()["state"]) == (None, "queued")
    assert float(made.json()["projected"]["money"]["p50"]) > 0
    again = client.post(api(draft.project, "rehearsals/"), body, **JSON)
    assert again.json()["id"] == made.json()["id"]
    one = f"rehearsals/{made.json()['id']}/"
    run_jobs()
    done = client.get(api(draft.project, one)).json()
    assert (done["fits"], done["result"]["longest"]["tokens"]) == (True, 60)
    assert client.get(api(draft.project, "rehearsals/")).json()["results"][0]["id"] == done["id"]
    late = client.post(api(draft.project, one + "cancel/"), {}, **JSON)
    assert (late.status_code, late.json()["code"]) == (409, "already_over")


def test_the_api_says_what_does_not_fit(client, draft, settings):
    fail_to_fit(settings)
    body = {"base": draft.base_id, "dataset_version": draft.dataset_version_id, "recipe": factory.RECIPE}
    made = client.post(api(draft.project, "rehearsals/"), body, **JSON).json()
    run_jobs()
    done = client.get(api(draft.project, f"rehearsals/{made['id']}/")).json()
    assert (done["fits"], done["error_code"]) == (False, "will_not_fit")
    assert (done["result"]["misfit"]["fits_rows"], done["result"]["misfit"]["fits_tokens"]) == (2, 32)


def test_the_api_refuses_what_the_page_refuses(client, draft):
    elsewhere = datasets.make_version()
    body = {"base": draft.base_id, "dataset_version": elsewhere.pk, "recipe": {}}
    refused = client.post(api(draft.project, "rehearsals/"), body, **JSON)
    assert (refused.status_code, refused.json()["code"]) == (400, "not_in_project")
    client.force_login(make_member(draft.project, Role.REVIEWER))
    assert client.post(api(draft.project, "rehearsals/"), body, **JSON).status_code == 403


def test_records_and_calibration_over_the_api(client):
    run = factory.make_run()
    client.force_login(make_member(run.project, Role.VIEWER))
    (record,) = client.get(api(run.project, "projections/")).json()["results"]
    assert (record["run"], record["source"]) == (run.pk, "formula")
    assert record["predicted"]["seconds"]["p10"] < record["predicted"]["seconds"]["p90"]
    found = client.get(api(run.project, "projections/calibration/")).json()
    assert {row["quantity"] for row in found["coverage"]} == set(record["actual"])
    assert all(row["low"] <= row["share"] <= row["high"] for row in found["coverage"])
    assert found["rates"][0]["runs"] == 1 and found["rates"][0]["tokens_per_second"] > 0


def test_the_projection_of_a_draft_has_all_its_parts_over_the_api(client, draft):
    found = client.get(api(draft.project, f"runs/{draft.pk}/projection/")).json()
    assert set(found["stages"]) >= {"loading", "training", "saving"}
    assert found["disk_bytes"]["p50"] > 0 and 0 <= found["padding"] < 1 and found["level"] == "formula"
