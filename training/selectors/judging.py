"""Which run of a sweep came out best, and where its runs stand until that can be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from projects import contributions
from projects.domain.contests import Contest
from projects.domain.states import JobState
from training.domain.looks import VALIDATION
from training.domain.recipe import Recipe
from training.domain.sweeps import losses
from training.domain.sweeps.losses import Ending
from training.models import Run, Sweep, Trial
from training.selectors import metrics

DRAWN = 200  # points of a loss curve that are looked at for its end, and of the end itself at most ten times as many


def contest(sweep: Sweep, rows: Sequence[Trial]) -> Contest | None:
    """Which run came out best: on the golden set where one was chosen, else by the validation loss where there is one,

    else by that of training, each at the end.
    """
    done = [row.run for row in rows if row.run and row.run.state == JobState.SUCCEEDED]
    if not done:
        return None
    if sweep.golden is None:
        seen = [ending for run in done if (ending := _look_ending(run))]
        if seen:
            return losses.contest(seen, losses.VALIDATION_MEASURE, _note(len(done) - len(seen)))
        return losses.contest([_ending(run) for run in done])
    adapters = {run.adapter.pk: run.pk for run in done if hasattr(run, "adapter")}
    for examiner in contributions.examiners:
        found = examiner.contest(list(adapters), sweep.golden)
        if found is not None:
            return _of_runs(found, adapters)
    return None


@dataclass(frozen=True)
class Standing:
    """Where the runs that have ended stand for the moment; who wins is worked out once, when all have."""

    measure: str
    percent: bool
    values: dict[int, float]

    @property
    def order(self) -> list[dict[str, Any]]:
        best_first = sorted(self.values.items(), key=lambda one: (one[1], one[0]), reverse=self.percent)
        return [{"run": run, "value": value} for run, value in best_first]


def standing(sweep: Sweep, rows: Sequence[Trial]) -> Standing:
    """By mean score, or by the mean loss at the end of the thinned curve: few queries, however many runs."""
    done = [row.run for row in rows if row.run and row.run.state == JobState.SUCCEEDED]
    if sweep.golden is None:
        looked = _standing_of(done, VALIDATION, losses.FEWEST_LOOKS) if sweep.validation_version_id else {}
        if looked:
            return Standing(losses.VALIDATION_MEASURE, False, looked)
        return Standing(losses.MEASURE, False, _standing_of(done, "loss", losses.FEWEST))
    adapters = {run.adapter.pk: run.pk for run in done if hasattr(run, "adapter")}
    found: dict[int, float] = {}
    measure = f"Score on {sweep.golden}"
    for examiner in contributions.examiners:
        for adapter, scores in examiner.scores(list(adapters)).items():
            for score in scores:
                if score.measure.endswith(f" on {sweep.golden}"):
                    found[adapters[adapter]], measure = score.value, score.measure
    return Standing(measure, True, found)


def _standing_of(done: Sequence[Run], name: str, fewest: int) -> dict[int, float]:
    curves = metrics.thinned(done, name, points=DRAWN)
    ends = {pk: losses.ending(values, fewest) for pk, (_, values) in curves.items()}
    return {pk: fmean(values) for pk, values in ends.items() if values}


def _of_runs(found: Contest, runs: dict[int, int]) -> Contest:
    """The same contest with numbers of runs instead of adapters."""
    return Contest(
        found.measure,
        found.percent,
        tuple(runs[key] for key in found.order),
        {runs[key]: value for key, value in found.values.items()},
        tuple(runs[key] for key in found.tied),
        found.difference,
        found.low,
        found.high,
        found.n,
        found.note,
    )


def _ending(run: Run) -> Ending:
    values = metrics.newest(run, "loss", 10 * DRAWN).values.tolist()
    kept = max(losses.FEWEST, round((run.step or len(values)) * losses.LAST))
    recipe = Recipe.read(run.recipe)
    seen = (run.dataset_version_id, run.step, recipe.seed, recipe.batch_size, recipe.accumulation, recipe.max_length)
    return Ending(run.pk, losses.ending(values)[-kept:] if values else [], f"{seen} {recipe.packing} {recipe.cut}")


def _look_ending(run: Run) -> Ending | None:
    """Its last looks; None where there were none, or where they ended before the run did."""
    if not run.validation_version_id:
        return None
    seen = metrics.newest(run, VALIDATION, 10 * DRAWN)
    if not len(seen) or int(seen.steps[-1]) != run.step:
        return None
    values = losses.ending(seen.values.tolist(), losses.FEWEST_LOOKS)
    read = (run.report.get("validation") or {}).get("rows")
    return Ending(run.pk, values, f"{run.validation_version_id} {read} {seen.steps[-len(values) :].tolist()}")


def _note(without: int) -> str:
    if not without:
        return losses.VALIDATION_NOTE
    one = "1 run is not ranked: its looks ended before it did."
    left = one if without == 1 else f"{without} runs are not ranked: their looks ended before they did."
    return f"{losses.VALIDATION_NOTE} {left}"
