"""Versions in the making: rows kept aside are mended by a click or by hand and find their places again."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict

from datasets_app import pages, selectors, services
from datasets_app.models import BadRow, DatasetVersion, Upload
from projects.domain.errors import Refused
from tests.factories.datasets import chat, jsonl, make_dataset, make_upload, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]


def bot(n):
    return json.dumps(chat(f"Question {n}?", f"Answer {n}.")).replace('"assistant"', '"bot"').encode()


GOOD = [json.dumps(row).encode() for row in tickets(6)]
CONTENT = (
    b"\n".join([GOOD[0], bot(1), GOOD[1], GOOD[2], b'{"messages": [1,],}', GOOD[3], bot(2), b"lost", GOOD[4]]) + b"\n"
)


@pytest.fixture
def held():
    upload = make_upload(make_dataset(), CONTENT, hold=True)
    assert (upload.state, upload.error_message) == ("succeeded", "")
    return upload


def contents(version):
    return [row["messages"][-1]["content"] for row in selectors.read_rows(version)[0]]


def lines(version):
    return [row["line"] for row in selectors.read_rows(version)[0]]


def make(upload):
    build = services.make_version(upload, by=upload.uploaded_by)
    run_jobs()
    build.refresh_from_db()
    assert build.version is not None, build.error_message
    return build.version


def bring(upload, content, name="mended.jsonl"):
    mender = make_upload(upload.dataset, content, name, by=upload.uploaded_by, mends=upload.pk)
    upload.refresh_from_db()
    return mender


def test_a_held_upload_with_bad_rows_makes_no_version_at_once(held):
    making = selectors.making(held)

    assert held.version is None
    assert DatasetVersion.every.count() == 0
    assert (making.rows, making.left, making.mended) == (5, 4, 0)
    assert [entry["line"] for entry in selectors.bad_texts(held)] == [2, 5, 7, 8]
    assert next(selectors.bad_texts(held))["text"] == bot(1).decode()


def test_without_bad_rows_there_is_nothing_to_wait_for():
    upload = make_upload(make_dataset(), jsonl(tickets(3)), hold=True)

    assert upload.version.rows == 3
    assert not upload.is_in_the_making


def test_without_hold_the_bad_rows_are_left_out_at_once_and_their_text_is_kept():
    upload = make_upload(make_dataset(), CONTENT)

    assert upload.version.rows == 5
    assert [entry["line"] for entry in selectors.bad_texts(upload)] == [2, 5, 7, 8]
    assert "bad.jsonl" not in upload.version.manifest["files"]


def test_fixes_are_offered_with_examples_and_join_in_their_places(held):
    offers = {offer.fix.name: offer for offer in selectors.offers(held)}
    assert offers["role_alias"].count == 2
    assert [example.line for example in offers["role_alias"].examples] == [2, 7]

    services.mend_rows(held, by=held.uploaded_by, fixes=["role_alias"])
    run_jobs()
    mender = Upload.objects.get(mends=held)
    making = selectors.making(held)
    version = make(held)

    assert (mender.state, mender.rows_good, mender.error_message) == ("succeeded", 2, "")
    assert (making.rows, making.mended, making.left) == (7, 2, 2)
    assert lines(version) == [1, 2, 3, 4, 6, 7, 9]
    assert contents(version)[1] == "Answer 1."
    assert version.number == 1


def test_a_mended_row_says_so_in_its_provenance(held):
    services.mend_rows(held, by=held.uploaded_by, fixes=["role_alias"])
    run_jobs()
    rows = [row for group in selectors.row_groups(make(held)) for row in group]

    assert [bool(row.provenance and row.provenance.get("edits")) for row in rows] == [n in (1, 5) for n in range(7)]
    assert rows[1].provenance["edits"][0]["what"] == "fixed: role_alias"
    assert rows[1].provenance["edits"][0]["by"] == held.uploaded_by.email


def test_bare_rows_mended_by_hand_find_their_lines(held, client):
    client.force_login(held.uploaded_by)
    url = f"/projects/{held.project.slug}/uploads/{held.pk}/bad-rows.rows"
    bare = b"".join(client.get(url).streaming_content)
    mended = (
        bare.replace(b'"bot"', b'"assistant"').replace(b"lost", GOOD[5]).replace(b'{"messages": [1,],}', b"still bad")
    )

    mender = bring(held, mended)
    version = make(held)

    assert bare == b"\n".join([bot(1), b'{"messages": [1,],}', bot(2), b"lost"]) + b"\n"
    assert (mender.rows_good, mender.rows_bad) == (3, 1)
    assert BadRow.objects.get(upload=mender).line == 5
    assert lines(version) == [1, 2, 3, 4, 6, 7, 8, 9]


def test_the_download_with_reasons_can_be_mended_in_any_order(held, client):
    client.force_login(held.uploaded_by)
    url = f"/projects/{held.project.slug}/uploads/{held.pk}/bad-rows.mend"
    entries = [json.loads(line) for line in b"".join(client.get(url).streaming_content).splitlines()]
    assert {fault["code"] for fault in entries[0]["faults"]} == {"unknown_role"}
    for entry in entries:
        entry["text"] = entry["text"].replace('"bot"', '"assistant"')

    bring(held, jsonl(list(reversed(entries))))

    assert lines(make(held)) == [1, 2, 3, 4, 6, 7, 9]


def test_rows_that_nobody_can_place_come_last(held):
    bring(held, jsonl(tickets(2, start=50)))

    version = make(held)

    assert lines(version)[-3:] == [9, 10, 11]
    assert contents(version)[-1] == tickets(1, start=51)[0]["messages"][-1]["content"]


def test_rows_of_another_kind_do_not_join(held):
    mender = bring(held, jsonl([{"prompt": "a", "chosen": "b", "rejected": "c"}]), "pairs.jsonl")

    assert mender.state == "failed"
    assert selectors.making(held).mended == 0


def test_a_mending_can_be_undone(held):
    services.mend_rows(held, by=held.uploaded_by, fixes=["role_alias"])
    run_jobs()
    mender = Upload.objects.get(mends=held)

    services.discard_making(mender, by=held.uploaded_by)

    assert (selectors.making(held).mended, selectors.making(held).left) == (0, 4)
    assert lines(make(held)) == [1, 3, 4, 6, 9]


def test_a_version_in_the_making_can_be_given_up_and_its_file_read_again(held):
    services.discard_making(held, by=held.uploaded_by)
    with pytest.raises(Refused, match="no version in the making"):
        services.make_version(held, by=held.uploaded_by)

    again = services.reread_upload(held, by=held.uploaded_by)
    run_jobs()
    again.refresh_from_db()

    assert selectors.making(again).rows == 5


def test_a_version_that_is_made_takes_no_more_rows(held):
    make(held)
    held.refresh_from_db()

    with pytest.raises(Refused):
        services.make_version(held, by=held.uploaded_by)
    with pytest.raises(Refused):
        services.mend_rows(held, by=held.uploaded_by, fixes=["role_alias"])
    with pytest.raises(Refused):
        services.accept_upload(
            held.dataset, by=held.uploaded_by, file=SimpleUploadedFile("x.jsonl", b"{}"), mends=held.pk
        )


def test_bytes_that_are_no_utf8_are_mended_only_when_asked_for():
    odd = json.dumps(chat("Price?", "5 @")).encode().replace(b"@", b"\x80")
    held = make_upload(make_dataset(), b"\n".join([*GOOD, odd]), hold=True)
    offer = next(offer for offer in selectors.offers(held) if offer.fix.name == "as_cp1252")
    assert (offer.count, offer.examples[0].replaced) == (1, 1)

    services.mend_rows(held, by=held.uploaded_by, fixes=["as_cp1252"])
    run_jobs()

    assert contents(make(held))[-1] == "5 \u20ac"


def test_a_page_that_was_read_while_the_build_ended_does_not_say_that_rows_wait(held):
    services.make_version(held, by=held.uploaded_by)
    read_before = Upload.objects.get(pk=held.pk)
    assert selectors.making(read_before) is None, "its build is at work"
    run_jobs()

    page = pages.upload_page(Upload.objects.get(pk=held.pk), QueryDict())
    late = pages.upload_page(read_before, QueryDict())

    assert late["assembly"].version and late["version_label"] == page["version_label"]
    assert "making" not in late and late["poll"] == page["poll"] == ""


def test_the_page_shows_what_waits_and_how_to_go_on(held, client):
    client.force_login(held.uploaded_by)
    page = client.get(held.get_absolute_url()).content.decode()

    assert "Make the version without them" in page
    assert "Use the known names of roles" in page
    answer = client.post(f"/projects/{held.project.slug}/uploads/{held.pk}/mend/", {"fix": ["role_alias"]})
    run_jobs()
    assert answer["Location"] == held.get_absolute_url()
    assert "2</span> of them mended" in client.get(held.get_absolute_url()).content.decode()
    client.post(f"/projects/{held.project.slug}/uploads/{held.pk}/make-version/")
    run_jobs()
    assert "Open v1" in client.get(held.get_absolute_url()).content.decode()


def test_the_api_mends_makes_and_discards(held, client):
    client.force_login(held.uploaded_by)
    root = f"/api/v1/projects/{held.project.slug}/uploads/{held.pk}"

    def post(action, **data):
        return client.post(f"{root}/{action}/", data, content_type="application/json")

    assert client.get(f"{root}/").json()["in_the_making"] is True
    assert post("mend", fixes=["nonsense"]).status_code == 400
    assert post("mend", fixes=["role_alias"]).status_code == 202
    run_jobs()
    assert post("make-version").status_code == 202
    run_jobs()
    assert DatasetVersion.objects.get().rows == 7
    assert post("discard").json()["code"] == "not_in_the_making"


def test_another_datasets_upload_cannot_be_joined(held):
    project = make_project()
    other = make_dataset(project, make_member(project))

    with pytest.raises(Refused):
        make_upload(other, CONTENT, mends=held.pk)
