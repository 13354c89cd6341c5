"""Sweeps from plan to proposal: what they hold, start, stop and close, whoever dies on the way."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from projects import invariants, leases, reconciler
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, BudgetRequest, Hold
from projects.services import budget as budgets
from tests.factories import datasets
from tests.factories.evaluation import make_golden, use_engine
from tests.factories.projects import make_member, make_project, run_jobs
from tests.factories.sweeps import RANKS, plan_sweep, run_sweep, start_sweep
from tests.factories.training import fake_engine, make_base, make_owner
from training import pages, selectors, services, sweeping
from training.domain.series import Series
from training.models import MetricChunk, Run, Sweep, TokenProfile, Trial

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_engines(settings):
    """Stand-ins for what trains and evaluates, whoever asks for it; which of them is forgotten with the test."""
    settings.ENGINES = settings.ENGINES | {"training.run": fake_engine("ok")}
    use_engine()


def states(sweep):
    return [row.run.state if row.run else row.refused for row in selectors.trials(sweep)]


def held(sweep):
    return sum(hold.amount - hold.spent for hold in Hold.objects.filter(project=sweep.project, state="open"))


def test_a_grid_runs_every_combination_and_proposes_one(django_capture_on_commit_callbacks):
    sweep = run_sweep()

    assert sweep.state == "succeeded"
    rows = selectors.trials(sweep)
    assert [row.run.recipe["rank"] for row in rows] == [2, 4, 8]
    assert [row.run.name for row in rows] == [f"{sweep.name} #{n}" for n in (1, 2, 3)]
    assert all(row.run.sweep == sweep and row.run.spec and row.run.started_by == sweep.started_by for row in rows)
    # The stand-in engine gives every run the same losses, so nothing may be called better.
    assert sweep.result["clear"] is False
    assert len(sweep.result["tied"]) == 3
    assert sweep.result["headline"].startswith("No clear winner")
    cheapest = min(rows, key=lambda row: (row.run.cost, row.number)).run
    assert sweep.result["winner"] == cheapest.pk
    titles = [figure["title"] for figure in pages.sweep_page(sweep, timezone.now())["figures"]]
    assert titles[-1] == "Loss of 3 runs, smoothed"  # and not a second figure for “at the end”
    assert not invariants.check()


def test_only_so_many_go_at_once(settings):
    settings.ENGINES = dict(settings.ENGINES)
    sweep = start_sweep(at_once=2)

    assert states(sweep) == ["queued", "queued"]
    assert (sweep.state, sweep.started_at is not None) == ("running", True)
    reconciler.sweep()
    assert states(sweep) == ["queued", "queued"], "another turn changes nothing"


def test_steps_may_be_taken_again_and_by_many(monkeypatch):
    """Two replicas that saw the same state: the second finds that the first has done it."""
    sweep = start_sweep(at_once=1)
    Run.objects.filter(sweep=sweep).update(state="cancelled", finished_at=timezone.now())
    wanted = sweeping._wanted(sweep.pk)
    assert [number for number, _ in wanted] == [2]
    monkeypatch.setattr(sweeping, "_wanted", lambda pk: wanted)

    assert sweeping.advance(sweep.pk) == 1
    assert sweeping.advance(sweep.pk) == 0
    assert list(sweep.trials.values_list("number", flat=True)) == [1, 2]


def test_the_end_of_a_run_starts_the_next_without_the_reconciler():
    sweep = start_sweep(at_once=1)

    run_jobs()

    sweep.refresh_from_db()
    assert (sweep.state, sweep.trials.count()) == ("succeeded", 3)


def test_a_worker_that_dies_loses_nothing():
    sweep = start_sweep(at_once=1)
    run = Run.objects.get(sweep=sweep)
    leases.claim([Run], owner="gone/gpu/1")
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(minutes=5))

    reconciler.sweep()

    run.refresh_from_db()
    assert (run.state, run.infra_failures) == ("queued", 1)
    run_jobs()
    sweep.refresh_from_db()
    assert sweep.state == "succeeded"


def test_a_failed_run_is_a_result_and_the_sweep_goes_on():
    sweep = run_sweep(behaviour="fail")

    assert (sweep.state, sweep.error_code) == ("failed", "no_result")
    assert states(sweep) == ["failed"] * 3
    assert not Hold.objects.filter(project=sweep.project, state="open").exists()


# Money


def test_all_of_it_is_held_and_goes_over_to_the_runs():
    project = make_project(monthly_budget=Decimal(1000))
    sweep = plan_sweep(project, at_once=1)
    services.start_sweep(sweep, by=sweep.created_by)
    sweep.refresh_from_db()
    whole = Decimal(sweep.projection["money"]["p90"])
    assert held(sweep) == whole > 0

    reconciler.sweep()

    run = Run.objects.get(sweep=sweep)
    mine, its = (Hold.objects.get(job_label=label, state="open") for label in ("training.sweep", "training.run"))
    assert its.amount == Decimal(str(run.projection["money"]["p90"])).quantize(its.amount)
    assert mine.amount + its.amount == pytest.approx(whole)
    assert held(sweep) == pytest.approx(whole)

    run_jobs()
    assert held(sweep) == 0
    assert not invariants.check()


def test_beyond_the_budget_an_owner_is_asked():
    project = make_project(monthly_budget=Decimal("0.00"))
    owner, sweep = make_owner(project), plan_sweep(project)

    with pytest.raises(Refused) as refused:
        services.start_sweep(sweep, by=sweep.created_by)
    assert refused.value.code == "over_budget"

    services.start_sweep(sweep, by=sweep.created_by, budget_reason="It decides the release.")
    sweep.refresh_from_db()
    assert sweep.state == "held"
    assert sweeping.advance_all() == 0

    budgets.approve_request(BudgetRequest.objects.get(project=project), by=owner, reason="Yes.")
    reconciler.sweep()

    sweep.refresh_from_db()
    assert sweep.state == "running"
    assert states(sweep) == ["queued", "queued"], "the yes counts for its runs, too"


def test_a_no_makes_it_a_draft_again():
    project = make_project(monthly_budget=Decimal("0.00"))
    owner, sweep = make_owner(project), plan_sweep(project)
    services.start_sweep(sweep, by=sweep.created_by, budget_reason="Please.")

    budgets.decline_request(BudgetRequest.objects.get(project=project), by=owner, reason="Next month.")

    sweep.refresh_from_db()
    assert sweep.state == "draft"


def test_what_a_run_costs_beyond_its_share_has_to_fit():
    project = make_project(monthly_budget=Decimal(1000))
    sweep = plan_sweep(project, at_once=1)
    services.start_sweep(sweep, by=sweep.created_by)
    Hold.objects.filter(job_label="training.sweep").update(amount=0)
    project.monthly_budget = Decimal(0)
    project.save()

    for _ in range(4):
        reconciler.sweep()

    sweep.refresh_from_db()
    assert sweep.state == "failed"
    assert all("budget" in row.refused for row in selectors.trials(sweep))
    assert not Run.objects.filter(sweep=sweep).exists()


# Stopping early


def progress(run, step, losses, total=100):
    Run.objects.filter(pk=run.pk).update(
        state="running", step=step, total_steps=total, lease_until=timezone.now() + timedelta(hours=1)
    )
    MetricChunk.objects.append(run, {"loss": Series.of(list(range(1, len(losses) + 1)), losses)})


def under_way(losses, **fields):
    """Four runs at half of their steps, each at a loss of its own."""
    values = {"space": [{"name": "rank", "values": [2, 4, 6, 8]}], "at_once": 4, "stopping": "median"} | fields
    sweep = start_sweep(**values)
    runs = list(Run.objects.filter(sweep=sweep).order_by("pk"))
    for _ in runs:
        leases.claim([Run], owner="host/gpu/1")
    for run, loss in zip(runs, losses, strict=True):
        progress(run, 50, [loss + (n % 2) * 0.01 for n in range(50)])
    return sweep, runs


def test_the_hopeless_one_is_stopped_with_its_reason():
    sweep, runs = under_way([1.0, 1.001, 1.002, 3.0])

    reconciler.sweep()

    asked = [run.cancel_requested_at is not None for run in Run.objects.filter(sweep=sweep).order_by("pk")]
    assert asked == [False, False, False, True]
    row = sweep.trials.get(run=runs[3])
    assert "its loss was 3" in row.stopped["reason"]
    assert row.stopped["share"] == 0.5
    middle = Decimal(str(runs[3].projection["money"]["p50"]))
    assert Decimal(row.stopped["saved"]) == pytest.approx(middle / 2, abs=Decimal("0.000001"))
    event = AuditEvent.objects.get(action="run.cancel_requested", target=f"training.run:{runs[3].pk}")
    assert (event.actor, event.reason) == ("sweep", row.stopped["reason"])
    money = selectors.money_of(sweep, selectors.trials(sweep), timezone.now())
    assert money.saved == Decimal(row.stopped["saved"])


def test_noise_stops_nobody():
    sweep, _ = under_way([1.0, 1.0001, 1.0002, 1.0003])

    reconciler.sweep()

    assert not Run.objects.filter(sweep=sweep, cancel_requested_at__isnull=False).exists()


def test_before_its_grace_is_over_nobody_is_stopped():
    sweep, _ = under_way([1.0, 1.001, 1.002, 3.0], grace=0.6)

    reconciler.sweep()

    assert not Run.objects.filter(sweep=sweep, cancel_requested_at__isnull=False).exists()


# Examined on a golden set


def test_adapters_are_examined_and_the_proposal_says_how_sure_it_is(settings):
    settings.ENGINES = dict(settings.ENGINES)
    project = make_project()
    by = make_member(project)
    golden = make_golden(project, by)
    use_engine("better")

    sweep = run_sweep(
        project,
        by,
        golden=golden,
        version=datasets.make_version(project=project, by=by, rows=datasets.tickets(20, start=1000)),
    )

    assert sweep.state == "succeeded"
    adapters = [row.run.adapter for row in selectors.trials(sweep)]
    assert [adapter.evaluations.count() for adapter in adapters] == [1, 1, 1]
    assert str(golden) in sweep.result["measure"]
    assert sweep.result["n"] == 40
    assert (sweep.result["clear"], len(sweep.result["tied"])) == (False, 3), "all of them answered the same"
    reconciler.sweep()
    assert [adapter.evaluations.count() for adapter in adapters] == [1, 1, 1]


# People


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_only_those_who_start_runs_sweep(role):
    sweep = plan_sweep()
    other = make_member(sweep.project, role)

    for service in (services.start_sweep, services.cancel_sweep, services.delete_sweep, services.repeat_winner):
        with pytest.raises(PermissionDenied):
            service(sweep, by=other)


def test_cancelling_ends_what_is_under_way_and_keeps_what_is_done():
    sweep = start_sweep(at_once=2)
    first = Run.objects.filter(sweep=sweep).order_by("pk").first()
    leases.claim([Run], owner="host/gpu/1")

    services.cancel_sweep(sweep, by=sweep.created_by, reason="Wrong data.")

    sweep.refresh_from_db()
    first.refresh_from_db()
    assert sweep.state == "cancelled"
    assert first.cancel_requested_at is not None
    assert states(sweep)[1] == "cancelled"
    assert not Hold.objects.filter(job_label="training.sweep", state="open").exists()
    assert sweeping.advance_all() == 0
    with pytest.raises(Refused) as refused:
        services.cancel_sweep(sweep, by=sweep.created_by)
    assert refused.value.code == "already_over"


def test_a_sweep_that_waits_for_a_yes_can_be_cancelled():
    sweep = plan_sweep(make_project(monthly_budget=Decimal("0.00")))
    services.start_sweep(sweep, by=sweep.created_by, budget_reason="Please.")

    services.cancel_sweep(sweep, by=sweep.created_by)

    sweep.refresh_from_db()
    assert sweep.state == "cancelled"
    assert BudgetRequest.objects.get(project=sweep.project).state == "withdrawn"


def test_the_winner_is_trained_again_with_a_seed_nobody_had():
    sweep = run_sweep()

    again, third = (services.repeat_winner(sweep, by=sweep.created_by) for _ in range(2))

    winner = Run.objects.get(pk=sweep.result["winner"])
    assert (again.state, again.sweep, again.recipe["rank"]) == ("draft", None, winner.recipe["rank"])
    assert (winner.recipe["seed"], again.recipe["seed"], third.recipe["seed"]) == (0, 1, 2)


def test_runs_outlive_their_sweep():
    sweep = run_sweep()
    pks = list(Run.objects.filter(sweep=sweep).values_list("pk", flat=True))

    services.delete_sweep(sweep, by=sweep.created_by)

    assert not Sweep.objects.filter(pk=sweep.pk).exists()
    assert Trial.objects.count() == 0
    assert Run.objects.filter(pk__in=pks, sweep=None).count() == 3


def test_started_once():
    sweep = start_sweep()

    with pytest.raises(Refused) as refused:
        services.start_sweep(sweep, by=sweep.created_by)
    assert refused.value.code == "already_started"
    with pytest.raises(Refused) as refused:
        services.delete_sweep(sweep, by=sweep.created_by)
    assert refused.value.code == "still_running"


REFUSED = [
    ({"space": []}, "space"),
    ({"space": [{"name": "rank", "values": [2]}]}, "rank"),
    ({"space": [{"name": "rank", "values": [2, 2]}]}, "rank"),
    ({"space": [{"name": "rank", "values": [2, 0]}]}, "rank"),
    ({"space": [{"name": "method", "values": ["sft", "dpo"]}]}, "space"),
    ({"space": [{"name": "colour", "values": [1, 2]}]}, "space"),
    ({"space": RANKS + RANKS}, "space"),
    ({"space": [{"name": "rank", "low": 2, "high": 8}]}, "strategy"),
    ({"space": [{"name": "rank", "low": 8, "high": 2}], "strategy": "random", "runs": 3}, "rank"),
    (
        {"space": [{"name": "learning_rate", "low": 0, "high": 0.1, "log": True}], "strategy": "tpe", "runs": 3},
        "learning_rate",
    ),
    ({"strategy": "magic"}, "strategy"),
    ({"strategy": "random", "runs": 0}, "runs"),
    ({"strategy": "random", "runs": 101}, "runs"),
    ({"runs": 4}, "runs"),
    ({"at_once": 0}, "at_once"),
    ({"stopping": "soon"}, "stopping"),
    ({"grace": 0.99}, "grace"),
    ({"name": " "}, "name"),
    ({"space": [{"name": "max_length", "values": [32, 64]}], "stopping": "median"}, "stopping"),
    ({"space": [{"name": "max_length", "values": [32, 64]}]}, "golden"),
    ({"space": [{"name": "dataset_version", "values": [10**9, 10**9 + 1]}]}, "golden"),
]


@pytest.mark.parametrize(("fields", "field"), REFUSED)
def test_a_plan_that_cannot_be_is_refused_at_its_field(fields, field):
    project = make_project()
    by = make_member(project)

    with pytest.raises(Invalid) as refused:
        plan_sweep(project, by, **fields)

    assert refused.value.field == field
    assert not Sweep.objects.exists()


def test_data_can_be_swept_when_a_golden_set_judges():
    project = make_project()
    by = make_member(project)
    versions = [
        datasets.make_version(project=project, by=by, rows=datasets.tickets(20, start=n * 100 + 1000)) for n in range(2)
    ]
    golden = make_golden(project, by)
    space = [{"name": "dataset_version", "values": [one.pk for one in versions]}]

    sweep = start_sweep(project, by, base=make_base(project, by), version=versions[0], space=space, golden=golden)

    assert [row.run.dataset_version for row in selectors.trials(sweep)] == versions
    other = make_project()
    with pytest.raises(Invalid) as refused:
        plan_sweep(other, space=space, golden=make_golden(other, make_member(other)))
    assert refused.value.code == "not_found"


def test_tpe_learns_from_its_runs_and_a_worker_without_it_draws_at_random(monkeypatch):
    space = [{"name": "learning_rate", "low": 1e-5, "high": 1e-2, "log": True}]
    sweep = run_sweep(space=space, strategy="tpe", runs=3, at_once=1)
    assert sweep.state == "succeeded"
    assert sweep.trials.count() == 3

    monkeypatch.setattr("training.domain.sweeps.tpe.is_there", lambda: False)
    sweep = run_sweep(space=space, strategy="tpe", runs=2, at_once=1)
    assert sweep.trials.count() == 2
    assert "Optuna is not installed" in sweep.note


def test_a_base_that_is_not_ready_waits():
    project = make_project()
    by = make_member(project)
    base = make_base(project, by)
    base.state = "running"

    with pytest.raises(Refused) as refused:
        plan_sweep(project, by, base=base)
    assert refused.value.code == "base_not_ready"


def test_data_that_cannot_be_counted_is_told_and_not_waited_for(client):
    sweep = plan_sweep()
    TokenProfile.objects.update(state="failed", error_code="template", error_message="Row 3 cannot be shown.")
    client.force_login(sweep.created_by)

    body = client.get(sweep.get_absolute_url()).content.decode()

    assert "Row 3 cannot be shown." in body
    assert "every 2s" not in body
    with pytest.raises(Refused) as refused:
        services.start_sweep(sweep, by=sweep.created_by)
    assert refused.value.code == "template"
