"""The pages of reviews and slots, as the people in each role meet them."""

import pytest
from django.urls import reverse

from deployments import services
from deployments.domain.states import RequestState
from deployments.models import Deployment, DeploymentRequest, Review, Slot
from deployments.selectors import reviews
from projects.domain.permissions import Role
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
S = RequestState


@pytest.fixture
def asked():
    return make.make_request(message="Please <script>alert(1)</script> look")


@pytest.fixture
def reviewer(asked):
    return make_member(asked.project, Role.REVIEWER)


def url(name, row, *args):
    return reverse(name, args=[row.project.slug, *(args or [row.pk])])


def get(client, user, address, **headers):
    client.force_login(user)
    return client.get(address, headers=headers)


def post(client, user, address, **data):
    client.force_login(user)
    return client.post(address, data)


def decide(client, user, asked, verdict="approve", body=make.REASON, digest=None):
    return post(client, user, url("request-decide", asked), verdict=verdict, body=body, digest=digest or asked.digest)


def text_of(response):
    return response.content.decode()


def test_an_empty_project_says_what_to_do_first(client):
    project = make_project()
    home = reverse("deployment-list", args=[project.slug])
    assert "Make the first slot" in text_of(get(client, make_member(project, Role.OWNER), home))
    assert "An owner of this project makes it" in text_of(get(client, make_member(project), home))


def test_home_shows_what_is_live_and_what_is_asked(client):
    live = make.make_live()
    asked = make.make_request(make.make_adapter(live.project), live.slot)
    page = text_of(get(client, asked.requested_by, home_of(live)))
    assert live.adapter.name in page
    assert f"#{asked.pk} {asked.adapter}" in page


def home_of(row):
    return reverse("deployment-list", args=[row.project.slug])


def test_the_reviewer_sees_evidence_people_money_and_the_form(client, asked, reviewer):
    page = text_of(get(client, reviewer, url("request-detail", asked)))
    for words in (
        "9 of 9 gates pass",
        "Better than its base",
        "Worst regressions first",
        "my invoice is wrong",
        "Cost so far",
        "Started the run",
        "Approve deployment",
        asked.adapter.base.name,
        f'value="{asked.digest}"',
    ):
        assert words in page, words
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("tie", ["requested_by", "run_started_by"])
def test_who_is_tied_sees_no_buttons_but_the_reason_and_is_refused_all_the_same(client, tie):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    adapter = make.make_adapter(project, started_by=owner) if tie == "run_started_by" else make.make_adapter(project)
    asked = make.make_request(adapter, by=owner if tie == "requested_by" else None)
    page = text_of(get(client, owner, url("request-detail", asked)))
    assert "You cannot decide on this request because you" in page
    assert 'name="verdict"' not in page
    answer = decide(client, owner, asked)
    assert answer.status_code == 403
    assert "You cannot decide on this request" in text_of(answer)
    asked.refresh_from_db()
    assert asked.state == S.SUBMITTED


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.VIEWER])
def test_others_read_and_cannot_decide(client, asked, role):
    somebody = make_member(asked.project, role)
    page = text_of(get(client, somebody, url("request-detail", asked)))
    assert "Only reviewers and owners" in page
    assert 'name="verdict"' not in page
    assert decide(client, somebody, asked).status_code == 403
    assert Review.objects.count() == 0


PAGES = [
    "request-detail",
    "request-status",
    "request-comment",
    "request-decide",
    "request-withdraw",
    "request-resubmit",
    "request-deploy",
]


@pytest.mark.parametrize("name", PAGES)
def test_a_reviewer_of_another_project_meets_the_same_404_as_for_nothing(client, asked, name):
    writes_own = name in {"request-withdraw", "request-resubmit"}
    stranger = make_member(make_project(), Role.ENGINEER if writes_own else Role.REVIEWER)
    client.force_login(stranger)
    ask = client.get if name in {"request-detail", "request-status"} else client.post
    assert ask(url(name, asked)).status_code == 404
    own = stranger.memberships.get().project
    assert ask(reverse(name, args=[own.slug, asked.pk])).status_code == 404


@pytest.mark.parametrize("name", ["slot-detail", "slot-status", "slot-rollback"])
def test_slots_of_other_projects_are_not_there(client, asked, name):
    stranger = make_member(make_project(), Role.OWNER)
    client.force_login(stranger)
    ask = client.post if name == "slot-rollback" else client.get
    own = stranger.memberships.get().project
    assert ask(reverse(name, args=[asked.project.slug, asked.slot_id])).status_code == 404
    assert ask(reverse(name, args=[own.slug, asked.slot_id])).status_code == 404


def test_the_whole_review_over_pages(client, asked, reviewer):
    author = asked.requested_by
    assert post(client, reviewer, url("request-comment", asked), body="Why row 0?").status_code == 302
    assert decide(client, reviewer, asked, "request_changes").status_code == 302
    page = text_of(get(client, author, url("request-detail", asked)))
    assert "Submit again" in page
    assert post(client, author, url("request-resubmit", asked), message="Row 0 is fixed.").status_code == 302
    asked.refresh_from_db()
    assert decide(client, reviewer, asked).status_code == 302
    assert "Deploy to production" in text_of(get(client, author, url("request-detail", asked)))
    assert post(client, author, url("request-deploy", asked)).status_code == 302
    waiting = text_of(get(client, author, url("request-detail", asked)))
    assert 'hx-trigger="every 2s"' in waiting
    run_jobs()
    done = text_of(get(client, author, url("request-status", asked)))
    assert "hx-trigger" not in done
    slot = text_of(get(client, author, url("slot-detail", asked.slot)))
    assert asked.adapter.name in slot
    assert reviewer.email in slot


def test_a_deployment_that_ends_while_the_page_is_read_is_not_said_to_be_stale(client, asked, reviewer):
    """The request was read as approved, and everything else once its deployment had made it live."""
    assert decide(client, reviewer, asked).status_code == 302
    assert post(client, asked.requested_by, url("request-deploy", asked)).status_code == 302
    asked.refresh_from_db()
    read_before = DeploymentRequest.objects.get(pk=asked.pk)
    run_jobs()

    it = reviews.dossier(read_before, reviewer)

    assert (read_before.state, it.stale, it.deployment.is_active) == ("deployed", [], False)
    assert "Stale" not in it.answer.headline


def test_a_sent_form_sent_again_does_nothing(client, asked, reviewer):
    assert decide(client, reviewer, asked).status_code == 302
    again = decide(client, reviewer, asked)
    assert again.status_code == 409
    assert Review.objects.count() == 1
    assert post(client, reviewer, url("request-deploy", asked)).status_code == 302
    assert post(client, reviewer, url("request-deploy", asked)).status_code == 409
    assert Deployment.objects.count() == 1


def test_a_verdict_from_a_page_with_old_evidence_is_refused_at_the_form(client, asked, reviewer):
    answer = decide(client, reviewer, asked, digest="0" * 64)
    assert answer.status_code == 409
    assert "has changed since you opened the page" in text_of(answer)
    assert make.REASON in text_of(answer)  # what was typed is not lost


def test_changed_evidence_is_shown_before_anybody_decides_and_voids_the_verdict(client, asked, reviewer):
    asked.evaluation.summary["retention"]["change_percent"] = 4.5
    asked.evaluation.save()
    page = text_of(get(client, reviewer, url("request-detail", asked)))
    assert "Stale: the evidence has changed" in page
    assert "retention change percent" in page
    assert 'value="approve"' not in page
    assert "Submit again" in text_of(get(client, asked.requested_by, url("request-detail", asked)))
    answer = decide(client, reviewer, asked)
    assert answer.status_code == 409
    assert "This request is now void" in text_of(answer)
    asked.refresh_from_db()
    assert asked.state == S.VOID
    assert "Submit again" in text_of(get(client, asked.requested_by, url("request-detail", asked)))


@pytest.mark.parametrize(("body", "digest"), [("", None), ("short", None), (make.REASON, "")])
def test_a_decision_without_a_reason_or_a_digest_is_not_taken(client, asked, reviewer, body, digest):
    client.force_login(reviewer)
    answer = client.post(
        url("request-decide", asked),
        {"verdict": "approve", "body": body, "digest": asked.digest if digest is None else digest},
    )
    assert answer.status_code in {400, 409}
    assert Review.objects.count() == 0


def test_failing_gates_are_named_and_block(client):
    adapter = make.make_adapter()
    asked = make.make_request(adapter, evaluation=make.make_evaluation(adapter, retention_percent=9.0))
    reviewer = make_member(asked.project, Role.REVIEWER)
    page = text_of(get(client, reviewer, url("request-detail", asked)))
    assert "Not yet: general ability kept does not pass" in page
    assert 'value="approve"' not in page
    assert 'value="reject"' in page
    answer = decide(client, reviewer, asked)
    assert answer.status_code == 409
    assert "cannot be approved while these gates do not pass: General ability kept" in text_of(answer)


def test_asking_shows_the_gates_first(client):
    evaluation = make.make_evaluation(make.make_adapter())
    adapter, slot = evaluation.adapter, make.make_slot(evaluation.project)
    engineer = make_member(adapter.project)
    address = reverse("request-create", args=[adapter.project.slug])
    assert "Choose an adapter and a slot" in text_of(get(client, engineer, address))
    preview = reverse("request-preview", args=[adapter.project.slug])
    fragment = text_of(
        get(client, engineer, f"{preview}?adapter={adapter.pk}&slot={slot.pk}", **{"HX-Request": "true"})
    )
    assert "Every gate passes" in fragment
    assert "<html" not in fragment
    chosen = {"adapter": adapter.pk, "slot": slot.pk, "evaluation": evaluation.pk, "message": "Ship it"}
    answer = post(client, engineer, address, **chosen)
    made = DeploymentRequest.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == made.get_absolute_url()
    again = post(client, engineer, address, **chosen)
    assert again.status_code == 400
    assert "already an open request" in text_of(again)
    assert DeploymentRequest.objects.count() == 1


def test_an_adapter_without_evaluation_is_told_so(client):
    adapter = make.make_adapter()
    slot = make.make_slot(adapter.project)
    page = text_of(
        get(
            client,
            make_member(adapter.project),
            reverse("request-create", args=[adapter.project.slug]) + f"?adapter={adapter.pk}&slot={slot.pk}",
        )
    )
    assert "has no finished evaluation" in page
    assert f"?adapter={adapter.pk}" in page


@pytest.mark.parametrize("query", ["?adapter=abc", "?adapter=999999", "?slot=-1", "?evaluation=%FF", "?adapter=9" * 3])
def test_nonsense_in_the_address_of_the_form_is_no_error(client, query):
    project = make_project()
    make.make_slot(project)
    make.make_adapter(project)
    for name in ("request-create", "request-preview"):
        assert get(client, make_member(project), reverse(name, args=[project.slug]) + query).status_code == 200


def test_things_of_other_projects_are_no_choice(client):
    asked = make.make_request()
    stranger = make.make_evaluation(make.make_adapter())
    engineer = make_member(stranger.project)
    make.make_slot(stranger.project)
    answer = post(
        client,
        engineer,
        reverse("request-create", args=[stranger.project.slug]),
        adapter=asked.adapter_id,
        slot=asked.slot_id,
        evaluation=asked.evaluation_id,
    )
    assert answer.status_code == 400
    assert asked.adapter.name not in text_of(answer)
    assert DeploymentRequest.objects.count() == 1


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.VIEWER])
def test_the_form_is_for_those_who_may_ask(client, asked, role):
    address = reverse("request-create", args=[asked.project.slug])
    assert get(client, make_member(asked.project, role), address).status_code == 403


def test_rolling_back_by_one_click(client):
    first = make.make_live()
    second = make.make_live(make.make_adapter(first.project), first.slot)
    engineer = make_member(first.project)
    page = text_of(get(client, engineer, url("slot-detail", first.slot)))
    assert 'data-dialog="rollback"' in page
    assert f"goes back to {first.adapter}" in page
    assert post(client, engineer, url("slot-rollback", first.slot), reason="Wrong language").status_code == 302
    assert 'hx-trigger="every 2s"' in text_of(get(client, engineer, url("slot-status", first.slot)))
    run_jobs()
    page = text_of(get(client, engineer, url("slot-detail", first.slot)))
    assert "Wrong language" in page
    assert "Superseded" in page
    assert 'data-dialog="rollback"' not in page  # nothing older is left
    assert post(client, engineer, url("slot-rollback", first.slot)).status_code == 409
    assert post(client, engineer, url("slot-rollback", first.slot), to=second.pk).status_code == 409
    assert post(client, engineer, url("slot-rollback", first.slot), to="x").status_code == 400


def test_a_folder_changed_by_hand_is_shown(client):
    live = make.make_live()
    (live.slot.folder / "current").unlink()
    assert "serves something else" in text_of(get(client, live.deployed_by, url("slot-detail", live.slot)))


def test_making_a_slot(client):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    address = reverse("slot-create", args=[project.slug])
    assert get(client, owner, address).status_code == 200
    assert get(client, make_member(project), address).status_code == 403
    assert post(client, owner, address, name="Production").status_code == 302
    again = post(client, owner, address, name="production")
    assert again.status_code == 400
    assert "already a slot like" in text_of(again)
    assert Slot.objects.get().target == "production"


def test_pages_do_not_ask_the_database_more_often_when_there_is_more(client, django_assert_max_num_queries):
    live = make.make_live()
    engineer = make_member(live.project)
    client.force_login(engineer)
    for _ in range(4):
        make.make_request(make.make_adapter(live.project), live.slot)
        make.make_slot(live.project, name=f"slot {Slot.objects.count()}")
    with django_assert_max_num_queries(16):
        client.get(home_of(live))
    with django_assert_max_num_queries(22):
        client.get(url("slot-detail", live.slot))


def test_withdrawing(client, asked):
    other = make_member(asked.project)
    assert 'data-dialog="withdraw"' not in text_of(get(client, other, url("request-detail", asked)))
    assert post(client, other, url("request-withdraw", asked)).status_code == 403
    assert post(client, asked.requested_by, url("request-withdraw", asked), reason="Later").status_code == 302
    asked.refresh_from_db()
    assert asked.state == S.WITHDRAWN


def test_an_author_who_reviews_elsewhere_still_cannot_decide_here(client, asked):
    services.withdraw(asked, by=asked.requested_by)
    page = text_of(get(client, make_member(asked.project, Role.REVIEWER), url("request-detail", asked)))
    assert 'name="verdict"' not in page
    assert "There is nothing to decide" in page
