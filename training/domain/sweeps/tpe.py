"""The next points of a sweep by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), asked and told.

The trials of the sweep are its memory: a study is made anew from them whenever a point is wanted, in the memory of this
process, so that Optuna keeps nothing anywhere and no worker has to live on.
"""

import importlib.util
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.domain.sweeps.space import Dimension, Params, Space

STARTUP = 5  # random points first, so that there is something to learn from


@dataclass(frozen=True)
class Told:
    """A point that was tried: what came of it (lower is better), or nothing yet."""

    params: Params
    value: float | None = None


def is_there() -> bool:
    """Whether Optuna is installed here."""
    return importlib.util.find_spec("optuna") is not None


def suggest(space: Space, told: Sequence[Told], seed: int) -> Params:
    """One more point. The same space, trials and seed give the same one."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(
        seed=(seed + len(told)) % 2**32, n_startup_trials=STARTUP, constant_liar=True, multivariate=False
    )
    study = optuna.create_study(sampler=sampler, direction="minimize")
    kinds = {one.name: _distribution(optuna, one) for one in space.dimensions}
    for one in told:
        known = one.value is not None and math.isfinite(one.value)
        state = optuna.trial.TrialState.COMPLETE if known else optuna.trial.TrialState.RUNNING
        params = {name: _plain(one.params[name]) for name in kinds}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=kinds, state=state, value=one.value if known else None
            )
        )
    trial = study.ask(kinds)
    return {one.name: _meant(one, trial.params[one.name]) for one in space.dimensions}


def _distribution(optuna: Any, one: Dimension) -> Any:
    if one.values:
        return optuna.distributions.CategoricalDistribution([_plain(value) for value in one.values])
    if one.whole:
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)


def _plain(value: Any) -> Any:
    """Lists are no categories to Optuna; their JSON is."""
    return json.dumps(value) if isinstance(value, list) else value


def _meant(one: Dimension, value: Any) -> Any:
    if one.is_range:
        return one.settle(value)
    return next(known for known in one.values if _plain(known) == value)
