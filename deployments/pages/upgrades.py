"""Upgrades as their pages show them: the plan of two bases, an order at work, and the report with its charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from datasets_app.models import DatasetVersion
from deployments import charts, upgrading
from deployments.domain.upgrades import HEADS, LABELS, TONES, Outcome, Part, Step
from deployments.models import Upgrade, UpgradeItem
from deployments.selectors import families, reports, upgrade_costs
from deployments.selectors.reports import Report
from deployments.selectors.upgrade_costs import Planned, StepPlan
from deployments.selectors.upgrades import Standing, standings
from projects.domain.states import OVER, JobState
from projects.models import Hold
from projects.selectors import budget
from training.models import BaseModelVersion

DRAWN = 20  # adapters in a chart; the table beside it has all
SHOWN = (("probe", Part.PROBE), ("evaluate", Part.CARRIED), ("retrain", Part.RETRAIN))


@dataclass(frozen=True)
class Line:
    """One adapter in the table of the plan."""

    one: Standing
    parts: dict[str, Planned]

    @property
    def probe(self) -> Planned:
        return self.parts["probe"]

    @property
    def evaluate(self) -> Planned:
        return self.parts["evaluate"]

    @property
    def retrain(self) -> Planned:
        return self.parts["retrain"]


def plan_page(
    old: BaseModelVersion, new: BaseModelVersion, now: datetime, golden: DatasetVersion | None = None
) -> dict[str, Any]:
    """Everything that the plan of two bases shows."""
    rows = standings(old, new)
    plans = upgrade_costs.plans(rows, upgrade_costs.costs(rows, new, golden))
    month = budget.plan(old.project, None, now).month
    steps = [upgrade_costs.step_plan(step, plans) for step in Step]
    money = [budget.Plan(month, step.sum.money90) for step in steps]
    lines = [Line(one, {name: plans[one.adapter.pk][part] for name, part in SHOWN}) for one in rows]
    found = [one.found.outcome for one in rows if one.found]
    return {
        "pair": families.pair(old, new),
        "follows": families.follows(old, new),
        "backwards": families.follows(new, old),
        "lines": lines,
        "steps": [(step, TITLES[step.step], plan) for step, plan in zip(steps, money, strict=True)],
        "counts": sums(found),
        "under_way": families.under_way(old, new),
        "unjudged": sum(one.baseline is None for one in rows),
        "undecided": any(needs_reason(one) for one in rows),
        "tight": any(step.adapters and not plan.fits for step, plan in zip(steps, money, strict=True)),
    }


TITLES = {
    Step.PROBE: ("Probe", "How far does what they say drift?"),
    Step.EVALUATE: ("Re-evaluate", "Are they still as good on their golden sets?"),
    Step.RETRAIN: ("Retrain", "Old recipe, old data, new version; then judged."),
}


def needs_reason(one: Standing) -> bool:
    return one.cell.decision is None and one.cell.judgement.verdict.value not in {"same", "incompatible"}


def sums(found: Sequence[Outcome]) -> list[tuple[str, str, int]]:
    """(word, tone, how many), of those that there are."""
    return [(LABELS[one], TONES[one], n) for one in Outcome if (n := sum(other == one for other in found))]


def step_words(step: StepPlan) -> str:
    """“2 are there, 1 cannot be”"""
    told = [f"{step.there} there already"] * bool(step.there) + [f"{step.cannot} cannot be"] * bool(step.cannot)
    return ", ".join(told)


# An order at work


@dataclass(frozen=True)
class Cell:
    """One part of one adapter: the work and its state, or why there is none."""

    part: Part
    words: str
    work: Any
    state: str
    note: str
    took_up: bool


@dataclass(frozen=True)
class Row:
    item: UpgradeItem
    cells: list[Cell]
    one: Standing | None
    cost: Decimal
    is_over: bool


def upgrade_page(upgrade: Upgrade, now: datetime) -> dict[str, Any]:
    """Everything that changes while an order is under way."""
    items, report = upgrading.items_of(upgrade), reports.report(upgrade)
    by_adapter = {one.adapter.pk: one for one in report.lines}
    rows = [_row(upgrade, item, by_adapter.get(item.adapter_id), report) for item in items]
    amount = upgrade.projection.get("p90")
    return {
        "upgrade": upgrade,
        "rows": rows,
        "heads": [HEADS[part] for part in upgrade.parts],
        "ended": sum(row.is_over for row in rows),
        "spent": report.total,
        "held": _held(upgrade, items),
        "money": budget.of_job(upgrade, Decimal(amount) if amount else None, now),
        "paused_parts": any(cell.state == JobState.PAUSED for row in rows for cell in row.cells),
        **report_page(report),
    }


def _row(upgrade: Upgrade, item: UpgradeItem, one: Standing | None, report: Report) -> Row:
    cells = [_cell(item, part) for part in upgrade.parts]
    spent = report.spent.get(item.adapter_id, {})
    over = upgrading.next_part(item, upgrade.parts) is None and not upgrading.is_at_work(item, upgrade.parts)
    return Row(item, cells, one, sum(spent.values(), Decimal(0)), over)


def _cell(item: UpgradeItem, part: Part) -> Cell:
    work, note = item.work(part), item.notes.get(part, {})
    state = work.state if work is not None else ""
    told = note.get("text", "") if state != JobState.SUCCEEDED else ""
    took_up = work is not None and part not in item.asked
    return Cell(part, HEADS[part], work, state or ("none" if note else ""), told, took_up)


def _held(upgrade: Upgrade, items: Sequence[UpgradeItem]) -> Decimal:
    wanted = {(upgrade.job_label, upgrade.pk)}
    for item in items:
        wanted |= {(reports.LABELS[Part(part)], getattr(item, f"{part}_id")) for part in item.asked}
    holds = Hold.objects.filter(project=upgrade.project, state="open", job_id__in=[pk for _, pk in wanted if pk])
    mine = (hold for hold in holds if (hold.job_label, hold.job_id) in wanted)
    return sum((max(hold.amount - hold.spent, Decimal(0)) for hold in mine), Decimal(0))


def is_over(upgrade: Upgrade) -> bool:
    return JobState(upgrade.state) in OVER


# The report


def report_page(report: Report) -> dict[str, Any]:
    found = [one.found.outcome for one in report.lines if one.found]
    return {"report": report, "counts": sums(found), "figures": figures(report)}


def figures(report: Report) -> list[dict[str, Any]]:
    """Scores beside each other, and what was spent; none of what nobody has measured."""
    scored = [(one.adapter.name, arms) for one in report.lines if (arms := _arms(one))]
    drawn: list[dict[str, Any]] = []
    if scored:
        title = scores_title(report)
        drawn.append(
            {
                "id": "upgrade-scores",
                "title": title,
                "subtitle": _most(scored),
                "figure": charts.upgrade_arms(scored[:DRAWN]),
                "table": charts.upgrade_arms_table(scored),
                "height": _height(scored),
            }
        )
    currency = report.old.project.currency
    spent = [(one.adapter.name, _spent(report, one)) for one in report.lines if report.cost_of(one)]
    if spent:
        drawn.append(
            {
                "id": "upgrade-costs",
                "title": costs_title(report, spent),
                "subtitle": _most(spent),
                "figure": charts.upgrade_costs(spent[:DRAWN], currency),
                "table": charts.upgrade_costs_table(spent, currency),
                "height": _height(spent),
            }
        )
    return drawn


def _height(rows: Sequence[Any]) -> str:
    return "sm" if len(rows) <= 2 else "md" if len(rows) <= 5 else "lg" if len(rows) <= 10 else "xl"


def _most(rows: Sequence[Any]) -> str:
    return f"The {DRAWN} that are used most; the table has all {len(rows)}." if len(rows) > DRAWN else ""


def _arms(one: Standing) -> dict[str, Any]:
    arms: dict[str, Any] = {}
    for name, found in (("carried", one.against_carried), ("retrained", one.against_retrained)):
        if found is not None:
            arms |= {"old": found.old, name: found.new}
    return arms


def _spent(report: Report, one: Standing) -> dict[str, float]:
    return {part.value: float(amount) for part, amount in report.spent.get(one.adapter.pk, {}).items()}


def scores_title(report: Report) -> str:
    """What the chart says, computed."""
    carried = [one.found.as_is for one in report.lines if one.found and one.against_carried]
    again = [one.found.again for one in report.lines if one.found and one.against_retrained]
    told = [f"{carried.count(True)} of {len(carried)} are as good carried over"] if carried else []
    told += [f"{again.count(True)} of {len(again)} as good retrained"] if again else []
    return ", ".join(told)[:1].upper() + ", ".join(told)[1:]


def costs_title(report: Report, spent: Sequence[tuple[str, dict[str, float]]]) -> str:
    from projects.domain import formatting

    currency = report.old.project.currency
    dearest = max(spent, key=lambda row: sum(row[1].values()))
    total = formatting.money(report.total, currency)
    return f"{total} for {len(spent)} adapters, most of it for {dearest[0]}" if len(spent) > 1 else f"{total} in all"
