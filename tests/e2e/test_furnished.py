"""Every page of a project in which everything has happened: accessible, never too wide, and never run as a script."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.test import Client

from tests.contracts.addresses import addresses
from tests.e2e.browsing import Visitor
from tests.e2e.furnishing import Furnished, folders, furnish, served

pytestmark = pytest.mark.e2e

# Addresses that are fetched into a page or downloaded instead of being looked at.
PARTS = {
    "adapter-download", "base-status", "cost-export", "evaluation-status", "request-preview", "request-status",
    "run-status", "slot-status", "upload-bad-rows", "version-rows", "version-tokens",
}  # fmt: skip
OUTSIDE = {"project-list": "/projects/", "project-create": "/projects/new/", "password-change": "/password/"}
ABSENT = {"nothing here": "/projects/routing/datasets/999999/"}
PAGES = [
    "project-overview", "dataset-list", "dataset-create", "dataset-detail", "golden set", "upload-detail",
    "refused upload", "version-detail", "golden version", "row-detail", "base-list", "base-register", "base-detail",
    "run-list", "run-create", "run-detail", "failed run", "draft", "adapter-list", "adapter-detail",
    "evaluation-list", "evaluation-create", "evaluation-detail", "deployment-list", "slot-create", "slot-detail",
    "request-create", "request-detail", "deployed request", "lineage", "lineage of one", "cost-list",
    "settings-detail", "member-list", "token-list", "audit-list",
]  # fmt: skip

PAINTED = """scheme => document.documentElement.dataset.bsTheme === scheme
    && !document.querySelector("[data-figure]:not(.is-drawn)")"""
WRONG = """<img src=x onerror='window.hit = 1'><a href="javascript:window.hit=1">click</a><div id="content"></div>
    <p>pale</p>"""
SPOIL = """(main, markup) => {
    main.innerHTML += markup;
    main.lastElementChild.style.cssText = "color: #888; background: #777; width: 2000px";
}"""
TWICE = """() => {
    const ids = [...document.querySelectorAll("[id]")].map(one => one.id);
    return [...new Set(ids.filter((id, at) => ids.indexOf(id) !== at))];
}"""


@pytest.fixture(scope="module")
def db(django_db_setup, django_db_blocker) -> Iterator[None]:
    """One database for all tests of this module: they only look."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with folders(tmp_path_factory.mktemp("furnished")):
        yield


@pytest.fixture(scope="module")
def furnished(db, own_folders) -> Iterator[Furnished]:
    with served() as address:
        yield furnish(address)


@pytest.fixture(scope="module")
def owner(furnished: Furnished, browser) -> Iterator[Visitor]:
    client = Client()
    client.force_login(furnished.owner)
    visitor = Visitor(browser, furnished.address, "the owner", color_scheme="light", reduced_motion="reduce")
    visitor.bring_session(client)
    yield visitor
    visitor.close()


def test_no_page_is_forgotten():
    named = {one.name for one in addresses() if one.is_page and "get" in one.methods}

    assert named - PARTS == {name for name in PAGES if name in named}


@pytest.mark.parametrize("name", [*PAGES, *OUTSIDE, *ABSENT])
def test_a_page_is_sound(name: str, furnished: Furnished, owner: Visitor):
    path = (furnished.paths | OUTSIDE | ABSENT)[name]
    if name in ABSENT:
        with owner.refused(404):
            owner.open(path)
    else:
        answer = owner.open(path)
        assert answer is not None and answer.ok

    found = look_at(owner)

    assert not found, "\n".join(found)
    owner.check()


def test_what_should_be_found_would_be_found(furnished: Furnished, owner: Visitor):
    """A page that is wrong in every way: without this, finding nothing would prove nothing."""
    owner.open(furnished.paths["slot-create"])
    owner.page.locator("main").evaluate(SPOIL, WRONG)

    found = "\n".join(look_at(owner))

    for sign in ("image-alt", "color-contrast", "wider than 390 px", "the id content", "became markup: <a"):
        assert sign in found, found
    with pytest.raises(AssertionError, match="Content Security Policy"):
        owner.check()


def look_at(person: Visitor) -> list[str]:
    """All that is wrong with the page that is open: by axe in both themes, on a phone, and run as a script."""
    page = person.page
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(PAINTED, arg=scheme)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # colours fade
        findings = person.axe()
        if findings:  # a busy machine may still be fading the colours; what is wrong stays wrong
            page.wait_for_timeout(1000)
            findings = person.axe()
        found += [f"{scheme}: {finding}" for finding in findings]
    page.set_viewport_size({"width": 390, "height": 844})
    found += [f"wider than 390 px: {part}" for part in person.too_wide()]
    page.set_viewport_size({"width": 1440, "height": 900})
    found += ["a name or text was run"] if page.evaluate("'hit' in window") else []
    found += [f"two elements have the id {name}" for name in page.evaluate(TWICE)]
    dangerous = "main img, [href^='javascript:' i], [src^='javascript:' i], main script:not([type='application/json'])"
    found += page.eval_on_selector_all(dangerous, "found => found.map(one => `became markup: ${one.outerHTML}`)")
    return found
