"""Pages of datasets as a browser asks for them."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from datasets_app.models import Dataset, DatasetVersion, Upload
from projects.domain.permissions import Role
from tests.factories.datasets import chat, clean, jsonl, make_dataset, make_upload, make_version, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = pytest.mark.django_db(transaction=True)
PAYLOAD = "<script>alert(1)</script>"


@pytest.fixture
def project():
    return make_project()


@pytest.fixture
def engineer(project, client):
    user = make_member(project)
    client.force_login(user)
    return user


def page(client, name, project, *args, query="", **headers):
    response = client.get(reverse(name, args=[project.slug, *args]) + query, headers=headers)
    return response.status_code, response.content.decode()


def test_an_empty_project_says_what_to_do_first(client, project, engineer):
    status, html = page(client, "dataset-list", project)

    assert status == 200
    assert "No datasets here yet" in html
    assert reverse("dataset-create", args=[project.slug]) in html


def test_a_viewer_is_not_offered_what_they_may_not_do(client, project):
    dataset = make_dataset(project)
    client.force_login(make_member(project, Role.VIEWER))

    _, html = page(client, "dataset-detail", project, dataset.pk)

    assert "Upload the first file" not in html
    assert "Delete dataset" not in html
    assert client.get(reverse("dataset-create", args=[project.slug])).status_code == 403


def test_a_dataset_is_created_by_its_form(client, project, engineer):
    address = reverse("dataset-create", args=[project.slug])

    response = client.post(address, {"name": "Tickets", "purpose": "golden", "description": "Held out"})

    dataset = Dataset.objects.get()
    assert response.headers["Location"] == dataset.get_absolute_url()
    again = client.post(address, {"name": "Tickets", "purpose": "golden"})
    assert again.status_code == 400
    assert "already has a dataset called" in again.content.decode()


def test_the_upload_script_gets_an_address_or_a_reason(client, project, engineer):
    dataset = make_dataset(project, engineer)
    address = reverse("dataset-upload", args=[project.slug, dataset.pk])

    sent = client.post(
        address, {"file": SimpleUploadedFile("a.jsonl", jsonl(tickets(3)))}, headers={"accept": "application/json"}
    )
    empty = client.post(address, {"file": SimpleUploadedFile("a.jsonl", b"")}, headers={"accept": "application/json"})
    nothing = client.post(address, {}, headers={"accept": "application/json"})

    assert (sent.status_code, sent.json()) == (201, {"url": Upload.objects.get().get_absolute_url()})
    assert (empty.status_code, empty.json()["code"]) == (400, "empty_file")
    assert (nothing.status_code, nothing.json()["code"]) == (400, "missing_file")


def test_without_script_the_browser_is_sent_to_the_upload(client, project, engineer):
    dataset = make_dataset(project, engineer)

    response = client.post(
        reverse("dataset-upload", args=[project.slug, dataset.pk]),
        {"file": SimpleUploadedFile("a.jsonl", jsonl(tickets(3)))},
        headers={"accept": "text/html"},
    )

    assert response.headers["Location"] == Upload.objects.get().get_absolute_url()


def test_the_upload_page_polls_until_the_reading_is_over(client, project, engineer):
    from datasets_app import services

    dataset = make_dataset(project, engineer)
    upload = services.accept_upload(
        dataset, by=engineer, file=SimpleUploadedFile("a.jsonl", jsonl(tickets(3)) + b"broken\n")
    )

    _, waiting = page(client, "upload-detail", project, upload.pk)
    run_jobs()
    _, fragment = page(client, "upload-detail", project, upload.pk, **{"HX-Request": "true"})

    assert 'hx-trigger="every 300ms"' in waiting
    assert 'hx-trigger="every' not in fragment
    assert "<html" not in fragment
    assert "3 good rows, 1 bad" in fragment
    assert "Chat messages" in fragment
    assert "Ticket 0: please help me" in fragment, "three parsed rows are shown"


def test_bad_rows_are_grouped_paged_and_filtered(client, project, engineer):
    content = jsonl(tickets(2)) + b"broken\n" * 60 + b'{"messages": []}\n'
    upload = make_upload(make_dataset(project, engineer), content)

    _, html = page(client, "upload-detail", project, upload.pk)
    _, second = page(client, "upload-detail", project, upload.pk, query="?page=2")
    _, some = page(client, "upload-detail", project, upload.pk, query="?code=empty_list")

    assert "The line is not valid JSON" in html
    assert "60 times" in html
    assert "1–50 of 61" in html
    assert "51–61 of 61" in second
    assert some.count('<td data-label="Code">') == 1


def test_bad_rows_can_be_taken_home_without_becoming_formulas(client, project, engineer):
    content = jsonl([*tickets(2), {"messages": [{"role": "=cmd|' /C calc'!A0", "content": "x"}]}])
    upload = make_upload(make_dataset(project, engineer), content)

    table = client.get(reverse("upload-bad-rows", args=[project.slug, upload.pk, "csv"]))
    lines = client.get(reverse("upload-bad-rows", args=[project.slug, upload.pk, "jsonl"]))
    other = client.get(reverse("upload-bad-rows", args=[project.slug, upload.pk, "exe"]))

    assert "attachment" in table.headers["Content-Disposition"]
    assert "'=cmd" in b"".join(table.streaming_content).decode()
    row = json.loads(b"".join(lines.streaming_content))
    assert (row["line"], row["code"]) == (3, "unknown_role")
    assert other.status_code == 404


def test_the_format_is_corrected_by_its_form(client, project, engineer):
    upload = make_upload(make_dataset(project, engineer), jsonl([{"text": "A.", "prompt": "b", "completion": "c"}]))

    response = client.post(reverse("upload-reread", args=[project.slug, upload.pk]), {"forced_format": "text"})
    run_jobs()

    second = Upload.objects.get(reread_of=upload)
    assert response.headers["Location"] == second.get_absolute_url()
    assert second.version.kind == "text"
    wrong = client.post(reverse("upload-reread", args=[project.slug, upload.pk]), {"forced_format": "word"})
    assert wrong.status_code == 400


def test_the_dataset_page_answers_first_whether_it_can_be_used(client, project, engineer):
    rows = [*tickets(60), tickets(1)[0], chat("Ticket 99: x", "")]
    version = make_version(make_dataset(project, engineer), rows)

    _, html = page(client, "dataset-detail", project, version.dataset_id)

    assert "Do not train on this yet: empty answers (1 row)" in html
    assert html.index("Do not train on this yet") < html.index("Exact duplicates") < html.index("Versions")
    assert "Keep the first of each" in html
    assert "Answers by “queue”" in html, "the chart says what it shows"


def test_a_fix_is_one_click_and_makes_a_version(client, project, engineer):
    version = make_version(make_dataset(project, engineer), [*tickets(60), tickets(1)[0]])

    response = client.post(
        reverse("version-clean", args=[project.slug, version.pk]), {"step": ["dedupe", "drop_finding:empty_answers"]}
    )
    _, waiting = page(client, "dataset-detail", project, version.dataset_id)
    run_jobs()
    _, done = page(client, "dataset-detail", project, version.dataset_id)

    assert response.headers["Location"] == version.dataset.get_absolute_url()
    assert 'hx-trigger="every 2s"' in waiting
    assert DatasetVersion.objects.get(number=2).rows == 60
    assert "Ready to train on: 60 rows" in done


def test_rows_are_searched_paged_and_opened(client, project, engineer):
    version = make_version(make_dataset(project, engineer), tickets(60))

    _, html = page(client, "version-rows", project, version.pk)
    _, found = page(client, "version-rows", project, version.pk, query="?q=number+59")
    _, none = page(client, "version-rows", project, version.pk, query="?q=absent")
    _, third = page(client, "version-rows", project, version.pk, query="?page=3")
    _, row = page(client, "row-detail", project, version.pk, 59)

    assert "1–25 of 60" in html
    assert "Ticket 59" in found and "Ticket 58" not in found
    assert "No row holds “absent”" in none
    assert "51–60 of 60" in third
    assert "Ticket 59: please help me with number 59." in row
    assert page(client, "row-detail", project, version.pk, 60)[0] == 404
    assert page(client, "version-rows", project, version.pk, query="?page=99999999999999999999")[0] == 200


def test_rows_of_a_finding_and_of_a_leak_can_be_seen(client, project, engineer):
    golden = make_version(make_dataset(project, engineer, "golden"), tickets(3))
    version = make_version(make_dataset(project, engineer), [*tickets(30), chat("Ticket 77: x", "")])

    _, empty = page(client, "version-rows", project, version.pk, query="?finding=empty_answers")
    _, leaked = page(client, "version-rows", project, version.pk, query=f"?finding=overlap-{golden.pk}")
    _, verdict = page(client, "version-detail", project, version.pk)

    assert "Ticket 77" in empty and "Ticket 5:" not in empty
    assert "1–3 of 3" in leaked or "Ticket 2:" in leaked
    assert "Drop the leaked rows" in verdict


def test_a_cleaned_version_shows_its_recipe_and_its_parent(client, project, engineer):
    dirty = make_version(make_dataset(project, engineer), [*tickets(30), tickets(1)[0]])
    tidy = clean(dirty, {"op": "dedupe"})

    _, html = page(client, "version-detail", project, tidy.pk)

    assert "Keep the first of each exact duplicate: 1 row dropped<" in html
    assert dirty.get_absolute_url() in html


def test_text_from_people_is_shown_as_text(client, project, engineer):
    dataset = make_dataset(project, engineer, name=PAYLOAD, description=PAYLOAD)
    rows = [*tickets(4), chat(PAYLOAD, PAYLOAD, PAYLOAD), {"messages": [{"role": PAYLOAD, "content": PAYLOAD}]}]
    upload = make_upload(dataset, jsonl([{**row, "label": PAYLOAD, "tags": [PAYLOAD]} for row in rows]), PAYLOAD)

    pages = [
        page(client, "dataset-list", project),
        page(client, "dataset-detail", project, dataset.pk),
        page(client, "upload-detail", project, upload.pk),
        page(client, "version-detail", project, upload.version_id),
        page(client, "row-detail", project, upload.version_id, 4),
    ]

    for status, html in pages:
        assert status == 200
        assert PAYLOAD not in html


def test_people_of_other_projects_see_nothing(client, project, engineer):
    foreign = make_version()
    outside = make_project()

    for name, args in (
        ("dataset-detail", [foreign.dataset_id]),
        ("version-detail", [foreign.pk]),
        ("version-rows", [foreign.pk]),
        ("upload-detail", [foreign.upload.pk]),
        ("row-detail", [foreign.pk, 0]),
    ):
        assert page(client, name, project, *args)[0] == 404
        assert page(client, name, outside, *args)[0] == 404


def test_a_dataset_is_deleted_after_asking(client, project, engineer):
    dataset = make_version(make_dataset(project, engineer)).dataset

    response = client.post(reverse("dataset-delete", args=[project.slug, dataset.pk]), {"reason": "trial"}, follow=True)

    assert "are deleted" in response.content.decode()
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("name", ["dataset-list", "dataset-detail"])
def test_pages_ask_the_same_number_of_questions_however_much_there_is(
    client, project, engineer, name, django_assert_max_num_queries
):
    for _ in range(4):
        version = make_version(make_dataset(project, engineer), tickets(12))
    args = [] if name == "dataset-list" else [version.dataset_id]

    with django_assert_max_num_queries(25):
        assert page(client, name, project, *args)[0] == 200
