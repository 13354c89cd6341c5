"""The API of datasets, uploads, versions and cleaning jobs."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets_app.models import Build, Dataset, DatasetVersion, Upload
from projects.domain.permissions import Role
from tests.factories.datasets import jsonl, make_dataset, make_upload, make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def api(project, client):
    user = make_member(project)
    client.force_login(user)
    client.user = user
    client.root = f"/api/v1/projects/{project.slug}"
    return client


def post(api, address, data, **headers):
    return api.post(f"{api.root}/{address}", data, content_type="application/json", headers=headers)


def send(api, dataset, content, name="rows.jsonl", **more):
    fields = {"dataset": dataset.pk, "file": SimpleUploadedFile(name, content), **more.pop("fields", {})}
    return api.post(f"{api.root}/uploads/", fields, **more)


def test_from_nothing_to_a_cleaned_version(api):
    made = post(api, "datasets/", {"name": "Tickets", "purpose": "training"})
    dataset = Dataset.objects.get(pk=made.json()["id"])
    sent = send(api, dataset, jsonl([*tickets(12), tickets(1)[0]]) + b"broken\n")
    run_jobs()
    upload = api.get(f"{api.root}/uploads/{sent.json()['id']}/").json()
    version = api.get(f"{api.root}/versions/{upload['version']}/").json()
    build = post(api, f"versions/{version['id']}/clean/", {"steps": [{"op": "dedupe"}]})
    run_jobs()
    built = api.get(f"{api.root}/builds/{build.json()['id']}/").json()

    assert (made.status_code, sent.status_code, build.status_code) == (201, 202, 202)
    assert (upload["state"], upload["rows_good"], upload["rows_bad"]) == ("succeeded", 13, 1)
    assert upload["bad_codes"] == {"invalid_json": 1}
    assert {f["code"]: f["rows"] for f in version["findings"]}["exact_duplicates"] == [12]
    assert built["state"] == "succeeded"
    cleaned = api.get(f"{api.root}/versions/{built['version']}/").json()
    assert (cleaned["number"], cleaned["rows"], cleaned["parents"]) == (2, 12, [version["id"]])


def test_rows_are_paged_by_cursor_and_searched(api, project):
    version = make_version(make_dataset(project, api.user), tickets(12))
    address = f"{api.root}/versions/{version.pk}/rows/"

    seen, next_page = [], f"{address}?page_size=5"
    while next_page:
        page = api.get(next_page).json()
        seen += [row["index"] for row in page["results"]]
        next_page = page["next"]
    found = api.get(f"{address}?q=number 11").json()

    assert seen == list(range(12))
    assert (found["total"], found["results"][0]["messages"][0]["content"]) == (
        1,
        "Ticket 11: please help me with number 11.",
    )
    for wrong in ("cursor=x", "cursor=-1", "page_size=0", "page_size=1000", "order=1"):
        assert api.get(f"{address}?{wrong}").status_code == 400


def test_every_bad_row_is_listed(api, project):
    upload = make_upload(make_dataset(project, api.user), jsonl(tickets(2)) + b"broken\n" * 60)

    first = api.get(f"{api.root}/uploads/{upload.pk}/bad-rows/").json()
    second = api.get(first["next"]).json()

    assert len(first["results"]) + len(second["results"]) == 60
    assert first["results"][0].keys() == {
        "id", "line", "column", "field", "code", "found", "expected", "fix", "mended_by",
    }  # fmt: skip


def test_the_same_key_makes_one_upload(api, project):
    dataset = make_dataset(project, api.user)

    answers = [send(api, dataset, jsonl(tickets(3)), headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    other = send(api, dataset, jsonl(tickets(4)), headers={"Idempotency-Key": "k1"})

    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    assert Upload.objects.count() == 1


def test_a_file_is_read_again_in_the_format_that_was_asked_for(api, project):
    upload = make_upload(make_dataset(project, api.user), jsonl([{"text": "A.", "prompt": "b", "completion": "c"}]))

    again = post(api, f"uploads/{upload.pk}/read-again/", {"format": "text"})
    run_jobs()

    assert (again.status_code, again.json()["reread_of"]) == (202, upload.pk)
    assert DatasetVersion.objects.get(number=2).kind == "text"
    assert post(api, f"uploads/{upload.pk}/read-again/", {"format": "word"}).status_code == 400


def test_a_waiting_upload_is_cancelled(api, project):
    sent = send(api, make_dataset(project, api.user), jsonl(tickets(3))).json()

    ended = post(api, f"uploads/{sent['id']}/cancel/", {})

    assert (ended.status_code, ended.json()["state"]) == (202, "cancelled")
    assert run_jobs() == 0


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"purpose": "training"}, "name"),
        ({"name": "x", "purpose": "fun"}, "purpose"),
        ({"name": "x", "purpose": "training", "created_by": 1}, "created_by"),
        ({"name": "x", "purpose": "training", "project": 1}, "project"),
    ],
)
def test_wrong_and_unknown_fields_are_named(api, data, field):
    answer = post(api, "datasets/", data)

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Dataset.objects.exists()


@pytest.mark.parametrize(
    "steps", [[], None, [{"op": "explode"}], [{"op": "drop_finding"}], [{"op": "drop_overlap", "golden": [10**9]}]]
)
def test_a_recipe_without_sense_is_refused(api, project, steps):
    version = make_version(make_dataset(project, api.user))

    answer = post(api, f"versions/{version.pk}/clean/", json.dumps({"steps": steps}))

    assert answer.status_code == 400
    assert not Build.objects.exists()


def test_an_empty_file_and_an_unknown_dataset_are_refused(api, project):
    dataset = make_dataset(project, api.user)
    foreign = make_dataset()

    assert send(api, dataset, b"").json()["code"] == "empty_file"
    assert send(api, foreign, jsonl(tickets(1))).status_code == 404
    assert api.post(f"{api.root}/uploads/", {"dataset": dataset.pk}).json()["field"] == "file"


def test_what_belongs_to_others_is_not_there(api):
    foreign = make_version()

    for address in (
        f"datasets/{foreign.dataset_id}/",
        f"versions/{foreign.pk}/",
        f"versions/{foreign.pk}/rows/",
        f"uploads/{foreign.upload.pk}/",
        f"uploads/{foreign.upload.pk}/bad-rows/",
    ):
        assert api.get(f"{api.root}/{address}").status_code == 404
    assert api.get(f"{api.root}/versions/").json()["results"] == []
    assert post(api, f"versions/{foreign.pk}/clean/", {"steps": [{"op": "dedupe"}]}).status_code == 404
    assert api.delete(f"{api.root}/datasets/{foreign.dataset_id}/").status_code == 404


def test_viewers_read_and_do_not_write(client, project):
    version = make_version(project=project)
    client.force_login(make_member(project, Role.VIEWER))
    client.root = f"/api/v1/projects/{project.slug}"

    assert client.get(f"{client.root}/versions/{version.pk}/rows/").status_code == 200
    assert post(client, "datasets/", {"name": "x", "purpose": "training"}).status_code == 403
    assert post(client, f"versions/{version.pk}/clean/", {"steps": [{"op": "dedupe"}]}).status_code == 403
    assert client.delete(f"{client.root}/datasets/{version.dataset_id}/").status_code == 403


def test_a_dataset_is_deleted_with_its_reason(api, project):
    version = make_version(make_dataset(project, api.user))

    answer = api.delete(f"{api.root}/datasets/{version.dataset_id}/?reason=trial")

    assert answer.status_code == 204
    assert not Dataset.objects.exists()
