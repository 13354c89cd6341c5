"""Fixtures of the browser tests: Chromium, a real installation, and people who visit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browsing import FLAGS, PATIENCE, Visitor, chromium
from tests.e2e.installation import Installation, installed
from tests.engine.conftest import tiny_base  # noqa: F401  (the same model from the same cache)

VISITORS = pytest.StashKey[list[Visitor]]()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """The Chromium of the system, not one that is fetched."""
    found = chromium()
    if not found:
        pytest.skip("There is no Chromium here. Install one, or name it in CHROMIUM.")
    expect.set_options(timeout=PATIENCE)
    return browser_type_launch_args | {"executable_path": found, "args": FLAGS}


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, tiny_base) -> Iterator[Installation]:  # noqa: F811
    with installed(tmp_path_factory.mktemp("installation"), tiny_base) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """After a failure a picture of what everybody saw lies in the test's folder."""
    report = yield
    if report.failed and call.when == "call" and "tmp_path" in item.funcargs:
        for visitor in item.stash.get(VISITORS, []):
            path = item.funcargs["tmp_path"] / f"{visitor.name}.png"
            visitor.page.screenshot(path=path, full_page=True)
            report.sections.append((visitor.name, f"{visitor.page.url}\n{path}\n{visitor.complaints}"))
    return report


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """Make visitors; at the end none of them may have heard a complaint."""
    visitors: list[Visitor] = request.node.stash.setdefault(VISITORS, [])

    def make(address: str, name: str = "somebody", **options) -> Visitor:
        visitors.append(Visitor(browser, address, name, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()
    for visitor in visitors:
        visitor.check()
