"""The API of reviews, slots and deployments: the same rules as the pages, in one error shape."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.models import Deployment, DeploymentRequest, Review
from projects.domain.permissions import Role
from projects.domain.tokens import digest, new_token
from projects.models import ApiToken
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture
def asked():
    return make.make_request()


@pytest.fixture
def reviewer(asked):
    return make_member(asked.project, Role.REVIEWER)


def at(row, path):
    return f"/api/v1/projects/{row.project.slug}/{path}"


def send(client, user, address, body=None, **headers):
    client.force_login(user)
    return client.post(address, body or {}, content_type="application/json", headers=headers)


def verdict(asked, word="approve", **changes):
    return {"verdict": word, "body": make.REASON, "digest": asked.digest} | changes


def test_slots_are_made_listed_and_read(client):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    address = f"/api/v1/projects/{project.slug}/slots/"
    made = send(client, owner, address, {"name": "Production", "description": "Customers"})
    assert (made.status_code, made.json()["target"], made.json()["live"]) == (201, "production", None)
    assert client.get(address).json()["results"] == [made.json()]
    assert client.get(f"{address}{made.json()['id']}/").json() == made.json()
    again = send(client, owner, address, {"name": "production"})
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (400, "name_taken", "name")
    assert send(client, owner, address, {"name": "x", "target": "../etc"}).json()["code"] == "unknown_field"
    assert send(client, make_member(project), address, {"name": "y"}).status_code == 403


def test_a_request_is_made_once_per_idempotency_key(client):
    evaluation = make.make_evaluation(make.make_adapter())
    slot = make.make_slot(evaluation.project)
    engineer = make_member(evaluation.project)
    body = {"slot": slot.pk, "adapter": evaluation.adapter_id, "evaluation": evaluation.pk, "message": "Go"}
    first = send(client, engineer, at(slot, "requests/"), body, **{"Idempotency-Key": "abc"})
    second = send(client, engineer, at(slot, "requests/"), body, **{"Idempotency-Key": "abc"})
    assert (first.status_code, second.json()) == (201, first.json())
    assert [gate["status"] for gate in first.json()["gates"]] == ["pass"] * 9
    assert DeploymentRequest.objects.count() == 1
    third = send(client, engineer, at(slot, "requests/"), body)
    assert (third.status_code, third.json()["code"]) == (409, "already_requested")


@pytest.mark.parametrize("field", ["slot", "adapter", "evaluation"])
def test_things_of_another_project_cannot_be_named(client, asked, field):
    stranger = make.make_evaluation(make.make_adapter())
    foreign = {"slot": make.make_slot(stranger.project).pk, "adapter": stranger.adapter_id, "evaluation": stranger.pk}
    own = {"slot": asked.slot_id, "adapter": asked.adapter_id, "evaluation": asked.evaluation_id}
    answer = send(client, asked.requested_by, at(asked, "requests/"), own | {field: foreign[field]})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "not_in_project", field)


def test_the_whole_way_over_the_api(client, asked, reviewer):
    author = asked.requested_by
    here = at(asked, f"requests/{asked.pk}/")
    assert send(client, reviewer, f"{here}comment/", {"body": "Hm"}).status_code == 201
    assert send(client, reviewer, f"{here}decide/", verdict(asked, "request_changes")).status_code == 201
    again = send(client, author, f"{here}resubmit/", {"message": "Better now"})
    assert again.json()["state"] == "submitted"
    asked.refresh_from_db()
    assert send(client, reviewer, f"{here}decide/", verdict(asked)).status_code == 201
    started = send(client, author, f"{here}deploy/")
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    run_jobs()
    whole = client.get(here).json()
    assert (whole["state"], len(whole["reviews"]), whole["changed_since"]) == ("deployed", 3, [])
    live = client.get(at(asked, f"slots/{asked.slot_id}/")).json()["live"]
    assert (live["adapter"], live["digest"]) == (asked.adapter_id, asked.adapter.digest)
    assert client.get(at(asked, "deployments/")).json()["results"][0]["live"] is True


def test_nobody_approves_their_own(client):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    asked = make.make_request(make.make_adapter(project), by=owner)
    answer = send(client, owner, at(asked, f"requests/{asked.pk}/decide/"), verdict(asked))
    assert (answer.status_code, answer.json()["code"]) == (403, "self_approval")
    assert Review.objects.count() == 0


def token_for(user, project, scope="write"):
    secret = new_token()
    ApiToken.objects.create(
        project=project,
        user=user,
        name="ci",
        start=secret[:8],
        token_hash=digest(secret),
        scope=scope,
        expires_at=timezone.now() + timedelta(days=1),
    )
    return secret


def test_a_token_decides_nothing_but_may_comment_and_deploy(client, asked, reviewer):
    headers = {"Authorization": f"Bearer {token_for(reviewer, asked.project)}"}
    here = at(asked, f"requests/{asked.pk}/")

    def call(path, body):
        return client.post(f"{here}{path}/", body, content_type="application/json", headers=headers)

    for word in ("approve", "request_changes", "reject"):
        answer = call("decide", verdict(asked, word))
        assert answer.status_code == 403
        assert "token may not" in answer.json()["message"]
    assert call("comment", {"body": "From the build"}).status_code == 201
    make.approve(asked)
    assert call("deploy", {}).status_code == 202


BAD = [
    ({"verdict": "comment"}, "invalid_choice", "verdict"),
    ({"verdict": "yes"}, "invalid_choice", "verdict"),
    ({"digest": "nope"}, "invalid", "digest"),
    ({"digest": None}, "null", "digest"),
    ({"body": ""}, "blank", "body"),
    ({"state": "approved"}, "unknown_field", "state"),
    ({"session": True}, "unknown_field", "session"),
    ({"decided_by": 1}, "unknown_field", "decided_by"),
]


@pytest.mark.parametrize(("change", "code", "field"), BAD)
def test_a_malformed_verdict_is_refused_by_field(client, asked, reviewer, change, code, field):
    answer = send(client, reviewer, at(asked, f"requests/{asked.pk}/decide/"), verdict(asked) | change)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, code, field)
    asked.refresh_from_db()
    assert asked.state == "submitted"


def test_changed_evidence_voids_the_request_and_the_void_stays(client, asked, reviewer):
    asked.evaluation.summary["graders"]["exact_match"]["low"] = 0.5
    asked.evaluation.save()
    here = at(asked, f"requests/{asked.pk}/")
    client.force_login(reviewer)
    changed = client.get(here).json()["changed_since"]
    assert {change["label"] for change in changed} >= {"Evaluation score, exact match · low"}
    answer = send(client, reviewer, f"{here}decide/", verdict(asked))
    assert (answer.status_code, answer.json()["code"]) == (409, "approval_stale")
    assert client.get(here).json()["state"] == "void"
    replay = send(client, reviewer, f"{here}decide/", verdict(asked))
    assert (replay.status_code, replay.json()["code"]) == (409, "illegal_transition")


def test_steps_cannot_be_skipped(client, asked):
    answer = send(client, asked.requested_by, at(asked, f"requests/{asked.pk}/deploy/"))
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert Deployment.objects.count() == 0


@pytest.mark.parametrize("path", ["requests/", "requests/{r}/", "slots/", "slots/{s}/", "deployments/", "lineage/"])
def test_outsiders_get_the_404_of_what_does_not_exist(client, asked, path):
    stranger = make_member(make_project(), Role.OWNER)
    client.force_login(stranger)
    address = at(asked, path.format(r=asked.pk, s=asked.slot_id))
    nothing = client.get("/api/v1/projects/no-such-project/requests/")
    answer = client.get(address)
    assert (answer.status_code, answer.json()) == (404, nothing.json())


@pytest.mark.parametrize("path", ["comment", "decide", "deploy", "withdraw", "resubmit"])
def test_requests_of_other_projects_take_no_commands(client, asked, path):
    stranger = make_member(make_project(), Role.OWNER)
    own = stranger.memberships.get().project
    for slug in (asked.project.slug, own.slug):
        address = f"/api/v1/projects/{slug}/requests/{asked.pk}/{path}/"
        assert send(client, stranger, address, verdict(asked)).status_code == 404


@pytest.mark.parametrize("path", ["comment", "decide", "deploy", "withdraw", "resubmit"])
def test_viewers_only_read(client, asked, path):
    viewer = make_member(asked.project, Role.VIEWER)
    assert send(client, viewer, at(asked, f"requests/{asked.pk}/{path}/"), verdict(asked)).status_code == 403
    assert client.get(at(asked, f"requests/{asked.pk}/")).status_code == 200


def test_rolling_back_over_the_api(client):
    first = make.make_live()
    second = make.make_live(make.make_adapter(first.project), first.slot)
    engineer = make_member(first.project)
    back = send(client, engineer, at(first, f"slots/{first.slot_id}/rollback/"), {"reason": "Slow"})
    assert (back.status_code, back.json()["adapter"], back.json()["back_to"]) == (202, first.adapter_id, first.pk)
    busy = send(client, engineer, at(first, f"slots/{first.slot_id}/rollback/"))
    assert (busy.status_code, busy.json()["code"]) == (409, "slot_busy")
    run_jobs()
    forward = send(client, engineer, at(first, f"deployments/{second.pk}/rollback/"))
    assert (forward.status_code, forward.json()["code"]) == (409, "not_a_rollback")


def test_filters_are_known_by_name(client, asked):
    client.force_login(asked.requested_by)
    assert len(client.get(at(asked, "requests/?state=submitted")).json()["results"]) == 1
    assert client.get(at(asked, "requests/?state=approved")).json()["results"] == []
    assert len(client.get(at(asked, f"requests/?slot={asked.slot_id}")).json()["results"]) == 1
    for query in ("requested_by__password__startswith=p", "slot=x", "_connector=OR"):
        assert client.get(at(asked, f"requests/?{query}")).status_code == 400


def test_lineage_as_json(client, asked):
    client.force_login(asked.requested_by)
    whole = client.get(at(asked, "lineage/")).json()
    ids = {node["id"] for node in whole["nodes"]}
    assert {f"request:{asked.pk}", f"adapter:{asked.adapter_id}", f"base:{asked.adapter.base_id}"} <= ids
    assert all(edge["source"] in ids and edge["target"] in ids for edge in whole["edges"])
    focus = client.get(at(asked, f"lineage/?focus=base:{asked.adapter.base_id}&kind=adapter")).json()
    assert {node["kind"] for node in focus["nodes"]} == {"base", "adapter"}
    assert client.get(at(asked, "lineage/?focus=base:999999")).status_code == 404
