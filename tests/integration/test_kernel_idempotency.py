"""A creation that is sent twice happens once: one after the other, at the same time, and with tricks."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from projects.models import IdempotencyKey, Project
from tests.factories.projects import make_user

ADDRESS = "/api/v1/projects/"


@pytest.fixture
def anna(db, client):
    user = make_user("anna@example.org")
    client.force_login(user)
    return user


def create(client, name="Routing", key="k-1", **more):
    headers = {"Idempotency-Key": key} if key is not None else {}
    return client.post(ADDRESS, {"name": name, **more}, content_type="application/json", headers=headers)


def test_the_same_request_again_gets_the_same_answer(anna, client):
    first, second = create(client), create(client)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Project.objects.count() == 1


def test_without_a_key_two_requests_are_two_projects(anna, client):
    create(client, key=None)
    create(client, key=None)

    assert Project.objects.count() == 2


def test_a_key_used_for_something_else_is_refused(anna, client):
    create(client)
    answer = create(client, name="Another")

    assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")
    assert Project.objects.count() == 1


def test_keys_of_two_people_do_not_meet(anna, client):
    create(client)
    other = Client()
    other.force_login(make_user())

    assert create(other).status_code == 201
    assert Project.objects.count() == 2


def test_a_refused_creation_keeps_its_key_free(anna, client):
    assert create(client, name="").status_code == 400
    assert create(client).status_code == 201


@pytest.mark.parametrize("key", ["x" * 101, "tab\there"])
def test_a_strange_key_is_refused(anna, client, key):
    answer = create(client, key=key)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_key")


def test_a_key_is_forgotten_after_a_day(anna, client):
    create(client)
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))

    create(client)

    assert Project.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_happens_and_all_hear_the_same():
    user = make_user()
    together, answers = threading.Barrier(8), []

    def send():
        client = Client()
        client.force_login(user)
        together.wait()
        answers.append(create(client))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer.status_code for answer in answers} == {201}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    assert Project.objects.count() == 1
