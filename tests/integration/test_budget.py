"""Holds, the check against the month, and an owner's yes, on work of a few lines."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from projects import budgeting, holds, leases, reconciler
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.domain.states import Outcome
from projects.models import AuditEvent, BudgetRequest, Hold
from projects.services import budget as services
from tests.factories.ledger import spend
from tests.factories.projects import make_member, make_project
from tests.factories.toys import Toy, make_kind, make_toy

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(toys, tmp_path):
    make_kind(tmp_path)
    return make_project(monthly_budget=Decimal(100), cpu_hour_price=Decimal(10))


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER)


@pytest.fixture
def engineer(project):
    return make_member(project)


def queue(project, by, amount, *, reason="", toy=None):
    toy = toy or make_toy(project)
    budgeting.queue_or_ask(toy, by=by, amount=None if amount is None else Decimal(amount), reason=reason)
    return toy


def month(project):
    return holds.month(project, timezone.now())


def held_toy(project, engineer, amount=150):
    toy = queue(project, engineer, amount, reason="The customer waits for it.")
    return toy, BudgetRequest.objects.get(job_id=toy.pk)


def run_for(toy, hours):
    """Claim the toy and let its attempt have begun so long ago."""
    claimed = leases.claim([Toy], owner="host/cpu/1")
    assert claimed.pk == toy.pk
    leases.attempt_of(claimed)
    begun = leases.database_time() - timedelta(hours=hours)
    type(leases.attempt_of(claimed)).objects.filter(job_id=toy.pk, ended_at=None).update(started_at=begun)
    return claimed


def test_what_it_may_cost_is_held_from_the_start(project, engineer):
    toy = queue(project, engineer, 30)

    hold = Hold.objects.get()
    assert (toy.state, hold.amount, hold.projected, hold.left, hold.state) == ("queued", 30, 30, 30, "open")
    assert hold.month == timezone.now().astimezone(UTC).date().replace(day=1)
    assert (month(project).spent, month(project).held, month(project).left) == (0, 30, 70)


def test_it_fits_to_the_last_millionth_and_not_one_beyond(project, engineer):
    queue(project, engineer, "99.999999")
    queue(project, engineer, "0.000001")

    with pytest.raises(Refused) as refused:
        queue(project, engineer, "0.000001")

    assert refused.value.code == "over_budget"
    assert month(project).left == 0
    assert Toy.objects.filter(state="queued").count() == 2


def test_what_is_spent_counts_whoever_spent_it(project, engineer):
    spend(project, 60, cause="evaluation", kind="evaluation.evaluation")
    spend(project, 35, cause="people", kind="datasets.reviewround")
    spend(project, 500, ended_at=datetime(2025, 1, 1, tzinfo=UTC))

    with pytest.raises(Refused, match=r"€5.00 of this month's budget of €100.00 is left"):
        queue(project, engineer, 6)
    assert not Hold.objects.exists()


def test_a_line_that_was_booked_is_no_longer_held_and_nothing_is_counted_twice(project, engineer):
    toy = run_for(queue(project, engineer, 30), hours=1)

    leases.lose(toy, cause="training", code="killed", message="Killed.")

    hold = Hold.objects.get()
    assert hold.state == "open", "it goes on"
    assert float(hold.spent) == pytest.approx(10, abs=0.05)
    assert float(month(project).spent) == pytest.approx(10, abs=0.05)
    assert month(project).committed == 30


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED])
def test_at_the_end_the_rest_is_let_go(project, engineer, outcome):
    toy = run_for(queue(project, engineer, 30), hours=2)

    leases.finish(toy, outcome, cause="training", code="oom" if outcome == Outcome.FAILED else "")

    hold = Hold.objects.get()
    assert (hold.state, hold.reason, hold.left) == ("released", outcome.value, 0)
    assert float(hold.spent) == pytest.approx(20, abs=0.05), "what came of it stays readable"
    assert month(project).held == 0
    assert float(month(project).spent) == pytest.approx(20, abs=0.05)


def test_a_job_that_never_ran_lets_go_of_all_of_it(project, engineer):
    toy = queue(project, engineer, 30)

    leases.request_cancel(toy, actor=engineer.email)

    assert (Hold.objects.get().reason, month(project).committed) == ("cancelled", 0)


def test_after_three_losses_nothing_is_held_any_more(project, engineer):
    toy = queue(project, engineer, 30)
    for _ in range(3):
        leases.lose(run_for(toy, hours=0.1), cause="training", code="killed", message="Killed.")

    toy.refresh_from_db()
    assert toy.state == "failed"
    assert (Hold.objects.get().state, Hold.objects.get().reason) == ("released", "failed")


def test_a_job_handed_back_keeps_its_hold(project, engineer):
    toy = run_for(queue(project, engineer, 30), hours=0.5)

    leases.hand_back(toy, cause="training")

    assert month(project).committed == 30


def test_another_try_is_held_for_again(project, engineer):
    toy = run_for(queue(project, engineer, 30), hours=1)
    leases.finish(toy, Outcome.FAILED, cause="training", code="oom")

    queue(project, engineer, 30, toy=toy)

    first, second = Hold.objects.order_by("pk")
    assert (first.state, second.state, second.left) == ("released", "open", 30)
    assert float(month(project).committed) == pytest.approx(40, abs=0.05)


def test_more_than_was_held_leaves_nothing_to_hold(project, engineer):
    toy = run_for(queue(project, engineer, 5), hours=1)

    leases.lose(toy, cause="training", code="killed", message="Killed.")

    assert Hold.objects.get().left == 0
    assert month(project).held == 0


def test_an_open_hold_counts_in_the_month_that_runs(project, engineer):
    queue(project, engineer, 30)
    Hold.objects.update(month="2025-01-01", opened_at=datetime(2025, 1, 31, tzinfo=UTC))

    assert month(project).held == 30


def test_without_a_budget_nothing_is_checked_and_all_is_held(toys, tmp_path):
    make_kind(tmp_path)
    project = make_project(monthly_budget=None)
    engineer = make_member(project)

    known, unknown = queue(project, engineer, 10**6), queue(project, engineer, None)

    assert (known.state, unknown.state) == ("queued", "queued")
    assert (month(project).left, month(project).held) == (None, 10**6)


def test_beyond_the_budget_nothing_starts_without_a_reason(project, engineer):
    toy = make_toy(project)

    with pytest.raises(Refused, match="An owner can allow it"):
        queue(project, engineer, 101, toy=toy)

    toy.refresh_from_db()
    assert toy.state == "draft"
    assert not BudgetRequest.objects.exists()


def test_with_a_reason_it_waits_for_a_yes(project, engineer):
    spend(project, 20)
    toy, request = held_toy(project, engineer)

    assert toy.state == "held"
    assert (request.state, request.amount, request.over_by, request.budget) == ("asked", 150, 70, 100)
    assert (request.asked_by, request.reason) == (engineer, "The customer waits for it.")
    assert not Hold.objects.exists(), "nothing is held before the yes"
    assert AuditEvent.objects.get(action="budgetrequest.asked").reason == "The customer waits for it."


def test_what_cannot_be_projected_needs_a_yes_where_there_is_a_budget(project, engineer, owner):
    with pytest.raises(Refused, match="cannot be projected"):
        queue(project, engineer, None)
    toy, request = held_toy(project, engineer, amount=None)

    services.approve_request(request, by=owner)

    toy.refresh_from_db()
    assert (toy.state, request.amount, request.over_by) == ("queued", None, None)
    assert (Hold.objects.get().amount, Hold.objects.get().projected) == (0, None)


def test_a_yes_starts_it_and_holds_its_money_beyond_the_budget(project, engineer, owner):
    toy, request = held_toy(project, engineer)

    services.approve_request(request, by=owner, reason="Worth it.")

    toy.refresh_from_db()
    request.refresh_from_db()
    assert (toy.state, toy.attempt) == ("queued", 1)
    assert (request.state, request.decided_by, request.answer, request.is_own) == (
        "approved",
        owner,
        "Worth it.",
        False,
    )
    assert (Hold.objects.get().request, month(project).left) == (request, -50)
    assert AuditEvent.objects.filter(action="budgetrequest.approved", actor=owner.email).exists()
    assert not AuditEvent.objects.filter(action="budgetrequest.own_approval").exists()


def test_an_only_owner_may_say_yes_to_themselves_and_it_is_written_down(project, owner):
    _, request = held_toy(project, owner)

    services.approve_request(request, by=owner)

    request.refresh_from_db()
    assert request.is_own
    assert AuditEvent.objects.filter(action="budgetrequest.own_approval", actor=owner.email).count() == 1


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.REVIEWER, Role.VIEWER])
def test_only_owners_decide(project, engineer, role):
    toy, request = held_toy(project, engineer)
    member = make_member(project, role)

    for service in (services.approve_request, services.decline_request):
        with pytest.raises(PermissionDenied):
            service(request, by=member, reason="mine")
    toy.refresh_from_db()
    assert toy.state == "held"


def test_a_no_has_a_reason_and_makes_it_a_draft_again(project, engineer, owner):
    toy, request = held_toy(project, engineer)
    with pytest.raises(Invalid, match="Say why"):
        services.decline_request(request, by=owner, reason=" ")

    services.decline_request(request, by=owner, reason="Next month.")

    toy.refresh_from_db()
    assert (toy.state, request.state, request.answer) == ("draft", "declined", "Next month.")
    assert AuditEvent.objects.filter(action="toy.draft", reason="Next month.").exists()


@pytest.mark.parametrize("ended", ["failed", "cancelled"])
def test_a_no_to_another_try_leaves_it_as_it_ended(project, engineer, owner, ended):
    toy = run_for(queue(project, engineer, 30), hours=1)
    leases.finish(toy, Outcome(ended), cause="training", code="oom", message="It did not fit.")
    queue(project, engineer, 95, toy=toy, reason="Now it will.")
    request = BudgetRequest.objects.get()
    assert request.is_retry

    services.decline_request(request, by=owner, reason="It will not.")

    toy.refresh_from_db()
    assert (toy.state, toy.error_code, toy.error_message) == (ended, "oom", "It did not fit.")


def test_whoever_asked_may_take_it_back_and_nobody_else(project, engineer, owner):
    toy, request = held_toy(project, engineer)
    with pytest.raises(Refused) as refused:
        services.withdraw_request(request, by=owner)
    assert refused.value.code == "not_yours"

    services.withdraw_request(request, by=engineer)

    toy.refresh_from_db()
    assert (toy.state, request.state) == ("draft", "withdrawn")
    queue(project, engineer, 150, toy=toy, reason="After all.")
    assert BudgetRequest.objects.filter(state="asked").count() == 1


def test_a_request_is_decided_once(project, engineer, owner):
    _, request = held_toy(project, engineer)
    stale = BudgetRequest.objects.get(pk=request.pk)
    services.approve_request(request, by=owner)

    with pytest.raises(Refused) as refused:
        services.decline_request(stale, by=owner, reason="No.")
    assert refused.value.code == "just_changed"
    with pytest.raises(Refused) as refused:
        services.withdraw_request(request, by=engineer)
    assert refused.value.code == "illegal_transition"


def test_cancelling_what_waits_closes_its_request(project, engineer):
    toy, request = held_toy(project, engineer)

    assert budgeting.cancel_held(toy, by=engineer, reason="Not needed.")

    request.refresh_from_db()
    assert (toy.state, request.state, request.decided_by) == ("cancelled", "withdrawn", engineer)
    assert not budgeting.cancel_held(toy, by=engineer)


def test_a_yes_to_what_is_gone_is_refused(project, engineer, owner):
    toy, request = held_toy(project, engineer)
    Toy.objects.filter(pk=toy.pk).delete()

    with pytest.raises(Refused, match="does not wait"):
        services.approve_request(request, by=owner)
    request.refresh_from_db()
    assert request.state == "asked"
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (Hold, {"amount": -1}),
        (Hold, {"state": "released"}),
        (Hold, {"reason": "cancelled"}),
        (BudgetRequest, {"state": "approved"}),
        (BudgetRequest, {"decided_at": datetime(2026, 1, 1, tzinfo=UTC)}),
    ],
)
def test_the_database_keeps_the_rules_too(project, engineer, model, changes):
    queue(project, engineer, 1)
    held_toy(project, engineer)

    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(**changes)


def test_a_job_has_one_open_hold_and_one_open_request(project, engineer):
    toy = queue(project, engineer, 1)
    _, request = held_toy(project, engineer)

    with pytest.raises(IntegrityError), transaction.atomic():
        holds.open_hold(toy, amount=Decimal(1), now=timezone.now())
    request.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        request.save(force_insert=True)


def test_the_time_after_a_loss_is_held_and_booked_as_idle(project, engineer):
    toy = run_for(queue(project, engineer, 30), hours=2)
    gone = leases.database_time() - timedelta(hours=1)
    Toy.objects.filter(pk=toy.pk).update(heartbeat_at=gone, lease_until=gone)

    assert reconciler.sweep()["given_back"] == 1

    line = project.ledger.get()
    assert (float(line.quantity), float(line.idle_quantity)) == (pytest.approx(2, abs=0.01), pytest.approx(1, abs=0.01))
    assert (line.outcome, line.loss_cause) == ("lost", "infrastructure")
    assert line.attempt.ended_at == gone, "the attempt itself ended when its worker went"
