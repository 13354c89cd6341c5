"""Pages about what runs are expected to take: a rehearsal's findings, and how good projections have been."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from projects.domain import formatting
from projects.domain.errors import Refused
from projects.models import Project
from training import charts, selectors
from training.domain import projection as projecting
from training.domain import rehearsal as domain
from training.domain import tokens
from training.domain.projection.calibration import QUANTITIES, SOURCES, Coverage, Past
from training.domain.projection.points import Point
from training.domain.recipe import Recipe
from training.models import ProjectionRecord, Rehearsal

SHOWN_RECORDS = 15
SOURCE_WORDS = {
    "rehearsed": ("Rehearsed", "after some real steps of the very run"),
    "measured": ("Measured", "from runs with the same base and method"),
    "scaled": ("Scaled", "from runs with other models or methods"),
    "formula": ("By formula", "before anything was measured"),
}


def rehearsing(project: Project, projection: dict[str, Any], stats: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """What a rehearsal of a run with this projection would take itself; or why there can be none, before one asks."""
    if projection["plan"]["pace"]["sharded"]:
        return {"rehearsing": None, "not_rehearsed": domain.NEEDS_ONE_CARD}
    if refused := refusal(tokens.check_rows, stats, recipe):
        decisions, why = tokens.decisions(stats, recipe)
        return {"rehearsing": None, "not_rehearsed": (why or refused).message, "decisions": decisions}
    found = domain.expected(projection)
    money = projecting.cost(found.seconds.p50, project.hour_price(projection["device"]))
    return {"rehearsing": {"seconds": found.seconds, "steps": found.steps, "money": money}, "not_rehearsed": ""}


def refusal(check: Callable[..., None], *args: Any) -> Refused | None:
    """What a check would say to whoever asked, for a page that says it first."""
    try:
        check(*args)
    except Refused as refused:
        return refused
    return None


def rehearsal_page(rehearsal: Rehearsal, now: datetime) -> dict[str, Any]:
    result = rehearsal.result
    context: dict[str, Any] = {"rehearsal": rehearsal, "stages": stage_rows(result.get("stages") or {})}
    if rehearsal.started_at:
        context["took"] = ((rehearsal.finished_at or now) - rehearsal.started_at).total_seconds()
    points = [Point.read(raw) for raw in result.get("points") or []]
    if points:
        context["pace"] = {
            "id": "rehearsal-pace",
            "figure": charts.step_times(points),
            "title": charts.step_times_title(points),
            "table": charts.step_times_table(points),
        }
    return context


STAGE_WORDS = {
    "starting": "Start of the process",
    "preparing": "Preparing rows",
    "loading": "Loading libraries and base",
    "reference": "Reading with the reference",
    "warm_up": "First steps",
    "training": "Training",
    "samples": "Sample answers",
    "validation": "Looks at the validation data",
    "checkpoints": "Checkpoints",
    "saving": "Saving the adapter",
    "closing": "Storing and ending",
}


def stage_rows(stages: dict[str, float]) -> list[tuple[str, float]]:
    """Stages in their order, those that take nothing left out."""
    return [(words, stages[name]) for name, words in STAGE_WORDS.items() if stages.get(name, 0) >= 0.05]


def calibration_page(project: Project, wanted: str) -> dict[str, Any]:
    """Shares inside the bands, the scatter of one quantity, the records, and the rates of the installation."""
    quantity = wanted if wanted in QUANTITIES else "seconds"
    records = selectors.records(project)
    past = selectors.past(records)
    coverages = selectors.coverages(past)
    chosen = [one for one in past if one.quantity == quantity]
    return {
        "quantity": quantity,
        "quantities": [(name, label, coverages.get((name, ""))) for name, label in QUANTITIES.items()],
        "verdicts": VERDICTS,
        "figure": _scatter(quantity, chosen, project.currency) if chosen else None,
        "sources": [_source_row(source, coverages.get((quantity, source))) for source in SOURCES],
        "records": [_record_row(record, quantity) for record in records[:SHOWN_RECORDS]],
        "of": records.count(),
        "interrupted": records.filter(whole=False).count(),
        "rates": selectors.device_rates(),
    }


VERDICTS = {
    "few": ("waiting", "too few runs to tell"),
    "fair": ("succeeded", "as promised"),
    "narrow": ("attention", "bands are too narrow"),
    "wide": ("attention", "bands are wider than need be"),
}


def _scatter(quantity: str, past: list[Past], currency: str) -> dict[str, Any]:
    return {
        "id": "calibration-scatter",
        "figure": charts.predicted_and_actual(past, QUANTITIES[quantity], *unit_of(quantity, currency)),
        "title": charts.calibration_title(past, QUANTITIES[quantity]),
        "table": charts.calibration_table(past, lambda value: written(quantity, value, currency)),
    }


def unit_of(quantity: str, currency: str) -> tuple[str, float]:
    """The unit of an axis, and what a value is multiplied by for it."""
    units = {"seconds": ("s", 1.0), "money": (currency, 1.0), "tokens": ("tokens", 1.0)}
    return units.get(quantity, ("MB", 1e-6))


def written(quantity: str, value: float, currency: str) -> str:
    """A value of a quantity as people read it."""
    match quantity:
        case "seconds":
            return formatting.duration(value)
        case "money":
            return formatting.money(value, currency)
        case "tokens":
            return formatting.number(value)
    return formatting.size(value)


def _source_row(source: str, coverage: Coverage | None) -> dict[str, Any]:
    label, words = SOURCE_WORDS[source]
    return {"label": label, "words": words, "coverage": coverage, "bias": _bias(coverage.bias) if coverage else ""}


def _bias(bias: float) -> str:
    """0.08 -> typically 8 % more than predicted"""
    if abs(bias) < 0.005:
        return "typically as predicted"
    more = "more" if bias > 0 else "less"
    return f"typically {formatting.percent(abs(bias), 0)} {more} than predicted"


def _record_row(record: ProjectionRecord, quantity: str) -> dict[str, Any]:
    band, actual = record.predicted.get(quantity), record.actual.get(quantity)
    known = band is not None and actual is not None
    return {
        "record": record,
        "source": SOURCE_WORDS[record.source][0],
        "band": band,
        "actual": actual,
        "inside": known and band["p10"] <= actual <= band["p90"],
    }
