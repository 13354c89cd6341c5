"""Reads of sweeps: what they would take, what they have cost, and how far their runs are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet, Sum

from datasets_app.models import DatasetVersion
from projects.domain import money
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.models import Attempt, Hold, Project
from training.domain import looks
from training.domain import money as figures
from training.domain import tokens as rows
from training.domain.sweeps import space
from training.domain.sweeps.space import DATA, Params
from training.domain.sweeps.stopping import Course
from training.models import Run, Sweep, TokenProfile, Trial
from training.selectors import metrics, projections, tokens

ZERO = Decimal(0)
DRAWN = 200  # points of a loss curve that are looked at to stop a run


@dataclass(frozen=True)
class Money:
    """What a sweep has cost, what is held for it and for its runs, and about what stopping early has saved."""

    spent: Decimal
    held: Decimal
    saved: Decimal

    @property
    def committed(self) -> Decimal:
        return self.spent + self.held


def sweeps(project: Project) -> QuerySet[Sweep]:
    """All sweeps of a project, the newest first."""
    data = ("dataset_version__dataset", "golden__dataset", "validation_version__dataset__project")
    return project.sweeps.select_related("project", "base", *data, "created_by", "started_by").order_by("-pk")


def trials(sweep: Sweep) -> list[Trial]:
    joined = ("run__project", "run__base", "run__dataset_version__dataset", "run__adapter")
    return list(sweep.trials.select_related(*joined).order_by("number"))


def planned(sweep: Sweep) -> list[Params]:
    """The points that are known beforehand; with TPE none is."""
    if sweep.strategy == "grid":
        return sweep.read_space.grid()[: sweep.runs_wanted]
    return sweep.read_space.draws(sweep.runs_wanted, sweep.seed) if sweep.strategy == "random" else []


def version_of(sweep: Sweep, params: Params) -> DatasetVersion:
    """The data of a point; only of this project, whatever the stored number says."""
    if DATA not in params:
        return sweep.dataset_version
    return projections.trainable_versions(sweep.project).get(pk=params[DATA])


def versions_of(sweep: Sweep) -> list[DatasetVersion]:
    swept = next((one.values for one in sweep.read_space.dimensions if one.name == DATA), None)
    if swept is None:
        return [sweep.dataset_version]
    found = projections.trainable_versions(sweep.project).in_bulk(list(swept))
    return [found[pk] for pk in swept if pk in found]


def named(sweep: Sweep, params: Params) -> str:
    """A point in words, data by its name."""
    known = dict(params)
    if DATA in known:
        known[DATA] = str(version_of(sweep, params))
    return space.spoken(known, sweep.read_space.names)


def projected_point(sweep: Sweep, params: Params) -> dict[str, Any]:
    recipe, profile = sweep.recipe_of(params), _counted(sweep, version_of(sweep, params))
    held_out = held_out_of(sweep)
    return projections.projection(sweep.project, sweep.base, profile, recipe, held_out=held_out).as_dict()


def held_out_of(sweep: Sweep) -> TokenProfile | None:
    """The counts of what its runs are looked at with, or a refusal that says to wait; None without such data."""
    return _counted(sweep, sweep.validation_version) if sweep.validation_version else None


def _counted(sweep: Sweep, version: DatasetVersion) -> TokenProfile:
    profile = tokens.profile_for(version, sweep.base)
    if profile is not None and profile.state == JobState.FAILED:
        raise Refused(f"{version} could not be counted in tokens: {profile.error_message}", code=profile.error_code)
    if profile is None or not profile.is_ready:
        raise Refused(
            f"{version} is still being counted in tokens of {sweep.base}. Start the sweep when that is done.",
            code="tokens_not_counted",
        )
    return profile


def projected(sweep: Sweep) -> dict[str, Any]:
    """What all runs may take together: each at its own P50 and P90; of TPE's, each as dear as the dearest corner."""
    points = planned(sweep)
    told = [projected_point(sweep, one) for one in points or sweep.read_space.extremes()]
    middle = [Decimal(str((one.get("money") or {}).get("p50", 0))) for one in told]
    most = [figures.p90(one) for one in told]
    known = [amount for amount in most if amount is not None]
    every = len(known) == len(told)
    times = 1 if points else sweep.runs_wanted
    return {
        "runs": len(points) or sweep.runs_wanted,
        "money": {
            "p50": str(sum(middle) if points else max(middle) * times),
            "p90": str(sum(known) if points else max(known) * times) if every and known else None,
        },
        "dearest": str(max(known)) if known else None,
        "seconds": sum(one["seconds"]["p50"] for one in told) / len(told) * (len(points) or sweep.runs_wanted),
        "memory_bytes": max(one["memory_bytes"]["p90"] for one in told),
        "capacity_bytes": max(one.get("capacity_bytes") or 0 for one in told),
        "currency": sweep.project.currency,
        "exact": bool(points),
    }


def check_lengths(sweep: Sweep) -> None:
    """Rows that are too long need the decision that a run needs, for each data and length of the sweep."""
    seen, held_out = set(), held_out_of(sweep)
    for point in planned(sweep) or sweep.read_space.extremes():
        version, recipe = version_of(sweep, point), sweep.recipe_of(point)
        if (version.pk, recipe.max_length) in seen:
            continue
        seen.add((version.pk, recipe.max_length))
        profile = tokens.profile_for(version, sweep.base)
        assert profile is not None  # it has just been projected from
        rows.check_rows(tokens.token_stats(profile, recipe.max_length), recipe)
        if held_out is not None:
            looks.check_rows(projections.look(held_out, recipe).rows, str(held_out.version), recipe.max_length)


def money_of(sweep: Sweep, rows: Sequence[Trial], now: datetime) -> Money:
    """Booked and running cost of its runs, and what is still held."""
    pks = [row.run_id for row in rows if row.run_id]
    spent = sum((row.run.cost or ZERO for row in rows if row.run), ZERO) + _running(sweep, pks, now)
    labels = {"training.run": pks, sweep.job_label: [sweep.pk]}
    held = ZERO
    for label, numbers in labels.items():
        for hold in Hold.objects.filter(job_label=label, job_id__in=numbers, state="open"):
            held += max(hold.amount - hold.spent, ZERO)
    saved = sum((Decimal(str(row.stopped.get("saved", 0))) for row in rows), ZERO)
    return Money(spent, held, saved)


def _running(sweep: Sweep, pks: Sequence[int], now: datetime) -> Decimal:
    found = ZERO
    for attempt in Attempt.objects.filter(job_label="training.run", job_id__in=pks, ended_at=None):
        hours = money.hours(attempt.device_seconds((now - attempt.started_at).total_seconds()))
        found += money.amount(hours, sweep.project.hour_price(attempt.device))
    return found


def course(run: Run, curve: tuple[list[float], list[float]] | None) -> Course:
    """How far a run is and its losses by share of its steps."""
    total = run.total_steps or 1
    steps, values = curve or ([], [])
    done = 1.0 if run.state == JobState.SUCCEEDED else min(run.step / total, 1.0)
    return Course(run.pk, done, [(step / total, loss) for step, loss in zip(steps, values, strict=True)])


def courses(runs: Sequence[Run]) -> dict[int, Course]:
    curves = metrics.thinned(runs, "loss", points=DRAWN)
    return {run.pk: course(run, curves.get(run.pk)) for run in runs}


def begun(sweeps: Sequence[Sweep]) -> dict[int, tuple[int, Decimal]]:
    """How many trials each has begun, and what its runs have been booked with."""
    pks = [sweep.pk for sweep in sweeps]
    counts = dict(Trial.objects.filter(sweep__in=pks).values_list("sweep").annotate(count=Count("pk")))
    booked = dict(Run.objects.filter(sweep__in=pks).order_by().values_list("sweep").annotate(sum=Sum("cost")))
    return {pk: (counts.get(pk, 0), booked.get(pk) or ZERO) for pk in pks}
