"""Reads of imported adapters."""

from django.db.models import QuerySet

from projects.models import Project
from training.models import AdapterImport


def imports(project: Project) -> QuerySet[AdapterImport]:
    """All of a project, the newest first, each with the adapter that came of it."""
    joined = ("project", "base", "dataset_version__dataset", "imported_by", "adapter")
    return project.adapter_imports.select_related(*joined).order_by("-pk")
