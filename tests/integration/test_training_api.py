"""The API of training: the same services, words and permissions as the pages."""

import pytest

from projects.domain.permissions import Role
from projects.domain.states import JobState
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import BaseModelVersion, Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}


def api(project, path: str) -> str:
    return f"/api/v1/projects/{project.slug}/{path}"


@pytest.fixture
def ready(client):
    """A project with a base and data, its engineer signed in."""
    project = make_project()
    by = make_member(project)
    client.force_login(by)
    return project, factory.make_base(project, by), datasets.make_version(project=project, by=by)


def new_run(base, version, /, **changes) -> dict:
    return {"name": "by program", "base": base.pk, "dataset_version": version.pk, "recipe": factory.RECIPE} | changes


def test_a_run_from_draft_to_adapter(client, ready):
    project, base, version = ready
    made = client.post(api(project, "runs/"), new_run(base, version), **JSON)
    assert made.status_code == 201, made.content
    run = f"runs/{made.json()['id']}/"
    assert made.json()["state"] == "draft"

    early = client.post(api(project, run + "start/"), {}, **JSON)
    assert (early.status_code, early.json()["code"]) == (409, "tokens_not_counted")
    run_jobs()
    projected = client.get(api(project, run + "projection/")).json()
    assert projected["seconds"]["p10"] < projected["seconds"]["p90"]

    started = client.post(api(project, run + "start/"), {}, **JSON)
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    run_jobs()
    done = client.get(api(project, run)).json()
    assert (done["state"], done["step"], done["last_loss"]) == ("succeeded", 5, 0.4)
    assert float(done["cost"]) > 0
    assert done["spec"]["base"]["fingerprint"] == base.fingerprint

    adapter = client.get(api(project, f"adapters/{done['adapter']}/")).json()
    assert adapter["base_fingerprint"] == base.fingerprint
    assert set(adapter["manifest"]["files"]) >= {"adapter_model.safetensors"}
    archive = client.get(api(project, f"adapters/{done['adapter']}/download/"))
    assert archive["Content-Type"] == "application/zip"
    assert b"".join(archive.streaming_content).startswith(b"PK")


def test_metrics_and_log_of_a_run(client):
    run = factory.make_run()
    client.force_login(make_member(run.project, Role.VIEWER))
    series = {one["name"]: one for one in client.get(api(run.project, f"runs/{run.pk}/metrics/")).json()}
    assert series["loss"]["steps"] == [1, 2, 3, 4, 5]
    only = client.get(api(run.project, f"runs/{run.pk}/metrics/?name=loss")).json()
    assert [one["name"] for one in only] == ["loss"]
    assert client.get(api(run.project, f"runs/{run.pk}/log/")).status_code == 200


def test_a_creation_sent_twice_happens_once(client, ready):
    project, base, version = ready
    first, second = (
        client.post(api(project, "runs/"), new_run(base, version), headers={"Idempotency-Key": "k1"}, **JSON)
        for _ in range(2)
    )
    assert first.json() == second.json()
    assert Run.objects.count() == 1
    other = client.post(
        api(project, "runs/"), new_run(base, version, name="x"), headers={"Idempotency-Key": "k1"}, **JSON
    )
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"recipe": {"learning_rate": "NaN"}}, 400, "recipe.learning_rate"),
        ({"recipe": {"epochs": 1e9}}, 400, "recipe.epochs"),
        ({"recipe": {"output_dir": "; curl x | sh"}}, 400, "recipe.output_dir"),
        ({"recipe": {"max_length": 10**6}}, 400, "recipe.max_length"),
        ({"recipe": {"target_modules": ["../x"]}}, 400, "recipe.target_modules"),
        ({"recipe": {"method": "dpo"}}, 400, "method"),
        ({"base": 10**9}, 400, "base"),
        ({"base": 0}, 400, "base"),
        ({"dataset_version": "x"}, 400, "dataset_version"),
        ({"extra": 1}, 400, "extra"),
        ({"name": ""}, 400, "name"),
        ({"name": "a\nb"}, 400, "name"),
    ],
)
def test_bad_input_is_named_by_field(client, ready, changes, status, field):
    project, base, version = ready
    response = client.post(api(project, "runs/"), new_run(base, version, **changes), **JSON)
    assert response.status_code == status, response.content
    assert response.json()["field"] == field
    assert response.json()["code"] and response.json()["message"]
    assert not Run.objects.exists()


@pytest.mark.parametrize("name", ["base", "dataset_version", "parent"])
def test_things_of_other_projects_cannot_be_referenced(client, ready, name):
    project, base, version = ready
    foreign = factory.make_adapter()
    pk = {"base": foreign.base_id, "dataset_version": foreign.dataset_version_id, "parent": foreign.pk}[name]
    response = client.post(api(project, "runs/"), new_run(base, version, **{name: pk}), **JSON)
    absent = client.post(api(project, "runs/"), new_run(base, version, **{name: 10**8}), **JSON)
    assert (response.status_code, response.json()["code"]) == (400, "not_in_project")
    assert response.json()["message"].replace(str(pk), "N") == absent.json()["message"].replace(str(10**8), "N")


def test_the_decision_about_long_rows_is_asked_for_and_taken(client):
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    run = factory.make_draft(project, by, version=datasets.make_version(project=project, by=by, rows=rows))
    client.force_login(by)
    refused = client.post(api(project, f"runs/{run.pk}/start/"), {}, **JSON)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, "cut_undecided", "cut")
    taken = client.post(api(project, f"runs/{run.pk}/start/"), {"cut": "drop"}, **JSON)
    assert taken.status_code == 202
    assert taken.json()["recipe"]["cut"] == "drop"


def test_cancel_retry_and_delete(client):
    run = factory.make_draft()
    client.force_login(run.created_by)
    address = api(run.project, f"runs/{run.pk}/")
    assert client.post(address + "cancel/", {}, **JSON).json()["code"] == "already_over"
    client.post(address + "start/", {}, **JSON)
    assert client.post(address + "cancel/", {"reason": "no"}, **JSON).json()["state"] == "cancelled"
    assert client.post(address + "retry/", {}, **JSON).json()["state"] == "queued"
    assert client.delete(address).json()["code"] == "still_running"
    client.post(address + "cancel/", {}, **JSON)
    assert client.delete(address).status_code == 204


def test_a_base_is_registered_and_taken_off(client):
    project = make_project()
    client.force_login(make_member(project))
    name = factory.make_model_folder()
    made = client.post(api(project, "bases/"), {"source": "local", "path": name}, **JSON)
    assert (made.status_code, made.json()["state"]) == (202, "queued")
    run_jobs()
    base = client.get(api(project, f"bases/{made.json()['id']}/")).json()
    assert base["state"] == "succeeded" and len(base["fingerprint"]) == 64
    assert client.post(api(project, f"bases/{base['id']}/retry/"), {}, **JSON).status_code == 409
    assert client.delete(api(project, f"bases/{base['id']}/")).status_code == 204
    assert not BaseModelVersion.objects.exists()
    escape = client.post(api(project, "bases/"), {"source": "local", "path": "../../etc"}, **JSON)
    assert (escape.status_code, escape.json()["field"]) == (400, "path")


def test_lists_are_paged_and_filtered(client):
    run = factory.make_run()
    client.force_login(run.created_by)
    listed = client.get(api(run.project, "runs/?state=succeeded")).json()
    assert [row["id"] for row in listed["results"]] == [run.pk]
    assert client.get(api(run.project, "runs/?state=failed")).json()["results"] == []
    assert client.get(api(run.project, "runs/?state=odd")).json()["code"] == "unknown_state"
    assert client.get(api(run.project, "runs/?secret=1")).json()["code"] == "unknown_filter"
    assert len(client.get(api(run.project, "adapters/")).json()["results"]) == 1
    assert len(client.get(api(run.project, "bases/")).json()["results"]) == 1


@pytest.mark.parametrize(
    ("role", "expected"),
    [(Role.VIEWER, 403), (Role.REVIEWER, 403), (Role.ENGINEER, 202), (Role.OWNER, 202), (None, 404)],
)
def test_who_may_start_a_run(client, role, expected):
    run = factory.make_draft()
    client.force_login(make_member(run.project if role else make_project(), role or Role.OWNER))
    assert client.post(api(run.project, f"runs/{run.pk}/start/"), {}, **JSON).status_code == expected
    run.refresh_from_db()
    assert run.state == (JobState.QUEUED if expected == 202 else JobState.DRAFT)
