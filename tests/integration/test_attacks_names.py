"""Attacks on the way in, A08–A10 and A12 of the reliability list: names, addresses, files in disguise."""

import re
from urllib.parse import quote

import pytest
from django.urls import reverse

from tests.factories import hostile
from tests.factories.datasets import make_dataset
from tests.factories.hostile import ROWS, bring, refused
from tests.factories.projects import make_member, make_project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    return make_dataset(project, user)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("..%2f..%2fx.jsonl", "..%2f..%2fx.jsonl"),
        ("a\x00b.jsonl", "ab.jsonl"),
        ("n" * 5000 + ".jsonl", "n" * 248 + "….jsonl"),
        ("rows\u202egnp.jsonl", "rowsgnp.jsonl"),
        ("CON", "CON"),
        ("two\nlines.jsonl", "twolines.jsonl"),
        ('"><svg onload=alert(1)>.jsonl', '"><svg onload=alert(1)>.jsonl'),
    ],
)
def test_a08_a_name_is_for_showing_and_never_a_place(client, dataset, given, shown):
    from datasets_app.domain.names import display_name

    upload = bring(client, dataset, ROWS, given if "/" not in given else "x.jsonl")

    # What the test's own client does to a name on its way is not what is tested: the rule is asked, too.
    assert display_name(given) == shown
    assert len(upload.file_name) <= 255
    assert re.fullmatch(r"uploads/[0-9a-f]{32}", upload.key)
    page = client.get(upload.get_absolute_url()).content.decode()
    assert "<svg onload" not in page


def test_a09_no_address_takes_a_path_of_the_client(client, dataset):
    upload = bring(client, dataset, ROWS + b"nonsense\n", "a.jsonl")
    project = dataset.project.slug
    addresses = [
        dataset.get_absolute_url(),
        upload.get_absolute_url(),
        upload.version.get_absolute_url(),
        reverse("upload-bad-rows", args=[project, upload.pk, "csv"]),
        reverse("version-rows", args=[project, upload.version.pk]),
    ]
    places = ["../../../../etc/passwd", "file:///etc/passwd", "..%2f..%2fetc%2fpasswd", "..%252f..%252fetc%252fpasswd"]

    for address in addresses:
        for place in places:
            for name in ("path", "file", "key", "name"):
                answer = client.get(address, {name: place})
                body = b"".join(answer.streaming_content) if answer.streaming else answer.content
                assert answer.status_code == 200
                assert b"root:x:" not in body
            assert client.get(address.rstrip("/") + "/" + quote(place, safe="")).status_code == 404
            assert client.get(address.rstrip("/") + "/" + place.lstrip("/")).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/static../manage.py",
        "/static/../manage.py",
        "/static/..%2fmanage.py",
        "/static/..%252fmanage.py",
        "/static/%2e%2e/config/settings/base.py",
        "/static/css/../../manage.py",
        "/media../manage.py",
        "/media/",
        "/files../luthier.sqlite3",
        "//etc/passwd",
    ],
)
def test_a10_no_alias_leads_out_of_the_static_files(client, address):
    assert client.get(address).status_code == 404


OTHERS = {
    "a PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(60), "a.jsonl"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(50), "a.jsonl"),
    "an HTML page": (b"<!DOCTYPE html><html><script>alert(1)</script></html>", "a.jsonl"),
    "a pickle": (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94", "a.jsonl"),
    "a page in front of a ZIP": (
        b"<html><script>alert(1)</script></html>" + hostile.zipped({"a.jsonl": ROWS}),
        "a.zip",
    ),
    "a workbook": (
        hostile.zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}),
        "a.csv",
    ),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "a.csv"),
}


@pytest.mark.parametrize(("content", "name"), OTHERS.values(), ids=OTHERS.keys())
def test_a12_what_a_file_is_counts_and_not_what_it_is_called(client, dataset, content, name):
    refused(bring(client, dataset, content, name), "type_mismatch", "archive_unsupported")


def test_a12_what_people_brought_is_handed_back_as_a_file_and_never_shown_inline(client, dataset):
    upload = bring(client, dataset, ROWS + b"<script>alert(1)</script>\n", "a.jsonl")

    for kind in ("csv", "jsonl"):
        answer = client.get(reverse("upload-bad-rows", args=[dataset.project.slug, upload.pk, kind]))
        assert answer.status_code == 200
        assert answer["content-disposition"].startswith("attachment")
        assert answer["x-content-type-options"] == "nosniff"
        assert "html" not in answer["content-type"]
