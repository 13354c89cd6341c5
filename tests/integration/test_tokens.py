"""API tokens: shown once, stored as a hash, never stronger than their owner, over when they should be."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import ApiToken, AuditEvent, IdempotencyKey, Membership
from projects.services import people, tokens
from tests.factories.projects import make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project(name="Routing", slug="routing")


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER)


def bearer(secret):
    return Client(headers={"Authorization": f"Bearer {secret}"})


def make_token(project, by, **more):
    return tokens.create_token(project, by=by, **({"name": "upload", "scope": "write"} | more))


def test_a_token_is_shown_once_and_stored_as_a_hash(client, project, owner):
    client.force_login(owner)

    page = client.post("/projects/routing/tokens/new/", {"name": "nightly", "scope": "read", "days": "10"})

    secret = re.search(r"lut_\w{49}", page.content.decode()).group(0)
    token = ApiToken.objects.get()
    assert token.start == secret[:10]
    assert secret not in str(vars(token))
    assert secret not in client.get("/projects/routing/tokens/").content.decode()
    assert bearer(secret).get("/api/v1/me/").json()["email"] == owner.email


def test_no_table_holds_the_secret(client, project, owner):
    client.force_login(owner)
    made = client.post("/api/v1/projects/routing/tokens/", {"name": "x"}, "application/json").json()

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert made["token"] not in repr(cursor.fetchall()), table


def test_a_creation_with_a_secret_takes_no_idempotency_key(client, project, owner):
    client.force_login(owner)
    headers = {"Idempotency-Key": "once"}

    for path, body in (("tokens/", {"name": "x"}), ("invitations/", {"role": "viewer"})):
        answer = client.post(f"/api/v1/projects/routing/{path}", body, "application/json", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "not_repeatable")
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("days", [0, 91, -1, 10_000])
def test_a_token_lives_ninety_days_at_most(client, project, owner, days):
    with pytest.raises(Refused, match="1 to 90 days"):
        make_token(project, owner, days=days)

    client.force_login(owner)
    answer = client.post("/api/v1/projects/routing/tokens/", {"name": "x", "days": days}, "application/json")
    assert (answer.status_code, answer.json()["field"]) == (400, "days")


def test_thirty_days_are_the_default(project, owner):
    token, _ = make_token(project, owner)

    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)


def test_the_last_use_is_noted_about_once_a_minute(project, owner):
    token, secret = make_token(project, owner)
    bearer(secret).get("/api/v1/me/")
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None

    bearer(secret).get("/api/v1/me/")
    token.refresh_from_db()
    assert token.last_used_at == first


def test_a_token_sees_its_own_project_only(project, owner):
    make_member_of_another = make_project(slug="another")
    Membership.objects.create(project=make_member_of_another, user=owner, role="owner")
    _, secret = make_token(project, owner)
    program = bearer(secret)

    assert [p["slug"] for p in program.get("/api/v1/projects/").json()["results"]] == ["routing"]
    assert [p["slug"] for p in program.get("/api/v1/me/").json()["projects"]] == ["routing"]
    assert program.get("/api/v1/projects/another/").status_code == 404


def test_a_token_is_no_stronger_than_its_owner_is_now(project, owner):
    emil = make_member(project, Role.ENGINEER)
    _, secret = make_token(project, emil)
    assert bearer(secret).get("/api/v1/projects/routing/audit/").status_code == 200

    people.change_role(Membership.objects.get(user=emil), by=owner, role=Role.VIEWER)
    assert bearer(secret).get("/api/v1/projects/routing/audit/").status_code == 403


def test_a_token_of_a_deactivated_person_is_dead(project, owner):
    emil = make_member(project, Role.ENGINEER)
    _, secret = make_token(project, emil)
    emil.is_active = False
    emil.save()

    answer = bearer(secret).get("/api/v1/me/")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


def test_expired_and_revoked_tokens_are_dead_at_once(project, owner):
    expired, first = make_token(project, owner)
    ApiToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    revoked, second = make_token(project, owner)
    tokens.revoke_token(revoked, by=owner)

    for secret in (first, second):
        answer = bearer(secret).get("/api/v1/me/")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer lut_x", "Bearer ' OR 1=1 --", "bearer {'$gt': ''}", "Bearer \xff\xfe"],
)
def test_a_strange_header_is_401(project, header):
    answer = Client(headers={"Authorization": header}).get("/api/v1/me/")

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


def test_a_token_in_an_address_is_refused_and_revoked(project, owner):
    token, secret = make_token(project, owner)

    answer = Client().get(f"/api/v1/projects/routing/ledger/?token={secret}")

    assert (answer.status_code, answer.json()["code"]) == (400, "token_in_address")
    assert bearer(secret).get("/api/v1/me/").status_code == 401
    event = AuditEvent.objects.get(action="apitoken.revoked")
    assert "address" in event.reason
    assert event.target.endswith(f":{token.pk}")


def test_a_read_token_writes_nothing(project, owner):
    _, secret = make_token(project, owner, scope="read")

    answer = bearer(secret).patch("/api/v1/projects/routing/", {"name": "Mine"}, "application/json")

    assert answer.status_code == 403
    project.refresh_from_db()
    assert project.name == "Routing"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "routing/tokens/", {"name": "more"}),
        ("post", "routing/invitations/", {"role": "owner"}),
        ("patch", "routing/", {"monthly_budget": "1000000"}),
        ("patch", "routing/members/{member}/", {"role": "owner"}),
        ("delete", "routing/members/{member}/", None),
        ("post", "", {"name": "Another"}),
    ],
)
def test_what_needs_a_person_no_token_may_do(project, owner, method, path, body):
    member = Membership.objects.get(user=make_member(project, Role.VIEWER))
    _, secret = make_token(project, owner)

    address = f"/api/v1/projects/{path.format(member=member.pk)}"
    answer = getattr(bearer(secret), method)(address, body, "application/json")

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "token may not" in answer.json()["message"]


def test_a_member_sees_their_own_tokens_and_an_owner_all(client, project, owner):
    emil = make_member(project, Role.ENGINEER)
    make_token(project, owner, name="of-olga")
    token, _ = make_token(project, emil, name="of-emil")

    for person, names in ((emil, {"of-emil"}), (owner, {"of-emil", "of-olga"})):
        client.force_login(person)
        shown = client.get("/projects/routing/tokens/").content.decode()
        assert {name for name in ("of-emil", "of-olga") if name in shown} == names
        assert {t["name"] for t in client.get("/api/v1/projects/routing/tokens/").json()["results"]} == names

    client.force_login(owner)
    assert client.post(f"/projects/routing/tokens/{token.pk}/revoke/", {"reason": "seen in a log"}).status_code == 302
    assert AuditEvent.objects.get(action="apitoken.revoked").reason == "seen in a log"


def test_a_member_cannot_touch_another_members_token(client, project, owner):
    token, secret = make_token(project, owner)
    client.force_login(make_member(project, Role.ENGINEER))

    assert client.post(f"/projects/routing/tokens/{token.pk}/revoke/").status_code == 404
    assert client.delete(f"/api/v1/projects/routing/tokens/{token.pk}/").status_code == 404
    assert bearer(secret).get("/api/v1/me/").status_code == 200


def test_revoking_twice_is_refused(project, owner):
    token, _ = make_token(project, owner)
    tokens.revoke_token(token, by=owner)

    with pytest.raises(Refused, match="revoked already"):
        tokens.revoke_token(token, by=owner)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": "x", "scope": "admin"}, "invalid_choice", "scope"),
        ({"scope": "read"}, "required", "name"),
        ({"name": "x", "user": 1}, "unknown_field", "user"),
        ({"name": "x", "token_hash": "0" * 64}, "unknown_field", "token_hash"),
        ({"name": "x", "project": "another"}, "unknown_field", "project"),
        ({"name": "bad \ud800"}, "parse_error", None),
        ({"name": "nul \x00"}, "null_characters_not_allowed", "name"),
        ([], "invalid", None),
    ],
)
def test_bad_input_is_named(client, project, owner, body, code, field):
    client.force_login(owner)

    answer = client.post("/api/v1/projects/routing/tokens/", body, "application/json")

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json().get("field")) == (code, field)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"name": NaN}', b""])
def test_what_is_no_json_is_400(client, project, owner, body):
    client.force_login(owner)

    answer = client.post("/api/v1/projects/routing/tokens/", body, "application/json")

    assert answer.status_code == 400
    assert set(answer.json()) <= {"code", "message", "field"}
