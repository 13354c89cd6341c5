"""Many replicas at one sweep: each trial begins once, no more run at once than may, and not a cent is held twice."""

from decimal import Decimal

import pytest

from projects import reconciler
from projects.models import Hold
from tests.factories.projects import make_project, run_jobs
from tests.factories.sweeps import plan_sweep
from tests.factories.training import fake_engine
from tests.integration.test_deployments_races import together
from training import services, sweeping
from training.models import Run, Sweep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_engines(settings):
    """Which engine runs are given is forgotten with the test."""
    settings.ENGINES = dict(settings.ENGINES)


@pytest.fixture
def sweep():
    """Six points, three at once, started and not yet moved on."""
    planned = plan_sweep(
        make_project(monthly_budget=Decimal(1000)), space=[{"name": "rank", "values": [1, 2, 3, 4, 6, 8]}], at_once=3
    )
    services.start_sweep(planned, by=planned.created_by)
    planned.refresh_from_db()
    return planned


def held(sweep):
    return sum(hold.amount for hold in Hold.objects.filter(project=sweep.project, state="open"))


def test_replicas_together_start_what_one_would(sweep):
    ends = together(*[lambda: sweeping.advance(sweep.pk)] * 8)

    assert ends == ["done"] * 8
    reconciler.sweep()
    assert list(sweep.trials.values_list("number", flat=True)) == [1, 2, 3]
    assert Run.objects.filter(sweep=sweep, state="queued").count() == 3
    assert held(sweep) == pytest.approx(Decimal(sweep.projection["money"]["p90"]), abs=Decimal("0.001"))


def test_a_cancellation_among_replicas_leaves_nothing_that_runs(sweep):
    by = sweep.created_by

    together(
        *[lambda: sweeping.advance(sweep.pk)] * 4,
        lambda: services.cancel_sweep(Sweep.objects.get(pk=sweep.pk), by=by),
        *[lambda: sweeping.advance(sweep.pk)] * 4,
    )
    reconciler.sweep()

    sweep.refresh_from_db()
    assert sweep.state == "cancelled"
    assert not Run.objects.filter(sweep=sweep).exclude(state="cancelled").exists()
    assert held(sweep) == 0


def test_the_ends_of_runs_meet_and_the_sweep_closes_once(sweep, settings):
    settings.ENGINES = settings.ENGINES | {"training.run": fake_engine()}
    reconciler.sweep()
    run_jobs()

    together(*[lambda: sweeping.advance(sweep.pk)] * 6)

    sweep.refresh_from_db()
    assert (sweep.state, sweep.trials.count()) == ("succeeded", 6)
    assert held(sweep) == 0
