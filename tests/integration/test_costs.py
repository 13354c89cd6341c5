"""The cost page, its figures, its export and the ledger over the API."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from projects import booking
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import LedgerEntry
from projects.selectors import costs
from projects.services import projects as services
from tests.factories.projects import make_member, make_project
from tests.factories.toys import make_kind, make_toy

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project(slug="routing", monthly_budget=Decimal(100))


@pytest.fixture
def engineer(project, client):
    user = make_member(project, Role.ENGINEER)
    client.force_login(user)
    return user


def spend(
    project, amount, *, cause="training", outcome="succeeded", subject=1, ended_at=None, kind="training.run", **more
):
    ended_at = ended_at or timezone.now()
    return booking.book(
        project,
        cause=cause,
        subject_kind=kind,
        subject_id=subject,
        subject_label=more.pop("label", f"subject {subject}"),
        outcome=outcome,
        started_at=ended_at - timedelta(hours=1),
        ended_at=ended_at,
        quantity=Decimal(amount),
        unit="GPU h",
        unit_price=Decimal(1),
        **more,
    )


def test_sums_tell_month_total_and_what_brought_nothing(project):
    now = datetime(2026, 11, 15, 12, tzinfo=UTC)
    spend(project, 10, ended_at=now)
    spend(project, 5, outcome="failed", ended_at=now)
    spend(project, 3, outcome="lost", ended_at=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    spend(project, 2, cause="evaluation", kind="evaluation.evaluation", ended_at=datetime(2026, 11, 1, tzinfo=UTC))
    spend(make_project(), 1000, ended_at=now)

    sums = costs.spending(project, now)

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


def test_the_page_of_a_new_project_says_what_will_stand_here(client, project, engineer):
    page = client.get("/projects/routing/costs/").content.decode()

    assert "Nothing spent yet" in page
    assert "data-figure" not in page


def test_the_page_shows_sums_figures_subjects_and_lines(client, project, engineer):
    spend(project, 12, label="tone v2")
    spend(project, 3, outcome="failed", label="tone v3", note="out_of_memory")

    page = client.get("/projects/routing/costs/").content.decode()

    for text in ("€15.00", "15", "of €100.00 budget", "€3.00 (20", "tone v2", "tone v3", "out_of_memory"):
        assert text in page, text
    assert page.count("data-figure") == 2
    assert page.count("Show as table") == 2


def test_lines_can_be_filtered_and_paged(client, project, engineer):
    for number in range(30):
        spend(project, 1, outcome="failed" if number % 3 else "succeeded", subject=number, label=f"run {number:02}")

    page = client.get("/projects/routing/costs/?outcome=failed&page=1").context
    assert page["page"].paginator.count == 20
    assert {line.outcome for line, _ in page["lines"]} == {"failed"}

    for odd in ("?page=999", "?page=-1", "?page=x", "?days=0", "?days=1e9", "?cause=nonsense", "?outcome=<script>"):
        assert client.get(f"/projects/routing/costs/{odd}").status_code == 200


def read_csv(answer):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_export_holds_every_line_with_numbers(client, project, engineer):
    spend(project, "1.25", label="tone, v2")
    spend(project, 2, outcome="failed")

    answer = client.get("/projects/routing/costs/ledger.csv")
    rows = read_csv(answer)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="routing-ledger-')
    assert [(row["subject"], row["amount"], row["currency"]) for row in rows] == [
        ("subject 1", "2.000000", "EUR"),
        ("tone, v2", "1.250000", "EUR"),
    ]
    assert [row["outcome"] for row in read_csv(client.get("/projects/routing/costs/ledger.csv?outcome=failed"))] == [
        "failed"
    ]


@pytest.mark.parametrize(
    "label", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", '=HYPERLINK("http://evil")', "|calc"]
)
def test_no_cell_of_the_export_is_a_formula(client, project, engineer, label):
    spend(project, 1, label=label, note=label)

    (row,) = read_csv(client.get("/projects/routing/costs/ledger.csv"))

    assert row["subject"].startswith("'")
    assert row["note"].startswith("'")


def test_labels_are_shown_as_text(client, project, engineer):
    spend(project, 1, label="<script>alert(1)</script>")

    page = client.get("/projects/routing/costs/").content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_ledger_over_the_api_is_paged_by_cursor(client, project, engineer):
    for number in range(5):
        spend(project, number + 1, subject=number)

    first = client.get("/api/v1/projects/routing/ledger/?page_size=2").json()
    second = client.get(first["next"]).json()

    seen = [line["subject_id"] for line in first["results"] + second["results"]]
    assert seen == [4, 3, 2, 1]
    assert first["results"][0]["amount"] == "5.000000"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("project__slug=another", "unknown_filter"),
        ("_connector=OR", "unknown_filter"),
        ("ordering=project__memberships__user__password", "unknown_filter"),
        ("cause=nonsense", "invalid"),
        ("cursor=nonsense", "not_found"),
    ],
)
def test_odd_filters_of_the_ledger_are_refused(client, project, engineer, query, code):
    answer = client.get(f"/api/v1/projects/routing/ledger/?{query}")

    assert answer.status_code in {400, 404}
    assert answer.json()["code"] == code


def test_a_line_is_never_changed(project):
    line = spend(project, 1)
    line.amount = Decimal(0)

    with pytest.raises(Refused, match="never changed"):
        line.save()


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

    with pytest.raises(Refused, match="two currencies"):
        services.change_settings(project, by=owner, currency="EUR")

    client.force_login(owner)
    answer = client.patch("/api/v1/projects/routing/", {"currency": "EUR"}, "application/json")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (409, "currency_in_use", "currency")


def test_the_page_asks_the_database_no_more_often_when_there_are_more_lines(
    client, project, engineer, django_assert_max_num_queries
):
    for number in range(24):
        spend(project, 1, subject=number)

    with django_assert_max_num_queries(20):
        client.get("/projects/routing/costs/")
