"""Whatever an address asks for is answered: shown, refused in words, or not there."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import QueryDict
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from datasets_app.models import Dataset
from projects.artefacts import ArtefactDamaged
from projects.domain.permissions import Role
from tests.factories import deployments
from tests.factories.projects import make_member

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
# A number for no column, and a sign that PostgreSQL does not keep; where it is not asked, no word of ours, and a digit
# that is none to `int`.
ODD = ["9" * 30, "a\x00b"] if connection.vendor == "postgresql" else ["9" * 30, "zzz", "²"]
TAKEN_WHOLE = {
    "page",
    "order",
    "state",
    "name",
    "base",
    "data",
    "by",
    "method",
    "q",
    "runs",
    "metric",
    "over",
    "version",
}
PLACE = re.compile(r"<(?:(\w+):)?(\w+)>|\(\?P<(\w+)>((?:\[[^\]]*\]|[^()])+)\)")
FIRST = range(1, 8)  # numbers of rows that may be there


def addresses(resolver, path="") -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from addresses(entry, path + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield path + str(entry.pattern)


def filled(path, project, number):
    """The address of a page of this project with a number in every other place."""

    def one(found):
        if "project" in {found[2], found[3]}:
            return project.slug
        return f"run:{number}" if found[1] in {"str", "path"} else str(number)

    return "/" + re.sub(r"[\^$]", "", PLACE.sub(one, path))


ADDRESSES = sorted(set(addresses(get_resolver())))
SHOWN = [path for path in ADDRESSES if not re.search(r"static/|media/|sign-out|openai|\.\*", path)]


@pytest.fixture(scope="module")
def live(standing):
    return standing(deployments.make_live)


@pytest.fixture
def owner(client, live):
    client.raise_request_exception = False
    client.force_login(make_member(live.project, Role.OWNER))
    return client


@pytest.fixture
def read(monkeypatch):
    """Names that are read from queries."""
    found = set()

    def spying(usual, whole):
        def method(self, *args, **kwargs):
            found.update(TAKEN_WHOLE if whole else args[:1])
            return usual(self, *args, **kwargs)

        return method

    for name in ("get", "getlist", "__getitem__", "__contains__", "dict", "items", "lists"):
        whole = name in {"dict", "items"}
        monkeypatch.setattr(QueryDict, name, spying(getattr(QueryDict, name), whole))
    return found


class Asking:
    """Asks, and keeps what broke."""

    def __init__(self, client):
        self.client, self.asked, self.broken = client, 0, []

    def __call__(self, address):
        self.asked += 1
        answer = self.client.get(address)
        if answer.streaming:
            with suppress(ArtefactDamaged):  # some versions of these evaluations are rows without files
                answer.getvalue()  # its end closes the file
        if answer.status_code >= 500:
            self.broken.append((address[:120], answer.status_code))
        return answer.status_code

    def first_there(self, path, project, read):
        """The address with the first number that is there, and the names that are read from its query."""
        for number in FIRST if is_varied(path) else FIRST[:1]:
            read.clear()
            status = self(address := filled(path, project, number))
            if status not in {400, 404}:
                break
        return address, set() if status in {302, 404, 405} else {name for name in read if isinstance(name, str)}


def is_varied(path):
    return "<" in path.replace("<slug:project>", "")


def test_no_address_breaks_whatever_it_asks_for(owner, live, read):
    ask, shown = Asking(owner), 0

    for path in SHOWN:
        address, names = ask.first_there(path, live.project, read)
        if is_varied(path):
            assert ask(filled(path, live.project, "9" * 30)) in {302, 400, 404, 405}
        shown += bool(names)
        for name, value in product(names - {"format"}, ODD):
            ask(f"{address}?{urlencode({name: value})}")

    assert not ask.broken
    assert shown > 80 and ask.asked > 700, "the addresses were found, and what they read"


@pytest.mark.parametrize("address", ["", "runs/", "audit/", "versions/1/rows/", "datasets/"])
def test_the_character_that_no_text_has_is_refused_in_words(owner, live, address):
    page = owner.get(f"/projects/{live.project.slug}/{address}?name=a%00b")
    assert page.status_code == 400 and "U+0000" in page.content.decode()
    assert f'href="/projects/{live.project.slug}/{address}"' in page.content.decode()


def test_it_is_refused_in_a_form_too(owner, live):
    there = Dataset.objects.filter(project=live.project).first()
    delete = f"/projects/{live.project.slug}/datasets/{there.pk}/delete/"
    in_parts = owner.post(delete, {"reason": "a\x00b"})
    plain = owner.post(delete, "reason=a%00b", content_type="application/x-www-form-urlencoded")
    for answer in (in_parts, plain):
        assert answer.status_code == 400 and "U+0000" in answer.content.decode()
    assert Dataset.objects.filter(pk=there.pk).exists()


def test_programs_are_told_which_field(owner, live):
    api = f"/api/v1/projects/{live.project.slug}"
    nul = owner.get(f"{api}/audit/?actor=a%00b")
    assert (nul.status_code, nul.json()["code"], nul.json()["field"]) == (400, "invalid", "actor")
    number = owner.get(f"{api}/requests/?slot={'9' * 30}")
    assert (number.status_code, number.json()["field"]) == (400, "slot")
    state = owner.get(f"{api}/requests/?state=zzz")
    assert (state.status_code, state.json()["code"]) == (400, "unknown_state")
    there = live.request
    for asked, found in (
        ("state=deployed", 1),
        ("state=void", 0),
        (f"slot={there.slot_id}", 1),
        ("slot=", 1),
        ("slot=99999", 0),
    ):
        assert len(owner.get(f"{api}/requests/?{asked}").json()["results"]) == found, asked
