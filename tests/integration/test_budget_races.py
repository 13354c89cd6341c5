"""Fifty at once against one budget: not a cent beyond it, on every database."""

from decimal import Decimal

import pytest
from django.utils import timezone

from projects import budgeting, holds
from projects.domain.permissions import Role
from projects.models import BudgetRequest, Hold, Project, User
from projects.services import budget as services
from tests.factories.projects import make_member, make_project
from tests.factories.toys import Toy, make_kind, make_toy
from tests.integration.test_deployments_races import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(toys, tmp_path):
    make_kind(tmp_path)
    return make_project(monthly_budget=Decimal(100))


def test_fifty_starts_at_once_stay_within_the_budget(project):
    engineer = make_member(project)
    toys = [make_toy(project, f"toy {n}") for n in range(50)]

    def starting(toy):
        # As a request would: everything read anew, in its own connection.
        return lambda: budgeting.queue_or_ask(
            Toy.objects.get(pk=toy.pk), by=User.objects.get(pk=engineer.pk), amount=Decimal(7)
        )

    ends = together(*map(starting, toys))

    assert (ends.count("done"), ends.count("over_budget")) == (14, 36)
    assert Toy.objects.filter(state="queued").count() == Hold.objects.count() == 14
    month = holds.month(Project.objects.get(pk=project.pk), timezone.now())
    assert (month.committed, month.left) == (98, 2)


def test_a_yes_and_a_no_and_a_second_thought_at_once(project):
    engineer, owners = make_member(project), [make_member(project, Role.OWNER) for _ in range(3)]
    toy = make_toy(project)
    budgeting.queue_or_ask(toy, by=engineer, amount=Decimal(150), reason="Needed.")
    request = BudgetRequest.objects.get()

    def fresh():
        return BudgetRequest.objects.get(pk=request.pk)

    ends = together(
        *[lambda by=by: services.approve_request(fresh(), by=by) for by in owners],
        *[lambda by=by: services.decline_request(fresh(), by=by, reason="No.") for by in owners],
        lambda: services.withdraw_request(fresh(), by=engineer),
        lambda: budgeting.cancel_held(Toy.objects.get(pk=toy.pk), by=engineer),
    )

    assert set(ends) <= {"done", "just_changed", "illegal_transition"}
    request.refresh_from_db()
    toy.refresh_from_db()
    state = {"approved": {"queued"}, "declined": {"draft"}, "withdrawn": {"draft", "cancelled"}}[request.state]
    assert toy.state in state
    assert Hold.objects.count() == (request.state == "approved")
