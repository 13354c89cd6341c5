"""What moves sweeps on: hopeless runs are stopped, the next ones started, adapters examined, and the winner proposed.

A step is taken by every turn of the reconciler and whenever a run has ended, by any process. It is one transaction
under the lock of the sweep, it reads everything from rows, and doing it again changes nothing.
"""

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from projects import budgeting, contributions, leases, transitions
from projects.domain.errors import Refused
from projects.domain.states import OVER, JobState
from projects.models import User
from training import selectors
from training.domain import money
from training.domain.sweeps import stopping, tpe, winner
from training.domain.sweeps.space import Params
from training.domain.sweeps.tpe import Told
from training.freezing import freeze, known_at_start
from training.models import Run, Sweep, Trial

logger = logging.getLogger(__name__)
ACTOR = "sweep"
MOVING = (JobState.QUEUED, JobState.RUNNING)
RANDOMLY = "Optuna is not installed on the worker, so points are drawn at random instead of by TPE."


def advance_all() -> int:
    """One step of every sweep under way; a sweep that cannot be moved on must not keep the others from it."""
    moved = 0
    for pk in Sweep.objects.filter(state__in=MOVING).order_by("pk").values_list("pk", flat=True):
        try:
            moved += advance(pk)
        except Exception:
            logger.exception("sweep %s cannot be moved on", pk)
    return moved


def advance_of(run: Run) -> None:
    """After the end of a run: its sweep, if it belongs to one, need not wait for the reconciler."""
    if not run.sweep_id:
        return
    try:
        advance(run.sweep_id)
    except Exception:  # the run has ended well all the same, and the reconciler tries again
        logger.exception("sweep %s cannot be moved on", run.sweep_id)


def advance(pk: int) -> int:
    """One step of one sweep; how much was started, stopped or closed. Rivals do nothing while another is at it."""
    points = _wanted(pk)
    with transaction.atomic():
        sweep = Sweep.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk, state__in=MOVING).first()
        if sweep is None:
            return 0
        if sweep.state == JobState.QUEUED:
            transitions.move(sweep, JobState.RUNNING, actor=ACTOR, started_at=leases.database_time())
        rows = selectors.trials(sweep)
        done = _stop_hopeless(sweep, rows) + _start_next(sweep, rows, points)
        rows = selectors.trials(sweep)
        return done + _examine(sweep, rows) + _close(sweep, rows)


# Starting


def _wanted(pk: int) -> list[tuple[int, Params]]:
    """Numbers and points of the next trials, worked out before anything is locked: TPE takes its time."""
    sweep = Sweep.objects.filter(pk=pk, state__in=MOVING).first()
    if sweep is None:
        return []
    rows = selectors.trials(sweep)
    free = min(sweep.at_once - _active(rows), _planned(sweep) - len(rows))
    if free <= 0:
        return []
    if sweep.strategy == "tpe" and tpe.is_there():
        return _by_tpe(sweep, rows, free)
    if sweep.strategy == "tpe":
        Sweep.objects.filter(pk=pk).update(note=RANDOMLY)
        points = sweep.read_space.draws(sweep.runs_wanted, sweep.seed)
    else:
        points = selectors.planned(sweep)
    return [(number, points[number - 1]) for number in range(len(rows) + 1, min(len(rows) + free, len(points)) + 1)]


def _by_tpe(sweep: Sweep, rows: Sequence[Trial], count: int) -> list[tuple[int, Params]]:
    known = selectors.standing(sweep, rows)
    better = -1.0 if known.percent else 1.0  # scores are to rise, losses to fall
    told = [Told(row.params, better * known.values[row.run_id] if row.run_id in known.values else None) for row in rows]
    points = []
    for number in range(len(rows) + 1, len(rows) + count + 1):
        points.append((number, tpe.suggest(sweep.read_space, told, sweep.seed)))
        told.append(Told(points[-1][1]))
    return points


def _planned(sweep: Sweep) -> int:
    """How many trials there will be; of a small space with random points there may be fewer than were wanted."""
    return sweep.runs_wanted if sweep.strategy == "tpe" else len(selectors.planned(sweep))


def _active(rows: Sequence[Trial]) -> int:
    """Runs under way. One that rests or waits for people keeps its place: its money is held, and it will go on."""
    return sum(row.run is not None and JobState(row.run.state) not in OVER for row in rows)


def _start_next(sweep: Sweep, rows: Sequence[Trial], points: Sequence[tuple[int, Params]]) -> int:
    known, free, started = {row.number for row in rows}, sweep.at_once - _active(rows), 0
    for number, params in points:
        if free <= 0 or number in known or number != len(known) + 1:
            break  # another replica was faster; the next step looks anew
        trial = Trial.objects.create(sweep=sweep, number=number, params=params)
        known.add(number)
        try:
            with transaction.atomic():
                _start(sweep, trial)
            started, free = started + 1, free - 1
        except Refused as refused:
            Trial.objects.filter(pk=trial.pk).update(refused=refused.message)
    return started


def _start(sweep: Sweep, trial: Trial) -> None:
    """An ordinary run, begun as a person would begin it, with its share of what is held for the sweep."""
    version, recipe = selectors.version_of(sweep, trial.params), sweep.recipe_of(trial.params)
    profile = selectors.profile_for(version, sweep.base)
    if not sweep.base.is_ready or profile is None or not profile.is_ready:
        raise Refused(f"{sweep.base} is not ready, or {version} is not counted in its tokens.", code="not_ready")
    held_out = selectors.held_out_of(sweep)
    projection = selectors.projection(sweep.project, sweep.base, profile, recipe, held_out=held_out)
    run = Run.objects.create(
        project=sweep.project,
        name=f"{sweep.name[:100]} #{trial.number}",
        method=recipe.method,
        base=sweep.base,
        dataset_version=version,
        validation_version=sweep.validation_version,
        recipe=recipe.as_dict(),
        devices=recipe.devices,
        created_by=sweep.started_by or sweep.created_by,
        sweep=sweep,
        priority=sweep.priority,
    )
    transitions.record(run, "run.created", actor=ACTOR, sweep=sweep.pk)
    Trial.objects.filter(pk=trial.pk).update(run=run)
    known = known_at_start(run, selectors.token_stats(profile, recipe.max_length), recipe)
    budgeting.queue_part(
        run,
        whole=sweep,
        actor=ACTOR,
        amount=money.p90(projection.as_dict()),
        spec=freeze(run, recipe).frozen(),
        projection=projection.as_dict(),
        total_steps=projection.steps,
        launched_with=known | ({"leak_reason": sweep.leak_reason} if sweep.leak_reason else {}),
        started_by=sweep.started_by,
    )


# Stopping


def _stop_hopeless(sweep: Sweep, rows: Sequence[Trial]) -> int:
    running = [row for row in rows if row.run and row.run.state == JobState.RUNNING and not row.stopped]
    if sweep.stopping == stopping.Rule.NONE or not running:
        return 0
    courses = selectors.courses([row.run for row in rows if row.run])
    stopped = 0
    for row in running:
        run = row.run
        assert run is not None
        others = [one for pk, one in courses.items() if pk != run.pk]
        why = stopping.hopeless(sweep.stopping, courses[run.pk], others, sweep.grace)
        if why and run.cancel_requested_at is None and run.pause_requested_at is None:
            stopped += _stop(row, why, courses[run.pk].share)
    return stopped


def _stop(row: Trial, why: str, share: float) -> int:
    run = row.run
    assert run is not None
    middle = Decimal(str((run.projection.get("money") or {}).get("p50", 0)))
    told = {"reason": why, "share": round(share, 4), "at": leases.database_time().isoformat()}
    try:
        leases.request_cancel(run, actor=ACTOR, reason=why)
    except Refused:
        return 0  # it has just come to its end by itself
    # The rest of what it was projected to cost: the price of its steps so far would count its start twice.
    Trial.objects.filter(pk=row.pk).update(stopped=told | {"saved": str(round(middle * Decimal(str(1 - share)), 6))})
    return 1


# Examining and closing


def _examine(sweep: Sweep, rows: Sequence[Trial]) -> int:
    """Every adapter on the golden set, once, in the name of whoever started the sweep."""
    if sweep.golden is None:
        return 0
    asked, by = 0, sweep.started_by
    assert by is not None
    for adapter in _adapters(rows):
        for examiner in contributions.examiners:
            asked += examiner.ask(adapter, sweep.golden, by)
    return asked


def _adapters(rows: Sequence[Trial]) -> list[Any]:
    return [row.run.adapter for row in rows if row.run and hasattr(row.run, "adapter")]


def _close(sweep: Sweep, rows: Sequence[Trial]) -> int:
    """Once everything has come to its end, what was found is kept, and what is still held let go."""
    if len(rows) < _planned(sweep) or _active(rows):
        return 0
    if sweep.golden is not None:
        pks = [adapter.pk for adapter in _adapters(rows)]
        if any(examiner.pending(pks, sweep.golden) for examiner in contributions.examiners):
            return 0
    result = proposal(sweep, rows)
    now = leases.database_time()
    if result is None:
        why = next((row.refused for row in rows if row.refused), "Not one of its runs came to a result.")
        if sweep.golden is not None and _adapters(rows):
            why = f"Not one of its adapters could be judged on {sweep.golden}. Look at their evaluations."
        told = {"error_code": "no_result", "error_message": why}
        transitions.move(sweep, JobState.FAILED, actor=ACTOR, reason=why, finished_at=now, **told)
    else:
        transitions.move(sweep, JobState.SUCCEEDED, actor=ACTOR, finished_at=now, result=result)
    transitions.record(sweep, "sweep.finished", actor=ACTOR)
    return 1


def proposal(sweep: Sweep, rows: Sequence[Trial]) -> dict[str, Any] | None:
    """The run to take, and why, as far as runs have ended."""
    contest = selectors.contest(sweep, rows)
    if contest is None:
        return None
    costs = {row.run_id: row.run.cost or Decimal(0) for row in rows if row.run_id and row.run}
    names = {row.run_id: f"#{row.number}" for row in rows if row.run_id}
    found = winner.propose(contest, costs, names, sweep.project.currency)
    order = [{"run": key, "value": contest.values[key]} for key in contest.order]
    return found.as_dict() | {"measure": contest.measure, "percent": contest.percent, "n": contest.n, "order": order}


def cancel(sweep: Sweep, *, by: User, reason: str) -> None:
    """End a sweep and everything of it that is under way. What its runs have made stays."""
    for row in selectors.trials(sweep):
        if row.run and JobState(row.run.state) not in OVER:
            _cancel_run(row.run, by=by, reason=reason or f"Its sweep {sweep} was cancelled.")


def _cancel_run(run: Run, *, by: User, reason: str) -> None:
    if run.state == JobState.HELD and budgeting.cancel_held(run, by=by, reason=reason):
        return
    try:
        leases.request_cancel(run, actor=by.email, reason=reason)
    except Refused:
        pass  # it has just come to its end
