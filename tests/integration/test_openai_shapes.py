"""What the official client never sends: broken bodies, odd parameters, keys in addresses. Always their shape."""

import json

import pytest
from django.test import Client

from projects.domain.permissions import Role
from projects.models import ApiToken
from projects.services import tokens
from tests.factories.projects import make_member, make_project

pytestmark = [pytest.mark.django_db, pytest.mark.files]
ROOT = "/openai/v1/"


@pytest.fixture
def key():
    project = make_project()
    return tokens.create_token(project, by=make_member(project, Role.OWNER), name="script", scope="write")[1]


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key}"})


def error(answer, status: int) -> dict:
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return body["error"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"x"', "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"model": NaN}', "application/json", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
    ],
)
def test_bodies_that_are_no_orders(api, body, kind, status):
    told = error(api.post(ROOT + "fine_tuning/jobs", body, content_type=kind), status)
    assert told["code"]


@pytest.mark.parametrize(
    "address",
    [
        "files?limit=0", "files?limit=-1", "files?limit=x", "files?limit=99999999999", "files?after=file-9",
        "files?order=sideways", "files?purpose=magic", "files?colour=1", "fine_tuning/jobs?limit=101",
        "fine_tuning/jobs?after=ftjob-1", "fine_tuning/jobs?state=x", "models?limit=1",
    ],
)  # fmt: skip
def test_parameters_that_nobody_reads_are_refused(api, address):
    assert error(api.get(ROOT + address), 400)["param"]


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "files/file-1"), ("get", "files/x"), ("get", "files/file-1/content"), ("delete", "files/file-1"),
        ("get", "files/file-" + "9" * 30), ("get", "fine_tuning/jobs/ftjob-1"), ("get", "fine_tuning/jobs/%00"),
        ("post", "fine_tuning/jobs/ftjob-1/cancel"), ("get", "fine_tuning/jobs/ftjob-1/events"),
        ("get", "fine_tuning/jobs/ftjob-1/checkpoints"), ("get", "models/x/y/z"), ("get", "models/ft:a:b:c:a1"),
        ("delete", "models/x"), ("get", "nowhere"), ("post", "chat/completions"), ("put", "embeddings"), ("get", ""),
    ],
)  # fmt: skip
def test_what_is_not_there(api, method, address):
    answer = getattr(api, method)(ROOT + address, content_type="application/json")
    assert error(answer, 404)["code"] in {"not_found", "unknown_url"}
    assert answer["x-should-retry"] == "false"


def test_methods_that_an_address_does_not_have(api):
    assert error(api.put(ROOT + "files", b"{}", content_type="application/json"), 405)["code"] == "method_not_allowed"


def test_a_job_ordered_twice_with_one_key_is_one(api):
    headers = {"Idempotency-Key": "k1"}
    order = json.dumps({"model": "x", "training_file": "file-1"})
    first = api.post(ROOT + "fine_tuning/jobs", order, content_type="application/json", headers=headers)
    assert error(first, 400)["code"] == "model_not_found"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x y", "Basic eDp5", "Bearer lut_" + "a" * 49, "Bearer \xff"])
def test_keys_that_open_nothing(header):
    client = Client(headers={"Authorization": header} if header else {})
    answer = client.get(ROOT + "models")
    assert error(answer, 401)["code"] == "invalid_api_key"
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_key_in_the_address_is_over(key):
    answer = Client().get(f"{ROOT}models?api_key={key}")
    assert error(answer, 400)["code"] == "token_in_address"
    assert ApiToken.objects.get().revoked_at is not None


def test_who_left_the_project_finds_nothing(api):
    token = ApiToken.objects.get()
    token.user.memberships.all().delete()
    assert error(api.get(ROOT + "models"), 404)["code"] == "not_found"
