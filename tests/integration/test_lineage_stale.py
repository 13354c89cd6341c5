"""What was withdrawn, erased or found contaminated, and how every descendant says so, on pages and over the API."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from datasets_app import services as datasets
from datasets_app.models import Overlap
from deployments.selectors import evidence, needs
from projects import lineage
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, Withdrawal
from projects.services.lineage import reinstate_node, withdraw_node
from tests.factories import deployments as make
from tests.factories.datasets import make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from training import services as training

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
REASON = "The publisher recalled this revision."


@pytest.fixture
def live():
    return make.make_live()


def withdraw(live, cause="withdrawn", by=None, node=""):
    by = by or make_member(live.project)
    return withdraw_node(live.project, by=by, node=node or f"base:{live.adapter.base_id}", cause=cause, reason=REASON)


def pages_of(live):
    adapter, request = live.adapter, live.request
    rows = [adapter.base, adapter.run, adapter, request.evaluation, request, live]
    return [row.get_absolute_url() for row in rows]


def api(client, project, path, body=None):
    address = f"/api/v1/projects/{project.slug}/{path}"
    if body is None:
        return client.get(address)
    return client.post(address, json.dumps(body), content_type="application/json")


def test_a_withdrawn_base_is_said_on_every_page_of_what_descends_from_it_until_it_is_taken_back(client, live):
    client.force_login(live.deployed_by)
    assert all(REASON not in client.get(page).content.decode() for page in pages_of(live))

    withdrawal = withdraw(live)

    for page in pages_of(live):
        assert REASON in client.get(page).content.decode(), page
    assert REASON not in client.get(live.adapter.dataset_version.get_absolute_url()).content.decode()
    reinstate_node(withdrawal, by=make_member(live.project, Role.OWNER), reason="It was another revision.")
    assert all(REASON not in client.get(page).content.decode() for page in pages_of(live))
    assert list(AuditEvent.objects.filter(action__startswith="withdrawal.").values_list("action", "reason")) == [
        ("withdrawal.created", REASON), ("withdrawal.lifted", "It was another revision."),
    ]  # fmt: skip


def test_it_voids_what_was_approved_and_keeps_new_runs_away(live):
    request = make.approve(make.make_request(live.adapter, make.make_slot(live.project, "staging")))
    assert evidence.changes_since(request) == []
    draft = live.adapter.run
    withdraw(live, "licence")

    changed = {change.field for change in evidence.changes_since(request)}
    assert {"stale", "gates/standing/status"} <= changed
    with pytest.raises(Refused, match="licence withdrawn") as refused:
        training.create_run(
            live.project, by=live.deployed_by, name="again", base=draft.base, version=draft.dataset_version, recipe={}
        )
    assert refused.value.code == "stale_ancestor"
    (need,) = [one for one in needs.needs(live.project, live.deployed_by) if one.kind == "stale_live"]
    assert REASON in need.text


def test_a_withdrawal_is_refused_without_reason_twice_of_what_cannot_be_and_of_what_is_not_there(live):
    by, node = make_member(live.project), f"base:{live.adapter.base_id}"
    for fields, code in (
        ({"node": node, "cause": "withdrawn", "reason": "  "}, "reason_needed"),
        ({"node": node, "cause": "contaminated", "reason": REASON}, "bad_cause"),
        ({"node": f"run:{live.adapter.run_id}", "cause": "withdrawn", "reason": REASON}, "bad_cause"),
        ({"node": "base:999999", "cause": "withdrawn", "reason": REASON}, "not_in_project"),
        ({"node": "\x00", "cause": "", "reason": REASON}, "not_in_project"),
    ):
        with pytest.raises(Refused) as refused:
            withdraw_node(live.project, by=by, **fields)
        assert refused.value.code == code
    made = withdraw(live)
    with pytest.raises(Refused, match="already"):
        withdraw(live)
    reinstate_node(made, by=by, reason="not so")
    with pytest.raises(Refused, match="already"):
        reinstate_node(made, by=by, reason="not so")
    assert withdraw(live).stands
    with pytest.raises(PermissionDenied):
        withdraw(live, "licence", by=make_member(live.project, Role.VIEWER))


def test_pages_withdraw_list_and_take_back(client, live):
    by = make_member(live.project, Role.REVIEWER)
    client.force_login(by)
    node = f"base:{live.adapter.base_id}"
    address = reverse("withdrawal-list", args=[live.project.slug])
    assert "Nothing was withdrawn" in client.get(address).content.decode()
    told = client.post(address, {"node": node, "cause": "licence", "reason": REASON}, follow=True).content.decode()
    assert REASON in told and "Take this back" in told and 'class="lineage-node kind-run is-stale"' in told
    assert REASON in client.get(address).content.decode()
    made = Withdrawal.objects.get()
    lift = reverse("withdrawal-lift", args=[live.project.slug, made.pk])
    assert client.post(lift, {"reason": ""}).status_code == 400
    assert "Taken back" in client.post(lift, {"reason": "Cleared by legal."}, follow=True).content.decode()
    assert "Cleared by legal." in client.get(address).content.decode()
    viewer = make_member(live.project, Role.VIEWER)
    client.force_login(viewer)
    assert "Withdraw " not in client.get(made.get_absolute_url()).content.decode().split("lineage-node-card")[1]
    assert client.post(lift, {"reason": "again"}).status_code == 403
    stranger = make_member(make_project(), Role.OWNER)
    client.force_login(stranger)
    own = stranger.memberships.get().project
    assert client.post(reverse("withdrawal-lift", args=[own.slug, made.pk]), {"reason": "mine"}).status_code == 404


def test_the_api_does_the_same(client, live):
    client.force_login(make_member(live.project))
    project, node = live.project, f"base:{live.adapter.base_id}"
    made = api(client, project, "withdrawals/", {"node": node, "cause": "withdrawn", "reason": REASON})
    assert (made.status_code, made.json()["stands"]) == (201, True)
    looked = api(client, project, f"lineage/nodes/deployment:{live.pk}/").json()
    assert looked["stale"] == [{"node": node, "code": "withdrawn", "reason": REASON}]
    assert looked["ancestors"]["base"] == 1 and looked["parents"][0]["how"] == "approved"
    impact = api(client, project, f"lineage/nodes/{node}/impact/").json()
    assert [one["id"] for one in impact["live"]] == [f"deployment:{live.pk}"]
    assert impact["total"] == len(impact["nodes"]) == sum(impact["counts"].values())
    lifted = api(client, project, f"withdrawals/{made.json()['id']}/lift/", {"reason": "no"})
    assert (lifted.status_code, lifted.json()["code"]) == (400, "reason_needed")
    lifted = api(client, project, f"withdrawals/{made.json()['id']}/lift/", {"reason": "an error"})
    assert lifted.json()["lifted_reason"] == "an error"
    assert len(api(client, project, "withdrawals/").json()["results"]) == 1
    assert api(client, project, "withdrawals/", {"node": node}).status_code == 400


def test_the_api_answers_the_questions_of_the_page_and_knows_nothing_of_others(client, live):
    client.force_login(live.deployed_by)
    project, other = live.project, make.make_adapter(live.project)
    assert {node["id"] for node in api(client, project, "lineage/live/").json()["nodes"]} >= {
        f"deployment:{live.pk}", f"request:{live.request_id}", f"base:{live.adapter.base_id}",
    }  # fmt: skip
    beside = api(client, project, f"lineage/compare/?a={live.adapter_id}&b={other.pk}").json()
    assert "differ" in beside["verdict"] and {"Data", "Recipe", "Base"} <= {one["title"] for one in beside["sections"]}
    assert api(client, project, "lineage/compare/?a=1;--&b=2").status_code == 404
    assert "luthier" in api(client, project, "lineage/prov/").json()["prefix"]
    stranger = make.make_adapter()
    for path in (
        f"lineage/nodes/adapter:{stranger.pk}/", f"lineage/nodes/adapter:{stranger.pk}/impact/", "lineage/nodes/%00/",
        f"lineage/compare/?a={live.adapter_id}&b={stranger.pk}",
        f"lineage/versions/{stranger.dataset_version_id}/rows/0/", f"lineage/?focus=adapter:{stranger.pk}",
    ):  # fmt: skip
        assert api(client, project, path).status_code == 404, path


def test_a_contaminated_version_marks_what_was_trained_on_it_and_a_clean_one_nothing(client):
    adapter = make.make_adapter()
    make.make_evaluation(adapter, leaked=3)
    clean = make.make_version(adapter.project, adapter.author, dataset=adapter.dataset_version.dataset)
    clean.parents.add(adapter.dataset_version)
    unseen = make.make_version(adapter.project, adapter.author, dataset=clean.dataset)
    unseen.overlaps.all().delete()
    unseen.parents.add(adapter.dataset_version)

    stale = lineage.whole(adapter.project).stale

    assert f"adapter:{adapter.pk}" in stale and f"version:{unseen.pk}" in stale
    assert f"version:{clean.pk}" not in stale
    retention = make.make_version(adapter.project, adapter.author, purpose="retention")
    assert Overlap.objects.filter(version=retention).update(exact=2) == 1
    assert f"version:{retention.pk}" not in lineage.whole(adapter.project).stale, "nobody learns from it"
    client.force_login(adapter.author)
    assert "It shares 3 equal rows with" in client.get(adapter.get_absolute_url()).content.decode()
    assert evidence.collect(make.make_slot(adapter.project), adapter, None)["stale"] == [], "it has a gate of its own"


@pytest.mark.slow
def test_erased_rows_mark_the_versions_that_held_them_and_never_the_one_made_without_them(client):
    version = make_version(rows=tickets(12))
    project, by = version.project, version.created_by
    (row,) = [n for n, one in enumerate(tickets(12)) if "Ticket 7:" in str(one)]
    client.force_login(by)
    trace = api(client, project, f"lineage/versions/{version.pk}/rows/{row}/").json()
    assert [one["rows"] for one in trace["holding"]] == [[row]] and trace["total"] == 0
    assert api(client, project, f"lineage/versions/{version.pk}/rows/12/").status_code == 404
    search = datasets.search_text(project, by=by, text="Ticket 7:")
    run_jobs()
    search.refresh_from_db()
    (build,) = datasets.erase_text(search, by=by)
    run_jobs()
    build.refresh_from_db()
    late = datasets.clean_version(version, by=by, steps=[{"op": "drop_rows", "indices": [0], "reason": "a test"}])
    run_jobs()
    late.refresh_from_db()
    search.refresh_from_db()
    datasets.forget_search(search, by=by)

    stale = lineage.whole(project).stale

    assert [mark.code for mark in stale[f"version:{version.pk}"]] == ["erased"]
    assert f"version:{late.version_id}" in stale, "it was made of the version that holds them"
    assert f"version:{build.version_id}" not in stale
    answer = client.get(reverse("lineage-row", args=[project.slug, version.pk, row])).content.decode()
    assert "stands in 2 versions" in answer
    withdrawal = project.withdrawals.get()
    with pytest.raises(Refused, match="stay erased"):
        reinstate_node(withdrawal, by=by, reason="let me")
