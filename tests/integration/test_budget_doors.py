"""The budget through its doors: pages and API, for owners, askers and those who may only look."""

from decimal import Decimal

import pytest
from django.test import Client

from projects import budgeting
from projects.domain.permissions import Role
from projects.models import AuditEvent, BudgetRequest, Hold, Project
from projects.selectors import overview
from projects.services import budget as services
from projects.services import projects as project_services
from projects.services import tokens
from tests.factories.ledger import spend
from tests.factories.projects import make_member, make_project
from tests.factories.toys import make_kind, make_toy

pytestmark = pytest.mark.django_db
API = "/api/v1/projects/routing/"
REQUESTS = "/projects/routing/costs/requests/"


@pytest.fixture
def project(toys, tmp_path):
    make_kind(tmp_path)
    return make_project(slug="routing", monthly_budget=Decimal(100))


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER, name="Olga")


@pytest.fixture
def engineer(project):
    return make_member(project, name="Emil")


@pytest.fixture
def asked(project, engineer):
    budgeting.queue_or_ask(make_toy(project, "router"), by=engineer, amount=Decimal(130), reason="The customer waits.")
    return BudgetRequest.objects.get()


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def needs(project, user):
    return [need.text for need in overview.needs(project, user) if need.kind == "budget"]


def test_an_owner_sees_the_request_on_the_overview_and_the_asker_the_no(project, owner, engineer, asked):
    assert needs(project, owner) == [
        "Emil asks for a yes: up to €130.00 for router, which takes the month €30.00 beyond its budget"
    ]
    assert needs(project, engineer) == []
    assert "Emil asks for a yes" in signed_in(owner).get("/projects/routing/").content.decode()

    services.decline_request(asked, by=owner, reason="In December.")

    assert needs(project, owner) == []
    assert needs(project, engineer) == ["Olga said no to the cost of router: In December."]


def test_a_larger_budget_starts_nothing_and_says_that_it_would_fit(project, owner, engineer, asked):
    project_services.change_settings(project, by=owner, monthly_budget=Decimal(500))

    asked.refresh_from_db()
    assert (asked.state, budgeting.job_of(asked).state) == ("asked", "held")
    project = Project.objects.get()
    assert needs(project, owner) == ["Emil asks for a yes: up to €130.00 for router. It would fit now"]
    assert "Would fit now" in signed_in(owner).get("/projects/routing/costs/").content.decode()
    assert "Would fit now" in signed_in(owner).get(f"{REQUESTS}{asked.pk}/").content.decode()
    changed = AuditEvent.objects.get(action="project.changed")
    assert changed.detail["monthly_budget"] == ["100.00", "500"]


def test_an_owner_is_shown_the_sum_and_what_is_left(project, owner, engineer, asked):
    spend(project, 20)

    page = signed_in(owner).get(f"{REQUESTS}{asked.pk}/").content.decode()

    for text in ("Waits for your yes", "€130.00", "€80.00", "−€50.00", "The customer waits.", "Emil", "Allow router"):
        assert text in page, text
    assert "Withdraw" not in page


def test_the_asker_is_shown_what_it_waits_for_and_may_withdraw(project, engineer, asked):
    page = signed_in(engineer).get(f"{REQUESTS}{asked.pk}/").content.decode()

    assert "Waits for an owner's yes" in page.replace("&#x27;", "'")
    assert "Withdraw request" in page
    assert "Allow router" not in page


def test_an_owner_says_yes_on_the_page(project, owner, asked):
    answer = signed_in(owner).post(f"{REQUESTS}{asked.pk}/approve/", {"reason": "Go."})

    assert answer.status_code == 302
    asked.refresh_from_db()
    assert (asked.state, asked.answer, budgeting.job_of(asked).state) == ("approved", "Go.", "queued")
    page = signed_in(owner).get(f"{REQUESTS}{asked.pk}/").content.decode()
    assert "Allowed beyond the budget" in page
    assert "Own approval" not in page


def test_an_own_approval_is_shown_as_one(project, owner):
    budgeting.queue_or_ask(make_toy(project), by=owner, amount=Decimal(130), reason="I am alone here.")
    mine = BudgetRequest.objects.get()
    assert "Allow your own request?" in signed_in(owner).get(f"{REQUESTS}{mine.pk}/").content.decode()

    signed_in(owner).post(f"{REQUESTS}{mine.pk}/approve/")

    assert "Own approval" in signed_in(owner).get(f"{REQUESTS}{mine.pk}/").content.decode()


def test_a_no_without_a_reason_is_refused_on_the_page(project, owner, asked):
    answer = signed_in(owner).post(f"{REQUESTS}{asked.pk}/decline/")

    assert answer.status_code == 400
    assert "Say why" in answer.content.decode()
    asked.refresh_from_db()
    assert asked.state == "asked"


@pytest.mark.parametrize("act", ["approve", "decline", "withdraw"])
def test_who_may_not_is_told_so_everywhere(project, engineer, asked, act):
    viewer = signed_in(make_member(project, Role.VIEWER))
    outsider = signed_in(make_member())
    for client, status in ((viewer, 403), (outsider, 404)):
        assert client.post(f"{REQUESTS}{asked.pk}/{act}/", {"reason": "x"}).status_code == status
        address = f"{API}budget-requests/{asked.pk}/{act}/"
        assert client.post(address, {"reason": "x"}, "application/json").status_code == status


def test_a_token_never_says_yes_whoever_made_it(project, owner, asked):
    _, key = tokens.create_token(project, by=owner, name="nightly", scope="write")
    client = Client(headers={"Authorization": f"Bearer {key}"})

    for act in ("approve", "decline"):
        answer = client.post(f"{API}budget-requests/{asked.pk}/{act}/", {"reason": "x"}, "application/json")
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert "Sign in and do it yourself" in answer.json()["message"]
    asked.refresh_from_db()
    assert asked.state == "asked"


def test_requests_over_the_api(project, owner, engineer, asked):
    client = signed_in(owner)
    (told,) = client.get(f"{API}budget-requests/?state=asked").json()["results"]
    assert (told["amount"], told["over_by"], told["asked_by"]) == ("130.000000", "30.000000", engineer.email)
    odd = client.get(f"{API}budget-requests/?state=maybe")
    assert (odd.status_code, odd.json()["code"]) == (400, "unknown_state")

    refused = client.post(f"{API}budget-requests/{asked.pk}/withdraw/", {}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_yours")
    answer = client.post(f"{API}budget-requests/{asked.pk}/approve/", {"reason": "Go."}, "application/json")
    assert (answer.status_code, answer.json()["state"], answer.json()["decided_by"]) == (200, "approved", owner.email)
    again = client.post(f"{API}budget-requests/{asked.pk}/decline/", {"reason": "No."}, "application/json")
    assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")
    assert client.get(f"{API}budget-requests/?state=asked").json()["results"] == []
    assert client.get(f"{API}budget-requests/{asked.pk}/").json()["is_own"] is False


def test_the_month_and_its_holds_over_the_api(project, engineer):
    spend(project, 20)
    budgeting.queue_or_ask(make_toy(project, "router"), by=engineer, amount=Decimal(30))
    client = signed_in(engineer)

    month = client.get(f"{API}budget/").json()
    assert (month["budget"], month["spent"], month["held"], month["left"]) == (
        "100.000000", "20.000000", "30.000000", "50.000000",
    )  # fmt: skip
    assert (month["timezone"], month["currency"], month["stop_at_budget"], month["month_end"]) == (
        "UTC", "EUR", False, None,
    )  # fmt: skip
    (hold,) = client.get(f"{API}holds/?state=open").json()["results"]
    assert (hold["job_text"], hold["left"], hold["state"]) == ("router", "30.000000", "open")
    assert client.get(f"{API}holds/?state=released").json()["results"] == []
    assert client.get(f"{API}holds/?state=maybe").status_code == 400


def test_the_option_to_stop_at_the_limit_is_a_setting_of_owners(project, owner, engineer):
    change = {"stop_at_budget": True}
    assert signed_in(engineer).patch(API, change, "application/json").status_code == 403

    assert signed_in(owner).patch(API, change, "application/json").json()["stop_at_budget"] is True
    assert AuditEvent.objects.get(action="project.changed").detail["stop_at_budget"] == [False, True]
    assert "are paused" in signed_in(engineer).get("/projects/routing/settings/").content.decode()


def test_the_page_of_a_request_outlives_its_work(project, owner, engineer, asked):
    services.withdraw_request(asked, by=engineer)
    budgeting.job_of(asked).delete()

    page = signed_in(owner).get(f"{REQUESTS}{asked.pk}/").content.decode()

    assert "The request was withdrawn" in page
    assert Hold.objects.count() == 0
