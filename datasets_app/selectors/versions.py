"""Versions over time, the recipes that made them, and the policy their rows are held to."""

from typing import Any

from django.db.models import QuerySet

from datasets_app.domain.recipes import BadRecipe, describe, read_steps
from datasets_app.models import Dataset, DatasetVersion, SavedRecipe
from projects.models import Project


def usable_versions(project: Project) -> QuerySet[DatasetVersion]:
    """Everything that may be built on, newest first."""
    return DatasetVersion.objects.filter(dataset__project=project).select_related("dataset__project").order_by("-pk")


def over_time(dataset: Dataset) -> list[dict[str, Any]]:
    """Released versions, oldest first, with what charts of quality over versions need."""
    versions = dataset.versions.order_by("number").prefetch_related("findings", "overlaps")
    return [
        {
            "version": version,
            "label": f"v{version.number}",
            "rows": version.rows,
            "findings": {f.code: f.count for f in version.findings.all()},
            "severities": {
                severity: sum(f.count for f in version.findings.all() if f.severity == severity)
                for severity in ("error", "warning", "info")
            },
            "leaked": sum(overlap.total for overlap in version.overlaps.all()),
            "diversity": version.stats.get("diversity", {}),
            "origins": version.stats.get("origins", {}),
        }
        for version in versions
    ]


def origin_policy(project: Project) -> dict[str, Any]:
    """What the project allows of rows that models have written; None is no limit."""
    share = project.max_synthetic_share
    return {
        "max_synthetic_share": float(share) if share is not None else None,
        "max_synthetic_depth": project.max_synthetic_depth,
    }


def policy_breaches(version: DatasetVersion) -> list[str]:
    """How the rows break the policy as it is now, in sentences; the policy may have changed since they were judged."""
    origins, policy = version.stats.get("origins") or {}, origin_policy(version.project)
    if not origins:
        return []
    found = []
    share, most = origins.get("synthetic_share", 0.0), policy["max_synthetic_share"]
    if most is not None and share > most + 1e-9:
        found.append(f"{share:.1%} of the rows of {version} are written by models; this project allows {most:.1%}.")
    deepest, allowed = origins.get("deepest", 0), policy["max_synthetic_depth"]
    if allowed is not None and deepest > allowed:
        found.append(
            f"{version} has rows of generation depth {deepest}: written by a model that learned from models' rows. "
            f"This project allows depth {allowed}."
        )
    return found


def recipe_steps(steps: list[dict[str, Any]]) -> list[str]:
    """The steps in words; a recipe of another time that cannot be read any more is shown by its names."""
    bare = [{k: v for k, v in step.items() if k not in ("rows", "dropped", "changed")} for step in steps]
    try:
        return [describe(step) for step in read_steps(bare)] if bare else []
    except BadRecipe:
        return [str(step.get("op", "")).replace("_", " ") for step in bare]


def saved_recipes(project: Project) -> QuerySet[SavedRecipe]:
    return SavedRecipe.objects.filter(project=project).select_related("created_by").order_by("name")
