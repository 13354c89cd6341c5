"""Uploads in a real browser: cut in the middle, reloaded, gone on with; several at once; by keyboard; mended."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Route, expect

from datasets_app.models import Dataset, Incoming, Upload
from tests.e2e.browsing import Visitor
from tests.factories.datasets import chat, jsonl, make_dataset, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
PART = 100_000
PUT = re.compile(r"/parts/(\d+)/$")
PHONE = {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def small_parts(settings):
    settings.UPLOAD_PART_BYTES = PART


@pytest.fixture
def dataset() -> Dataset:
    project = make_project()
    return make_dataset(project, make_member(project))


@pytest.fixture
def engineer(live_server, visit, dataset) -> Callable[..., Visitor]:
    def sit_down(**options) -> Visitor:
        client = Client()
        client.force_login(dataset.created_by)
        visitor = visit(live_server.url, "the engineer", **options)
        visitor.bring_session(client)
        visitor.open(dataset.get_absolute_url())
        return visitor

    return sit_down


@pytest.fixture
def file(tmp_path) -> Path:
    """A little more than eleven parts."""
    path = tmp_path / "tickets.jsonl"
    path.write_bytes(jsonl([chat(f"Ticket {n}: " + "please help. " * 60, f"Answer {n}.") for n in range(1300)]))
    assert 10 * PART < path.stat().st_size < 14 * PART
    return path


class Line:
    """The line between browser and server: notes every part, and is cut at will."""

    def __init__(self, visitor: Visitor) -> None:
        self.sent: list[int] = []
        self.cut_after: int | None = None
        self.visitor = visitor
        visitor.page.route(PUT, self._pass)

    def _pass(self, route: Route) -> None:
        number = int(PUT.search(route.request.url)[1])  # type: ignore[index]
        if self.cut_after is not None and len(self.sent) >= self.cut_after:
            route.abort("connectionreset")
            return
        self.sent.append(number)
        route.continue_()

    def forgive(self) -> None:
        """A cut line is heard in the console; that is what the test is about."""
        self.visitor.complaints = [one for one in self.visitor.complaints if "net::ERR_" not in one]


def choose(visitor: Visitor, *files: Path) -> None:
    visitor.page.get_by_label("File to upload").set_input_files(files)


def test_an_upload_that_was_cut_goes_on_where_it_was(engineer, dataset, file):
    visitor = engineer()
    line = Line(visitor)
    line.cut_after = 5
    choose(visitor, file)
    visitor.press("Upload file")
    expect(visitor.page.locator("[data-upload-state]")).to_contain_text(re.compile("line was cut|No connection"))
    before = list(line.sent)

    visitor.page.reload()
    visitor.sees("Unfinished uploads")
    expect(visitor.page.locator("#unfinished tbody tr")).to_contain_text("tickets.jsonl")
    line.sent, line.cut_after = [], None
    choose(visitor, file)
    visitor.press("Upload file")
    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))

    upload = Upload.objects.get()
    expected = set(range(-(-file.stat().st_size // PART)))
    assert before == [0, 1, 2, 3, 4]
    assert set(line.sent) == expected - set(before), "what was there is not sent again"
    assert upload.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert Incoming.objects.get().state == "closed"
    run_jobs()
    visitor.sees("1 300 good rows".replace(" ", "\u202f", 1))
    line.forgive()


def test_a_line_that_comes_back_is_used_without_being_asked(engineer, dataset, file):
    visitor = engineer()
    line = Line(visitor)
    line.cut_after = 3
    choose(visitor, file)
    visitor.press("Upload file")
    expect(visitor.page.locator("[data-upload-state]")).to_contain_text(re.compile("line was cut|No connection"))
    line.cut_after = None
    visitor.page.evaluate("dispatchEvent(new Event('online'))")

    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))
    assert sorted(line.sent) == sorted(set(line.sent)), "no part is sent twice"
    assert Upload.objects.get().sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    line.forgive()


def test_another_file_of_the_same_name_and_size_begins_anew(engineer, dataset, file):
    visitor = engineer()
    line = Line(visitor)
    line.cut_after = 4
    choose(visitor, file)
    visitor.press("Upload file")
    expect(visitor.page.locator("[data-upload-state]")).to_contain_text(re.compile("line was cut|No connection"))
    visitor.page.reload()
    file.write_bytes(file.read_bytes().replace(b"please", b"PLEASE"))
    line.sent, line.cut_after = [], None
    choose(visitor, file)
    visitor.press("Upload file")
    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))

    assert Upload.objects.get().sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert 0 in line.sent
    line.forgive()


def test_pause_go_on_and_cancel(engineer, dataset, file):
    visitor = engineer()
    with visitor.slow_line(bytes_per_second=400_000):
        choose(visitor, file)
        visitor.press("Upload file")
        expect(visitor.page.locator("[data-upload-numbers]")).to_contain_text("left")
        visitor.page.get_by_role("button", name="Pause").click()
        expect(visitor.page.locator("[data-upload-state]")).to_contain_text("Paused")
        visitor.page.get_by_role("button", name="Go on").click()
        expect(visitor.page.locator("[data-upload-state]")).to_contain_text("of")
        visitor.page.get_by_role("button", name="Cancel", exact=True).click()
        expect(visitor.page.locator("[data-upload-state]")).to_contain_text("Nothing of it is kept")
    visitor.page.wait_for_timeout(500)
    assert not Incoming.objects.exists()


def test_several_files_at_once_by_keyboard(engineer, dataset, tmp_path):
    visitor = engineer()
    for n in range(3):
        (tmp_path / f"part{n}.jsonl").write_bytes(jsonl(tickets(5, start=10 * n)))
    choose(visitor, *(tmp_path / f"part{n}.jsonl" for n in range(3)))
    visitor.sees("3 files")
    visitor.page.get_by_role("button", name="Upload file").focus()
    visitor.page.keyboard.press("Enter")

    expect(visitor.page.locator("tbody").get_by_role("link", name="part2.jsonl")).to_be_visible()
    assert Upload.objects.count() == 3


def test_a_file_that_is_refused_says_why_and_the_others_arrive(engineer, dataset, tmp_path):
    dataset.project.storage_quota_bytes = 2000
    dataset.project.save()
    (tmp_path / "small.jsonl").write_bytes(jsonl(tickets(3)))
    (tmp_path / "large.jsonl").write_bytes(jsonl(tickets(90)))
    visitor = engineer()
    choose(visitor, tmp_path / "small.jsonl", tmp_path / "large.jsonl")
    with visitor.refused(409):
        visitor.press("Upload file")
        expect(visitor.page.get_by_role("alert")).to_contain_text("ask an owner to raise the limit")
    visitor.sees("1 of 2 files arrived")


def test_without_scripts_the_plain_form_does(engineer, dataset, tmp_path):
    visitor = engineer(java_script_enabled=False)
    (tmp_path / "rows.jsonl").write_bytes(jsonl(tickets(3)))
    choose(visitor, tmp_path / "rows.jsonl")
    visitor.press("Upload file")

    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))
    assert Upload.objects.get().file_name == "rows.jsonl"


def test_bad_rows_are_mended_with_a_click_and_join(engineer, dataset, tmp_path):
    rows = jsonl(tickets(4)) + json.dumps(chat("Late?", "Yes.")).replace('"assistant"', '"bot"').encode() + b"\nlost\n"
    (tmp_path / "rows.jsonl").write_bytes(rows)
    visitor = engineer()
    choose(visitor, tmp_path / "rows.jsonl")
    visitor.press("Upload file")
    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))
    run_jobs()
    visitor.sees("No version yet")
    visitor.page.get_by_text("before and after").click()
    visitor.press("Apply to all rows kept aside")
    visitor.sees("Rows are being mended")
    run_jobs()
    visitor.sees("1 of them mended")
    visitor.press("Make the version without them")
    visitor.sees("The version is being made")
    run_jobs()
    visitor.follow("Open v1")
    visitor.sees("5 rows")


def test_columns_are_mapped_with_a_live_preview(engineer, dataset, tmp_path):
    (tmp_path / "odd.jsonl").write_bytes(jsonl([{"ask": f"Question {n}?", "reply": f"Reply {n}."} for n in range(4)]))
    visitor = engineer()
    choose(visitor, tmp_path / "odd.jsonl")
    visitor.press("Upload file")
    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))
    run_jobs()
    visitor.sees("Nothing of this file became a version")
    visitor.sees("would be read as “Prompt and completion”")  # guessed, and not yet done
    visitor.page.get_by_label("What “reply” is here").select_option("chosen")
    visitor.sees("Prompts without answers")
    visitor.page.get_by_label("What “reply” is here").select_option("completion")
    visitor.sees("Reply 2.")
    visitor.press("Read the file again")
    run_jobs()
    visitor.sees("4 good rows")


@pytest.mark.parametrize("size", [None, PHONE], ids=["desk", "phone"])
def test_the_upload_part_is_accessible_and_fits(engineer, dataset, tmp_path, size):
    (tmp_path / "rows.jsonl").write_bytes(jsonl(tickets(2)) + b"lost\n" * 3)
    visitor = engineer()
    if size:
        visitor.page.set_viewport_size(size)
    choose(visitor, tmp_path / "rows.jsonl")
    assert visitor.too_wide() == []
    assert visitor.axe() == []
    visitor.press("Upload file")
    visitor.page.wait_for_url(re.compile(r"/uploads/\d+/"))
    run_jobs()
    visitor.sees("Make the version without them")
    assert visitor.too_wide() == []
    assert visitor.axe() == []
