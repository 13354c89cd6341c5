"""The page of a version."""

from typing import Any

from django.http import QueryDict

from datasets_app import selectors
from datasets_app.models import DatasetVersion, Stage
from datasets_app.pages.findings import figures, judged
from datasets_app.pages.origins import origins_card
from datasets_app.pages.rows import rows_page
from datasets_app.pages.words import format_name, rows_in_words


def version_page(version: DatasetVersion) -> dict[str, Any]:
    return {
        "version": version,
        "dataset": version.dataset,
        "verdict": selectors.verdict(version.dataset, version),
        "figures": figures(version),
        "format": format_name(version.source_format),
        "parents": list(version.parents.select_related("dataset__project")),
        "children": list(version.children.select_related("dataset__project")),
        "steps": recipe_lines(version),
        "origins": origins_card(version),
        **moves(version),
        **judged(version),
    }


def moves(version: DatasetVersion) -> dict[str, Any]:
    """Where one can go from a version: to others to compare with, back to it, to its proposal."""
    others = version.dataset.versions.filter(kind=version.kind).exclude(pk=version.pk).order_by("-number")
    latest = selectors.latest_version(version.dataset)
    released = version.stage == Stage.RELEASED
    return {
        "comparable": others[:20],
        "restorable": released and latest is not None and latest.pk != version.pk,
        "proposal": getattr(version, "proposal", None),
        "released": released,
        "targets": selectors.usable_versions(version.project).exclude(pk=version.pk)[:50] if version.recipe else [],
        "not_compared": list(selectors.missing_comparisons(version)[:5]),
        "failed_comparison": selectors.golden_comparisons(version).filter(state="failed").order_by("-pk").first(),
    }


def version_rows_page(version: DatasetVersion, query: QueryDict) -> dict[str, Any]:
    return {"version": version, "dataset": version.dataset, **rows_page(version, query)}


def recipe_lines(version: DatasetVersion) -> list[str]:
    """The steps that made the version, each with what it did."""
    words = selectors.recipe_steps(version.recipe)
    return [f"{text}: {_done(entry)}" for text, entry in zip(words, version.recipe, strict=True)]


def _done(step: dict[str, Any]) -> str:
    dropped, changed = step.get("dropped"), step.get("changed", 0)
    if dropped is None:
        return rows_in_words(step.get("rows", 0))
    parts = [f"{rows_in_words(n)} {what}" for n, what in ((dropped, "dropped"), (changed, "changed")) if n]
    return ", ".join(parts) or "nothing to do"
