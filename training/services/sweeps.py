"""Planning, starting and ending sweeps, and training what they propose once more."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from datasets_app import services as datasets
from datasets_app.models import DatasetVersion
from projects import budgeting, leases, transitions
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import OVER, JobState
from projects.models import Project, User
from training import selectors, sweeping
from training.domain import money
from training.domain.recipe import Recipe
from training.domain.sweeps import space as spaces
from training.domain.sweeps.space import DATA, MOST_RUNS, Space
from training.domain.sweeps.stopping import INCOMPARABLE
from training.models import STOPPING, STRATEGIES, BaseModelVersion, Run, Sweep
from training.services import heldout
from training.services.runs import check_parts, create_run, refuse_stale
from training.services.tokens import ensure_profile

MOST_AT_ONCE = 16


@requires(Permission.RUN_START)
@transaction.atomic
def create_sweep(
    project: Project,
    *,
    by: User,
    name: str,
    base: BaseModelVersion,
    version: DatasetVersion,
    recipe: Mapping[str, Any],
    space: Any,
    strategy: str = "grid",
    runs: int = 0,
    at_once: int = 2,
    seed: int = 0,
    stopping: str = "none",
    grace: float = 0.3,
    golden: DatasetVersion | None = None,
    validation: DatasetVersion | None = None,
) -> Sweep:
    """A draft: every point is checked as a run of its own would be, nothing is spent, and its data is counted.

    `validation` are rows that every run is looked at with; without a golden set, runs are judged by their loss.
    """
    selectors.refuse_unusable(base)
    read, shape = Recipe.read(recipe), spaces.read(space)
    _check_choices(strategy, stopping, at_once, grace)
    sweep = Sweep(
        project=project,
        name=_name(name),
        method=read.method,
        base=base,
        dataset_version=version,
        recipe=read.as_dict(),
        space=shape.as_list(),
        strategy=strategy,
        runs_wanted=_runs(shape, strategy, runs),
        at_once=at_once,
        seed=seed,
        stopping=stopping,
        grace=grace,
        golden=golden,
        validation_version=validation,
        created_by=by,
    )
    _check_golden(sweep)
    _check_comparable(sweep, shape)
    _check_points(sweep)
    sweep.save()
    transitions.record(sweep, "sweep.created", actor=by.email)
    _prepare_data(sweep, by)
    return sweep


@requires(Permission.RUN_START)
@transaction.atomic
def start_sweep(sweep: Sweep, *, by: User, leak_reason: str = "", budget_reason: str = "") -> Sweep:
    """Hold what all of its runs may cost (the P90 of each) and begin; beyond the budget an owner is asked first."""
    sweep.refresh_from_db()
    if sweep.state != JobState.DRAFT:
        raise Refused("This sweep has been started already. Make a new one.", code="already_started")
    selectors.refuse_unusable(sweep.base)
    projection = selectors.projected(sweep)
    for version in selectors.versions_of(sweep):
        refuse_stale(sweep.project, sweep.base, version, None, sweep.validation_version)
        datasets.refuse_unfit(version, leak_reason=leak_reason)
    selectors.check_lengths(sweep)
    budgeting.queue_or_ask(
        sweep,
        by=by,
        amount=money.p90(projection),
        reason=budget_reason,
        projection=projection,
        leak_reason=leak_reason[:2000],
        started_by=by,
    )
    return sweep


@requires(Permission.RUN_CANCEL)
def cancel_sweep(sweep: Sweep, *, by: User, reason: str = "") -> Sweep:
    """End it with every run under way. Runs that have ended, and their adapters, stay."""
    if budgeting.cancel_held(sweep, by=by, reason=reason):
        return sweep
    with transaction.atomic():
        sweep = Sweep.objects.select_for_update(of=("self",)).get(pk=sweep.pk)
        if sweep.state not in sweeping.MOVING:
            raise Refused("There is nothing to cancel: it is not under way.", code="already_over")
        rows = selectors.trials(sweep)
        sweeping.cancel(sweep, by=by, reason=reason)
        changes = {"finished_at": leases.database_time(), "result": sweeping.proposal(sweep, rows) or {}}
        transitions.move(sweep, JobState.CANCELLED, actor=by.email, reason=reason, **changes)
        transitions.record(sweep, "sweep.finished", actor=by.email)
    return sweep


@requires(Permission.ADAPTER_DELETE)
@transaction.atomic
def delete_sweep(sweep: Sweep, *, by: User) -> None:
    """Remove a sweep that is not under way; its runs stay, as ordinary runs."""
    if JobState(sweep.state) not in {*OVER, JobState.DRAFT}:
        raise Refused("This sweep is not over. Cancel it first.", code="still_running")
    transitions.record(sweep, "sweep.deleted", actor=by.email)
    sweep.delete()


@requires(Permission.RUN_START)
@transaction.atomic
def repeat_winner(sweep: Sweep, *, by: User) -> Run:
    """A draft like the proposed run, with another seed: does it come out as well again?"""
    run = Run.objects.filter(project=sweep.project, pk=sweep.result.get("winner", 0)).first()
    if run is None:
        raise Refused("This sweep proposes no run yet.", code="no_winner")
    seeds = {Recipe.read(one).seed for one in sweep.runs.values_list("recipe", flat=True)}
    name = f"{run.name[:100]} again"
    again = sweep.project.runs.filter(name__startswith=name).values_list("recipe", flat=True)
    seeds |= {Recipe.read(one).seed for one in again}
    recipe = run.recipe | {"seed": max(seeds, default=0) + 1}
    parts = {"base": run.base, "version": run.dataset_version, "validation": run.validation_version}
    return create_run(sweep.project, by=by, name=name, recipe=recipe, **parts)


def _prepare_data(sweep: Sweep, by: User) -> None:
    """Count what is learnt from and looked at, and what of it stands elsewhere, while people read the plan."""
    for one in selectors.versions_of(sweep):
        ensure_profile(one, sweep.base, by=by)
        datasets.compare_soon(one, actor=by.email)
        if sweep.validation_version is not None:
            heldout.prepare(one, sweep.validation_version, sweep.base, by=by, again=True)


# What a plan must be


def _name(name: str) -> str:
    chosen = name.strip()
    if not chosen or len(chosen) > 100 or not chosen.isprintable():
        raise Invalid("Give the sweep a name of up to 100 characters.", code="bad_name", field="name")
    return chosen


def _check_choices(strategy: str, stopping: str, at_once: int, grace: float) -> None:
    for field, value, known in (("strategy", strategy, STRATEGIES), ("stopping", stopping, STOPPING)):
        if value not in dict(known):
            raise Invalid(f"Choose one of {', '.join(dict(known))}.", code="unknown_choice", field=field)
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise Invalid(f"From 1 to {MOST_AT_ONCE} runs may go at once.", code="out_of_range", field="at_once")
    if not 0.05 <= grace <= 0.9:
        raise Invalid("Every run gets between 5 % and 90 % of its steps first.", code="out_of_range", field="grace")


def _runs(shape: Space, strategy: str, runs: int) -> int:
    """How many runs there will be: of a grid all, else as many as are asked for and the space has."""
    if strategy == "grid" and shape.size is None:
        raise Invalid("A grid takes lists of values. Ranges are drawn from: choose random or TPE.", field="strategy")
    count = shape.size if strategy == "grid" else runs
    if strategy == "grid" and runs and count != runs:
        raise Invalid(f"This grid has {count} combinations. Leave the number open.", code="out_of_range", field="runs")
    if count is None or not 1 <= count <= MOST_RUNS:
        what = f"This grid has {count} combinations" if strategy == "grid" else f"{runs} runs were asked for"
        raise Invalid(f"{what}; a sweep has 1 to {MOST_RUNS} runs.", code="out_of_range", field="runs")
    return min(count, shape.size) if strategy == "random" and shape.size else count


def _check_golden(sweep: Sweep) -> None:
    golden = sweep.golden
    if golden is None:
        return
    if golden.project.pk != sweep.project_id:
        raise Invalid("There is no such golden set in this project.", code="not_found", field="golden")
    if golden.dataset.purpose != "golden":
        raise Invalid(f"{golden} is no golden set. Choose one.", code="wrong_purpose", field="golden")


def _check_comparable(sweep: Sweep, shape: Space) -> None:
    for name in shape.names:
        why = INCOMPARABLE.get(name)
        if why and sweep.stopping != "none":
            raise Invalid(
                f"Early stopping compares losses, and {why}. Let every run go to its end.",
                code="incomparable",
                field="stopping",
            )
        if why and sweep.golden is None:
            raise Invalid(
                f"Without a golden set the winner is chosen by its loss, and {why}. Choose a golden set.",
                code="incomparable",
                field="golden",
            )


def _check_points(sweep: Sweep) -> None:
    """Every point is a run that could be made: of TPE's every corner."""
    if sweep.base.project_id != sweep.project_id:
        raise Invalid("There is no such base model in this project.", code="not_found", field="base")
    shape = sweep.read_space
    there = {version.pk: version for version in selectors.versions_of(sweep)}
    wanted = next((one.values for one in shape.dimensions if one.name == DATA), ())
    if missing := [pk for pk in wanted if pk not in there]:
        raise Invalid(f"This project has no training data number {missing[0]}.", code="not_found", field=DATA)
    for point in [*(selectors.planned(sweep) or shape.extremes())]:
        version = there[point[DATA]] if DATA in point else sweep.dataset_version
        check_parts(sweep.project, sweep.base, version, None, sweep.recipe_of(point))
    for version in there.values():
        heldout.check(sweep.project, sweep.validation_version, version, Recipe.read(sweep.recipe))
        refuse_stale(sweep.project, sweep.base, version, None, sweep.validation_version)
