"""Answering for another base where it is needed: in the form or the request itself, with what was typed kept."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from evaluation.models import Evaluation
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from tests.factories import compatibility as factory
from tests.factories import deployments as shipping
from tests.factories import training as training_factory
from tests.factories.evaluation import make_golden, queue_evaluation, use_engine
from tests.factories.projects import make_member, make_project, run_jobs
from training import services
from training.domain.recipe import KNOBS
from training.models import BaseDecision, Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
REASON = "The provider ended the old version; see ticket 214."
FIELD = "base_decision_reason"


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def pair():
    project = make_project()
    by = make_member(project)
    return *factory.make_quick_pair(project, by), by


def api(project, person, path):
    client = APIClient()
    client.force_authenticate(person)
    return lambda given: client.post(f"/api/v1/projects/{project.slug}/{path}", given, format="json")


def test_the_form_of_an_evaluation_asks_where_it_refuses_and_keeps_what_was_typed(pair, client):
    adapter, base, by = pair
    golden = make_golden(adapter.project, by)
    client.force_login(by)
    address = reverse("evaluation-create", args=[adapter.project.slug])
    typed = {"adapter": adapter.pk, "base": base.pk, "golden": golden.pk, "limit": 17}
    assert FIELD not in client.get(address).content.decode()

    refused = client.post(address, typed)

    shown = refused.content.decode()
    assert refused.status_code == 409
    assert f'name="{FIELD}"' in shown and "Its weights are others" in shown
    assert 'value="17"' in shown and f'<option value="{base.pk}" selected>' in shown

    short = client.post(address, typed | {FIELD: "short"})
    assert short.status_code == 400 and "at least 10 characters" in short.content.decode()
    assert not Evaluation.objects.exists() and not BaseDecision.objects.exists()

    sent = client.post(address, typed | {FIELD: REASON})
    made = Evaluation.objects.get()
    assert (sent.status_code, sent.url, made.settings["limit"]) == (302, made.get_absolute_url(), 17)
    decision = BaseDecision.objects.get()
    assert (decision.reason, decision.decided_by, decision.base, decision.verdict) == (REASON, by, base, "drifted")
    assert REASON in client.get(sent.url).content.decode()


def test_the_api_says_which_field_to_use_and_takes_it(pair):
    adapter, base, by = pair
    golden = make_golden(adapter.project, by)
    send = api(adapter.project, by, "evaluations/")
    given = {"adapter": adapter.pk, "base": base.pk, "golden": golden.pk}

    refused = send(given)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (409, "base_not_same", FIELD)
    assert FIELD in refused.json()["message"]
    assert send(given | {FIELD: REASON}).status_code == 201
    assert send(given | {FIELD: "Another reason, though one stands."}).status_code == 201
    assert BaseDecision.objects.count() == 1  # the one that stands counts


def test_an_order_that_is_refused_for_something_else_leaves_no_decision_behind(pair):
    adapter, base, by = pair
    golden = make_golden(adapter.project, by)
    given = {"adapter": adapter.pk, "base": base.pk, "golden": golden.pk, "retention": golden.pk, FIELD: REASON}
    assert api(adapter.project, by, "evaluations/")(given).status_code == 400
    assert not BaseDecision.objects.exists()


def test_what_is_incompatible_cannot_be_talked_into():
    project = make_project()
    by = make_member(project)
    adapter, wider = factory.make_pair(project, by, side=8)
    with pytest.raises(Refused) as refused:
        queue_evaluation(adapter, by, golden=make_golden(project, by), base=wider, base_decision_reason=REASON)
    assert refused.value.code == "base_incompatible"


def test_who_may_not_decide_may_not_by_way_of_an_order(pair):
    adapter, base, _ = pair
    reviewer, stranger = make_member(adapter.project, Role.REVIEWER), make_member(make_project())
    given = {"adapter": adapter.pk, "base": base.pk, "golden": 1, FIELD: REASON}
    assert api(adapter.project, reviewer, "evaluations/")(given).status_code == 403
    assert api(adapter.project, stranger, "evaluations/")(given).status_code == 404


def test_a_run_that_goes_on_on_another_base_is_answered_for_in_its_form(client):
    project = make_project()
    by = make_member(project)
    adapter, base = factory.make_pair(project, by)
    training_factory.settings.ENGINES["training.run"] = training_factory.fake_engine()
    client.force_login(by)
    address = reverse("run-create", args=[project.slug])
    values = {knob.name: knob.default for knob in KNOBS if knob.kind != "bool"} | training_factory.RECIPE
    typed = values | {
        "name": "further", "base": base.pk, "dataset_version": adapter.dataset_version_id, "parent": adapter.pk,
        "then": "draft",
    }  # fmt: skip

    refused = client.post(address, typed).content.decode()

    assert f'name="{FIELD}"' in refused and 'value="further"' in refused
    assert client.post(address, typed | {FIELD: REASON}).status_code == 302
    run = Run.objects.get(name="further")
    services.decide_on_base(adapter, by=by, base=base, reason="Taken back for now.", allowed=False)
    run_jobs()
    page = client.get(run.get_absolute_url()).content.decode()
    assert f'name="{FIELD}"' in page  # the draft asks again
    start = api(project, by, f"runs/{run.pk}/start/")
    assert (start({}).status_code, start({}).json()["field"]) == (409, FIELD)
    assert start({FIELD: REASON}).status_code == 202
    run.refresh_from_db()
    assert run.launched_with["base_decision"]["reason"] == REASON


def test_a_request_for_deployment_asks_beside_its_gates(client):
    project = make_project()
    by = make_member(project)
    adapter, base = factory.make_pair(project, by)
    golden = make_golden(adapter.project, by)
    use_engine()
    evaluation = queue_evaluation(adapter, by, golden=golden, base=base, base_decision_reason=REASON)
    run_jobs()
    services.decide_on_base(adapter, by=by, base=base, reason="Taken back for now.", allowed=False)
    slot = shipping.make_slot(adapter.project)
    client.force_login(by)
    typed = {"adapter": adapter.pk, "slot": slot.pk, "evaluation": evaluation.pk, "message": "Please look."}
    preview = client.get(reverse("request-preview", args=[adapter.project.slug]), typed).content.decode()
    assert f'name="{FIELD}"' in preview
    address = reverse("request-create", args=[adapter.project.slug])

    refused = client.post(address, typed).content.decode()
    assert f'name="{FIELD}"' in refused and "Please look." in refused
    send = api(adapter.project, by, "requests/")
    told = {"adapter": adapter.pk, "slot": slot.pk, "evaluation": evaluation.pk}
    assert (send(told).status_code, send(told).json()["field"]) == (409, FIELD)

    sent = client.post(address, typed | {FIELD: "We serve the new version only."})
    assert sent.status_code == 302, sent.context["form"].errors
    asked = adapter.deployment_requests.get()
    assert asked.evidence["other_base"]["decision"]["reason"] == "We serve the new version only."
