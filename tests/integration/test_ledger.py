"""The ledger line by line: filters and pages, exports, the API, corrections, and that no line ever changes."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import Attempt, AuditEvent, LedgerEntry
from projects.selectors import ledger
from projects.services import budget as services
from tests.factories.ledger import spend
from tests.factories.projects import make_member, make_project

pytestmark = pytest.mark.django_db
PAGE = "/projects/routing/costs/ledger/"
API = "/api/v1/projects/routing/ledger/"
NOVEMBER = datetime(2026, 11, 15, tzinfo=UTC)


@pytest.fixture
def project():
    return make_project(slug="routing")


@pytest.fixture
def engineer(project, client):
    user = make_member(project)
    client.force_login(user)
    return user


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER)


# No line ever changes


def test_a_line_is_never_changed_by_the_model(project):
    line = spend(project, 1)
    line.amount = Decimal(0)

    for act in (line.save, line.delete, LedgerEntry.objects.all().delete):
        with pytest.raises(Refused, match="never changed"):
            act()
    with pytest.raises(Refused, match="never changed"):
        LedgerEntry.objects.update(amount=0)
    assert LedgerEntry.objects.get().amount == 1


def test_the_table_itself_refuses_changes(project):
    """Also whoever reaches it past the models. SQLite drops the trigger when a migration rebuilds the table."""
    spend(project, 1)

    with pytest.raises(IntegrityError, match="book a correction"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE projects_ledgerentry SET amount = 0")
    assert LedgerEntry.objects.get().amount == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": -1},
        {"quantity": -1, "idle_quantity": -1},
        {"idle_quantity": 2},
        {"outcome": "failed"},
        {"loss_cause": "memory"},
        {"reason": "because"},
    ],
)
def test_the_table_refuses_lines_that_make_no_sense(project, changes):
    line = spend(project, 1)
    line.pk = None
    for name, value in changes.items():
        setattr(line, name, value)

    with pytest.raises(IntegrityError), transaction.atomic():
        line.save(force_insert=True)


# Corrections


def test_a_correction_is_a_line_of_its_own(project, owner):
    line = spend(project, 10, outcome="failed", code="oom", label="router")

    made = services.correct_line(line, by=owner, amount=Decimal(4), reason="The clock of the host was wrong.")

    assert (made.amount, made.corrects, made.booked_by, made.quantity) == (-6, line, owner, 0)
    assert (made.outcome, made.loss_cause, made.subject_label) == ("failed", "memory", "router")
    assert project.ledger.aggregate(sum=Sum("amount"))["sum"] == 4
    event = AuditEvent.objects.get(action="ledger.corrected")
    assert (event.reason, event.detail["line"]) == ("The clock of the host was wrong.", line.pk)


def test_a_second_correction_counts_from_the_first(project, owner):
    line = spend(project, 10)
    services.correct_line(line, by=owner, amount=Decimal(4), reason="Wrong.")

    made = services.correct_line(line, by=owner, amount=Decimal(11), reason="More wrong.")

    assert made.amount == 7
    assert project.ledger.aggregate(sum=Sum("amount"))["sum"] == 11


def test_corrections_that_make_no_sense_are_refused(project, owner):
    line = spend(project, 10)
    correction = services.correct_line(line, by=owner, amount=Decimal(4), reason="Wrong.")

    for said, amount, reason, code in (
        (line, 4, "Again.", "nothing_changed"),
        (line, -1, "Less than nothing.", "negative_amount"),
        (line, 5, "  ", "reason_required"),
        (correction, 5, "A correction of a correction.", "is_a_correction"),
    ):
        with pytest.raises(Refused) as refused:
            services.correct_line(said, by=owner, amount=Decimal(amount), reason=reason)
        assert refused.value.code == code
    assert LedgerEntry.objects.count() == 2


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.REVIEWER, Role.VIEWER])
def test_only_owners_correct(project, role):
    line, member = spend(project, 10), make_member(project, role)

    with pytest.raises(PermissionDenied):
        services.correct_line(line, by=member, amount=Decimal(1), reason="Mine.")


def test_an_owner_corrects_on_the_page_of_the_line(client, project, owner):
    line = spend(project, 10, label="router")
    client.force_login(owner)
    assert "Book correction" in client.get(f"{PAGE}{line.pk}/").content.decode()

    refused = client.post(f"{PAGE}{line.pk}/correct/", {"amount": "10", "reason": "The same."})
    assert refused.status_code == 409
    assert "what the ledger says already" in refused.content.decode()
    assert client.post(f"{PAGE}{line.pk}/correct/", {"amount": "x"}).status_code == 400

    answer = client.post(f"{PAGE}{line.pk}/correct/", {"amount": "7.5", "reason": "Wrong price."}, follow=True)
    page = answer.content.decode()
    assert "Wrong price." in page
    assert "−€2.50" in page
    assert "A correction of" in client.get(f"{PAGE}{line.corrections.get().pk}/").content.decode()


# Reading


def test_a_line_shows_its_attempt_device_price_and_where_its_time_went(client, project, engineer):
    begun = timezone.now() - timedelta(hours=1)
    attempt = Attempt.objects.create(
        project=project,
        job_label="training.run",
        job_id=1,
        number=3,
        fence=3,
        worker="host-7/gpu/1",
        device="cuda",
        device_name="H200",
        started_at=begun,
        ended_at=begun + timedelta(minutes=50),
        outcome="lost",
        marks=[["loading", 60.0], ["training", 300.0]],
        error_message="The worker stopped answering.",
    )
    line = spend(project, 1, outcome="lost", code="worker_lost", attempt=attempt, ended_at=begun + timedelta(hours=1))

    page = client.get(f"{PAGE}{line.pk}/").content.decode()

    for text in ("Attempt 3", "H200", "host-7/gpu/1", "The worker stopped answering.", "Infrastructure", "€1.00"):
        assert text in page, text
    for phase in ("Starting", "Loading", "Training", "Waiting"):
        assert phase in page, phase
    assert "Book correction" not in page
    assert ledger.phases_of(line) == {"starting": 60.0, "loading": 240.0, "training": 2700.0, "waiting": 600.0}


def test_somebody_elses_line_is_not_there(client, project, engineer):
    line = spend(make_project(), 1)

    assert client.get(f"{PAGE}{line.pk}/").status_code == 404
    assert client.get(f"{API}{line.pk}/").status_code == 404


def test_lines_are_filtered_by_what_the_address_says(client, project, engineer):
    spend(project, 1, label="router v1", subject=1, ended_at=NOVEMBER)
    spend(project, 2, label="router v2", subject=2, outcome="failed", code="oom", ended_at=NOVEMBER)
    spend(project, 4, label="tone", subject=12, cause="evaluation", ended_at=datetime(2026, 10, 31, 23, tzinfo=UTC))

    def found(query):
        context = client.get(f"{PAGE}?{query}").context
        return {line.subject_label for line, _ in context["lines"]}, context["sums"].amount

    assert found("month=2026-11") == ({"router v1", "router v2"}, 3)
    assert found("outcome=failed") == ({"router v2"}, 2)
    assert found("loss=memory") == ({"router v2"}, 2)
    assert found("cause=evaluation") == ({"tone"}, 4)
    assert found("subject=ROUTER") == ({"router v1", "router v2"}, 3)
    assert found("subject=training.run:1") == ({"router v1"}, 1)
    assert found("month=2026-10&outcome=failed") == (set(), 0)


@pytest.mark.parametrize(
    "odd",
    ["month=13", "cursor=x", "cursor=-", "cursor=9.9.9", f"cursor={'9' * 40}.1", "outcome=<script>", "cause=nonsense"],
)
def test_a_cut_or_odd_address_still_shows_the_ledger(client, project, engineer, odd):
    spend(project, 1)

    answer = client.get(f"{PAGE}?{odd}")

    assert answer.status_code == 200
    assert len(answer.context["lines"]) == 1


def test_pages_stay_put_while_lines_are_added(client, project, engineer):
    for number in range(60):
        # Several at the same moment: the number decides.
        spend(project, 1, subject=number, label="x", ended_at=NOVEMBER + timedelta(seconds=number // 7))

    def seen(query):
        context = client.get(f"{PAGE}{query}").context
        return [line.subject_id for line, _ in context["lines"]], context["before"], context["after"]

    first, before, after = seen("?subject=x")
    assert (first, before) == (list(range(59, 34, -1)), "")
    spend(project, 1, subject=99, label="x", ended_at=NOVEMBER + timedelta(days=1))
    second, back, onward = seen(after)
    assert second == list(range(34, 9, -1)), "what was added since does not push a line onto the next page"
    assert "subject=x" in onward
    third, back_again, end = seen(onward)
    assert (third, end) == (list(range(9, -1, -1)), "")
    assert seen(back_again)[0] == second
    assert seen(back)[0] == first
    newest, before, _ = seen(seen(back)[1])
    assert (newest[0], before) == (99, "")


def test_an_empty_ledger_says_what_will_stand_here(client, project, engineer):
    assert "Nothing spent yet" in client.get(PAGE).content.decode()
    spend(project, 1)
    assert "No line matches" in client.get(f"{PAGE}?subject=nothing+of+that+name").content.decode()


def test_reading_asks_the_database_no_more_often_when_there_are_more_lines(
    client, project, engineer, django_assert_max_num_queries
):
    for number in range(40):
        spend(project, 1, subject=number)

    with django_assert_max_num_queries(16):
        client.get(PAGE)


# Exports


def read_csv(answer):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("address", ["/projects/routing/costs/ledger.csv", f"{API}csv/"])
def test_the_export_holds_every_line_with_numbers(client, project, engineer, address):
    spend(project, "1.25", label="tone, v2", idle_quantity=Decimal("0.5"))
    spend(project, 2, outcome="failed", code="oom")

    answer = client.get(address)
    rows = read_csv(answer)

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert [(row["subject"], row["amount"], row["idle_quantity"], row["loss_cause"]) for row in rows] == [
        ("subject 1", "2.000000", "0.000000", "memory"),
        ("tone, v2", "1.250000", "0.500000", ""),
    ]
    assert [row["outcome"] for row in read_csv(client.get(f"{address}?outcome=failed"))] == ["failed"]


def test_the_file_is_named_after_the_project(client, project, engineer):
    answer = client.get("/projects/routing/costs/ledger.csv")

    assert answer["Content-Disposition"].startswith('attachment; filename="routing-ledger-')


@pytest.mark.parametrize(
    "label", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", '=HYPERLINK("http://evil")', "|calc"]
)
def test_no_cell_of_an_export_is_a_formula(client, project, engineer, label):
    spend(project, 1, label=label, note=label)

    (row,) = read_csv(client.get("/projects/routing/costs/ledger.csv"))
    assert row["subject"].startswith("'")
    assert row["note"].startswith("'")
    (charge,) = read_csv(client.get("/projects/routing/costs/focus.csv"))
    assert charge["ResourceName"].startswith("'")
    assert charge["ChargeDescription"].startswith("'")


@pytest.mark.parametrize("address", ["/projects/routing/costs/focus.csv", f"{API}focus/"])
def test_the_focus_export_sums_to_the_ledger(client, project, engineer, owner, address):
    spend(project, "1.25", label="router", idle_quantity=Decimal("0.5"))
    spend(project, 2, outcome="failed", code="oom", kind="evaluation.evaluation", cause="evaluation")
    spend(project, 3, unit="h", cause="data", kind="datasets.reviewround", person=owner)
    old = spend(project, 10, ended_at=datetime(2025, 1, 31, tzinfo=UTC))
    services.correct_line(old, by=owner, amount=Decimal("2.5"), reason="The price was wrong.")

    rows = read_csv(client.get(address))

    for cost in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert sum(Decimal(row[cost]) for row in rows) == project.ledger.aggregate(sum=Sum("amount"))["sum"]
    assert {row["ResourceType"] for row in rows} == {"Run", "Evaluation", "Review round"}
    (correction,) = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert (correction["BilledCost"], correction["ChargePeriodEnd"]) == ("-7.500000", "2025-01-31T00:00:00Z")
    assert len(read_csv(client.get(f"{address}?month=2025-01"))) == 1


def test_exports_ask_the_database_no_more_often_for_more_lines(
    client, project, engineer, django_assert_max_num_queries
):
    for number in range(30):
        spend(project, 1, subject=number)

    for name in ("ledger", "focus"):
        with django_assert_max_num_queries(12):
            assert len(read_csv(client.get(f"/projects/routing/costs/{name}.csv"))) == 30


def test_a_program_may_ask_for_csv_by_its_media_type(client, project, engineer):
    answer = client.get(f"{API}csv/", headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    refused = client.get(f"{API}csv/?cause=nonsense", headers={"Accept": "text/csv"})
    assert refused.status_code == 400


# The API


def test_the_ledger_over_the_api_is_paged_by_cursor(client, project, engineer):
    for number in range(5):
        spend(project, number + 1, subject=number)

    first = client.get(f"{API}?page_size=2").json()
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
        ("loss=nonsense", "invalid"),
        ("month=November", "bad_month"),
        ("month=2026-11-01", "bad_month"),
        ("cursor=nonsense", "not_found"),
    ],
)
def test_odd_filters_of_the_ledger_are_refused(client, project, engineer, query, code):
    answer = client.get(f"{API}?{query}")

    assert answer.status_code in {400, 404}
    assert answer.json()["code"] == code


def test_the_api_filters_as_the_page_does(client, project, engineer):
    spend(project, 1, subject=1, ended_at=NOVEMBER)
    spend(project, 2, subject=2, outcome="failed", code="oom", ended_at=NOVEMBER)

    def found(query):
        return [line["subject_id"] for line in client.get(f"{API}?{query}").json()["results"]]

    assert found("month=2026-11") == [2, 1]
    assert found("month=2026-10") == []
    assert found("loss=memory") == [2]
    assert found("subject=training.run:1") == [1]


def test_one_line_over_the_api_tells_its_corrections(client, project, engineer, owner):
    line = spend(project, 10)
    made = services.correct_line(line, by=owner, amount=Decimal(1), reason="Wrong.")

    told = client.get(f"{API}{line.pk}/").json()
    assert (told["corrections"], told["phases"]) == ([made.pk], {})
    told = client.get(f"{API}{made.pk}/").json()
    assert (told["corrects"], told["booked_by"], told["reason"]) == (line.pk, owner.email, "Wrong.")


def test_an_owner_corrects_over_the_api_and_an_engineer_does_not(client, project, engineer, owner):
    line = spend(project, 10)
    body = {"amount": "4", "reason": "Wrong."}
    assert client.post(f"{API}{line.pk}/correct/", body, "application/json").status_code == 403

    client.force_login(owner)
    answer = client.post(f"{API}{line.pk}/correct/", body, "application/json")

    assert (answer.status_code, answer.json()["amount"]) == (201, "-6.000000")
    again = client.post(f"{API}{line.pk}/correct/", body, "application/json")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_changed")
    odd = client.post(f"{API}{line.pk}/correct/", {**body, "outcome": "succeeded"}, "application/json")
    assert (odd.status_code, odd.json()["code"]) == (400, "unknown_field")


def test_a_month_is_written_in_one_way_only():
    with pytest.raises(Invalid, match="Write it as 2026-11"):
        ledger.budget.read_month("11/2026")
