"""Sweeps for tests, planned and started by the product's own services."""

from itertools import count
from typing import Any

from django.conf import settings

from projects import reconciler
from projects.models import Project, User
from tests.factories import datasets
from tests.factories.projects import make_member, make_project, run_jobs
from tests.factories.training import RECIPE, fake_engine, make_base
from training import services
from training.models import Sweep

_n = count(1)
RANKS = [{"name": "rank", "values": [2, 4, 8]}]


def plan_sweep(project: Project | None = None, by: User | None = None, **fields: Any) -> Sweep:
    """A draft over three ranks, unless told otherwise, its data counted."""
    project = project or make_project()
    by = by or make_member(project)
    base = fields.pop("base", None) or make_base(project, by)
    version = fields.pop("version", None) or datasets.make_version(project=project, by=by)
    values: dict[str, Any] = {"name": f"sweep {next(_n)}", "space": RANKS, "recipe": RECIPE} | fields
    sweep = services.create_sweep(project, by=by, base=base, version=version, **values)
    run_jobs()
    return sweep


def start_sweep(project: Project | None = None, by: User | None = None, behaviour: str = "ok", **fields: Any) -> Sweep:
    """Under way: the reconciler has taken its first step, and no run has been worked on yet."""
    settings.ENGINES["training.run"] = fake_engine(behaviour)
    project = project or make_project()
    by = by or make_member(project)
    sweep = services.start_sweep(plan_sweep(project, by, **fields), by=by)
    reconciler.sweep()
    sweep.refresh_from_db()
    return sweep


def run_sweep(*args: Any, **fields: Any) -> Sweep:
    """As it ended."""
    sweep = start_sweep(*args, **fields)
    for _ in range(20):
        run_jobs()
        reconciler.sweep()
        sweep.refresh_from_db()
        if sweep.is_over:
            return sweep
    raise AssertionError(f"{sweep} does not end")
