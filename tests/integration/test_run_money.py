"""A run and its money: held from the start, a yes beyond the budget, on pages and over the API."""

from decimal import Decimal

import pytest

from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, BudgetRequest, Hold, LedgerEntry
from projects.selectors import costs, overview
from projects.services import budget as money
from tests.factories.projects import make_member, make_project, run_jobs
from tests.factories.training import fake_engine, make_draft, make_run
from training import selectors, services
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project(slug="routing", monthly_budget=Decimal(100), cpu_hour_price=Decimal(10))


@pytest.fixture
def engineer(project):
    return make_member(project, name="Emil")


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER, name="Olga")


@pytest.fixture
def draft(project, engineer):
    """A draft in a project whose budget is too small for anything."""
    run = make_draft(project, engineer, name="router")
    project.monthly_budget = Decimal(0)
    project.save()
    return run


def page(client, user, run):
    client.force_login(user)
    return client.get(f"/projects/routing/runs/{run.pk}/").content.decode().replace("&#x27;", "'")


def test_a_run_holds_its_p90_and_lets_go_of_the_rest(project, engineer, client):
    run = make_run(project, engineer)

    hold, line = Hold.objects.get(), LedgerEntry.objects.get(subject_kind="training.run")
    assert str(hold.projected) == f"{Decimal(run.projection['money']['p90']):.6f}"
    assert (hold.state, hold.reason, hold.spent) == ("released", "succeeded", line.amount)
    shown = page(client, engineer, run)
    assert "Said at the start" in shown
    assert f"/projects/routing/costs/ledger/?subject=training.run:{run.pk}" in shown


def test_the_books_know_how_the_time_of_a_run_was_spent(project, engineer):
    run = make_run(project, engineer)

    line = LedgerEntry.objects.select_related("attempt").get(subject_kind="training.run", subject_id=run.pk)
    assert [name for name, _ in line.attempt.marks] == ["working", "training"]
    assert 0 <= line.idle_quantity <= line.quantity


def test_a_start_beyond_the_budget_is_refused_and_nothing_is_written(client, draft, engineer):
    client.force_login(engineer)

    answer = client.post(f"/projects/routing/runs/{draft.pk}/start/")

    assert answer.status_code == 409
    for part in ("may cost up to", "€0.00 of this month's budget", "say why it should start"):
        assert part in answer.content.decode().replace("&#x27;", "'")
    draft.refresh_from_db()
    assert (draft.state, draft.spec) == ("draft", {})


def test_the_draft_says_before_that_it_needs_a_yes(client, draft, engineer):
    shown = page(client, engineer, draft)

    assert "beyond its budget: it needs an owner's yes" in shown
    assert "Ask for a yes" in shown
    assert "Start run" not in shown


def test_a_draft_that_fits_says_what_will_be_held(client, project, engineer):
    run = make_draft(project, engineer)

    shown = page(client, engineer, run)

    assert "(P90) will be held" in shown
    assert "Start run" in shown


def test_with_a_reason_the_run_waits_with_its_spec_frozen(client, draft, engineer, owner):
    client.force_login(engineer)
    client.post(f"/projects/routing/runs/{draft.pk}/start/", {"budget_reason": "The customer waits."})

    draft.refresh_from_db()
    assert draft.state == "held"
    assert draft.dataset_version.content_hash in draft.spec["data"].values()
    assert draft.started_by == engineer
    shown = page(client, engineer, draft)
    assert "Waits for an owner's yes" in shown
    assert "The customer waits." in shown
    assert "Withdraw request" in shown
    assert "Retry run" not in shown
    shown = page(client, owner, draft)
    assert "Waits for your yes" in shown
    assert "Allow router" in shown
    assert [need.url for need in overview.needs(draft.project, owner) if need.kind == "budget"] == [
        f"/projects/routing/runs/{draft.pk}/"
    ]


def test_after_the_yes_it_runs_to_its_end(client, draft, engineer, owner, settings):
    settings.ENGINES["training.run"] = fake_engine("ok")
    services.start_run(draft, by=engineer, budget_reason="The customer waits.")
    frozen = Run.objects.get(pk=draft.pk).spec

    client.force_login(owner)
    client.post(f"/projects/routing/costs/requests/{BudgetRequest.objects.get().pk}/approve/")
    run_jobs()

    draft.refresh_from_db()
    assert (draft.state, draft.spec) == ("succeeded", frozen)
    assert Hold.objects.get().state == "released"
    assert "Allowed by" in page(client, owner, draft)


def test_after_a_no_the_draft_shows_why_and_can_be_asked_for_again(client, draft, engineer, owner):
    services.start_run(draft, by=engineer, budget_reason="The customer waits.")
    money.decline_request(BudgetRequest.objects.get(), by=owner, reason="Not for ten euros.")

    shown = page(client, engineer, draft)
    assert "An owner said no" in shown
    assert "Not for ten euros." in shown
    services.start_run(draft, by=engineer, budget_reason="Then for nine.")
    draft.refresh_from_db()
    assert draft.state == "held"


def test_an_own_yes_is_shown_on_the_run(client, draft, owner, settings):
    settings.ENGINES["training.run"] = fake_engine("ok")
    services.start_run(draft, by=owner, budget_reason="I am alone.")
    money.approve_request(BudgetRequest.objects.get(), by=owner)
    run_jobs()

    assert "Own approval" in page(client, owner, draft)


def test_cancelling_a_run_that_waits_takes_the_request_back(client, draft, engineer):
    services.start_run(draft, by=engineer, budget_reason="The customer waits.")
    with pytest.raises(Refused, match="Cancel it first"):
        services.delete_run(draft, by=engineer)
    assert 'data-dialog="cancel-run"' in page(client, engineer, draft)

    client.post(f"/projects/routing/runs/{draft.pk}/cancel/", {"reason": "Not needed."})

    draft.refresh_from_db()
    assert draft.state == "cancelled"
    assert BudgetRequest.objects.get().state == "withdrawn"
    assert AuditEvent.objects.filter(action="run.cancelled", reason="Not needed.").exists()


def test_another_try_beyond_the_budget_asks_again(client, project, engineer, owner):
    run = make_run(project, engineer, behaviour="fail")
    project.monthly_budget = Decimal(0)
    project.save()
    assert 'data-dialog="retry-run"' in page(client, engineer, run)
    assert client.post(f"/projects/routing/runs/{run.pk}/retry/").status_code == 409

    client.post(f"/projects/routing/runs/{run.pk}/retry/", {"reason": "A lower rate."})
    run.refresh_from_db()
    assert run.state == "held"
    money.decline_request(BudgetRequest.objects.get(), by=owner, reason="No.")

    run.refresh_from_db()
    assert (run.state, run.error_code) == ("failed", "nan_loss")


def test_a_new_run_beyond_the_budget_asks_on_the_form(client, draft, engineer):
    client.force_login(engineer)
    form = {
        "name": "router 2", "method": "sft", "base": draft.base_id, "dataset_version": draft.dataset_version_id,
        "target_modules": "all-linear", "then": "start",
    } | {name: value for name, value in draft.recipe.items() if isinstance(value, int | float | str)}  # fmt: skip

    refused = client.post("/projects/routing/runs/new/", form)
    assert refused.status_code == 400
    assert "Why start it beyond the budget" in refused.content.decode()
    assert "say why it should start" in refused.content.decode()
    assert Run.objects.count() == 1, "no draft is left behind"

    client.post("/projects/routing/runs/new/", {**form, "budget_reason": "The customer waits."})
    assert Run.objects.latest("pk").state == "held"


def test_the_projection_of_a_new_run_tells_what_is_left(client, draft, engineer):
    client.force_login(engineer)
    form = {"name": "x", "method": "sft", "base": draft.base_id, "dataset_version": draft.dataset_version_id} | {
        name: value for name, value in draft.recipe.items() if isinstance(value, int | float | str)
    }

    shown = client.post("/projects/routing/runs/projection/", form | {"target_modules": "all-linear"})

    assert "it needs an owner" in shown.content.decode()


def test_the_api_asks_in_the_same_way(client, draft, engineer):
    client.force_login(engineer)
    address = f"/api/v1/projects/routing/runs/{draft.pk}/start/"
    refused = client.post(address, {}, "application/json")
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
        409, "over_budget", "budget_reason",
    )  # fmt: skip

    answer = client.post(address, {"budget_reason": "The customer waits."}, "application/json")

    assert (answer.status_code, answer.json()["state"]) == (202, "held")
    assert BudgetRequest.objects.get().reason == "The customer waits."


def test_an_adapter_costs_what_failed_on_the_way_to_it(project, engineer):
    failed = make_run(project, engineer, behaviour="fail", name="first")
    base, version = failed.base, failed.dataset_version
    other = make_run(project, engineer, behaviour="fail", name="elsewhere", base=base)
    rehearsal = services.rehearse_run(make_draft(project, engineer, base=base, version=version), by=engineer)
    services.cancel_rehearsal(rehearsal, by=engineer)
    made = make_run(project, engineer, name="second", base=base, version=version)
    later = make_run(project, engineer, behaviour="fail", name="third", base=base, version=version)

    (product,) = selectors.products(project)

    assert product.subject == ("training.run", made.pk)
    assert product.on_the_way == (("training.run", failed.pk), ("training.rehearsal", rehearsal.pk))
    assert {other.pk, later.pk}.isdisjoint(pk for _, pk in product.on_the_way)
    (cost,) = costs.product_costs(project)
    booked = {line.subject_id: line.amount for line in project.ledger.filter(subject_kind="training.run")}
    assert (cost.own, cost.on_the_way) == (booked[made.pk], booked[failed.pk])
