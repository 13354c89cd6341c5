"""Watching a run in a real browser: what the reader opened, zoomed into, typed and stands on stays, poll after poll."""

import numpy as np
import pytest
from django.test import Client
from playwright.sync_api import expect

from projects import leases
from projects.domain.states import Outcome
from tests.factories import training as factory
from training import services
from training.domain.series import Series
from training.models import MetricChunk, Run

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
STEPS = 6000
SHIFTS = """
window.moved = 0;
const add = one => { if (!one.hadRecentInput) window.moved += one.value; };
new PerformanceObserver(list => list.getEntries().forEach(add)).observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture
def run():
    draft = factory.make_draft()
    services.start_run(draft, by=draft.created_by)
    run = leases.claim([Run], owner="host/cpu/1")
    assert isinstance(run, Run)
    told(run, 1, STEPS)
    run.samples.create(row=3, step=0, prompt="Where does it belong?", expected="billing", answer="to")
    run.samples.create(row=3, step=100, prompt="Where does it belong?", expected="billing", answer="billing")
    (run.workdir / "engine.log").parent.mkdir(parents=True, exist_ok=True)
    (run.workdir / "engine.log").write_text("\n".join(f"step {n}" for n in range(400)))
    return run


def told(run, first, last):
    steps = np.arange(first, last + 1)
    values = {"loss": 2 + np.sin(steps / 50), "seconds": steps / 5, "tokens": steps * 64, "grad_norm": steps % 7 + 1.0}
    MetricChunk.objects.append(run, {name: Series.of(steps, value) for name, value in values.items()})
    Run.objects.filter(pk=run.pk).update(step=last, total_steps=9000)


@pytest.fixture
def watching(live_server, visit, run):
    client = Client()
    client.force_login(run.created_by)
    visitor = visit(live_server.url, "ann")
    visitor.bring_session(client)
    visitor.page.add_init_script(SHIFTS)
    visitor.open(run.get_absolute_url())
    expect(visitor.page.locator("#run-loss.is-drawn")).to_be_visible()
    return visitor


def range_of(page, chart="run-loss"):
    return page.evaluate(f"document.getElementById('{chart}')._fullLayout.xaxis.range.map(Math.round)")


def zoom(page):
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    box = page.locator("#run-loss").bounding_box()  # what lies in it is made anew whenever it is drawn
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 150, steps=5)
    page.mouse.up()


@pytest.mark.parametrize("over", ["Steps", "Time"])
def test_a_poll_takes_nothing_away_from_the_reader(watching, run, over):
    page = watching.page
    if over == "Time":
        page.get_by_role("link", name="Time", exact=True).click()
        expect(page.locator("#run-loss .xtitle")).to_contain_text("Time of training")
    whole = range_of(page)
    zoom(page)
    page.wait_for_function("([was]) => document.getElementById('run-loss')._fullLayout.xaxis.range[0] > was", arg=whole)
    near = range_of(page)
    page.locator("#run-loss-table summary").click()
    page.locator("#sample-3 summary").click()
    page.get_by_label("Search the log").fill("step 39")
    expect(page.locator("#run-log-lines")).to_contain_text("11 lines with")
    page.get_by_role("link", name="Ledger lines").focus()
    page.wait_for_timeout(600)
    at = page.evaluate("scrollY")
    page.evaluate("window.moved = 0")

    told(run, STEPS + 1, STEPS + 200)
    run.samples.create(row=3, step=200, prompt="Where does it belong?", expected="billing", answer="billing")
    expect(page.locator("#run-status")).to_contain_text("in 6\u202f200 steps")

    assert range_of(page) == near
    expect(page.locator("#run-loss-table")).to_have_attribute("open", "")
    expect(page.locator("#sample-3")).to_have_attribute("open", "")
    expect(page.locator("#sample-3")).to_contain_text("Earlier answers (2)")
    expect(page.get_by_label("Search the log")).to_have_value("step 39")
    expect(page.get_by_role("link", name="Ledger lines")).to_be_focused()
    assert page.evaluate("scrollY") == at
    assert page.evaluate("window.moved") < 0.02


def test_the_buttons_follow_the_run_to_its_end(watching, run):
    page = watching.page
    page.get_by_role("button", name="Pause run").first.click()
    expect(page.locator("#pause-run")).to_be_visible()
    leases.finish(run, Outcome.FAILED, cause="test", code="out_of_memory", message="The card is full.")
    expect(page.locator("#run-actions")).to_contain_text("Retry run")
    expect(page.locator("#run-actions")).not_to_contain_text("Pause run")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#delete-run")).to_contain_text("This cannot be undone")


def test_a_tab_that_shows_an_ended_run_notices_when_its_reader_comes_back_that_it_was_retried(watching, run):
    page = watching.page
    leases.finish(run, Outcome.FAILED, cause="test", code="out_of_memory", message="The card is full.")
    expect(page.locator("#run-actions")).to_contain_text("Retry run")
    page.evaluate("window.same = true")
    asked = []
    page.on("response", lambda answer: asked.append(answer.status) if "/status/" in answer.url else None)

    with page.expect_response("**/status/**") as unchanged:
        page.evaluate("window.dispatchEvent(new Event('focus'))")
    assert unchanged.value.status == 204
    page.wait_for_timeout(3000)
    assert asked == [204], "it asks once, and then no more"
    expect(page.locator("#run-actions")).to_contain_text("Retry run")

    run.refresh_from_db()
    elsewhere = watching.context.new_page()
    elsewhere.goto(run.get_absolute_url())
    elsewhere.get_by_role("button", name="Retry run").first.click()
    expect(elsewhere.locator("#run-actions")).to_contain_text("Cancel run")
    elsewhere.close()
    expect(page.locator("#run-actions")).to_contain_text("Retry run")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator("#run-actions")).to_contain_text("Cancel run")
    expect(page.locator("#run-status")).to_contain_text("Waiting")
    again = leases.claim([Run], owner="host/cpu/1")
    (again.workdir / "engine.log").parent.mkdir(parents=True, exist_ok=True)
    (again.workdir / "engine.log").write_text("the second attempt speaks")
    expect(page.locator("#run-log-lines")).to_contain_text("the second attempt speaks")
    page.get_by_role("button", name="Pause run").first.click()
    expect(page.locator("#pause-run")).to_be_visible()
    assert page.evaluate("window.same"), "the page was never loaded anew"


def test_what_is_out_of_focus_is_seen_on_a_dark_ground_too(watching):
    page = watching.page
    faint = "document.getElementById('run-loss').data[0].line.color"
    light = page.evaluate(faint)
    assert light.startswith("rgba(") and light.endswith(",0.35)")

    for scheme, opacity in (("dark", "0.65"), ("light", "0.35"), ("dark", "0.65")):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        wanted = light.replace("0.35", opacity)  # the second time, too: nothing is lifted twice
        page.wait_for_function(f"(wanted) => {faint} === wanted", arg=wanted)
