"""Work that costs more than was held for it: the hold grows, owners are told once, and it may be paused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from projects import budgeting, leases, overspending, pausing, reconciler
from projects.domain.permissions import Role
from projects.domain.states import Outcome
from projects.models import Attempt, AuditEvent, BudgetRequest, Hold
from projects.selectors import overview
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


def running(project, amount, hours):
    toy = make_toy(project, "router")
    by = make_member(project)
    budgeting.queue_or_ask(toy, by=by, amount=None if amount is None else Decimal(amount), reason="Needed.")
    if toy.state == "held":
        services.approve_request(BudgetRequest.objects.get(), by=make_member(project, Role.OWNER))
    toy = leases.claim([Toy], owner="host/cpu/1")
    Attempt.objects.filter(job_id=toy.pk).update(started_at=leases.database_time() - timedelta(hours=hours))
    return toy


def test_what_stays_within_its_hold_is_left_alone(project, owner):
    running(project, 30, hours=2.9)

    assert overspending.watch() == 0
    assert Hold.objects.get().amount == 30
    assert overview.needs(project, owner) == []


def test_what_costs_more_grows_its_hold_and_owners_are_told_once(project, owner):
    running(project, 30, hours=4)

    assert reconciler.sweep()["swept"] >= 1
    first = Hold.objects.get()
    assert float(first.amount) == pytest.approx(40, abs=0.1)
    assert (first.projected, first.exceeded_at is None) == (30, False)
    Attempt.objects.update(started_at=leases.database_time() - timedelta(hours=5))
    overspending.watch()

    again = Hold.objects.get()
    assert float(again.amount) == pytest.approx(50, abs=0.1)
    assert again.exceeded_at == first.exceeded_at
    assert AuditEvent.objects.filter(action="hold.exceeded").count() == 1
    (need,) = overview.needs(project, owner)
    assert need.text.startswith("router costs more than it was said to: €50.0")
    assert need.text.endswith("so far instead of €30.00")


def test_what_was_booked_before_counts(project, owner):
    toy = running(project, 30, hours=2)
    leases.lose(toy, cause="training", code="killed", message="Killed.")
    toy = leases.claim([Toy], owner="host/cpu/1")
    Attempt.objects.filter(job_id=toy.pk, ended_at=None).update(started_at=leases.database_time() - timedelta(hours=2))

    assert overspending.watch() == 1
    hold = Hold.objects.get()
    assert float(hold.amount) == pytest.approx(40, abs=0.2)
    assert float(hold.left) == pytest.approx(20, abs=0.2), "what is booked is not held"


def test_what_nobody_could_project_grows_without_an_alarm(project, owner):
    running(project, None, hours=4)

    overspending.watch()

    hold = Hold.objects.get()
    assert float(hold.amount) == pytest.approx(40, abs=0.1)
    assert hold.exceeded_at is None
    assert overview.needs(project, owner) == []


def test_at_the_end_nobody_is_told_any_more(project, owner):
    toy = running(project, 30, hours=4)
    overspending.watch()

    leases.finish(toy, Outcome.SUCCEEDED, cause="training")

    assert overview.needs(project, owner) == []
    assert Hold.objects.get().exceeded_at is not None, "it stays on record"
    assert overspending.watch() == 0


@pytest.mark.parametrize(
    ("stop", "spent", "hours", "stopped"),
    [
        (True, 70, 4, True),  # past its hold, and nothing is left
        (True, 50, 4, False),  # past its hold, but the month has room
        (True, 70, 2.9, False),  # within its hold: it was said and held
        (False, 70, 4, False),  # the default: tell only
    ],
)
def test_a_run_is_paused_only_where_asked_and_only_when_nothing_is_left(project, owner, stop, spent, hours, stopped):
    project.stop_at_budget = stop
    project.save()
    toy = running(project, 30, hours=hours)
    spend(project, spent)

    overspending.watch()
    overspending.watch()

    toy.refresh_from_db()
    assert bool(toy.pause_requested_at) is stopped
    assert toy.state == "running", "it saves first"
    told = AuditEvent.objects.filter(action="toy.pause_requested", actor="budget")
    assert told.count() == stopped
    assert not stopped or "nothing is left" in told.get().reason


def test_without_a_budget_nothing_is_stopped(project, owner):
    project.stop_at_budget, project.monthly_budget = True, None
    project.save()
    toy = running(project, 30, hours=40)

    overspending.watch()

    toy.refresh_from_db()
    assert toy.pause_requested_at is None


def test_a_run_that_is_paused_keeps_what_is_held_for_it(project):
    toy = running(project, 30, hours=1)

    pausing.rest(toy, cause="training")

    assert toy.state == "paused"
    hold = Hold.objects.get()
    assert (hold.state, float(hold.left)) == ("open", pytest.approx(20, abs=0.1))
    assert project.ledger.get().loss_cause == "", "its checkpoint is kept: nothing is lost"
