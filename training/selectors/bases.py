"""Reads of base-model versions."""

from pathlib import Path

from django.conf import settings
from django.db.models import Count, QuerySet

from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.models import Project
from training.models import BaseModelVersion


def bases(project: Project) -> QuerySet[BaseModelVersion]:
    """All of a project, the newest first, with how much stands on each."""
    counts = {"run_count": Count("runs", distinct=True), "adapter_count": Count("adapters", distinct=True)}
    return project.bases.select_related("project", "registered_by").annotate(**counts).order_by("-pk")


def ready_bases(project: Project) -> QuerySet[BaseModelVersion]:
    return project.bases.filter(state=JobState.SUCCEEDED).order_by("-pk")


def base_path(base: BaseModelVersion) -> Path:
    """Where the files lie; the engine checks them against the fingerprint before it uses them."""
    if not base.is_ready:
        raise Refused(f"The base model {base} is not ready. Wait, or register it again.", code="base_not_ready")
    if not base.folder.is_dir():
        raise Refused(f"The files of the base model {base} are gone. Restore them.", code="base_missing")
    return base.folder


def local_folders() -> list[str]:
    """Names of the directories under the models folder that look like models: all that may be registered."""
    root = Path(settings.MODELS_DIR)
    found = [path for path in root.glob("*") if path.is_dir()] + [path for path in root.glob("*/*") if path.is_dir()]
    return sorted(
        path.relative_to(root).as_posix()
        for path in found
        if (path / "config.json").is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
