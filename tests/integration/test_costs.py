"""The cost page: its sums and figures, what they leave out, and the month's budget on top of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from projects import contributions, holds
from projects.contributions import Product
from projects.domain.permissions import Role
from projects.models import LedgerEntry
from projects.selectors import budget, costs
from projects.services import projects as services
from tests.factories.ledger import spend
from tests.factories.projects import make_member, make_project
from tests.factories.toys import make_kind, make_toy

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def project():
    return make_project(slug="routing", monthly_budget=Decimal(100))


@pytest.fixture
def engineer(project, client):
    user = make_member(project, Role.ENGINEER)
    client.force_login(user)
    return user


def test_sums_tell_month_total_and_what_brought_nothing(project):
    spend(project, 10, ended_at=NOW)
    spend(project, 5, outcome="failed", ended_at=NOW)
    spend(project, 3, outcome="lost", ended_at=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    spend(project, 2, cause="evaluation", kind="evaluation.evaluation", ended_at=datetime(2026, 11, 1, tzinfo=UTC))
    spend(make_project(), 1000, ended_at=NOW)

    sums = costs.spending(project, NOW)

    assert (sums.month, sums.total) == (17, 20)
    assert (sums.without_result, sums.month_without_result) == (8, 5)
    assert sums.budget_share == Decimal("0.17")
    assert sums.share_without_result == Decimal("0.4")
    assert sums.per_training == 18, "one training succeeded, and the failed and lost ones were paid for too"


def test_a_project_without_costs_divides_by_nothing(project):
    sums = costs.spending(make_project(), timezone.now())

    assert (sums.month, sums.budget_share, sums.share_without_result, sums.per_training) == (0, None, None, None)


def test_subjects_are_summed_over_their_attempts(project, toys, tmp_path):
    make_kind(tmp_path)
    toy = make_toy(project)
    spend(project, 4, outcome="failed", subject=toy.pk, kind="toys.toy", label="tone v2")
    spend(project, 6, subject=toy.pk, kind="toys.toy", label="tone v2")
    spend(project, 3, outcome="cancelled", subject=8)

    dear, cheap = costs.dearest_subjects(project, costs.days_before(timezone.now(), 30))

    assert (dear.label, dear.amount, dear.without_result, dear.attempts, dear.succeeded) == ("tone v2", 10, 4, 2, True)
    assert dear.url == toy.get_absolute_url()
    assert (cheap.amount, cheap.succeeded, cheap.url) == (3, False, "")


def test_days_are_counted_in_utc_and_the_first_is_included(project):
    now = datetime(2026, 11, 30, 0, 30, tzinfo=UTC)
    since = costs.days_before(now, 30)
    spend(project, 1, ended_at=datetime(2026, 11, 1, 0, 0, tzinfo=UTC))
    spend(project, 2, ended_at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))

    assert since.isoformat() == "2026-11-01"
    assert costs.daily_costs(project, since) == [(since, "training", 1)]


def test_months_are_cut_in_utc_and_quiet_ones_are_shown(project):
    spend(project, 7, ended_at=datetime(2026, 8, 31, 23, 59, 59, tzinfo=UTC))
    spend(project, 1, outcome="failed", ended_at=datetime(2026, 9, 1, tzinfo=UTC))
    spend(project, 5, ended_at=NOW)

    found = [(f"{start:%m}", spent, lost) for start, spent, lost in costs.monthly_costs(project, NOW, 24)]

    assert found == [("08", 7, 0), ("09", 1, 1), ("10", 0, 0), ("11", 5, 0)]
    assert len(costs.monthly_costs(project, NOW, 3)) == 3
    assert len(costs.monthly_costs(make_project(), NOW, 24)) == 1


def test_lost_money_is_told_by_its_cause(project):
    spend(project, 3, outcome="failed", code="oom", ended_at=NOW)
    spend(project, 4, outcome="failed", code="oom", ended_at=NOW)
    spend(project, 5, outcome="lost", code="worker_lost", ended_at=NOW)
    spend(project, 1, outcome="cancelled", ended_at=NOW)
    spend(project, 100, ended_at=NOW)

    found = costs.losses_by_cause(project, NOW.date())

    assert [(one.loss, one.amount, one.lines) for one in found] == [
        ("memory", 7, 2),
        ("infrastructure", 5, 1),
        ("user", 1, 1),
    ]
    assert found[0].word == "Memory"


def test_kinds_of_work_tell_what_they_paid_for_idle_devices(project):
    spend(project, 10, idle_quantity=Decimal("2.5"), ended_at=NOW)
    spend(project, 5, outcome="failed", idle_quantity=Decimal(5), ended_at=NOW)
    spend(project, 1, cause="data", kind="a.kind.that.is.gone", ended_at=NOW)

    run, gone = costs.costs_by_work(project, NOW.date())

    assert (run.word, run.cause, run.lines, run.amount, run.idle, run.without_result) == (
        "Run", "Training", 2, 15, Decimal("7.5"), 5,
    )  # fmt: skip
    assert (gone.word, gone.idle) == ("a.kind.that.is.gone", 0)


def test_peoples_hours_are_told_by_name(project):
    anna, ben = make_member(project, name="Anna"), make_member(project, name="Ben")
    for person, hours in ((anna, 2), (ben, 3), (anna, 4), (None, 1)):
        spend(project, hours, cause="data", kind="datasets.reviewround", unit="h", person=person, ended_at=NOW)
    spend(project, 50, ended_at=NOW)

    found = costs.people_hours(project, NOW.date())

    assert [(str(one.person), one.hours, one.amount, one.seconds) for one in found] == [
        (str(anna), 6, 6, 21600), (str(ben), 3, 3, 10800), ("None", 1, 1, 3600),
    ]  # fmt: skip


def test_a_product_costs_what_its_making_cost_and_what_failed_on_the_way(project, monkeypatch):
    spend(project, 10, subject=1)
    spend(project, 3, subject=1, outcome="failed")
    spend(project, 4, subject=2, outcome="cancelled")
    spend(project, 99, subject=3)
    run = "training.run"
    made = [
        Product("router", "/a/", NOW, (run, 1), ((run, 2),)),
        Product("older", "/b/", NOW - timedelta(days=1), (run, 77)),
    ]
    monkeypatch.setattr(contributions, "products", [lambda _: made])

    newest, older = costs.product_costs(project)

    assert (newest.product.label, newest.own, newest.on_the_way, newest.total) == ("router", 13, 4, 17)
    assert older.total == 0
    assert len(costs.product_costs(project, limit=1)) == 1


def test_the_days_before_count_from_the_first_with_costs(project):
    assert budget.daily(project, NOW) == []
    spend(project, 2, ended_at=NOW - timedelta(days=3))
    spend(project, 5, ended_at=NOW)

    assert budget.daily(project, NOW) == [2, 0, 0], "the day that runs is not over"

    spend(project, 9, ended_at=NOW - timedelta(days=100))
    assert len(budget.daily(project, NOW)) == 28


def test_the_status_of_a_month(project):
    for days in range(1, 11):
        spend(project, 6, ended_at=NOW - timedelta(days=days))

    now = budget.status(project, NOW)

    assert (now.month.spent, now.month.left, now.is_over) == (60, 40, False)
    assert now.end.p50 == 60 + 6 * Decimal("15.5")
    assert now.tone == "attention", "it is within the budget, and on its way beyond it"
    assert now.shares == {"spent": 60.0, "held": 0.0, "limit": 100.0}


def test_a_month_beyond_its_budget_is_told_as_such(project):
    spend(project, 150, ended_at=NOW)
    now = budget.status(project, NOW)

    assert (now.is_over, now.over, now.tone, now.end) == (True, 50, "failed", None)
    assert now.shares == {"spent": 100.0, "held": 0.0, "limit": 66.67}


def test_the_page_of_a_new_project_says_what_will_stand_here(client, project, engineer):
    page = client.get("/projects/routing/costs/").content.decode()

    assert "Nothing spent yet" in page
    assert "Within the budget" in page
    assert "data-figure" not in page


def test_without_a_budget_the_page_says_that_nothing_is_checked(client, project, engineer):
    project.monthly_budget = None
    project.save()

    page = client.get("/projects/routing/costs/").content.decode()

    assert "No budget is set" in page
    assert "budget-bar" not in page


def test_the_page_shows_the_month_the_sums_and_the_figures(client, project, engineer):
    spend(project, 12, label="tone v2")
    spend(project, 3, outcome="failed", label="tone v3", code="oom", subject=2)
    holds.open_hold(make_run_like(project), amount=Decimal(20), now=timezone.now())

    page = client.get("/projects/routing/costs/").content.decode()

    for text in ("€15.00 spent and €20.00 held of €100.00", "€65.00", "€3.00 (20", "tone v2", "tone v3", "Memory"):
        assert text in page, text
    assert "Months are counted in UTC" in page
    assert page.count("data-figure") == 4
    assert page.count("Show as table") == 3


def make_run_like(project):
    class Job:
        job_label, pk = "training.run", 7

        def __str__(self):
            return "router"

    job = Job()
    job.project = project
    return job


@pytest.mark.parametrize("odd", ["?days=0", "?days=1e9", "?days=<script>", "?cause=nonsense", "?page=-1"])
def test_odd_questions_get_the_page(client, project, engineer, odd):
    assert client.get(f"/projects/routing/costs/{odd}").status_code == 200


def test_labels_are_shown_as_text(client, project, engineer):
    spend(project, 1, label="<script>alert(1)</script>")

    page = client.get("/projects/routing/costs/").content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_asks_the_database_no_more_often_when_there_are_more_lines(
    client, project, engineer, django_assert_max_num_queries
):
    for number in range(24):
        spend(project, 1, subject=number, outcome="failed" if number % 2 else "succeeded", code="oom")

    with django_assert_max_num_queries(29):
        client.get("/projects/routing/costs/")


def test_a_new_price_leaves_old_lines_alone(project):
    owner = make_member(project, Role.OWNER)
    line = spend(project, 1)

    services.change_settings(project, by=owner, gpu_hour_price=Decimal(99))

    assert LedgerEntry.objects.get(pk=line.pk).unit_price == 1


def test_a_ledger_keeps_one_currency(client, project):
    owner = make_member(project, Role.OWNER)
    services.change_settings(project, by=owner, currency="USD")
    project.refresh_from_db()
    spend(project, 1)

    client.force_login(owner)
    answer = client.patch("/api/v1/projects/routing/", {"currency": "EUR"}, "application/json")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (409, "currency_in_use", "currency")
    assert "two currencies" in answer.json()["message"]
