"""What must be true of money, and that each promise notices when it is broken."""

from decimal import Decimal

import pytest

from projects import budgeting, invariants
from projects.domain.permissions import Role
from projects.models import BudgetRequest
from projects.services import budget as services
from tests.factories.ledger import spend
from tests.factories.projects import make_member, make_project
from tests.factories.toys import Toy, make_kind, make_toy

pytestmark = pytest.mark.django_db
OURS = {"holds_end", "asked_for", "corrections"}


@pytest.fixture
def project(toys, tmp_path):
    make_kind(tmp_path)
    return make_project(monthly_budget=Decimal(100))


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER)


def broken():
    return {one.name: one.rows for one in invariants.check() if one.name in OURS}


def queue(project, owner, amount):
    toy = make_toy(project, "router")
    budgeting.queue_or_ask(toy, by=owner, amount=Decimal(amount), reason="Needed.")
    return toy


def test_what_the_product_does_keeps_all_of_them(project, owner):
    assert {one.name for one in invariants.known()} >= OURS
    queue(project, owner, 10)
    queue(project, owner, 500)
    declined = queue(project, owner, 500)
    services.decline_request(BudgetRequest.objects.get(job_id=declined.pk), by=owner, reason="No.")
    line = spend(project, 10)
    services.correct_line(line, by=owner, amount=Decimal(0), reason="Not ours.")

    assert broken() == {}


def test_a_hold_that_outlives_its_work_is_named(project, owner):
    over, gone = queue(project, owner, 10), queue(project, owner, 10)
    Toy.objects.filter(pk=over.pk).update(state="succeeded")
    Toy.objects.filter(pk=gone.pk).delete()

    assert len(broken()["holds_end"]) == 2
    assert "router is over, and 10" in broken()["holds_end"][0]


def test_a_job_that_waits_for_nobody_is_named(project, owner):
    Toy.objects.filter(pk=queue(project, owner, 10).pk).update(state="held")

    assert broken()["asked_for"] == [f"toys.toy {Toy.objects.get().pk}: it waits for a yes that nobody was asked for"]


def test_a_request_for_which_nothing_waits_is_named(project, owner):
    Toy.objects.filter(pk=queue(project, owner, 500).pk).update(state="queued")

    (row,) = broken()["asked_for"]
    assert row.endswith("router does not wait for it")


def test_a_correction_beyond_its_line_is_named(project, owner):
    line = spend(project, 10)
    made = services.correct_line(line, by=owner, amount=Decimal(0), reason="Not ours.")
    made.pk = None
    made.save(force_insert=True)

    assert broken() == {"corrections": [f"ledger line {line.pk}: its corrections take back more than it says"]}
