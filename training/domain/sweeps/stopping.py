"""Which runs of a sweep are stopped early: worse than the others were at the same point of their way.

Loss against the share of steps that are done. Median rule: Golovin et al. 2017 (Vizier), section 3.1, with the noise of
the loss as a margin; successive halving without waiting: Li et al. 2020 (ASHA), a third goes on at each rung.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from projects.domain import formatting
from training.domain.sweeps.space import DATA

KEPT = 3  # one of so many goes on at a rung
FEWEST = 3  # others that are needed before anything is said about one
SURE = 2.0  # standard errors

# What makes the losses of two runs no measure of the same thing.
INCOMPARABLE = {
    DATA: "losses on different data cannot be compared",
    "max_length": "cutting rows elsewhere changes the data that the loss is of",
    "beta": "the loss of DPO is on another scale with every beta",
}


class Rule(StrEnum):
    NONE = "none"
    MEDIAN = "median"
    HALVING = "halving"


@dataclass(frozen=True)
class Course:
    """How far a run is, from 0 to 1, and its losses on the way as (share, loss)."""

    run: int
    share: float
    points: Sequence[tuple[float, float]]

    def around(self, share: float) -> tuple[float, float] | None:
        """Mean loss over the tenth of the way before `share`, and its standard error; None if it has not come there."""
        if self.share < share:
            return None
        near = [loss for at, loss in self.points if share - 0.1 <= at <= share and math.isfinite(loss)]
        if not near:
            return None
        error = statistics.stdev(near) / math.sqrt(len(near)) if len(near) > 2 else 0.0
        return statistics.fmean(near), error


def hopeless(rule: str, mine: Course, others: Sequence[Course], grace: float) -> str:
    """Why a run need not go on; empty while it may. Until `grace` of its way nothing is said."""
    if rule == Rule.NONE or not grace <= mine.share < 1:
        return ""
    if any(not math.isfinite(loss) for _, loss in mine.points[-1:]):
        return "Its loss is not a number any more."
    return _median(mine, others) if rule == Rule.MEDIAN else _halving(mine, others, grace)


def _median(mine: Course, others: Sequence[Course]) -> str:
    here, there = mine.around(mine.share), [found for one in others if (found := one.around(mine.share))]
    if here is None or len(there) < FEWEST:
        return ""
    middle = statistics.median(value for value, _ in there)
    if here[0] - SURE * here[1] <= middle:
        return ""
    return (
        f"At {_percent(mine.share)} of its steps its loss was {here[0]:.3g}; half of the {len(there)} other runs were "
        f"at {middle:.3g} or less by then."
    )


def _halving(mine: Course, others: Sequence[Course], grace: float) -> str:
    rungs = [grace * KEPT**n for n in range(10) if grace * KEPT**n < 1]
    rung = max(one for one in rungs if one <= mine.share)
    here = mine.around(rung)
    there = [found[0] for one in others if (found := one.around(rung))]
    if here is None or len(there) < FEWEST - 1:
        return ""
    place, stay = 1 + sum(value < here[0] - SURE * here[1] for value in there), math.ceil((len(there) + 1) / KEPT)
    if place <= stay:
        return ""
    return (
        f"At {_percent(rung)} of its steps its loss of {here[0]:.3g} was number {place} of {len(there) + 1}; the best "
        f"{stay} go on from there."
    )


def _percent(share: float) -> str:
    return formatting.percent(share, 0)


def saved(cost: float, share: float) -> float:
    """About what the rest of a run would have cost, at the price of what it did."""
    return cost * (1 - share) / share if share > 0 else 0.0
