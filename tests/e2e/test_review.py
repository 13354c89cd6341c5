"""The review queue in a real browser: by keyboard alone, on a phone, without a connection, with hostile rows."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from datasets_app.models import ReviewDecision, ReviewRound
from projects.models import User
from tests.e2e.browsing import Visitor
from tests.factories.datasets import chat, make_version, tickets
from tests.factories.reviews import make_reviewers, make_round

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
SCRIPT = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def reviewer(live_server, visit) -> Callable[..., Visitor]:
    """A person of the round at a browser of their own, in front of its queue."""

    def sit_down(review: ReviewRound, person: User, **options) -> Visitor:
        client = Client()
        client.force_login(person)
        viewport = options.pop("viewport", None)
        visitor = visit(live_server.url, person.email.partition("@")[0], **options)
        if viewport:
            visitor.page.set_viewport_size(viewport)
        visitor.bring_session(client)
        visitor.open(reverse("review-queue", args=[review.project.slug, review.pk]))
        expect(visitor.page.locator("[data-item]:not([hidden])")).to_be_visible()
        return visitor

    return sit_down


def shows(visitor: Visitor, row: int) -> None:
    expect(visitor.page.locator("[data-item]:not([hidden]) h2")).to_have_text(f"Row {row}")


def saved(visitor: Visitor) -> None:
    expect(visitor.page.locator("[data-saving]")).to_have_text("Everything is saved")


def said(review: ReviewRound) -> dict[int, str]:
    return dict(ReviewDecision.objects.filter(item__round=review).values_list("item__row", "verdict"))


def test_a_round_is_worked_through_by_keyboard_alone(reviewer):
    review = make_round(rows=7)
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna)
    press = visitor.page.keyboard.press

    shows(visitor, 0)
    press("a")
    fix_the_json_of_row_1(visitor)
    comment_and_reject_rows_2_and_3(visitor)
    press("s")
    shows(visitor, 5)
    press("a")
    shows(visitor, 6)
    expect(visitor.page.locator("#announcer")).to_have_text("Accepted. Row 6. 1 row waits.")
    there_and_back_again(visitor)
    press("a")

    expect(visitor.page.get_by_role("heading", name="Nothing is left for you")).to_be_visible()
    saved(visitor)
    assert said(review) == {0: "accept", 1: "fix", 2: "reject", 3: "reject", 4: "skip", 5: "accept", 6: "accept"}
    decisions = {one.item.row: one for one in ReviewDecision.objects.select_related("item")}
    assert decisions[1].answer == '{"queue": "vip", "priority": "low"}'
    assert (decisions[2].reason, decisions[2].comment) == ("Does not answer the question", "Ask the network team")
    assert decisions[3].reason == "Made up"
    visitor.press("Look at the skipped rows again")
    shows(visitor, 4)
    press("a")
    saved(visitor)
    assert said(review)[4] == "accept"


def fix_the_json_of_row_1(visitor: Visitor) -> None:
    keys, page = visitor.page.keyboard, visitor.page
    shows(visitor, 1)
    keys.press("f")
    expect(page.get_by_label("The answer as it should be")).to_be_focused()
    keys.press("Control+End")
    keys.press("Backspace")
    expect(page.locator("[data-json]")).to_contain_text("Not valid JSON")
    keys.press("Control+Enter")
    shows(visitor, 1)
    keys.press("Control+a")
    keys.type('{"queue": "vip", "priority": "low"}')
    expect(page.locator("[data-json]")).to_have_text("Valid JSON, with the same fields.")
    expect(page.locator("[data-diff] ins")).to_have_text("vip")
    expect(page.locator("[data-diff] del")).to_have_text("access")
    keys.press("Control+Enter")


def comment_and_reject_rows_2_and_3(visitor: Visitor) -> None:
    keys = visitor.page.keyboard
    shows(visitor, 2)
    keys.press("c")
    keys.type("Ask the network team")
    keys.press("Control+Enter")
    keys.press("r")
    keys.press("3")
    shows(visitor, 3)
    keys.press("r")
    visitor.page.get_by_label("Or in your own words").focus()
    keys.type("Made up")
    keys.press("Enter")
    shows(visitor, 4)


def there_and_back_again(visitor: Visitor) -> None:
    """Undo, a fix thought better of, the row before, the row after, the list of keys."""
    press = visitor.page.keyboard.press
    press("u")
    shows(visitor, 5)
    press("f")
    press("Escape")
    press("k")
    shows(visitor, 4)
    press("ArrowRight")
    shows(visitor, 5)
    press("a")
    shows(visitor, 6)
    press("?")
    expect(visitor.page.get_by_role("dialog")).to_be_visible()
    press("Escape")


def test_on_a_phone_the_verdicts_are_big_buttons_in_reach(reviewer):
    long = "A very long answer. " * 400
    version = make_version(rows=[chat("متى يصل طلبي؟ " * 40, "لاحقًا"), chat("x" * 3000, long), *tickets(3)])
    review = make_round(version, instructions="Right is what the help desk would answer.")
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna, viewport=PHONE, has_touch=True)
    page = visitor.page

    for name in ("Reject", "Skip", "Fix", "Accept"):
        box = page.get_by_role("group", name="Verdict").get_by_role("button", name=name).bounding_box()
        assert box["height"] >= 44 and box["width"] >= 44, name
        assert box["y"] + box["height"] <= PHONE["height"], "in reach of the thumb"
    assert visitor.too_wide() == []
    page.get_by_role("button", name="Accept").tap()
    shows(visitor, 1)
    assert visitor.too_wide() == []
    page.get_by_role("button", name="Reject").tap()
    page.get_by_role("button", name="Bad format").tap()
    shows(visitor, 2)
    saved(visitor)
    assert said(review) == {0: "accept", 1: "reject"}


def test_decisions_made_without_a_connection_are_sent_when_it_is_back(reviewer):
    review = make_round(rows=8)
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna)
    keys = visitor.page.keyboard
    expect(visitor.page.locator("[data-item]")).to_have_count(4)

    visitor.context.set_offline(True)
    for row in range(3):
        shows(visitor, row)
        keys.press("a")
    trouble = visitor.page.locator("[data-trouble]")
    expect(trouble).to_contain_text("3 decisions are kept in this browser")
    assert said(review) == {}
    visitor.context.set_offline(False)

    saved(visitor)
    expect(trouble).to_be_hidden()
    assert said(review) == {0: "accept", 1: "accept", 2: "accept"}
    visitor.complaints = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_a_decision_outlives_the_page_it_was_made_on(reviewer, live_server):
    review = make_round(rows=4)
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna)
    page = visitor.page

    page.route("**/decide/", lambda route: route.abort())
    page.keyboard.press("a")
    expect(page.locator("[data-trouble]")).to_contain_text("1 decision is kept in this browser")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{live_server.url}{reverse('review-list', args=[review.project.slug])}")
    assert said(review) == {}
    page.unroute("**/decide/")
    visitor.open(reverse("review-queue", args=[review.project.slug, review.pk]))

    saved(visitor)
    assert said(review) == {0: "accept"}
    visitor.complaints = [one for one in visitor.complaints if "ERR_FAILED" not in one]


def test_a_refused_decision_is_shown_and_not_lost(reviewer):
    review = make_round(rows=4)
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna)
    ReviewRound.objects.update(state="closed")

    with visitor.refused(409):
        visitor.page.keyboard.press("a")
        expect(visitor.page.locator("[data-trouble]")).to_contain_text("is closed: nothing is decided in it any more")
    ReviewRound.objects.update(state="open")
    visitor.page.get_by_role("button", name="Try again").click()

    saved(visitor)
    assert said(review) == {0: "accept"}
    visitor.complaints = [one for one in visitor.complaints if "409" not in one]


def test_rows_that_would_like_to_be_run_are_only_read(reviewer):
    rows = [{**chat(f"{SCRIPT} {n}", f"{SCRIPT} answer"), "label": SCRIPT, "tags": [SCRIPT]} for n in range(3)]
    review = make_round(make_version(rows=rows), name=f"Round {SCRIPT}", instructions=SCRIPT)
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna)

    expect(visitor.page.locator("[data-item]:not([hidden])")).to_contain_text("<script>window.hit = 1</script>")
    visitor.page.keyboard.press("f")
    expect(visitor.page.get_by_label("The answer as it should be")).to_have_value(f"{SCRIPT} answer")
    visitor.page.keyboard.type(" more")
    expect(visitor.page.locator("[data-diff]")).to_contain_text("more")
    visitor.page.keyboard.press("Control+Enter")
    visitor.page.keyboard.press("a")
    saved(visitor)
    assert visitor.page.evaluate("window.hit") is None
    assert ReviewDecision.objects.get(verdict="fix").answer == f"{SCRIPT} answer more"


def test_two_people_at_once_see_different_rows_and_not_each_others_verdicts(reviewer):
    review = make_round(rows=12, double_share=1.0)
    anna, bert = make_reviewers(review)
    first, second = reviewer(review, anna), reviewer(review, bert)

    shows(first, 0)
    shows(second, 4)
    first.page.keyboard.press("r")
    first.page.keyboard.press("1")
    saved(first)
    for _ in range(4):
        second.page.keyboard.press("a")
    shows(second, 0)
    text = second.page.locator("[data-item]:not([hidden])").inner_text()
    assert "Wrong answer" not in text and "Reject" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_pages_of_a_review(reviewer, scheme):
    review = make_round(rows=6, double_share=0.5, instructions="Right is right.")
    (anna,) = make_reviewers(review, 1)
    visitor = reviewer(review, anna, color_scheme=scheme)
    found = {"queue": visitor.axe()}
    visitor.page.keyboard.press("f")
    found["fix"] = visitor.axe()
    visitor.page.keyboard.press("Escape")
    visitor.page.keyboard.press("r")
    found["reject"] = visitor.axe()
    visitor.page.keyboard.press("1")
    saved(visitor)
    for name, *args in (("review-detail", review.pk), ("review-list",)):
        visitor.open(reverse(name, args=[review.project.slug, *args]))
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text(re.compile("First look|Reviews"))
        found[name] = visitor.axe()
    assert {name: faults for name, faults in found.items() if faults} == {}
