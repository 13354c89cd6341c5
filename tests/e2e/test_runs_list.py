"""Finding and comparing runs in a real browser: typing keeps the focus, picks survive pages, the address keeps all."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from tests.factories.deployments import make_base, make_version
from tests.factories.listed import make_listed
from tests.factories.projects import make_member, make_project

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def list_of(live_server, visit):
    """Somebody in front of a list of 130 runs, a dozen of which have curves."""
    project = make_project()
    by = make_member(project, name="Ann")
    base, version = make_base(project, by), make_version(project, by)
    for n in range(130):
        losses = tuple(2 / (1 + at / (n + 1)) for at in range(50)) if n >= 118 else ()
        make_listed(project, by, base=base, version=version, name=f"run {n:03}", losses=losses)
    client = Client()
    client.force_login(by)
    visitor = visit(live_server.url, "ann")
    visitor.bring_session(client)
    visitor.open(reverse("run-list", args=[project.slug]))
    return visitor


def test_runs_are_found_picked_over_pages_and_compared(list_of):
    page = list_of.page
    expect(page.locator("#runs")).to_contain_text("130 runs")

    name = page.get_by_label("Name", exact=True)
    name.press_sequentially("run 12")
    expect(page.locator("#runs")).to_contain_text("12 runs match")
    expect(name).to_be_focused()
    expect(page).to_have_url(re.compile("name=run"))
    page.get_by_role("checkbox", name="Pick run 129").check()
    name.fill("")
    expect(page.locator("#runs")).to_contain_text("130 runs")

    page.get_by_role("link", name="Run", exact=True).press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Run")
    expect(page.locator("#sort-name")).to_be_focused()
    expect(page.locator(".run-name a").first).to_have_text("run 000")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("checkbox", name="Pick run 129")).to_be_checked()
    page.get_by_role("checkbox", name="Pick run 118").check()
    page.get_by_role("checkbox", name="Pick run 120").click(modifiers=["Shift"])
    expect(page.locator("#run-picked")).to_contain_text("4 picked to compare")
    page.reload()
    expect(page.locator("#run-picked")).to_contain_text("4 picked to compare")

    page.get_by_role("link", name="Compare runs").click()
    expect(page.get_by_role("heading", name="4 runs compared")).to_be_visible()
    expect(page.locator("#compare-curves .scatterlayer .trace")).to_have_count(4)


def test_on_a_phone_the_list_is_sorted_by_a_choice(list_of):
    page = list_of.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Sort").select_option("name")
    expect(page.locator(".run-name a").first).to_have_text("run 000")
    expect(page).to_have_url(re.compile(r"/runs/\?order=name$"))
    page.get_by_label("State", exact=True).select_option("failed")
    expect(page.locator("#runs")).to_contain_text("No run matches")
    expect(page).to_have_url(re.compile("state=failed&order=name"))
    page.locator("#runs").get_by_role("link", name="Clear filters").last.click()
    expect(page.locator("#runs")).to_contain_text("130 runs")


def test_the_comparison_hides_finds_and_remembers(list_of):
    page = list_of.page
    for n in range(118, 130):
        page.get_by_role("checkbox", name=f"Pick run {n}").check()
    page.get_by_role("link", name="Compare runs").click()
    traces = page.locator("#compare-curves .scatterlayer .trace")
    expect(traces).to_have_count(12)

    page.get_by_label("Find a run in the legend").fill("run 12")
    expect(page.locator(".legend-list li:visible")).to_have_count(10)
    page.get_by_role("checkbox", name="run 129").uncheck()
    expect(traces).to_have_count(11)
    page.get_by_label("Log axis").check()
    expect(page.locator("#compare-curves .ytitle")).to_have_text("Loss (log scale)")
    expect(page).to_have_url(re.compile("log=1.*hide=|hide=.*log=1"))
    page.reload()
    expect(traces).to_have_count(11)
    expect(page.get_by_role("checkbox", name="run 129")).not_to_be_checked()
    page.get_by_role("link", name="Loss", exact=True).click()
    expect(page.locator("th[aria-sort$=ending]")).to_contain_text("Loss")
    expect(traces).to_have_count(11)
