"""The card that says who wrote the rows of a version."""

from typing import Any

from datasets_app import selectors
from datasets_app.domain.provenance import ORIGIN_NAMES
from datasets_app.models import DatasetVersion

GROUPS = (
    ("origin", "Origin"),
    ("depth", "Generation depth"),
    ("teacher", "Teacher"),
    ("licence", "Licence"),
    ("contributor", "Contributor"),
    ("edited_by", "Edited by"),
)
SHOWN = 6


def origins_card(version: DatasetVersion) -> dict[str, Any] | None:
    """Shares by origin, depth, teacher, licence and contributor; None for versions that nobody has looked at so."""
    stats = version.stats.get("origins")
    if not stats:
        return None
    groups = [{"title": title, "lines": _lines(name, stats.get(name, []), version.rows)} for name, title in GROUPS]
    return {
        "said": stats.get("said", 0),
        "breaches": selectors.policy_breaches(version),
        "groups": [group for group in groups if group["lines"]],
        "figure": None,
    }


def _lines(name: str, ranked: list[list[Any]], rows: int) -> list[tuple[str, int, float]]:
    named = [(value, n) for value, n in ranked if value is not None or name == "depth"]
    if name == "depth" and all(value is None for value, _ in named):
        return []
    return [(_word(name, value), n, n / rows if rows else 0.0) for value, n in named[:SHOWN]]


def _word(name: str, value: Any) -> str:
    if name == "origin":
        return ORIGIN_NAMES.get(value, str(value))
    if name != "depth":
        return str(value)
    if value is None:
        return "Not known"
    return {0: "0, by people", 1: "1, by a model"}.get(value, f"{value}, by a model trained on depth {value - 1}")
