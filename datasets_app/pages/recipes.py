"""The pages around recipes: the builder with its preview, recipes under a name."""

from typing import Any

from datasets_app import selectors
from datasets_app.domain import diffing
from datasets_app.models import DatasetVersion, Preview
from datasets_app.pages.drafts import Draft
from datasets_app.pages.offers import grouped_offers
from projects.models import Project


def builder_page(version: DatasetVersion, draft: Draft, **more: Any) -> dict[str, Any]:
    return {
        "version": version,
        "dataset": version.dataset,
        "steps": draft.shown(version),
        "offers": grouped_offers(),
        "saved": list(selectors.saved_recipes(version.project)),
        "needs_title": version.project.review_data_changes,
        **more,
    }


def first_draft(version: DatasetVersion, query: Any) -> Draft:
    """What the builder opens with: a saved recipe, the recipe of another version, a preview, or nothing."""
    project = version.project
    if number_of(query, "recipe"):
        saved = selectors.saved_recipes(project).filter(pk=number_of(query, "recipe")).first()
        return Draft.of_steps(saved.steps) if saved else Draft([])
    if number_of(query, "like"):
        other = DatasetVersion.every.filter(dataset__project=project, pk=number_of(query, "like")).first()
        return Draft.of_steps(other.recipe) if other else Draft([])
    if number_of(query, "preview"):
        preview = Preview.objects.filter(project=project, pk=number_of(query, "preview")).first()
        return Draft.of_steps(preview.steps) if preview else Draft([])
    return Draft([])


def preview_page(preview: Preview) -> dict[str, Any]:
    """What each step would do: counts, and three rows before and after with their differences marked."""
    words = selectors.recipe_steps(preview.steps)
    done = preview.report.get("steps", [])
    steps = [
        {
            "words": text,
            "dropped": entry.get("dropped", 0),
            "changed": entry.get("changed", 0),
            "parts": list(entry.get("parts", {}).items()),
            "examples": [_example(one) for one in entry.get("examples", [])],
        }
        for text, entry in zip(words, done, strict=False)
    ]
    return {"preview": preview, "version": preview.source, "report": preview.report, "preview_steps": steps}


def recipes_page(project: Project) -> dict[str, Any]:
    recipes = [
        {"recipe": recipe, "words": selectors.recipe_steps(recipe.steps)} for recipe in selectors.saved_recipes(project)
    ]
    return {"recipes": recipes, "versions": list(selectors.usable_versions(project)[:100])}


def number_of(query: Any, name: str) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _example(one: dict[str, Any]) -> dict[str, Any]:
    gone = one["after"] is None
    return {
        "index": one["index"],
        "gone": gone,
        "parts": diffing.rows(one["before"], one["before"] if gone else one["after"]),
    }
