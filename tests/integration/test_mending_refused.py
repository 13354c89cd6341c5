"""A file without one good row: the fixes that would save it are shown, agreed to, and the file is read once more."""

import json

import pytest
from django.urls import reverse

from datasets_app import selectors, services
from datasets_app.models import Upload
from projects.domain.errors import Invalid
from projects.domain.permissions import Role
from tests.factories.datasets import chat, make_dataset, make_upload, tickets
from tests.factories.projects import make_member, run_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]

PRINTED = "".join(f"{row}\n" for row in tickets(60)).encode()  # as Python prints them


@pytest.fixture
def refused():
    upload = make_upload(make_dataset(), PRINTED)
    assert (upload.state, upload.error_code) == ("failed", "no_good_rows")
    return upload


def again(upload):
    run_jobs()
    found = Upload.objects.get(reread_of=upload)
    assert (found.state, found.error_message) == ("succeeded", "")
    return found


def test_fixes_are_offered_with_examples_and_the_file_is_read_with_them(refused, client):
    client.force_login(refused.uploaded_by)
    page = client.get(refused.get_absolute_url()).content.decode()

    assert "It can be mended" in page
    (offer,) = selectors.offers(refused)
    assert (offer.fix.name, offer.count, len(offer.examples)) == ("python_quotes", 50, 3)
    assert json.loads(offer.examples[0].after) == tickets(60)[0]

    answer = client.post(
        reverse("upload-reread", args=[refused.project.slug, refused.pk]), {"forced_format": "", "fix": "python_quotes"}
    )

    mended = again(refused)
    assert answer.url == mended.get_absolute_url()
    rows, total = selectors.read_rows(mended.version)
    assert (total, [row["line"] for row in rows[:3]]) == (60, [1, 2, 3])
    assert rows[0]["provenance"]["edits"][0]["by"] == refused.uploaded_by.email
    shown = client.get(mended.get_absolute_url()).content.decode()
    assert "60 good rows" in shown
    assert "It can be mended" not in shown


def test_the_api_reads_again_with_fixes_and_refuses_unknown_ones(refused, client):
    client.force_login(refused.uploaded_by)
    address = f"/api/v1/projects/{refused.project.slug}/uploads/{refused.pk}/read-again/"

    wrong = client.post(address, {"mapping": {"fixes": ["magic"]}}, content_type="application/json")
    right = client.post(address, {"mapping": {"fixes": ["python_quotes"]}}, content_type="application/json")

    assert (wrong.status_code, wrong.json()["code"]) == (400, "fix_unknown")
    assert (right.status_code, right.json()["mapping"]) == (202, {"fixes": ["python_quotes"]})
    assert again(refused).rows_good == 60


def test_a_file_may_be_brought_with_fixes_from_the_start():
    rows = json.dumps(chat("Question?", "Answer.")).replace('"assistant"', '"bot"').encode() + b"\n"

    upload = make_upload(make_dataset(), rows * 3, mapping={"fixes": ["role_alias"]})

    assert (upload.state, upload.rows_good, upload.rows_bad) == ("succeeded", 3, 0)
    with pytest.raises(Invalid) as unknown:
        make_upload(make_dataset(project=upload.project), rows, by=upload.uploaded_by, mapping={"fixes": "role_alias"})
    assert unknown.value.code == "fix_unknown"


def test_what_no_fix_saves_offers_none(client):
    upload = make_upload(make_dataset(), b'{"messages": 1}\n{"messages": 2}\n')
    client.force_login(upload.uploaded_by)

    assert (upload.error_code, selectors.offers(upload)) == ("no_good_rows", [])
    assert "It can be mended" not in client.get(upload.get_absolute_url()).content.decode()


def test_people_who_may_not_edit_see_no_fixes(refused, client):
    client.force_login(make_member(refused.project, Role.VIEWER))
    address = reverse("upload-reread", args=[refused.project.slug, refused.pk])

    assert "It can be mended" not in client.get(refused.get_absolute_url()).content.decode()
    assert client.post(address, {"fix": "python_quotes"}).status_code == 403


def test_what_is_kept_of_a_refused_file_is_counted_and_goes_with_its_dataset(refused):
    from projects import artefacts

    before = selectors.storage_of(refused.project)
    assert before.aside > 0
    place = artefacts.fetch_directory(refused.staged_key)

    services.delete_dataset(refused.dataset, by=refused.uploaded_by)

    assert not place.exists()
