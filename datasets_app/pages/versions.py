"""The page of a version."""

from typing import Any

from django.http import QueryDict

from datasets_app import selectors
from datasets_app.domain.recipes import describe, read_steps
from datasets_app.models import DatasetVersion
from datasets_app.pages.findings import figures, judged
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
        **judged(version),
    }


def version_rows_page(version: DatasetVersion, query: QueryDict) -> dict[str, Any]:
    return {"version": version, "dataset": version.dataset, **rows_page(version, query)}


def recipe_lines(version: DatasetVersion) -> list[str]:
    steps = (
        read_steps([{k: v for k, v in step.items() if k != "rows"} for step in version.recipe])
        if version.recipe
        else []
    )
    counted = zip(steps, version.recipe, strict=True)
    return [f"{describe(step)}: {rows_in_words(entry.get('rows', 0))}" for step, entry in counted]
