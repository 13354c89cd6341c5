"""Reads of metrics: whole curves, the end of one, and curves short enough to draw that keep every peak."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import QuerySet

from training.domain import series
from training.domain.looks import VALIDATION, Course
from training.domain.series import LAST_STEP, SHOWN, Series
from training.models import MetricChunk, Run

DECODED = 150  # chunks; of more only the extremes are read, which the rows know without their bytes
OUTLINED = 10  # chunks; the same where many runs are drawn at once
AXES = ("step", "seconds", "tokens")  # what a curve may be drawn over; the last two are metrics themselves
EXTREMES = ("low_step", "low", "high_step", "high")

Curve = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Drawn:
    """One curve as it is drawn: a few thousand points at most, its mean line, and how many points there are.

    `average` is the mean of each chunk where the curve is long, at the chunk's middle step; else None.
    """

    points: Series
    count: int
    average: Series | None = None


def names(run: Run) -> list[str]:
    """What was reported, in order of name."""
    return sorted(run.metrics.order_by().values_list("name", flat=True).distinct())


def curve(run: Run, name: str) -> Curve:
    """Every step and value of one metric."""
    return _decoded(_chunks(run, name)).lists()


def curves(run: Run, wanted: Sequence[str]) -> dict[str, Curve]:
    """Several whole metrics in one query; what was not reported is left out."""
    found: dict[str, list[Series]] = {}
    for chunk in run.metrics.filter(name__in=wanted).order_by("first_step"):
        found.setdefault(chunk.name, []).append(chunk.series())
    return {name: series.joined(parts).lists() for name, parts in found.items()}


def all_curves(run: Run, only: str | None = None) -> dict[str, Curve]:
    """Every metric that was reported, or one; none of them thinned."""
    return curves(run, [name for name in names(run) if only in (None, name)])


def newest(run: Run, name: str, points: int) -> Series:
    """The last points of a metric, the oldest of them first."""
    parts: list[Series] = []
    for chunk in run.metrics.filter(name=name).order_by("-first_step")[: 1 + points // series.CHUNK + 1]:
        parts.insert(0, chunk.series())
        if sum(map(len, parts)) >= points:
            break
    whole = series.joined(parts)
    return Series(whole.steps[-points:], whole.values[-points:])


def drawn(run: Run, name: str, *, first: int = 0, last: int = LAST_STEP, points: int = SHOWN) -> Drawn:
    """One metric between two steps as at most `points` points, among them its lowest and highest.

    Up to 150,000 points are thinned one by one. Of more, each thousand shows its lowest and its highest point, which
    its row knows: a million points are drawn without reading them.
    """
    mine = _chunks(run, name, first, last)
    # One query for all that the rows know; the bytes only if they are few enough.
    rows = list(mine.values_list("pk", "first_step", "last_step", "count", "mean", *EXTREMES))
    count = sum(row[3] for row in rows)
    if len(rows) <= DECODED:
        found = _decoded(mine).between(first, last)
        return Drawn(series.thin(found, points), len(found))
    edges = _decoded(mine.filter(pk__in=(rows[0][0], rows[-1][0]))).between(first, last)
    inner = series.of_extremes([row[5:] for row in rows[1:-1]])
    whole = edges.before(rows[1][1]) + inner + edges.between(rows[-1][1], last)
    means = [((row[1] + row[2]) // 2, row[4]) for row in rows if row[4] is not None]
    average = Series.of([step for step, _ in means], [mean for _, mean in means])
    return Drawn(series.thin(whole, points), count, series.thin(average, points))


def across(run: Run, points: Series, by: str) -> list[float]:
    """Where the points of a curve of this run stand on another axis; between two ticks of its clock, in proportion."""
    if by == "step":
        return points.steps.tolist()
    clock = _outlines([run], {by}).get((run.pk, by), series.EMPTY)
    if not len(clock):
        return [math.nan] * len(points)
    return np.interp(points.steps, clock.steps, clock.values).tolist()


def step_at(run: Run, by: str, place: float) -> int:
    """The step that stood at a place of another axis; the inverse of `across`."""
    if by == "step":
        return int(min(max(place, 0), LAST_STEP))
    if place <= 0:
        return 0  # before the first step, where a clock has no tick yet
    clock = _outlines([run], {by}).get((run.pk, by), series.EMPTY)
    if not len(clock) or place > clock.values[-1]:
        return LAST_STEP
    return int(np.interp(place, clock.values, clock.steps))


def thinned(
    runs: Sequence[Run], name: str, points: int = 300, by: str = "step"
) -> dict[int, tuple[list[float], list[float]]]:
    """One metric of many runs by their ids, over steps, seconds of training or tokens: x and y of each.

    Runs without it, or without the clock it is asked over, are left out.
    """
    outlines = _outlines(runs, {name} if by == "step" else {name, by})
    found: dict[int, tuple[list[float], list[float]]] = {}
    for run in runs:
        shown = series.thin(outlines.get((run.pk, name), series.EMPTY), points)
        clock = outlines.get((run.pk, by), series.EMPTY)
        if not len(shown) or (by != "step" and not len(clock)):
            continue
        x = shown.steps.astype(np.float64)
        if by != "step":
            x = np.interp(x, clock.steps, clock.values)
        found[run.pk] = (x.tolist(), shown.values.tolist())
    return found


def validated(runs: Sequence[Run]) -> dict[int, Course]:
    """How the loss of held-out rows went in each of many runs, by their ids; others are left out."""
    mine = [run for run in runs if run.validation_version_id]
    if not mine:
        return {}
    curves = thinned(mine, VALIDATION)
    found = {pk: Course.of([int(step) for step in steps], values) for pk, (steps, values) in curves.items()}
    return {pk: course for pk, course in found.items() if course is not None}


def _outlines(runs: Sequence[Run], wanted: set[str]) -> dict[tuple[int, str], Series]:
    """Short curves whole; of long ones the lowest and highest point of each chunk, by run and name."""
    rows = MetricChunk.objects.filter(run__in=[run.pk for run in runs], name__in=wanted)
    grouped: dict[tuple[int, str], list[tuple]] = {}
    for run, metric, *row in rows.order_by("run_id", "name", "first_step").values_list(
        "run_id", "name", "pk", "count", *EXTREMES
    ):
        grouped.setdefault((run, metric), []).append(tuple(row))
    short = [row[0] for found in grouped.values() if len(found) <= OUTLINED for row in found]
    data = dict(MetricChunk.objects.filter(pk__in=short).values_list("pk", "data"))
    return {
        key: series.joined(series.unpack(data[row[0]], row[1]) for row in found)
        if len(found) <= OUTLINED
        else series.of_extremes([row[2:] for row in found])
        for key, found in grouped.items()
    }


def _chunks(run: Run, name: str, first: int = 0, last: int = LAST_STEP) -> "QuerySet[MetricChunk]":
    return run.metrics.filter(name=name, last_step__gte=first, first_step__lte=last).order_by("first_step")


def _decoded(chunks: "QuerySet[MetricChunk]") -> Series:
    return series.joined(series.unpack(data, count) for data, count in chunks.values_list("data", "count"))
