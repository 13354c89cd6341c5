"""Pages and API of reviews as a browser and a program ask for them."""

import pytest
from django.test import Client
from django.urls import reverse

from datasets_app.models import ReviewDecision, ReviewRound
from datasets_app.services import review as queue
from projects.domain.permissions import Role
from tests.factories.datasets import chat, make_version, tickets
from tests.factories.projects import make_member, run_jobs
from tests.factories.reviews import decide, make_reviewers, make_round, take

pytestmark = pytest.mark.django_db(transaction=True)
PAYLOAD = "<script>alert(1)</script>"


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(client, name, review, *args, status=200):
    answer = client.get(reverse(name, args=[review.project.slug, *args]))
    assert answer.status_code == status
    return answer.content.decode()


def api(client, review, path, data=None, status=200, **headers):
    address = f"/api/v1/projects/{review.project.slug}/{path}"
    method = client.get if data is None else client.post
    kwargs = {} if data is None else {"data": data, "content_type": "application/json"}
    answer = method(address, headers=headers, **kwargs)
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def test_a_round_is_opened_by_its_form():
    version = make_version(rows=tickets(20))
    owner, anna = version.created_by, make_member(version.project, Role.REVIEWER)
    client, address = signed_in(owner), reverse("review-create", args=[version.project.slug, version.pk])

    assert "All 20 rows" in client.get(address).content.decode()
    said = {"name": "Look", "rows": "text", "value": "Ticket", "amount": "50 %", "double": "20", "seed": "4"}
    answer = client.post(address, said | {"people": [anna.pk]})

    review = ReviewRound.objects.get()
    assert answer.headers["Location"] == review.get_absolute_url()
    assert (review.planned, review.people, review.double_share) == (10, [anna.pk], 0.2)
    for wrong, word in (
        ({"value": ""}, "Say which text"),
        ({"value": "nowhere"}, "There is nothing to look at"),
        ({"amount": "some"}, "Write a number"),
        ({"amount": "200 %"}, "lies above 0 and is at most 1"),
        ({"people": [make_member().pk]}, "not one of the available choices"),
    ):
        again = client.post(address, said | wrong)
        assert again.status_code == 400
        assert word in again.content.decode()


def test_the_pages_of_a_round_through_its_life():
    review = make_round(rows=4, double_share=1.0, instructions="Be kind")
    anna, bert = make_reviewers(review)
    owner = signed_in(review.created_by)

    assert "Nobody has looked at a row yet" in page(owner, "review-detail", review, review.pk)
    assert "4 rows wait for you" in page(signed_in(anna), "review-queue", review, review.pk)
    decide(review, anna, "reject", reason="Wrong answer")
    decide(review, bert, "accept", comment="Looks fine to me")
    decide(review, anna, "fix", answer="Better")
    html = page(owner, "review-detail", review, review.pk)
    assert "People disagree about 1 row" in html
    assert "First look by second look" in html
    html = page(owner, "review-disputes", review, review.pk)
    assert "Looks fine to me" in html and "Wrong answer" in html
    item = review.items.get(position=0)
    chosen = item.decisions.get(reviewer=anna)
    rule = reverse("review-rule", args=[review.project.slug, review.pk, item.pk])
    assert owner.post(rule, {"decision": chosen.pk}).status_code == 302
    assert item.__class__.objects.get(pk=item.pk).ruling.verdict == "reject"
    assert "Nobody disagrees" in page(owner, "review-disputes", review, review.pk)

    closed = owner.post(reverse("review-close", args=[review.project.slug, review.pk]))
    assert closed.status_code == 302
    assert 'hx-trigger="every 2s"' in page(owner, "review-detail", review, review.pk)
    run_jobs()
    html = page(owner, "review-detail", review, review.pk)
    assert "hx-trigger" not in html.partition("review-outcome")[2].partition("</section>")[0]
    assert "The version is made" in html
    assert owner.get(reverse("review-queue", args=[review.project.slug, review.pk])).status_code == 302
    assert "First look" in page(owner, "review-list", review)
    assert "First look" in page(owner, "version-reviews", review, review.version_id)


def test_rows_come_as_fragments_that_cannot_do_anything():
    rows = [{**chat(PAYLOAD, f"</script>{PAYLOAD}"), "label": PAYLOAD, "tags": [PAYLOAD]}, chat("a", "b")]
    review = make_round(make_version(rows=rows), name=PAYLOAD, instructions=PAYLOAD)
    (anna,) = make_reviewers(review, 1)
    client = signed_in(anna)

    html = page(client, "review-queue", review, review.pk)
    answer = client.post(reverse("review-take", args=[review.project.slug, review.pk]), {"number": "2"})

    for text in (html, answer.content.decode()):
        assert PAYLOAD not in text
        assert "&lt;script&gt;" in text
    assert "</script>" not in answer.content.decode().replace("</script>\n</article>", "")
    assert 'data-left="2"' in answer.content.decode()


def test_what_the_page_asks_for_is_checked():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    client, address = signed_in(anna), reverse("review-take", args=[review.project.slug, review.pk])

    for wrong in ({"number": "0"}, {"number": "many"}, {"having": "1,x"}, {"having": ",".join(["1"] * 501)}):
        assert client.post(address, wrong, headers={"HX-Request": "true"}).status_code == 400


@pytest.mark.parametrize(("role", "may_look", "may_lead"), [
    (Role.OWNER, True, True), (Role.ENGINEER, True, True), (Role.REVIEWER, True, False), (Role.VIEWER, False, False),
])  # fmt: skip
def test_who_may_look_and_who_may_lead(role, may_look, may_lead):
    review = make_round(rows=3)
    client = signed_in(make_member(review.project, role))
    page(client, "review-detail", review, review.pk)

    looks = client.get(reverse("review-queue", args=[review.project.slug, review.pk])).status_code
    leads = client.get(reverse("review-create", args=[review.project.slug, review.version_id])).status_code
    closes = client.post(reverse("review-close", args=[review.project.slug, review.pk])).status_code

    assert (looks, leads, closes) == (
        200 if may_look else 403, 200 if may_lead else 403, 302 if may_lead else 403,
    )  # fmt: skip


def test_an_outsider_finds_nothing():
    review = make_round(rows=3)
    (item,) = take(review, review.created_by)
    client = signed_in(make_member())

    for name, *args in (("review-list",), ("review-detail", review.pk), ("review-queue", review.pk)):
        page(client, name, review, *args, status=404)
    api(client, review, f"reviews/{review.pk}/", status=404)
    api(client, review, f"review-items/{item.pk}/decide/", {"verdict": "accept"}, status=404)


def test_an_item_of_another_project_is_not_there():
    mine, theirs = make_round(rows=3), make_round(rows=3)
    (item,) = take(theirs, theirs.created_by)
    client = signed_in(mine.created_by)

    api(client, mine, f"review-items/{item.pk}/decide/", {"verdict": "accept"}, status=404)
    assert not ReviewDecision.objects.exists()


def test_a_whole_round_over_the_api():
    version = make_version(rows=tickets(6))
    anna = make_member(version.project, Role.REVIEWER)
    lead, client = signed_in(version.created_by), signed_in(anna)
    probe = type("Probe", (), {"project": version.project})
    new = {"version": version.pk, "name": "By program", "scope": {"number": 4}, "seed": 3, "people": [anna.email]}

    made = api(lead, probe, "reviews/", new, 201, **{"Idempotency-Key": "one"})
    assert api(lead, probe, "reviews/", new, 201, **{"Idempotency-Key": "one"}) == made
    assert (made["rows"], made["people"], made["state"]) == (4, [anna.email], "open")
    assert ReviewRound.objects.count() == 1

    items = api(client, probe, f"reviews/{made['id']}/take/", {"number": 4})
    assert len({item["row"]["index"] for item in items}) == 4
    said = {"verdict": "reject", "reason": "Wrong answer", "seconds": 4.5, "showing": items[1]["id"]}
    first = api(client, probe, f"review-items/{items[0]['id']}/decide/", said)
    assert api(client, probe, f"review-items/{items[0]['id']}/decide/", said) == first
    held = api(client, probe, f"review-items/{items[1]['id']}/show/", {})["held"]
    assert held == [item["id"] for item in items[1:]]
    api(client, probe, f"review-items/{items[1]['id']}/decide/", {"verdict": "fix", "answer": " kept as typed\n"})
    assert api(client, probe, f"review-items/{items[2]['id']}/undo/", {}) == {"undone": False}
    refused = api(client, probe, f"review-items/{items[2]['id']}/decide/", {"verdict": "fix"}, 400)
    assert (refused["code"], refused["field"]) == ("answer_missing", "answer")
    api(client, probe, f"reviews/{made['id']}/close/", {}, 403)

    progress = api(client, probe, f"reviews/{made['id']}/progress/")
    assert (progress["rows_done"], progress["waiting_for_you"]) == (2, 2)
    assert progress["became"] == {"accept": 0, "fix": 1, "swap": 0, "reject": 1, "disputed": 0, "untouched": 2}
    assert progress["agreement"]["reading"] == "nothing to compare yet"
    assert api(lead, probe, f"reviews/{made['id']}/disputes/") == []
    api(lead, probe, f"reviews/{made['id']}/assign/", {"people": []})
    api(lead, probe, f"reviews/{made['id']}/close/", {})
    run_jobs()
    ended = api(lead, probe, f"reviews/{made['id']}/")
    assert ended["state"] == "closed"
    assert ended["new_version"] is not None
    api(lead, probe, f"reviews/{made['id']}/reopen/", {}, 409)
    api(client, probe, f"review-items/{items[2]['id']}/decide/", {"verdict": "accept"}, 409)


def test_the_ledger_leads_back_to_the_review():
    review = make_round(rows=3)
    (anna,) = make_reviewers(review, 1)
    decide(review, anna)
    ReviewDecision.objects.update(seconds=90)
    client = signed_in(review.created_by)
    client.post(reverse("review-close", args=[review.project.slug, review.pk]))

    html = client.get(reverse("cost-list", args=[review.project.slug])).content.decode()
    assert review.get_absolute_url() in html


def test_a_second_reviewer_is_told_nothing_of_the_first():
    review = make_round(rows=3, double_share=1.0)
    anna, bert = make_reviewers(review)
    decide(review, anna, "reject", reason="Secret reason", comment="Secret comment")

    html = (
        signed_in(bert)
        .post(reverse("review-take", args=[review.project.slug, review.pk]), {"number": "3"})
        .content.decode()
    )
    items = api(signed_in(bert), review, f"reviews/{review.pk}/take/", {"number": 3})

    for text in (html, str(items)):
        assert "Secret" not in text and str(anna) not in text


@pytest.mark.parametrize("rows", [3, 30])
def test_the_page_of_a_round_asks_the_database_a_fixed_number_of_times(rows, django_assert_max_num_queries):
    review = make_round(rows=rows, double_share=0.5)
    for person in make_reviewers(review):
        for item in take(review, person, min(rows, 10)):
            queue.decide_item(item, by=person, verdict="accept")
    client = signed_in(review.created_by)

    with django_assert_max_num_queries(40):
        page(client, "review-detail", review, review.pk)
