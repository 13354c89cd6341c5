"""A19 and A20: what people brought is text, on every page and in every file that comes out again."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from django.urls import reverse

from tests.factories.datasets import make_dataset
from tests.factories.hostile import bring
from tests.factories.projects import make_member, make_project

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = "<script>window.hit=1</script>"
IMAGE = "<img src=x onerror=window.hit=1>"
SVG = "<svg/onload=window.hit=1>"
LINK = "[click](javascript:window.hit=1) <a href='javascript:window.hit=1'>click</a>"
TEMPLATE = "{{ settings.SECRET_KEY }} {% debug %}"
HOSTILE = (SCRIPT, IMAGE, SVG, LINK, "</textarea></title>" + SCRIPT, '"><b onmouseover=window.hit=1>', TEMPLATE)
MOST_PAGES = 150


class Markup(HTMLParser):
    """What a browser would run of a page, and where the page leads to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.run: list[str] = []
        self.links: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._script = tag == "script" and "json" not in given.get("type", "")
        self.run += [f"<{tag} {name}={value}>" for name, value in given.items() if name.startswith("on")]
        for name in ("href", "src", "action", "formaction"):
            if given.get(name, "").strip().lower().startswith(("javascript:", "data:text")):
                self.run.append(f"<{tag} {name}={given[name]}>")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._script and "window.hit" in data:
            self.run.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


def rows() -> bytes:
    listed = []
    for n, text in enumerate(HOSTILE):
        turns = [{"role": "user", "content": f"{n} {text}"}, {"role": "assistant", "content": text}]
        listed.append({"messages": turns, "tags": [text], "label": text, "id": text, text: text})
        listed.append({"messages": [*turns, {"role": text, "content": text}]})  # a role that nobody knows
        listed.append({text: text})
    return "".join(json.dumps(row) + "\n" for row in listed).encode()


@pytest.fixture
def scene(client):
    project = make_project(name=f"Project {IMAGE}", description=SCRIPT)
    user = make_member(project, name=f"Emil {SCRIPT}")
    client.force_login(user)
    dataset = make_dataset(project, user, name=f"Data {SCRIPT}", description=IMAGE)
    return dataset, bring(client, dataset, rows(), f'"{SVG}.jsonl')


def crawled(client, start: str, home: str) -> dict[str, Markup]:
    """Every page of the project's data that can be reached by links."""
    found: dict[str, Markup] = {}
    waiting = [start]
    while waiting and len(found) < MOST_PAGES:
        page = waiting.pop(0)
        if page in found:
            continue
        answer = client.get(page, follow=True)
        if answer.streaming or "html" not in answer["content-type"]:
            continue
        assert answer.status_code == 200, page
        found[page] = Markup()
        found[page].feed(answer.content.decode())
        for link in found[page].links:
            address = link.partition("#")[0]
            address = page.partition("?")[0] + address if address.startswith("?") else address
            if address.startswith(home) and address not in found:
                waiting.append(address)
    return found


def test_a20_what_people_brought_is_shown_as_text_on_every_page(client, scene):
    dataset, upload = scene
    assert upload.rows_good == len(HOSTILE)
    home = f"/projects/{dataset.project.slug}/"

    found = crawled(client, reverse("dataset-list", args=[dataset.project.slug]), home)

    assert {page: markup.run for page, markup in found.items() if markup.run} == {}
    for address in (dataset.get_absolute_url(), upload.get_absolute_url(), upload.version.get_absolute_url()):
        assert address in found
    assert len(found) > 8


def test_a20_templates_in_the_data_are_not_filled_in(client, scene, settings):
    _, upload = scene

    for page in (upload.get_absolute_url(), upload.version.get_absolute_url()):
        body = client.get(page).content.decode()
        assert settings.SECRET_KEY not in body


def test_a20_every_page_forbids_inline_scripts(client, scene):
    dataset, upload = scene

    for page in (dataset.get_absolute_url(), upload.get_absolute_url(), upload.version.get_absolute_url()):
        policy = client.get(page)["content-security-policy"]
        scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
        assert "unsafe" not in scripts


FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "=HYPERLINK('http://x.example')",
    "=cmd|' /C calc'!A0",
    "＝1+1",
)


def cells_of(answer) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"), newline="")))


def harmless(cell: str) -> bool:
    return not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))


def test_a19_no_cell_of_an_exported_version_begins_a_formula_and_jsonl_stays_as_it_was(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    rows = [{"prompt": text, "completion": text, "label": text, "id": text} for text in FORMULAS]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    upload = bring(client, make_dataset(project, user), content, "a.jsonl")
    assert upload.rows_good == len(FORMULAS)
    address = reverse("version-file", args=[project.slug, upload.version.pk])

    table = cells_of(client.get(address, {"shape": "csv"}))
    raw = b"".join(client.get(address, {"shape": "openai"}).streaming_content).decode()

    assert len(table) == len(FORMULAS) + 1
    assert [cell for row in table for cell in row if not harmless(cell)] == []
    assert all(json.dumps(text, ensure_ascii=False) in raw for text in FORMULAS)


def test_a19_no_cell_of_the_bad_rows_begins_a_formula(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    dataset = make_dataset(project, user)
    bad = [{"messages": [{"role": text, "content": text}, {"role": "assistant", "content": "x"}]} for text in FORMULAS]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in bad)
    good = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    upload = bring(client, dataset, good + content.encode(), "a.jsonl")
    assert upload.rows_bad == len(FORMULAS)

    table = cells_of(client.get(reverse("upload-bad-rows", args=[project.slug, upload.pk, "csv"])))

    assert len(table) > len(FORMULAS)
    assert [cell for row in table[1:] for cell in row[1:] if not harmless(cell)] == []
