"""A deletion request: where a person's text stands, what was made of it, and taking it out."""

import pytest
from django.urls import reverse

from datasets_app import selectors, services
from datasets_app.models import BadRow, TextSearch, Upload
from projects import artefacts
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent
from projects.supervision import workdir_of
from tests.factories.datasets import chat, clean, jsonl, make_dataset, make_upload, make_version, tickets
from tests.factories.projects import make_member, make_project, make_user, run_jobs

pytestmark = pytest.mark.django_db

NAME = "Zoë Möller"


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def engineer(project):
    return make_member(project, Role.ENGINEER)


@pytest.fixture
def versions(project, engineer):
    """Two versions of one dataset with the name, one of another without it."""
    rows = [*tickets(4), chat(f"I am {NAME}.", "Hello!"), chat("Who?", f"dear {NAME.upper()}")]
    first = make_version(make_dataset(project, engineer), rows)
    second = clean(first, {"op": "drop_rows", "indices": [4]})
    make_version(make_dataset(project, engineer), tickets(3, start=50))
    return first, second


def searched(project, by, text):
    search = services.search_text(project, by=by, text=text)
    run_jobs()
    search.refresh_from_db()
    return search


def test_one_search_names_versions_rows_and_everything_made_of_them(project, engineer, versions, client):
    from tests.factories.deployments import make_adapter

    adapter = make_adapter(project, engineer, dataset_version=versions[0])
    search = searched(project, engineer, f" {NAME.lower()} ")
    client.force_login(engineer)
    page = client.get(search.get_absolute_url()).content.decode()
    answer = b"".join(client.get(reverse("text-search-answer", args=[project.slug, search.pk]))).decode()

    assert search.matches == [
        {"version": versions[1].pk, "rows": 1, "first": [4]},
        {"version": versions[0].pk, "rows": 2, "first": [4, 5]},
    ]
    assert "2 versions hold this text" in page
    assert adapter.name in page and adapter.run.name in page
    assert f"adapter,{adapter.name}" in answer
    assert search.files == [versions[0].upload.pk]
    assert "uploaded file,rows.jsonl" in answer
    assert answer.count("\n") == 6


def test_erasing_makes_newest_versions_without_the_rows_and_says_so_in_their_recipe(project, engineer, versions):
    search = searched(project, engineer, NAME)

    (build,) = services.erase_text(search, by=engineer)
    run_jobs()
    build.refresh_from_db()

    assert build.version.recipe[0]["reason"] == "deletion request"
    assert searched(project, engineer, NAME).matches[0]["version"] == versions[1].pk
    assert [match.newest for match in selectors.matches(search)] == [False, False]
    with pytest.raises(Refused, match="nothing to erase"):
        services.erase_text(search, by=engineer)


def test_the_text_stands_in_no_log_and_no_folder_and_can_be_forgotten(project, engineer, versions, settings):
    search = searched(project, engineer, NAME)

    assert list(workdir_of(search).rglob("*")) == []
    assert NAME not in str(list(AuditEvent.objects.values_list("detail", "target_label", "reason")))
    assert AuditEvent.objects.get(action="textsearch.created").detail["fingerprint"]
    services.forget_search(search, by=engineer)
    assert not TextSearch.objects.exists()


def test_too_little_text_is_refused_and_nothing_found_is_said(project, engineer, versions, client):
    with pytest.raises(Invalid, match="3 to 400 characters"):
        services.search_text(project, by=engineer, text=" a ")
    client.force_login(engineer)

    nothing = client.get(searched(project, engineer, "nobody of that name").get_absolute_url()).content.decode()

    assert "Nothing in this project holds this text" in nothing


def test_viewers_do_not_see_whom_somebody_looked_for(project, engineer, versions, client):
    search = services.search_text(project, by=engineer, text=NAME)
    client.force_login(make_member(project, Role.VIEWER))

    assert client.get(search.get_absolute_url()).status_code == 403
    assert client.get(f"/api/v1/projects/{project.slug}/text-searches/").status_code == 403


BAD_ONLY = b'{"messages": [{"role": "user", "content": "I am Zo\\u00eb M\\u00f6ller"}]}\n'


def test_files_that_became_no_version_are_searched_and_can_be_deleted(
    project, engineer, client, django_capture_on_commit_callbacks
):
    upload = make_upload(make_dataset(project, engineer), BAD_ONLY)
    again = services.reread_upload(upload, by=engineer)
    run_jobs()
    client.force_login(engineer)

    search = searched(project, engineer, "zoë möller")
    page = client.get(search.get_absolute_url()).content.decode()

    assert (search.matches, search.files, search.unread) == ([], [upload.pk], [])
    assert "uploaded files do" in page and upload.get_absolute_url() in page
    address = reverse("upload-forget", args=[project.slug, upload.pk])
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(address).status_code == 302
    for one in (upload, again):
        one.refresh_from_db()
        assert one.forgotten_at and not one.head and not one.staged_key
    assert not artefacts._place(upload.key).exists()
    assert "Zo" not in str(list(BadRow.objects.values_list("found", "field")))
    assert AuditEvent.objects.get(action="upload.forgotten").detail["readings"] == 2
    assert searched(project, engineer, "zoë möller").files == []
    assert "file deleted" in client.get(upload.get_absolute_url()).content.decode()
    assert client.post(address).status_code == 409
    with pytest.raises(Refused, match="has been deleted"):
        services.reread_upload(upload, by=engineer)


def test_a_version_outlives_its_file(project, engineer, versions, client):
    client.force_login(engineer)
    before = selectors.storage_of(project)
    upload = versions[0].upload

    answer = client.post(f"/api/v1/projects/{project.slug}/uploads/{upload.pk}/forget-file/")

    assert answer.status_code == 202 and answer.json()["forgotten_at"]
    assert selectors.storage_of(project).uploads == before.uploads - upload.size
    assert selectors.read_rows(versions[0])[1] == versions[0].rows
    assert client.get(upload.get_absolute_url()).status_code == 200


def test_what_pages_quote_of_a_file_that_was_not_kept_is_found_and_forgotten(project, engineer):
    upload = make_upload(make_dataset(project, engineer), BAD_ONLY)
    Upload.objects.filter(pk=upload.pk).update(error_code="type_mismatch", samples=[{"text": f"dear {NAME}"}])

    assert selectors.stored_files(project) == []
    assert searched(project, engineer, NAME.upper()).files == [upload.pk]
    services.forget_file(upload, by=engineer)
    assert searched(project, engineer, NAME).files == []


def test_a_file_whose_bytes_are_missing_is_said_to_be_unread(project, engineer, client):
    upload = make_upload(make_dataset(project, engineer), BAD_ONLY)
    artefacts.delete(upload.key)
    client.force_login(engineer)

    search = searched(project, engineer, NAME)

    assert search.unread == [upload.pk]
    assert "could not be read to their end" in client.get(search.get_absolute_url()).content.decode()


def test_a_file_that_is_at_work_cannot_be_deleted(project, engineer):
    dataset = make_dataset(project, engineer)
    held = make_upload(dataset, BAD_ONLY + jsonl(tickets(2)), hold=True)
    waiting = services.reread_upload(held, by=engineer)

    with pytest.raises(Refused, match="is being read"):
        services.forget_file(held, by=engineer)
    services.cancel_upload(waiting, by=engineer)
    with pytest.raises(Refused, match="version is being made"):
        services.forget_file(held, by=engineer)
    services.discard_making(held, by=engineer)
    assert services.forget_file(held, by=engineer).forgotten_at


def test_only_people_who_may_edit_delete_files(project, engineer, client):
    upload = make_upload(make_dataset(project, engineer), BAD_ONLY)
    address = reverse("upload-forget", args=[project.slug, upload.pk])

    client.force_login(make_member(project, Role.VIEWER))
    assert client.post(address).status_code == 403
    assert "Delete the file" not in client.get(upload.get_absolute_url()).content.decode()
    client.force_login(make_user())
    assert client.post(address).status_code == 404
