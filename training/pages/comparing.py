"""Runs beside each other as their page shows them: curves, what differs, and what came of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse

from projects.contributions import RunScore
from projects.domain import formatting
from projects.models import Project
from training import selectors
from training.charts import comparing as charts
from training.domain import comparing
from training.domain.comparing import OVER, Comparison
from training.domain.recipe import KNOBS
from training.models import Run
from training.pages.parallels import parallels

LABELS = {
    "loss": "Loss", "token_accuracy": "Answer tokens predicted right", "tokens_per_second": "Tokens a second",
    "reward_accuracy": "Pairs in the right order", "reward_chosen": "Reward of chosen answers",
    "validation_loss": "Validation loss", "validation_token_accuracy": "Validation tokens predicted right",
    "validation_reward_accuracy": "Validation pairs in the right order",
    "reward_rejected": "Reward of rejected answers", "learning_rate": "Learning rate", "grad_norm": "Gradient norm",
}  # fmt: skip
RISING = {
    "token_accuracy", "tokens_per_second", "reward_accuracy", "reward_chosen", "validation_token_accuracy",
    "validation_reward_accuracy",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of the table: `value` to sort by, `shown` to read; what differs can be marked."""

    name: str
    label: str
    value: Callable[[Run], Any]
    shown: Callable[[Any], str] = str
    number: bool = True
    usual: str | None = None


@dataclass
class Row:
    run: Run
    style: charts.Style
    hidden: bool
    cells: list[dict[str, Any]] = field(default_factory=list)


def label_of(metric: str) -> str:
    return LABELS.get(metric, metric.replace("_", " ").capitalize())


def comparison_page(project: Project, comparison: Comparison, now: datetime) -> dict[str, Any]:
    """Everything on the page."""
    runs = selectors.compared(project, comparison)
    url = reverse("run-compare", args=[project.slug])
    common = {"comparison": comparison, "compare_url": url, "runs_url": reverse("run-list", args=[project.slug])}
    if len(runs) < 2:
        return common | {"rows": [], "missing": len(comparison.runs) - len(runs)}
    styles = {run.pk: charts.style(at) for at, run in enumerate(runs)}
    columns = _columns(runs, comparison, selectors.run_scores(runs), project.currency)
    figure = curves_figure(runs, comparison, styles)
    return common | {
        "rows": _rows(runs, styles, comparison, columns),
        "legend": [Row(run, styles[run.pk], run.pk in comparison.hidden) for run in runs],
        "columns": [_heading(one, comparison) for one in columns],
        "figure": figure,
        "parallel": _parallel(runs, comparison, figure),
        "metrics": [(name, label_of(name)) for name in selectors.metric_names(runs)] or [("loss", "Loss")],
        "axes": list(OVER.items()),
        "missing": len(comparison.runs) - len(runs),
    }


def curves(runs: Sequence[Run], comparison: Comparison) -> dict[int, tuple[list[float], list[float]]]:
    """Thinned, smoothed and short, in the order of the runs."""
    found = selectors.thinned(runs, comparison.metric, comparison.points, comparison.over)
    return {
        run.pk: (
            [comparing.short(x) for x in found[run.pk][0]],
            [comparing.short(y) for y in comparing.smoothed(found[run.pk][1], comparison.smooth)],
        )
        for run in runs
        if run.pk in found
    }


def curves_figure(
    runs: Sequence[Run],
    comparison: Comparison,
    styles: dict[int, charts.Style],
    *,
    names: dict[int, str] | None = None,
    marked: int = 0,
) -> dict[str, Any] | None:
    drawn = curves(runs, comparison)
    if not drawn:
        return None
    names, label = names or {run.pk: run.name for run in runs}, label_of(comparison.metric)
    look: dict[str, Any] = {
        "hidden": comparison.hidden,
        "log": comparison.log,
        "across": OVER[comparison.over],
        "label": label,
        "marked": marked,
    }
    shown = {pk: curve for pk, curve in drawn.items() if pk not in comparison.hidden}
    return {
        "figure": charts.overlay(drawn, names, styles, **look),
        "title": charts.overlay_title(shown, names, label, rising=comparison.metric in RISING),
        "table": charts.overlay_table(drawn, names, label, OVER[comparison.over]),
    }


def _parallel(runs: Sequence[Run], comparison: Comparison, drawn: dict[str, Any] | None) -> dict[str, Any] | None:
    """From what differs to where each curve that is shown ends."""
    lines = [(trace["meta"], trace["y"][-1]) for trace in drawn["figure"]["data"] if trace["y"]] if drawn else []
    ends = {pk: end for pk, end in lines if pk not in comparison.hidden and end is not None and math.isfinite(end)}
    shown = [run for run in runs if run.pk in ends]
    label = label_of(comparison.metric)
    return parallels(shown, differences(shown), ends, label, rising=comparison.metric in RISING)


def facts(run: Run) -> dict[str, str]:
    """What a run was made with, by name; of its recipe only what its method uses."""
    found = {"method": run.get_method_display(), "base": str(run.base), "data": str(run.dataset_version)}
    if run.validation_version:
        found["validation"] = str(run.validation_version)
    if run.parent_adapter:
        found["parent"] = str(run.parent_adapter)
    for knob in KNOBS:
        if run.method in knob.methods and knob.name != "method":
            found[knob.name] = _fact(run.recipe.get(knob.name))
    found |= {"device": run.device_name} if run.device_name else {}
    return found | {name: str(version) for name, version in (run.spec.get("packages") or {}).items()}


def differences(runs: Sequence[Run], *, whole: bool = False) -> list[dict[str, Any]]:
    """What is not the same in all of them (or everything), with the value of each run by its number."""
    told = {run.pk: facts(run) for run in runs}
    differ = comparing.differing(list(told.values()))
    names = list(dict.fromkeys(name for one in told.values() for name in one)) if whole else differ
    return [
        {
            "name": name,
            "label": FACT_LABELS.get(name, name),
            "differs": name in differ,
            "values": {str(pk): one.get(name) for pk, one in told.items()},
        }
        for name in names
    ]


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value if value is not None else "–")


FACT_LABELS = {
    "base": "Base",
    "data": "Data",
    "validation": "Validation data",
    "parent": "Goes on from",
    "device": "Device",
} | {knob.name: knob.label for knob in KNOBS}


def _columns(
    runs: Sequence[Run], comparison: Comparison, scores: dict[int, list[RunScore]], currency: str
) -> list[Column]:
    told = {run.pk: facts(run) for run in runs}
    differ = comparing.differing(list(told.values()))
    names = list(dict.fromkeys(name for one in told.values() for name in one)) if comparison.whole else differ
    found = [_fact_column(name, told, name in differ) for name in names]
    found += [
        Column("loss", "Loss", lambda run: run.last_loss, _sig3),
        *_validation_column(runs),
        Column("rate", "Tokens/s", lambda run: run.tokens_per_second, lambda value: formatting.number(round(value))),
        Column("duration", "Duration", lambda run: run.seconds, formatting.duration),
        Column("cost", "Cost", lambda run: run.cost, lambda value: formatting.money(value, currency)),
    ]
    measures = dict.fromkeys(score.measure for run in runs for score in scores.get(run.pk, []))
    return found + [_score_column(measure, scores) for measure in measures]


def _validation_column(runs: Sequence[Run]) -> list[Column]:
    """The best value of each, where any was looked at; over other rows it would be another figure."""
    found = selectors.validated(runs)
    if not found:
        return []

    def best(run: Run) -> float | None:
        return found[run.pk].best if run.pk in found else None

    one = len({run.validation_version_id for run in runs if run.pk in found}) == 1
    return [Column("validation", "Best validation loss" + ("" if one else " (different rows)"), best, _sig3)]


def _sig3(value: Any) -> str:
    return formatting.sig3(float(value))


def _fact_column(name: str, told: dict[int, dict[str, str]], differs: bool) -> Column:
    usual = comparing.usual([one.get(name, "–") for one in told.values()]) if differs else None
    numbers = all(_is_number(one.get(name, "–")) for one in told.values())
    return Column(
        f"fact:{name}",
        FACT_LABELS.get(name, name),
        lambda run: float(told[run.pk][name]) if numbers else told[run.pk].get(name),
        lambda value: f"{value:g}" if numbers else str(value),
        numbers,
        usual,
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _score_column(measure: str, scores: dict[int, list[RunScore]]) -> Column:
    by_run = {pk: score for pk, rows in scores.items() for score in rows if score.measure == measure}

    def value(run: Run) -> float | None:
        return by_run[run.pk].value if run.pk in by_run else None

    return Column(f"score:{measure}", measure, value, formatting.percent)


def _rows(
    runs: Sequence[Run], styles: dict[int, charts.Style], comparison: Comparison, columns: Sequence[Column]
) -> list[Row]:
    wanted = next((one for one in columns if one.name == comparison.order.removeprefix("-")), None)
    ordered = list(runs)
    if wanted is not None:
        known = [run for run in runs if wanted.value(run) is not None]
        known.sort(key=wanted.value, reverse=comparison.order.startswith("-"))
        ordered = known + [run for run in runs if wanted.value(run) is None]
    return [
        Row(run, styles[run.pk], run.pk in comparison.hidden, [_cell(one, run) for one in columns]) for run in ordered
    ]


def _cell(column: Column, run: Run) -> dict[str, Any]:
    value = column.value(run)
    text = formatting.NOTHING if value is None else column.shown(value)
    odd = column.name.startswith("fact:") and column.usual is not None and text != column.usual
    return {"text": text, "number": column.number, "odd": odd, "label": column.label}


def _heading(column: Column, comparison: Comparison) -> dict[str, Any]:
    mine = comparison.order.removeprefix("-") == column.name
    falling = comparison.order.startswith("-")
    turned = f"-{column.name}" if mine and not falling else column.name
    return {
        "label": column.label,
        "number": column.number,
        "sorted": ("descending" if falling else "ascending") if mine else "",
        "query": comparison.ordered(turned).query,
        "id": "".join(char if char.isalnum() else "-" for char in column.name),
    }
