"""The API describes itself: completely, without warnings, and with the same refusals everywhere."""

import io

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests.contracts.addresses import addresses


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema):
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


@pytest.mark.slow
def test_the_description_is_valid_and_complains_of_nothing():
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


def test_every_operation_of_every_address_is_described(schema):
    described = sum(1 for _ in operations(schema))
    wanted = sum(len(address.methods) for address in addresses() if address.route.startswith("api/v1/"))

    assert described == wanted


def test_every_operation_says_how_it_refuses(schema):
    for name, operation in operations(schema):
        assert {"400", "401", "403", "404"} <= set(operation["responses"]), name
        assert name.startswith("get") or "409" in operation["responses"], name


def test_no_operation_hides_behind_a_made_up_name(schema):
    names = [operation["operationId"] for _, operation in operations(schema)]

    assert sorted(names) == sorted(set(names))
    assert [name for name in names if name[-2:].startswith("_") and name[-1].isdigit()] == []


@pytest.mark.django_db
def test_signed_in_people_may_browse_it():
    client = Client()
    assert client.get("/api/schema/").status_code == 401
    assert client.get("/api/docs/").status_code == 401
