"""Runs as rows alone, for lists and comparisons: nothing is trained, and nothing is read from a store."""

from itertools import count
from typing import Any

from django.utils import timezone

from datasets_app.models import DatasetVersion
from projects.models import Project, User
from tests.factories.deployments import make_base, make_version
from training.domain.recipe import Recipe
from training.domain.series import Series
from training.models import BaseModelVersion, MetricChunk, Run

_n = count(1)


def make_listed(
    project: Project,
    by: User,
    *,
    base: BaseModelVersion | None = None,
    version: DatasetVersion | None = None,
    losses: tuple[float, ...] = (),
    recipe: dict[str, Any] | None = None,
    **fields: Any,
) -> Run:
    """A run that succeeded, unless told otherwise, with a loss at every step."""
    base, version = base or make_base(project, by), version or make_version(project, by)
    read = Recipe.read({"rank": 8, "alpha": 16} | (recipe or {}))
    values: dict[str, Any] = {
        "name": f"run {next(_n)}",
        "method": read.method,
        "state": "succeeded",
        "spec": {"recipe": read.as_dict(), "data": {"content_hash": version.content_hash}},
        "started_by": by,
        "started_at": timezone.now(),
        "total_steps": len(losses),
        "step": len(losses),
        "last_loss": losses[-1] if losses else None,
    }
    run = Run.objects.create(
        project=project, base=base, dataset_version=version, recipe=read.as_dict(), created_by=by, **(values | fields)
    )
    steps = list(range(1, len(losses) + 1))
    told = {"loss": losses, "seconds": [step * 2.0 for step in steps], "tokens": [step * 100.0 for step in steps]}
    if losses:
        MetricChunk.objects.append(run, {name: Series.of(steps, values) for name, values in told.items()})
    return run
