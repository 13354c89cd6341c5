"""Adapters trained on erased rows are a list of tasks: retrained by a click, in order, until nothing is left to do."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from datasets_app import services as datasets
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.staleness import Cause
from projects.models import Event, WebhookEndpoint
from projects.services.lineage import reinstate_node, withdraw_node
from tests.factories import training as factory
from tests.factories.datasets import make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services
from training.domain import retraining
from training.domain.retraining import Known, Task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}


def erase(version, by):
    """Carry out a deletion request for what one row says, and let workers make the version without it."""
    search = datasets.search_text(version.project, by=by, text="Ticket 7:")
    run_jobs()
    search.refresh_from_db()
    (build,) = datasets.erase_text(search, by=by)
    return build


@pytest.fixture
def trained():
    """An adapter over rows that somebody wants erased, one that goes on from it, and an engineer."""
    project = make_project()
    by = make_member(project)
    version = make_version(project=project, by=by, rows=tickets(30))
    first = factory.make_adapter(project, by, version=version)
    other = make_version(project=project, by=by, rows=tickets(20, start=100))
    second = factory.make_adapter(project, by, version=other, base=first.base, parent=first, name="further")
    return first, second, by


def states(project):
    return {task.adapter.name: task.state for task in selectors.retrainings(project)}


def retrain(adapter, by):
    """Click until the data is counted, as a person would."""
    try:
        return services.retrain_without(adapter, by=by)
    except Refused as refused:
        assert refused.code == "tokens_not_counted", refused.message
    run_jobs()
    return services.retrain_without(adapter, by=by)


def test_nothing_is_to_be_done_where_nothing_was_erased(trained, client):
    first, _, by = trained
    assert selectors.retrainings(first.project) == []
    client.force_login(by)
    page = client.get(reverse("retraining", args=[first.project.slug])).content.decode()
    assert "No adapter was trained on erased rows" in page
    with pytest.raises(Refused) as refused:
        services.retrain_without(first, by=by)
    assert refused.value.code == "nothing_to_retrain"


def test_from_the_request_to_the_last_replacement(trained, client):
    first, second, by = trained
    project = first.project
    erase(first.dataset_version, by)
    assert states(project) == {first.name: Task.WAITS, second.name: Task.WAITS}  # the clean version is being made
    run_jobs()
    assert states(project) == {first.name: Task.OPEN, second.name: Task.WAITS}
    assert {one.kind for one in selectors.needs(project, by)} == {"retrain"}
    client.force_login(by)
    page = client.get(reverse("retraining", args=[project.slug])).content.decode()
    assert f"It went on from {first.name}, which comes first." in page and "2 of 2 adapters are still" in page
    assert "To be retrained" in client.get(first.get_absolute_url()).content.decode()

    run = retrain(first, by)

    assert (run.recipe["rank"], run.base, run.launched_with["replaces"]["adapter"]) == (2, first.base, first.pk)
    assert run.dataset_version.rows == 29
    assert states(project)[first.name] == Task.TRAINING
    with pytest.raises(Refused, match="under way"):
        services.retrain_without(first, by=by)
    run_jobs()
    run.refresh_from_db()
    assert states(project) == {first.name: Task.DONE, second.name: Task.OPEN}
    again = retrain(second, by)
    assert (again.parent_adapter, again.dataset_version) == (run.adapter, second.dataset_version)
    run_jobs()
    assert set(states(project).values()) == {Task.DONE}
    assert [one for one in selectors.needs(project, by) if one.kind == "retrain"] == []
    shown = client.get(reverse("retraining", args=[project.slug])).content.decode()
    assert run.adapter.name in shown and "0 of 2 adapters are still" in shown


def test_what_was_looked_at_is_looked_at_again(trained):
    first, _, by = trained
    held_out = make_version(project=first.project, by=by, rows=tickets(10, start=200))
    looked = factory.make_adapter(
        first.project, by, version=first.dataset_version, base=first.base, validation=held_out, name="looked at"
    )
    erase(first.dataset_version, by)
    run_jobs()
    run = retrain(looked, by)
    assert run.validation_version == held_out and run.dataset_version != first.dataset_version


def test_rows_that_were_erased_from_validation_data_were_never_learnt(trained):
    first, _, by = trained
    clean = make_version(project=first.project, by=by, rows=tickets(10, start=200))
    looked = factory.make_adapter(
        first.project, by, version=clean, base=first.base, validation=first.dataset_version, name="looked at"
    )
    draft = factory.make_draft(first.project, by, version=clean, base=first.base, validation=first.dataset_version)
    erase(first.dataset_version, by)
    run_jobs()
    assert looked.name not in states(first.project)
    with pytest.raises(Refused) as refused:
        services.start_run(draft, by=by)
    assert refused.value.code == "stale_ancestor"
    assert selectors.validation_again(looked.run, clean) is None


def test_a_run_that_fails_can_be_tried_again(trained, settings):
    first, _, by = trained
    erase(first.dataset_version, by)
    run_jobs()
    settings.ENGINES["training.run"] = factory.fake_engine("fail")
    retrain(first, by)
    run_jobs()
    assert states(first.project)[first.name] == Task.FAILED
    settings.ENGINES["training.run"] = factory.fake_engine()
    retrain(first, by)
    run_jobs()
    assert states(first.project)[first.name] == Task.DONE


def test_both_doors_and_who_may(trained, client):
    first, _, by = trained
    project = first.project
    erase(first.dataset_version, by)
    run_jobs()
    api, address = APIClient(), f"/api/v1/projects/{project.slug}/"
    page = reverse("adapter-retrain", args=[project.slug, first.pk])
    for person, code in [(make_member(project, Role.REVIEWER), 403), (make_member(make_project()), 404)]:
        api.force_authenticate(person)
        client.force_login(person)
        assert api.post(f"{address}adapters/{first.pk}/retrain/").status_code == code
        assert client.post(page).status_code == code
    api.force_authenticate(by)
    told = api.get(f"{address}retraining/").json()
    assert [(one["adapter"], one["state"]) for one in told] == [(first.pk, "open"), (told[1]["adapter"], "waits")]
    assert told[0]["reasons"] and told[0]["version"]
    waits = api.post(f"{address}adapters/{first.pk}/retrain/")
    assert (waits.status_code, waits.json()["code"]) == (409, "tokens_not_counted")
    run_jobs()
    client.force_login(by)
    sent = client.post(page)
    assert sent.status_code == 302 and "/runs/" in sent.url


def test_what_is_judged():
    assert retraining.judge(Known(False, False))[0] == Task.UNKNOWN
    assert retraining.judge(Known(True, False))[0] == Task.WAITS
    assert retraining.judge(Known(True, True, "first"))[0] == Task.WAITS
    assert retraining.judge(Known(True, True))[0] == Task.OPEN
    assert retraining.judge(Known(True, True, "", ["failed", "cancelled"]))[0] == Task.FAILED
    assert retraining.judge(Known(True, True, "", ["running", "failed"]))[0] == Task.TRAINING
    assert retraining.judge(Known(True, True, "", ["failed", "succeeded"]))[0] == Task.DONE


def test_a_withdrawal_and_its_end_are_events_without_the_words_of_whoever_said_so(trained):
    first, _, by = trained
    project = first.project
    WebhookEndpoint.objects.all().delete()
    made = withdraw_node(project, by=by, node=f"base:{first.base_id}", cause=Cause.LICENCE, reason="Kim said so.")
    reinstate_node(made, by=by, reason="Kim was wrong.")
    gone, back = Event.objects.filter(project=project, name__startswith="lineage.").order_by("pk")
    assert (gone.name, back.name) == ("lineage.withdrawn", "lineage.reinstated")
    assert (gone.data["subject"]["node"], gone.data["subject"]["cause"]) == (f"base:{first.base_id}", "licence")
    assert gone.data["descendants"] == {"run": 2, "adapter": 2} and gone.data["live"] == 0
    assert gone.data["text"] == f"{made.label}: licence withdrawn. 4 descend from it."
    assert "taken back" in back.data["text"]
    assert "Kim" not in str(gone.data) + str(back.data)
