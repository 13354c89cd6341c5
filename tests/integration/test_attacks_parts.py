"""A11: uploads in parts under attack — of other people, after their end, finished twice at once, with wrong digests."""

import hashlib
import threading

import pytest
from django.db import connection
from django.urls import reverse
from rest_framework.test import APIClient

from datasets_app.models import DatasetVersion, Incoming, Part, Upload
from tests.factories.datasets import jsonl, make_dataset, tickets
from tests.factories.projects import make_member, make_project, make_user, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
PART = 1000


def signed_in(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def scene(settings):
    settings.UPLOAD_PART_BYTES = PART
    project = make_project()
    owner = make_member(project)
    return project, make_dataset(project, owner), signed_in(owner)


CONTENT = jsonl(tickets(30))
PARTS = [CONTENT[n : n + PART] for n in range(0, len(CONTENT), PART)]


def begin(api: APIClient, dataset, **fields) -> str:
    about = {"dataset": dataset.pk, "file_name": "rows.jsonl", "size": len(CONTENT)} | fields
    answer = api.post(reverse("api-incoming-list", args=[dataset.project.slug]), about, format="json")
    assert answer.status_code == 201, answer.content
    return reverse("api-incoming-detail", args=[dataset.project.slug, answer.json()["id"]])


def put(api: APIClient, address: str, number: int, content: bytes, **headers):
    return api.put(f"{address}parts/{number}/", content, content_type="application/octet-stream", headers=headers)


def send_all(api: APIClient, address: str) -> None:
    for number, content in enumerate(PARTS):
        assert put(api, address, number, content).status_code == 200


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("who", ["colleague", "outsider"])
def test_a11_nobody_touches_another_persons_upload(scene, who):
    project, dataset, api = scene
    address = begin(api, dataset)
    put(api, address, 0, PARTS[0])
    other = signed_in(make_member(project) if who == "colleague" else make_user())

    answers = [
        other.get(address),
        put(other, address, 1, PARTS[1]),
        put(other, address, 0, PARTS[0]),
        other.post(f"{address}finish/"),
        other.delete(address),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert Incoming.objects.get().state == "open"
    assert Part.objects.count() == 1


def test_a11_a_finished_upload_takes_no_more_parts(scene):
    _, dataset, api = scene
    address = begin(api, dataset)
    send_all(api, address)
    assert api.post(f"{address}finish/").status_code == 202

    assert code(put(api, address, 0, PARTS[0])) == (409, "upload_closed")
    assert code(put(api, address, 0, b"x" * PART)) == (409, "upload_closed")
    assert code(api.delete(address)) == (409, "upload_closed")
    run_jobs()
    assert Upload.objects.get().rows_good == 30


def test_a11_a_part_that_is_there_is_not_written_over(scene):
    _, dataset, api = scene
    address = begin(api, dataset)
    put(api, address, 0, PARTS[0])

    assert put(api, address, 0, PARTS[0]).status_code == 200
    assert code(put(api, address, 0, b"x" * PART)) == (409, "part_differs")
    assert Part.objects.get().sha256 == hashlib.sha256(PARTS[0]).hexdigest()


def test_a11_two_finishes_at_once_make_one_version(scene):
    _, dataset, api = scene
    address = begin(api, dataset)
    send_all(api, address)
    user = dataset.created_by
    start, answers = threading.Barrier(4), []

    def finish() -> None:
        start.wait()
        try:
            answers.append(signed_in(user).post(f"{address}finish/"))
        finally:
            connection.close()

    threads = [threading.Thread(target=finish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_jobs()

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Upload.objects.count() == DatasetVersion.objects.count() == 1


def test_a11_a_wrong_digest_of_a_part_is_refused_and_the_part_can_be_sent_again(scene):
    _, dataset, api = scene
    address = begin(api, dataset)
    wrong, right = "0" * 64, hashlib.sha256(PARTS[0]).hexdigest()

    assert code(put(api, address, 0, PARTS[0], **{"X-Content-SHA256": wrong})) == (400, "checksum_mismatch")
    assert not Part.objects.exists()
    assert put(api, address, 0, PARTS[0], **{"X-Content-SHA256": right}).status_code == 200


def test_a11_a_wrong_digest_of_the_whole_is_refused_and_nothing_is_read(scene):
    _, dataset, api = scene
    address = begin(api, dataset, sha256="0" * 64)
    send_all(api, address)

    assert code(api.post(f"{address}finish/")) == (400, "checksum_mismatch")
    assert not Upload.objects.exists()


@pytest.mark.parametrize("number", ["999", "-1", "0x1", "1e3", "99999999999999999999", "%2e%2e", "１"])
def test_a11_numbers_of_parts_that_do_not_exist_are_refused(scene, number):
    _, dataset, api = scene
    address = begin(api, dataset)

    assert put(api, address, number, PARTS[0]).status_code in (400, 404)
    assert not Part.objects.exists()


@pytest.mark.parametrize("content", [b"", PARTS[0][:-1], PARTS[0] + b"x", b"x" * 5 * PART])
def test_a11_a_part_of_another_size_is_refused(scene, content):
    _, dataset, api = scene
    address = begin(api, dataset)

    assert put(api, address, 0, content).status_code == 400
    assert not Part.objects.exists()
