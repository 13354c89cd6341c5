"""Reads of adapters."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from projects import artefacts
from projects.models import Project
from training.domain import integrity
from training.models import Adapter
from training.selectors.compatibility import fitted
from training.selectors.runs import cost_so_far


def adapters(project: Project) -> QuerySet[Adapter]:
    made = ("run__started_by", "run__parent_adapter__project", "imported__imported_by")
    joined = ("project", *made, "base", "dataset_version__dataset")
    return project.adapters.select_related(*joined).order_by("-pk")


def adapter_path(adapter: Adapter) -> Path:
    """A local directory with the adapter's files, each checked against the manifest of the row."""
    place = artefacts.fetch_directory(adapter.key)
    artefacts.check_directory(place, adapter.manifest)  # the row's own copy: a manifest on disk can be swapped
    return place


def rank_summary(adapter: Adapter) -> dict[str, Any]:
    """What a server needs to know before it loads the adapter."""
    known = adapter.run.measured if adapter.run else adapter.imported.declared  # type: ignore[union-attr]
    return {"parameters": known.get("parameters", 0), "rank": adapter.rank, "alpha": adapter.alpha}


def target_modules(adapter: Adapter) -> list[str]:
    """The last names of the layers that it changes, as its weights were recorded."""
    return integrity.target_modules(fitted(adapter).tensors)


def cost_of(adapter: Adapter, now: datetime) -> Decimal:
    """What making it has cost here: all attempts of its run, or of its import."""
    if adapter.run is not None:
        return cost_so_far(adapter.run, now)
    came_by = adapter.imported_id or 0  # a constraint sees to it that there is one where there is no run
    lines = adapter.project.ledger.filter(subject_kind="training.adapter_import", subject_id=came_by)
    return sum((line.amount for line in lines), Decimal(0))
