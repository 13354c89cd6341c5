"""The evaluation API: same services, same refusals, cursor paging, idempotent creation."""

import pytest

from evaluation.models import Evaluation
from projects.domain.permissions import Role
from tests.factories.evaluation import (
    make_golden,
    make_ready_adapter,
    queue_evaluation,
    run_evaluation,
)
from tests.factories.projects import make_member, make_project, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)


def root(project):
    return f"/api/v1/projects/{project.slug}/evaluations/"


def post(client, address, body=None, **headers):
    return client.post(address, body or {}, content_type="application/json", headers=headers)


@pytest.fixture
def ready(client):
    """An adapter and a golden set of a project that the client is an engineer of."""
    adapter = make_ready_adapter()
    by = make_member(adapter.project)
    client.force_login(by)
    return adapter, make_golden(adapter.project, by)


def test_a_started_evaluation_comes_back_whole(client, ready):
    adapter, golden = ready

    answer = post(client, root(adapter.project), {"adapter": adapter.pk, "golden": golden.pk, "limit": 20})

    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["state"], body["adapter"], body["golden"], body["retention"]) == (
        "queued", adapter.pk, golden.pk, None,
    )  # fmt: skip
    assert body["settings"]["limit"] == 20
    assert body["summary"] == {}
    assert body["verdict"] is None
    assert body["cost"] == "0.000000"


def test_the_same_key_starts_one_evaluation(client, ready):
    adapter, golden = ready
    body = {"adapter": adapter.pk, "golden": golden.pk}

    first = post(client, root(adapter.project), body, idempotency_key="k-1")
    again = post(client, root(adapter.project), body, idempotency_key="k-1")
    other = post(client, root(adapter.project), body | {"seed": 2}, idempotency_key="k-1")

    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409
    assert Evaluation.objects.count() == 1


def test_a_finished_one_tells_verdict_summary_and_cost(client):
    evaluation = run_evaluation()
    client.force_login(make_member(evaluation.project, Role.VIEWER))

    body = client.get(f"{root(evaluation.project)}{evaluation.pk}/").json()

    assert body["verdict"]["judgement"] == "better"
    assert body["summary"]["graders"]["exact_match"]["difference"] == pytest.approx(0.8)
    assert body["summary"]["changes"]["gain"] == 36
    assert float(body["cost"]) > 0
    listed = client.get(root(evaluation.project)).json()
    assert [row["id"] for row in listed["results"]] == [evaluation.pk]
    assert listed["results"][0]["cost"] == body["cost"]


def test_items_come_worst_first_page_by_page(client):
    evaluation = run_evaluation(mode="worse")
    client.force_login(make_member(evaluation.project))
    address = f"{root(evaluation.project)}{evaluation.pk}/items/?page_size=15"

    seen = []
    while address:
        page = client.get(address).json()
        seen += page["results"]
        address = page["next"]

    assert [item["place"] for item in seen] == list(range(40))
    assert [item["outcome"] for item in seen] == ["regression"] * 36 + ["gain"] * 4
    assert seen[0]["scores"]["adapter"]["exact_match"] == 0.0
    gains = client.get(f"{root(evaluation.project)}{evaluation.pk}/items/?outcome=gain&q=ticket").json()
    assert len(gains["results"]) == 4


@pytest.mark.parametrize(("query", "code"), [("outcome=better", "unknown_outcome"), ("sort=index", "unknown_filter")])
def test_filters_that_do_not_exist_are_refused(client, query, code):
    evaluation = run_evaluation()
    client.force_login(make_member(evaluation.project))

    answer = client.get(f"{root(evaluation.project)}{evaluation.pk}/items/?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_foreign_things_do_not_exist(client, ready):
    adapter, golden = ready
    theirs = make_ready_adapter()
    foreign = make_golden(theirs.project, make_member(theirs.project))

    for wrong, field in (({"adapter": theirs.pk}, "adapter"), ({"golden": foreign.pk}, "golden")):
        answer = post(client, root(adapter.project), {"adapter": adapter.pk, "golden": golden.pk} | wrong)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert client.get(root(theirs.project)).status_code == 404
    other = queue_evaluation(theirs, golden=foreign)
    assert client.get(f"{root(adapter.project)}{other.pk}/").status_code == 404
    assert client.get(f"{root(adapter.project)}{other.pk}/items/").status_code == 404
    assert post(client, f"{root(adapter.project)}{other.pk}/cancel/").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"graders": ["vibes"]}, "graders"),
        ({"limit": 1}, "limit"),
        ({"max_new_tokens": 10**9}, "max_new_tokens"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input_is_named_by_field(client, ready, body, field):
    adapter, golden = ready

    answer = post(client, root(adapter.project), {"adapter": adapter.pk, "golden": golden.pk} | body)

    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_a_set_for_training_cannot_judge(client, ready):
    adapter, _ = ready

    answer = post(client, root(adapter.project), {"adapter": adapter.pk, "golden": adapter.dataset_version_id})

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "wrong_purpose", "golden")


def test_cancel_and_retry(client, ready):
    adapter, golden = ready
    evaluation = queue_evaluation(adapter, golden=golden)
    here = f"{root(adapter.project)}{evaluation.pk}/"

    assert post(client, f"{here}cancel/", {"reason": "wrong set"}).json()["state"] == "cancelled"
    again = post(client, f"{here}cancel/")
    assert (again.status_code, again.json()["code"]) == (409, "already_over")
    retried = post(client, f"{here}retry/")
    assert (retried.status_code, retried.json()["state"], retried.json()["attempt"]) == (202, "queued", 2)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_readers_read_and_nothing_else(client, role):
    evaluation = queue_evaluation()
    client.force_login(make_member(evaluation.project, role))
    here = f"{root(evaluation.project)}{evaluation.pk}/"

    assert client.get(here).status_code == 200
    body = {"adapter": evaluation.adapter_id, "golden": evaluation.golden_id}
    assert post(client, root(evaluation.project), body).status_code == 403
    assert post(client, f"{here}cancel/").status_code == 403
    assert post(client, f"{here}retry/").status_code == 403


def test_outsiders_get_the_404_of_a_missing_project(client):
    project = make_project()
    client.force_login(make_user())

    assert client.get(root(project)).json() == client.get("/api/v1/projects/nowhere/evaluations/").json()
