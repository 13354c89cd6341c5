"""Every engine started from nothing, as an installation starts it; most other tests fork theirs, to save time."""

import sys

import pytest

from projects import child
from tests.factories import datasets, deployments, evaluation, training
from tests.factories.projects import make_member, make_project, run_jobs
from tools import forkserver
from training import services

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def started(true_start, monkeypatch):
    """The programs that were started from nothing."""
    usual, programs = child.spawn, set()

    def spawn(command, **given):
        assert command[0] == sys.executable
        programs.add(command[2] if command[1] == "-m" else command[1])
        return usual(command, **given)

    monkeypatch.setattr(child, "spawn", spawn)
    return programs


def test_every_engine_does_its_work_from_a_cold_start(started, settings):
    settings.ENGINES = dict(settings.ENGINES)
    project = make_project()
    by = make_member(project)
    version = datasets.clean(datasets.make_version(project=project, by=by), {"op": "sample", "n": 30})
    run = training.make_run(project, by, version=version)
    row = services.show_row(version, by=by, base=run.base, index=3)
    judged = evaluation.run_evaluation()
    live = deployments.make_live()

    run_jobs()
    row.refresh_from_db()
    assert {job.state for job in (version.build, run, row, judged, live)} == {"succeeded"}
    assert started >= {name for name in forkserver.PROGRAMS["rows"] if not name.startswith("tests")}
