"""Reads of adapters."""

from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from projects import artefacts
from projects.models import Project
from training.models import Adapter


def adapters(project: Project) -> QuerySet[Adapter]:
    joined = ("project", "run__started_by", "run__parent_adapter__project", "base", "dataset_version__dataset")
    return project.adapters.select_related(*joined).order_by("-pk")


def adapter_path(adapter: Adapter) -> Path:
    """A local directory with the adapter's files, each checked against the manifest of the row."""
    place = artefacts.fetch_directory(adapter.key)
    artefacts.check_directory(place, adapter.manifest)  # the row's own copy: a manifest on disk can be swapped
    return place


def rank_summary(adapter: Adapter) -> dict[str, Any]:
    """What a server needs to know before it loads the adapter."""
    measured = adapter.run.measured
    return {"parameters": measured.get("parameters", 0), "rank": adapter.rank, "alpha": adapter.alpha}
