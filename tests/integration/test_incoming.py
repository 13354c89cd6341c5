"""Files that arrive in parts: whole or not at all, once however often they are finished, nobody else's business."""

import hashlib
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from datasets_app import services
from datasets_app.models import Incoming, Part, Upload
from projects import reconciler
from projects.domain.permissions import Role
from tests.factories.datasets import jsonl, make_dataset, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from tests.factories.uploads import Sender

pytestmark = pytest.mark.django_db(transaction=True)
CONTENT = jsonl(tickets(40))


@pytest.fixture(autouse=True)
def small_parts(settings):
    settings.UPLOAD_PART_BYTES = 1000


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def sender(project, client):
    user = make_member(project)
    client.force_login(user)
    sender = Sender(client, project)
    sender.user = user
    return sender


@pytest.fixture
def dataset(project, sender):
    return make_dataset(project, sender.user)


def pieces(content=CONTENT):
    return [content[n : n + 1000] for n in range(0, len(content), 1000)]


def stored_files(settings) -> list[Path]:
    return [path for path in (settings.DATA_DIR / "files" / "uploads").rglob("*") if path.is_file()]


def test_a_file_in_parts_becomes_a_version_whatever_the_order(sender, dataset):
    begun = sender.begin(dataset, CONTENT, sha256=hashlib.sha256(CONTENT).hexdigest()).json()

    for number, piece in reversed(list(enumerate(pieces()))):
        assert sender.part(begun["id"], number, piece).status_code == 200
    finished = sender.finish(begun["id"])
    run_jobs()
    upload = Upload.objects.get()

    assert finished.status_code == 202
    assert finished.json()["id"] == upload.pk
    assert (upload.sha256, upload.size) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert (upload.state, upload.rows_good, upload.version.rows) == ("succeeded", 40, 40)


def test_the_status_says_which_parts_are_there(sender, dataset):
    begun = sender.begin(dataset, CONTENT).json()
    sender.part(begun["id"], 2, pieces()[2])

    status = sender.status(begun["id"]).json()

    assert status["parts_expected"] == len(pieces())
    assert status["parts"] == [{"number": 2, "size": 1000, "sha256": hashlib.sha256(pieces()[2]).hexdigest()}]
    assert [one["id"] for one in sender.client.get(sender.root).json()["results"]] == [begun["id"]]


def test_the_same_part_again_is_fine_and_another_content_is_not(sender, dataset, settings):
    begun = sender.begin(dataset, CONTENT).json()
    first, again = (sender.part(begun["id"], 0, pieces()[0]) for _ in range(2))
    other = sender.part(begun["id"], 0, b"x" * 1000)

    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 409)
    assert first.json() == again.json()
    assert other.json()["code"] == "part_differs"
    assert Part.objects.count() == len(stored_files(settings)) == 1


@pytest.mark.parametrize(
    ("number", "piece", "sha256", "code"),
    [
        (0, b"short", None, "part_size"),
        (0, b"x" * 5000, None, "part_size"),
        (0, b"", "", "part_size"),
        (99, b"x", None, "unknown_part"),
        (0, b"x" * 1000, "0" * 64, "checksum_mismatch"),
        (0, b"x" * 1000, "no hash", "sha256_invalid"),
    ],
)
def test_a_part_that_is_not_what_was_announced_is_not_kept(sender, dataset, settings, number, piece, sha256, code):
    begun = sender.begin(dataset, CONTENT).json()

    refused = sender.part(begun["id"], number, piece, sha256)

    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert stored_files(settings) == []


def test_an_unfinished_file_cannot_be_finished_and_says_what_is_missing(sender, dataset):
    begun = sender.begin(dataset, CONTENT).json()
    sender.part(begun["id"], 1, pieces()[1])

    refused = sender.finish(begun["id"])

    assert (refused.status_code, refused.json()["code"]) == (400, "parts_missing")
    assert "0, 2, 3" in refused.json()["message"]


def test_a11_a_wrong_sha256_of_the_whole_makes_no_upload(sender, dataset):
    refused = sender.send(dataset, CONTENT, sha256="0" * 64)

    assert (refused.status_code, refused.json()["code"]) == (400, "checksum_mismatch")
    assert Upload.objects.count() == 0


def test_a11_parts_after_the_finish_are_refused(sender, dataset):
    upload = sender.send(dataset, CONTENT).json()
    pk = str(Incoming.objects.get().pk)

    late, again, abort = sender.part(pk, 0, pieces()[0]), sender.finish(pk), sender.abort(pk)

    assert (late.status_code, late.json()["code"]) == (409, "upload_closed")
    assert (again.status_code, again.json()["id"]) == (202, upload["id"])
    assert (abort.status_code, abort.json()["code"]) == (409, "upload_closed")


def test_a11_however_many_finishes_arrive_at_once_there_is_one_upload(sender, dataset):
    begun = sender.begin(dataset, CONTENT).json()
    for number, piece in enumerate(pieces()):
        sender.part(begun["id"], number, piece)
    answers, gate = [], threading.Barrier(8)

    def finish():
        incoming = Incoming.objects.get(pk=begun["id"])
        gate.wait()
        try:
            answers.append(services.finish_upload(incoming, by=sender.user).pk)
        except Exception as error:  # SQLite says that it is locked; nothing else may happen
            answers.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=finish) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert Upload.objects.count() == 1
    assert set(answers) <= {Upload.objects.get().pk, "OperationalError"}


def test_a11_another_persons_and_another_projects_upload_are_not_found(sender, dataset, project):
    begun = sender.begin(dataset, CONTENT).json()
    colleague, stranger = make_member(project), make_member(make_project(), Role.OWNER)
    absent = "00000000-0000-4000-8000-000000000000"

    for user, where in ((colleague, project), (stranger, stranger.memberships.get().project)):
        client = Client()
        client.force_login(user)
        other = Sender(client, where)
        for ask in (other.status, other.finish, other.abort, lambda pk, o=other: o.part(pk, 0, pieces()[0])):
            mine, nothing = ask(begun["id"]), ask(absent)
            assert (mine.status_code, nothing.status_code) == (404, 404)
            assert mine.content == nothing.content
        assert client.get(other.root).json()["results"] == []
    assert Part.objects.count() == 0


@pytest.mark.parametrize("odd", ["0", "x", "%2e%2e", "999999999999999999999", "-1"])
def test_numbers_and_ids_that_are_none_are_not_found(sender, dataset, odd):
    begun = sender.begin(dataset, CONTENT).json()

    assert sender.client.get(f"{sender.root}{odd}/").status_code == 404
    if odd != "0":
        url = f"{sender.root}{begun['id']}/parts/{odd}/"
        assert sender.client.put(url, b"x", content_type="application/octet-stream").status_code == 404


def test_an_aborted_upload_leaves_nothing(sender, dataset, settings):
    begun = sender.begin(dataset, CONTENT).json()
    sender.part(begun["id"], 0, pieces()[0])

    assert sender.abort(begun["id"]).status_code == 204
    assert sender.status(begun["id"]).status_code == 404
    assert (Incoming.objects.count(), stored_files(settings)) == (0, [])


def test_what_nobody_finishes_in_a_week_is_swept_and_what_is_fresh_stays(sender, dataset, settings):
    old, fresh = (sender.begin(dataset, CONTENT).json()["id"] for _ in range(2))
    sender.part(old, 0, pieces()[0])
    Incoming.objects.filter(pk=old).update(touched_at=timezone.now() - timedelta(days=8))

    assert reconciler.sweep()["swept"] == 1
    assert str(Incoming.objects.get().pk) == fresh
    assert stored_files(settings) == []


def test_open_uploads_reserve_room_and_a_full_project_says_what_to_do(sender, dataset, project):
    project.storage_quota_bytes = len(CONTENT) + 1500
    project.save()
    begun = sender.begin(dataset, CONTENT)

    refused = sender.begin(dataset, CONTENT)
    sender.abort(begun.json()["id"])
    after = sender.begin(dataset, CONTENT)

    assert (begun.status_code, refused.status_code, after.status_code) == (201, 409, 201)
    assert refused.json()["code"] == "quota_exceeded"
    assert "discard unfinished uploads" in refused.json()["message"]


def test_a_whole_file_is_refused_by_the_same_quota(sender, dataset, project):
    from tests.factories.datasets import make_upload

    project.storage_quota_bytes = 100
    project.save()
    with pytest.raises(Exception, match="only 100"):
        make_upload(dataset, CONTENT)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"size": 0}, "empty_file"),
        ({"size": 2**60}, "too_large"),
        ({"sha256": "zz"}, "sha256_invalid"),
        ({"format": "nope"}, "invalid_choice"),
        ({"mapping": {"rows": {}}}, "mapping_invalid"),
        ({"mapping": "x"}, "mapping_invalid"),
        ({"provenance": {"origin": "martians"}}, "provenance_invalid"),
        ({"mends": 12}, "unknown_upload"),
        ({"colour": "red"}, "unknown_field"),
    ],
)
def test_what_cannot_be_is_refused_before_a_byte_is_sent(sender, dataset, told, code):
    refused = sender.begin(dataset, CONTENT, **told)

    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_a08_odd_names_are_made_fit_to_be_shown(sender, dataset):
    begun = sender.begin(dataset, CONTENT, name="..\\..\\a\u202egnp\n.jsonl" + "x" * 4000)

    assert begun.status_code == 201
    assert len(begun.json()["file_name"]) <= 255
    assert "\u202e" not in begun.json()["file_name"]


def test_a_part_needs_the_right_to_edit(project, dataset, sender):
    viewer = make_member(project, Role.VIEWER)
    client = Client()
    client.force_login(viewer)

    assert Sender(client, project).begin(dataset, CONTENT).status_code == 403


def test_a_page_discards_ones_own_unfinished_upload(sender, dataset, project):
    begun = sender.begin(dataset, CONTENT).json()
    page = sender.client.get(dataset.get_absolute_url())

    assert b"Unfinished uploads" in page.content
    answer = sender.client.post(f"/projects/{project.slug}/incoming/{begun['id']}/discard/")
    assert answer["Location"] == dataset.get_absolute_url()
    assert Incoming.objects.count() == 0


def test_an_owner_sets_the_limit_in_gigabytes_and_sees_what_is_stored(sender, dataset, project, client):
    sender.send(dataset, CONTENT)
    owner = make_member(project, Role.OWNER)
    client = Client()
    client.force_login(owner)
    url = f"/projects/{project.slug}/settings/"
    form = client.get(url).context["form"]
    told = {name: form[name].value() if form[name].value() is not None else "" for name in form.fields}

    answer = client.post(url, told | {"storage_quota_bytes": "2.5"})
    project.refresh_from_db()
    page = client.get(url).content.decode()

    assert answer.status_code == 302
    assert project.storage_quota_bytes == 2_500_000_000
    assert 'value="2.5"' in page
    assert "Uploaded files" in page
    listed = client.get(f"/projects/{project.slug}/datasets/").content.decode()
    assert "2.5" in listed and "left" in listed


def test_a_deleted_dataset_leaves_neither_parts_nor_rows_kept_aside(sender, dataset, settings):
    begun = sender.begin(dataset, CONTENT).json()
    sender.part(begun["id"], 0, pieces()[0])
    sender.send(dataset, CONTENT + b"lost\n", hold=True)
    run_jobs()
    assert len(stored_files(settings)) > 1

    services.delete_dataset(dataset, by=sender.user)

    assert stored_files(settings) == []
    assert [path for path in (settings.DATA_DIR / "files").rglob("*") if path.is_file()] == []
