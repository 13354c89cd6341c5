"""Webhooks through pages and API: who may do what, what is refused, and that nothing is sent from there."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from projects import sending
from projects.domain.permissions import Role
from projects.models import AuditEvent, Delivery, Event, WebhookEndpoint
from projects.selectors import overview
from projects.services import tokens
from projects.services import webhooks as services
from tests.factories.projects import make_member, make_project
from tests.factories.webhooks import happen, make_endpoint, send

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.org/luthier"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, settings):
    """Any connection that a page or the API would open fails the test."""
    settings.MAIL_GROUP_SECONDS = 10**9

    def forbidden(*args, **more):
        raise AssertionError(f"a connection was opened: {args}")

    monkeypatch.setattr("socket.create_connection", forbidden)
    monkeypatch.setattr("socket.getaddrinfo", forbidden)


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER)


@pytest.fixture
def endpoint(project, owner):
    return make_endpoint(project, by=owner, description="Chat")


@pytest.fixture
def delivery(endpoint):
    happen(endpoint.project)
    return Delivery.objects.get(endpoint=endpoint)


def page(name, project, *args):
    return reverse(name, args=[project.slug, *args])


def api(project, path=""):
    return f"/api/v1/projects/{project.slug}/webhooks/{path}"


def call(client, method, path, data=None, **headers):
    return getattr(client, method)(path, json.dumps(data or {}), content_type="application/json", headers=headers)


# Pages


def test_a_project_without_webhooks_says_what_they_are_for(client, project, owner):
    client.force_login(owner)
    shown = client.get(page("webhook-list", project)).content.decode()

    assert "No webhooks yet" in shown and page("webhook-create", project) in shown
    client.force_login(make_member(project, Role.ENGINEER))
    shown = client.get(page("webhook-list", project)).content.decode()
    assert "An owner can make one" in shown and page("webhook-create", project) not in shown


def test_an_owner_makes_one_and_sees_its_secret_once(client, project, owner):
    client.force_login(owner)
    form = client.get(page("webhook-create", project)).content.decode()
    assert "run.failed" in form
    shown = client.post(page("webhook-create", project), {"url": URL, "events": ["run.failed", "review.requested"]})
    endpoint = WebhookEndpoint.objects.get()
    secret = shown.content.decode().split('data-copy="')[1].split('"')[0]

    assert shown.status_code == 200 and secret.startswith("whsec_")
    assert "no-store" in shown["Cache-Control"]
    assert endpoint.events == ["review.requested", "run.failed"]
    assert secret not in client.get(endpoint.get_absolute_url()).content.decode()
    line = AuditEvent.objects.get(action="webhookendpoint.created")
    assert (line.actor, line.detail["url"]) == (owner.email, "https://hooks.example.org/…")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"url": "http://localhost:8000/", "events": ["*"]}, "is a name of a private network"),
        ({"url": URL}, "This field is required"),
        ({"url": URL, "events": ["no.such"]}, "Select a valid choice"),
        ({"events": ["*"]}, "This field is required"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(client, project, owner, data, said):
    client.force_login(owner)
    shown = client.post(page("webhook-create", project), data)

    assert shown.status_code == 400 and said in shown.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_it_is_changed_and_the_audit_log_has_both(client, project, owner, endpoint):
    client.force_login(owner)
    WebhookEndpoint.objects.update(failures=7)
    assert (
        "https://hooks.example.org/luthier" in client.get(page("webhook-change", project, endpoint.pk)).content.decode()
    )
    client.post(
        page("webhook-change", project, endpoint.pk), {"url": URL + "/2", "description": "Chat", "events": ["*"]}
    )
    endpoint.refresh_from_db()

    assert (endpoint.url, endpoint.failures) == (URL + "/2", 0)
    assert AuditEvent.objects.get(action="webhookendpoint.changed").detail == {
        "url": ["https://hooks.example.org/…"] * 2
    }
    before = AuditEvent.objects.count()
    client.post(
        page("webhook-change", project, endpoint.pk), {"url": URL + "/2", "description": "Chat", "events": ["*"]}
    )
    assert AuditEvent.objects.count() == before, "nothing has changed"


def test_pause_resume_test_and_delete(client, project, owner, endpoint):
    client.force_login(owner)

    def press(name):
        return client.post(page(name, project, endpoint.pk), {"reason": "Because."})

    assert press("webhook-ping").status_code == 302
    assert Event.objects.filter(name="webhook.ping").count() == 1
    assert press("webhook-pause").status_code == 302
    assert press("webhook-pause").status_code == 409
    refused = press("webhook-ping")
    assert refused.status_code == 409 and "Resume it first" in refused.content.decode()
    assert "Because." in client.get(endpoint.get_absolute_url()).content.decode()
    assert press("webhook-resume").status_code == 302
    assert press("webhook-resume").status_code == 409
    assert press("webhook-delete").status_code == 302
    assert client.get(endpoint.get_absolute_url()).status_code == 404
    actions = AuditEvent.objects.filter(action__startswith="webhookendpoint.").values_list("action", flat=True)
    assert [action.partition(".")[2] for action in actions.order_by("pk")] == [
        "created", "tested", "paused", "active", "deleted",
    ]  # fmt: skip


def test_while_it_is_paused_what_happens_is_not_kept_for_it(project, owner, endpoint):
    services.pause_endpoint(endpoint, by=owner)
    assert not happen(project).deliveries.exists()


def test_the_secret_is_replaced_on_the_page(client, project, owner, endpoint):
    client.force_login(owner)
    shown = client.post(page("webhook-rotate", project, endpoint.pk), {"overlap_hours": "168"}).content.decode()

    assert "whsec_" in shown and endpoint.secret not in shown and "signs as well" in shown
    assert client.post(page("webhook-rotate", project, endpoint.pk), {"overlap_hours": "5000"}).status_code == 400


def test_a_delivery_shows_every_try_and_is_sent_again(client, project, owner, delivery):
    client.force_login(owner)
    path = delivery.get_absolute_url()
    assert "Not tried yet" in client.get(path).content.decode()
    claimed = sending.claim(Delivery)
    result = sending.Result(False, "http_500", "It answered 500.", 500, "<script>alert(1)</script>", "93.184.216.34")
    sending.note(claimed, result, 987)
    shown = client.get(path).content.decode()

    assert "http_500" in shown and "It answered 500." in shown and "987 ms" in shown
    assert "&lt;script&gt;alert(1)" in shown and "<script>alert(1)" not in shown
    assert client.post(path + "again/").status_code == 302
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.asked) == ("waiting", 1, 1), "what waits is tried now"
    claimed = sending.claim(Delivery)
    assert claimed is not None
    refused = client.post(path + "again/")
    assert refused.status_code == 409 and "being sent right now" in refused.content.decode()


def test_the_catalogue_shows_every_event_with_an_example(client, project):
    client.force_login(make_member(project, Role.VIEWER))
    shown = client.get(page("event-catalogue", project)).content.decode()

    assert "run.failed" in shown and "sweep.finished" in shown and "&quot;so_far&quot;" in shown


def test_what_is_switched_off_or_given_up_stands_on_the_overview_of_those_who_can_do_something(
    project, owner, delivery
):
    WebhookEndpoint.objects.exclude(pk=delivery.endpoint_id).delete()
    Delivery.objects.update(state="given_up", over_at=Event.objects.get().at)
    (need,) = overview.needs(project, owner)
    assert need.text == "1 event did not reach Chat and was given up"
    assert overview.needs(project, make_member(project, Role.VIEWER)) == []
    WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(state="disabled", state_reason="It is gone.")
    texts = [need.text for need in overview.needs(project, owner)]
    assert "The webhook Chat is switched off. It is gone." in texts


# API


def test_the_life_of_a_webhook_over_the_api(client, project, owner):
    client.force_login(owner)
    made = call(client, "post", api(project), {"url": URL, "events": ["run.failed"], "description": "Pager"})
    assert made.status_code == 201 and made.json()["secret"].startswith("whsec_")
    pk = made.json()["id"]
    (listed,) = client.get(api(project)).json()["results"]
    assert "secret" not in listed and (listed["state"], listed["waiting"]) == ("active", 0)
    changed = call(client, "patch", api(project, f"{pk}/"), {"events": ["*", "run.failed"]})
    assert changed.json()["events"] == ["*"]
    rotated = call(client, "post", api(project, f"{pk}/rotate/"), {"overlap_hours": 1})
    assert rotated.json()["secret"] not in {made.json()["secret"], ""}
    assert client.get(api(project, f"{pk}/")).json()["old_until"]
    pinged = call(client, "post", api(project, f"{pk}/ping/"))
    assert (pinged.status_code, pinged.json()["type"], pinged.json()["state"]) == (202, "webhook.ping", "waiting")
    (waiting,) = client.get(api(project, f"{pk}/deliveries/?state=waiting")).json()["results"]
    detail = client.get(api(project, f"{pk}/deliveries/{waiting['id']}/")).json()
    assert detail["tries"] == [] and detail["data"]["text"] == "This is a test."
    again = call(client, "post", api(project, f"{pk}/deliveries/{waiting['id']}/again/"))
    assert (again.status_code, again.json()["id"], again.json()["asked"]) == (202, waiting["id"], 1)
    assert call(client, "post", api(project, f"{pk}/pause/"), {"reason": "Moving."}).json()["state_reason"] == "Moving."
    assert call(client, "post", api(project, f"{pk}/ping/")).json()["code"] == "endpoint_off"
    assert call(client, "post", api(project, f"{pk}/resume/")).json()["state"] == "active"
    assert client.delete(api(project, f"{pk}/")).status_code == 204
    assert client.get(api(project, f"{pk}/")).status_code == 404


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"url": "http://[::1]/", "events": ["*"]}, "url_not_allowed"),
        ({"url": URL, "events": []}, "no_events"),
        ({"url": URL, "events": ["no.such"]}, "unknown_event"),
        ({"url": URL, "events": "*"}, "not_a_list"),
        ({"events": ["*"]}, "required"),
        ({"url": URL, "events": ["*"], "secret": "mine"}, "unknown_field"),
        ({"url": URL, "events": ["*"], "state": "paused"}, "unknown_field"),
    ],
)
def test_what_the_api_refuses(client, project, owner, data, code):
    client.force_login(owner)
    said = call(client, "post", api(project), data)

    assert (said.status_code, said.json()["code"]) == (400, code)
    assert not WebhookEndpoint.objects.exists()


def test_an_answer_with_a_secret_is_not_repeatable(client, project, owner, endpoint):
    client.force_login(owner)
    for path in (api(project), api(project, f"{endpoint.pk}/rotate/")):
        said = call(client, "post", path, {"url": URL, "events": ["*"]}, **{"Idempotency-Key": "once"})
        assert said.json()["code"] == "not_repeatable"


def test_events_and_their_kinds_over_the_api(client, project, owner, delivery):
    client.force_login(owner)
    base = f"/api/v1/projects/{project.slug}"
    kinds = client.get(f"{base}/event-types/").json()
    (event,) = client.get(f"{base}/events/?type=webhook.disabled").json()["results"]

    assert {"run.failed", "sweep.finished", "webhook.ping"} <= {kind["name"] for kind in kinds}
    assert (event["id"], event["type"]) == (delivery.event.uid, "webhook.disabled")
    assert client.get(f"{base}/events/?type=run.failed").json()["results"] == []
    assert client.get(f"{base}/events/?kind=run.failed").json()["code"] == "unknown_filter"
    assert client.get(api(project, f"{delivery.endpoint_id}/deliveries/?state=odd")).status_code == 400


def test_there_are_never_too_many(client, project, owner, monkeypatch):
    monkeypatch.setattr(services, "MOST", 1)
    client.force_login(owner)
    assert call(client, "post", api(project), {"url": URL, "events": ["*"]}).status_code == 201
    said = call(client, "post", api(project), {"url": URL, "events": ["*"]})
    assert (said.status_code, said.json()["code"]) == (409, "too_many_webhooks")


@pytest.mark.usefixtures("no_new_stretch")
def test_tests_are_counted(project, owner, endpoint, client):
    client.force_login(owner)
    said = {
        call(client, "post", api(project, f"{endpoint.pk}/ping/")).status_code for _ in range(services.TESTS.count + 1)
    }
    assert said == {202, 429}


# Who may


MANAGE = ["webhook-change", "webhook-rotate", "webhook-pause", "webhook-resume", "webhook-delete"]
USE = ["webhook-ping"]


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.REVIEWER, Role.VIEWER])
def test_owners_manage_and_engineers_look_test_and_send_again(client, project, endpoint, delivery, role):
    client.force_login(make_member(project, role))
    engineer = role is Role.ENGINEER

    for name in MANAGE:
        assert client.post(page(name, project, endpoint.pk)).status_code == 403, name
    assert client.post(page("webhook-create", project)).status_code == 403
    assert call(client, "post", api(project)).status_code == 403
    assert client.delete(api(project, f"{endpoint.pk}/")).status_code == 403
    assert client.post(page("webhook-ping", project, endpoint.pk)).status_code == (302 if engineer else 403)
    assert client.get(endpoint.get_absolute_url()).status_code == (200 if engineer else 403)
    assert client.get(delivery.get_absolute_url()).status_code == (200 if engineer else 403)
    assert client.post(delivery.get_absolute_url() + "again/").status_code == (302 if engineer else 403)
    assert client.get(api(project)).status_code == (200 if engineer else 403)
    shown = client.get(endpoint.get_absolute_url()).content.decode()
    assert "Replace the secret" not in shown and 'data-dialog="delete"' not in shown


def test_an_outsider_and_another_project_see_nothing(client, project, endpoint, delivery):
    other = make_project()
    stranger = make_member(other, Role.OWNER)
    client.force_login(stranger)
    for path in (endpoint.get_absolute_url(), delivery.get_absolute_url(), api(project, f"{endpoint.pk}/")):
        assert client.get(path).status_code == 404
    assert client.get(page("webhook-detail", other, endpoint.pk)).status_code == 404
    assert client.get(api(other, f"{endpoint.pk}/deliveries/{delivery.pk}/")).status_code == 404
    mine = make_endpoint(other, by=stranger)
    assert client.get(api(other, f"{mine.pk}/deliveries/{delivery.pk}/")).status_code == 404
    assert client.post(page("delivery-again", other, mine.pk, delivery.pk)).status_code == 404


def test_a_token_does_what_its_scope_and_its_owners_role_allow(project, owner, endpoint):
    engineer = make_member(project, Role.ENGINEER)

    def with_token(by, scope):
        _, secret = tokens.create_token(project, by=by, name=scope, scope=scope)
        return Client(headers={"Authorization": f"Bearer {secret}"})

    wanted = {"url": URL, "events": ["*"]}
    assert with_token(owner, "read").get(api(project)).status_code == 200
    assert call(with_token(owner, "read"), "post", api(project), wanted).status_code == 403
    assert call(with_token(owner, "write"), "post", api(project), wanted).status_code == 201
    assert call(with_token(engineer, "write"), "post", api(project), wanted).status_code == 403
    assert call(with_token(engineer, "write"), "post", api(project, f"{endpoint.pk}/ping/")).status_code == 202


def test_only_workers_send(client, project, owner, endpoint, monkeypatch):
    """The fixture forbids connections; here the rows wait until a courier comes, which tries and is stopped."""
    client.force_login(owner)
    call(client, "post", api(project, f"{endpoint.pk}/ping/"))
    assert Delivery.objects.get().state == "waiting"
    monkeypatch.undo()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [])
    assert send() >= 1
    assert Delivery.objects.get().code == "no_such_host"


def test_the_path_of_an_address_is_for_those_who_manage_it(client, project, owner):
    """In many addresses the path is the secret of whoever receives."""
    endpoint = make_endpoint(project, URL + "/T0/s3cr3t?key=s3cr3t", by=owner)
    happen(project)
    delivery = Delivery.objects.get(endpoint=endpoint)
    client.force_login(owner)
    assert "s3cr3t" in client.get(endpoint.get_absolute_url()).content.decode()
    assert "s3cr3t" in client.get(api(project, f"{endpoint.pk}/")).json()["url"]

    client.force_login(make_member(project, Role.ENGINEER))
    paths = [
        page("webhook-list", project),
        endpoint.get_absolute_url(),
        delivery.get_absolute_url(),
        page("audit-list", project),
    ]
    paths += [api(project), api(project, f"{endpoint.pk}/"), f"/api/v1/projects/{project.slug}/audit/"]
    for path in [*paths, f"/projects/{project.slug}/"]:
        shown = client.get(path)
        assert shown.status_code == 200 and "s3cr3t" not in shown.content.decode(), path
    assert client.get(api(project, f"{endpoint.pk}/")).json()["url"] == "https://hooks.example.org/…"
