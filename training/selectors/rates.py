"""What was measured on this installation, as rates: read across projects, so nothing in them says whose they are."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.db.models import QuerySet

from projects.domain.states import JobState
from projects.models import Project
from training.domain.projection import Calibration, Measured
from training.domain.projection import calibration as calibrating
from training.domain.projection.calibration import Coverage, Past
from training.models import ProjectionRecord, Rehearsal

OF_BASE, OF_DEVICE = 40, 80
SCORED = 240  # records that the bands are fitted to, all sources together


def measured(device: str, fingerprint: str) -> list[Measured]:
    """Runs and rehearsals on this kind of device, the newest first; those of the same base reach further back."""
    rows: Any = ProjectionRecord.objects.filter(device=device).order_by("-pk")
    rows = rows.values_list("pk", "created_at", "plan", "rates")
    runs = {row[0]: row[1:] for row in [*rows.filter(fingerprint=fingerprint)[:OF_BASE], *rows[:OF_DEVICE]]}
    found = [(at, Measured.read(plan, told)) for at, plan, told in runs.values()]
    found += [(at, Measured.read(plan, told, rehearsal=True)) for at, plan, told in _rehearsed(device)]
    return [one for _, one in sorted(found, key=lambda row: row[0], reverse=True)]


def _rehearsed(device: str) -> list[tuple]:
    rows = Rehearsal.objects.filter(state=JobState.SUCCEEDED, device=device).order_by("-pk")
    return list(rows.values_list("created_at", "plan", "result")[:OF_BASE])


def capacity_of(device: str, card: str) -> int:
    """Memory of a card, as the last run or rehearsal on it found it."""
    runs = ProjectionRecord.objects.filter(device=device, device_name=card).order_by("-pk")
    rehearsals = Rehearsal.objects.filter(device=device, device_name=card, state=JobState.SUCCEEDED).order_by("-pk")
    told = runs.values_list("rates", flat=True).first() or rehearsals.values_list("result", flat=True).first() or {}
    return int(told.get("capacity") or 0)


def calibration(device: str) -> Calibration:
    """The bands' percentiles, fitted to all projections of this kind of device that have come to an end."""
    return calibrating.refit(past(ProjectionRecord.objects.filter(device=device)))


def past(records: QuerySet[ProjectionRecord]) -> list[Past]:
    """Projections beside what came of them, the newest first; time and money only of runs in one piece."""
    found = []
    rows = records.order_by("-pk").values_list("device", "source", "predicted", "actual", "whole")[:SCORED]
    for device, source, predicted, actual, whole in rows:
        known = actual if whole else {name: value for name, value in actual.items() if name not in calibrating.TIMED}
        found += calibrating.read(device, source, predicted, known)
    return found


def records(project: Project) -> QuerySet[ProjectionRecord]:
    return project.projection_records.select_related("run").order_by("-pk")


def coverages(past: list[Past]) -> dict[tuple[str, str], Coverage]:
    """By (quantity, source), and by (quantity, "") of all sources together."""
    groups: dict[tuple[str, str], list[Past]] = defaultdict(list)
    for one in past:
        groups[one.quantity, one.source].append(one)
        groups[one.quantity, ""].append(one)
    return {key: found for key, rows in groups.items() if (found := calibrating.coverage(rows)) is not None}


@dataclass(frozen=True)
class DeviceRate:
    """What runs of one kind reached on one device, on the whole installation."""

    device: str
    card: str
    architecture: str
    parameters: int
    method: str
    packing: bool
    path: str
    length: int  # typical rows have up to so many tokens
    devices: int  # cards of a run
    runs: int
    tokens_per_second: float


def device_rates(limit: int = 40) -> list[DeviceRate]:
    """Rates by device, model family and size, method and length; the newest 400 runs of the installation."""
    groups: dict[tuple, list[float]] = defaultdict(list)
    for plan, told in ProjectionRecord.objects.order_by("-pk").values_list("plan", "rates")[:400]:
        one = Measured.read(plan, told)
        seconds = sum(point.seconds * point.steps for point in one.points)
        if not seconds:
            continue
        steps, recipe, work = sum(point.steps for point in one.points), one.plan.recipe, one.plan.work
        key = (
            one.plan.device, one.plan.card, one.plan.architecture, one.plan.shape.parameters, str(recipe.method),
            recipe.packing, one.plan.pace.path, 2**one.plan.bucket,
            recipe.devices,
        )  # fmt: skip
        groups[key].append(work.tokens / max(work.steps, 1) * steps / seconds)
    found = [DeviceRate(*(*key, len(rates), median(rates))) for key, rates in groups.items()]
    return sorted(found, key=_order)[:limit]


def _order(row: DeviceRate) -> tuple[Any, ...]:
    return row.device, row.card, row.architecture, row.parameters, row.length, row.devices
