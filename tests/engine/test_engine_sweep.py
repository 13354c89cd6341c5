"""A sweep of three real runs of a tiny model, from the plan to the proposal, every engine a real child."""

import shutil
from pathlib import Path

import pytest
from django.conf import settings

from demo import tickets
from projects import invariants, reconciler
from tests.factories import datasets
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def forked(torch_server, monkeypatch):
    """Trainings are forked off, what reads rows is started as everywhere."""
    from projects import child

    usual = child.spawn

    def spawn(command, **how):
        return (torch_server.fork if torch_server.knows(command, how["environment"]) else usual)(command, **how)

    monkeypatch.setattr(child, "spawn", spawn)


def test_three_rates_are_trained_and_the_useless_one_is_not_proposed(tiny_base):
    """A rate a thousand times too low learns nothing; which of the others is better may stay open, that may not."""
    project = make_project()
    by = make_member(project)
    shutil.copytree(tiny_base, Path(settings.MODELS_DIR) / "tiny")
    base = services.register_base(project, by=by, source="local", path="tiny")
    version = datasets.make_version(project=project, by=by, rows=tickets.routing_sets()[0][:160])
    run_jobs()
    base.refresh_from_db()
    sweep = services.create_sweep(
        project,
        by=by,
        name="which rate",
        base=base,
        version=version,
        recipe={"epochs": 1, "max_length": 128, "rank": 8, "alpha": 16, "batch_size": 8},
        space=[{"name": "learning_rate", "values": [1e-6, 3e-3, 6e-3]}],
        at_once=1,
    )
    run_jobs()

    services.start_sweep(sweep, by=by)
    reconciler.sweep()
    run_jobs()

    sweep.refresh_from_db()
    rows = selectors.trials(sweep)
    assert [row.run.state for row in rows] == ["succeeded"] * 3, [row.run.error_message for row in rows]
    assert sweep.state == "succeeded"
    low = rows[0].run
    assert sweep.result["order"][-1]["run"] == low.pk
    assert low.pk not in sweep.result["tied"], sweep.result
    assert sweep.result["winner"] in {rows[1].run_id, rows[2].run_id}
    assert all(row.run.adapter.size_bytes > 0 for row in rows)
    assert not invariants.check()
