"""Sweeps as their pages show them: what they would take, where they stand, which run is proposed and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from projects.domain import formatting
from projects.domain.errors import Refused
from projects.domain.states import OVER, JobState
from projects.selectors import budget
from training import selectors
from training.charts import comparing as charts
from training.domain import money
from training.domain.comparing import Comparison
from training.domain.looks import VALIDATION
from training.domain.recipe import KNOBS
from training.domain.sweeps.space import DATA
from training.models import Sweep, Trial
from training.pages.comparing import curves_figure
from training.pages.projections import refusal
from training.pages.runs import shown

LOG = {"learning_rate"}


@dataclass(frozen=True)
class Line:
    """One trial in the table: its point, its run, and what came of it."""

    trial: Trial
    point: list[tuple[str, str]]  # label and value
    value: float | None
    shown: str
    is_winner: bool
    is_tied: bool


def sweep_page(sweep: Sweep, now: datetime) -> dict[str, Any]:
    """Everything that changes while a sweep is under way."""
    rows = selectors.trials(sweep)
    ended = sum(1 for row in rows if row.refused or (row.run and JobState(row.run.state) in OVER))
    running = sum(1 for row in rows if row.run and row.run.state == JobState.RUNNING)
    told = selectors.money_of(sweep, rows, now)
    result = sweep.result or _so_far(sweep, rows)
    return {
        "sweep": sweep,
        "lines": _lines(sweep, rows, result),
        "names": [one.label for one in sweep.read_space.dimensions],
        "result": result,
        "winner": next((row.run for row in rows if row.run and row.run_id == sweep.result.get("winner")), None),
        "ended": ended,
        "running": running,
        "spending": told,
        "stopped": [row for row in rows if row.stopped],
        "figures": sweep_figures(sweep, rows, result),
        "money": budget.of_job(sweep, money.p90(sweep.projection), now),
        "compare": ",".join(str(row.run_id) for row in rows if row.run_id),
        "measure": result.get("measure", "Loss") if result else "Loss",
    }


def _so_far(sweep: Sweep, rows: Sequence[Trial]) -> dict[str, Any]:
    """The order up to now, without a proposal: that is made when all have ended."""
    now = selectors.standing(sweep, rows)
    return {"order": now.order, "percent": now.percent, "measure": now.measure} if now.values else {}


def _lines(sweep: Sweep, rows: Sequence[Trial], result: dict[str, Any]) -> list[Line]:
    values = {one["run"]: one["value"] for one in result.get("order", [])}
    percent, tied = result.get("percent", False), result.get("tied", [])
    found = []
    for row in rows:
        value = values.get(row.run_id)
        told = "–" if value is None else formatting.percent(value) if percent else formatting.sig3(float(value))
        point = [(one.label, _written(sweep, row, one.name)) for one in sweep.read_space.dimensions]
        winner = row.run_id is not None and row.run_id == result.get("winner")
        found.append(Line(row, point, value, told, winner, row.run_id in tied and not result.get("clear")))
    best_last = sorted((one for one in found if one.value is not None), key=lambda one: one.value or 0.0)
    ordered = best_last[::-1] if percent else best_last
    return ordered + [one for one in found if one.value is None]


def _written(sweep: Sweep, row: Trial, name: str) -> str:
    value = row.params.get(name)
    if name == DATA:
        return str(row.run.dataset_version) if row.run else str(selectors.version_of(sweep, row.params))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def sweep_figures(sweep: Sweep, rows: Sequence[Trial], result: dict[str, Any]) -> list[dict[str, Any]]:
    """Parallel coordinates of what was tried, and the losses over each other."""
    runs = [row.run for row in rows if row.run]
    found = []
    values = {one["run"]: one["value"] for one in result.get("order", [])}
    if len(values) >= 2:
        found.append(_parallel(sweep, [row for row in rows if row.run_id in values], values, result))
    if len(runs) >= 1:
        # Titled without the figure that a comparison says: runs are judged by a mean, not by where a line ends.
        of = f" of {len(runs)} runs" if len(runs) > 1 else ""
        if sweep.validation_version_id and (drawn := _overlaid(rows, result, metric=VALIDATION)):
            found.append(drawn | {"id": "sweep-validation", "title": f"Validation loss{of}"})
        if drawn := _overlaid(rows, result, smooth=0.6):
            found.append(drawn | {"id": "sweep-losses", "title": f"Loss{of}, smoothed"})
    return found


def _overlaid(rows: Sequence[Trial], result: dict[str, Any], **look: Any) -> dict[str, Any] | None:
    """The curves of all runs, that of the proposed one marked."""
    runs = [row.run for row in rows if row.run]
    styles = {run.pk: charts.style(at) for at, run in enumerate(runs)}
    names = {row.run_id: f"#{row.number}" for row in rows if row.run_id}
    comparison = Comparison(runs=tuple(run.pk for run in runs), **look)
    return curves_figure(runs, comparison, styles, names=names, marked=result.get("winner", 0))


def _parallel(sweep: Sweep, rows: Sequence[Trial], values: dict[int, float], result: dict[str, Any]) -> dict[str, Any]:
    names = {row.run_id: f"#{row.number}" for row in rows if row.run_id}
    axes = [
        charts.Axis(
            one.label,
            {row.run_id: _coordinate(sweep, row, one.name) for row in rows if row.run_id},
            log=one.log or one.name in LOG,
        )
        for one in sweep.read_space.dimensions
    ]
    measure = "Score" if result.get("percent") else result["measure"]
    axes.append(charts.Axis(measure, {pk: round(values[pk], 4) for pk in names}))
    rising = bool(result.get("percent"))
    return {
        "id": "sweep-parallel",
        "title": f"{len(names)} runs from what was tried to what came of it",
        "figure": charts.parallel(axes, names, rising=rising, marked=result.get("winner", 0)),
        "table": charts.parallel_table(axes, names),
    }


def _coordinate(sweep: Sweep, row: Trial, name: str) -> Any:
    value = row.params.get(name)
    number = isinstance(value, int | float) and not isinstance(value, bool) and name != DATA
    return value if number else _written(sweep, row, name)


def sweep_draft(sweep: Sweep, now: datetime) -> dict[str, Any]:
    """A draft shows what all of it would take, as soon as its data is counted."""
    try:
        projection = selectors.projected(sweep)
    except Refused as refused:
        return {"counting": refused.message, "is_counting": refused.code == "tokens_not_counted"}
    plan = budget.plan(sweep.project, money.p90(projection), now)
    overlaps = [row for version in selectors.versions_of(sweep) for row in selectors.overlaps(version)]
    points = selectors.planned(sweep)
    return {
        "projection": projection,
        "plan": plan,
        "overlaps": overlaps,
        "not_started": unread.message if (unread := refusal(selectors.check_lengths, sweep)) else "",
        "points": [selectors.named(sweep, one) for one in points[:12]],
        "more_points": max(0, len(points) - 12),
        "p90": Decimal(projection["money"]["p90"]) if projection["money"]["p90"] else None,
        "p50": Decimal(projection["money"]["p50"]),
    }


def sweep_facts(sweep: Sweep) -> list[tuple[str, Any]]:
    """What varies, and what all runs share."""
    rows: list[tuple[str, Any]] = []
    for one in sweep.read_space.dimensions:
        if one.is_range:
            rows.append((one.label, f"{one.low:g} to {one.high:g}{', logarithmic' if one.log else ''}"))
        elif one.name == DATA:
            rows.append((one.label, ", ".join(map(str, selectors.versions_of(sweep)))))
        else:
            rows.append((one.label, ", ".join(f"{v:g}" if isinstance(v, int | float) else str(v) for v in one.values)))
    stops = sweep.get_stopping_display()
    if sweep.stopping != "none":
        stops += f", not before {formatting.percent(sweep.grace, 0)} of its steps"
    return [
        *rows,
        ("Runs at once", sweep.at_once),
        ("Stopped early", stops),
        ("Judged by", _judge(sweep)),
    ]


def _judge(sweep: Sweep) -> str:
    if sweep.golden:
        return str(sweep.golden)
    if sweep.validation_version:
        return f"the loss at the end on {sweep.validation_version}, which no run learns from"
    return "the training loss at the end"


def shared_facts(sweep: Sweep) -> list[tuple[str, Any]]:
    swept = set(sweep.read_space.names)
    rows: list[tuple[str, Any]] = [("Base", sweep.base)] + ([] if DATA in swept else [("Data", sweep.dataset_version)])
    if sweep.validation_version:
        rows.append(("Validation data", sweep.validation_version))
    for knob in KNOBS:
        if sweep.method in knob.methods and knob.name not in swept and not knob.expert:
            rows.append((knob.label, shown(knob, sweep.recipe.get(knob.name))))
    return rows


def sweep_list(rows: Sequence[Sweep]) -> list[dict[str, Any]]:
    """A list with how far each is and what it proposes."""
    known = selectors.begun(rows)
    return [{"sweep": row, "begun": known[row.pk][0], "spent": known[row.pk][1]} for row in rows]
