"""Is a derived model as good as the adapter it was made of? Two one-sided tests on paired rows, against a margin.

Equal is only what the whole 95 % interval of the difference keeps within the margin (Schuirmann 1987, at 2.5 % a side).
That no difference was found proves nothing: a golden set that is too small finds none either.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evaluation.domain import statistics
from evaluation.domain.graders import GRADERS
from evaluation.domain.verdicts import points
from projects.domain import formatting

if TYPE_CHECKING:
    from numpy.random import Generator

MARGIN, LEAST, MOST = 0.02, 0.005, 0.10
ARMS = ("adapter", "derived")


class Judgement(StrEnum):
    EQUAL = "equal"
    WORSE = "worse"
    BETTER = "better"
    CANNOT_SAY = "cannot_say"


JUDGEMENTS = [(one.value, one.value.replace("_", " ")) for one in Judgement]
TONES = {
    Judgement.EQUAL: "succeeded",
    Judgement.WORSE: "failed",
    Judgement.BETTER: "succeeded",
    Judgement.CANNOT_SAY: "attention",
}


@dataclass(frozen=True)
class Verdict:
    judgement: Judgement
    headline: str
    sentence: str

    @property
    def tone(self) -> str:
        return TONES[self.judgement]


def judge(low: float, high: float, margin: float) -> Judgement:
    """Within the margin is equal, even where zero is outside; beyond it the side of zero decides."""
    if low >= -margin and high <= margin:
        return Judgement.EQUAL
    if high < 0:
        return Judgement.WORSE
    return Judgement.BETTER if low > 0 else Judgement.CANNOT_SAY


def rows_needed(margin: float) -> int:
    """Golden rows with which equality can be shown at all: with so many not one of them may change."""
    return math.ceil(statistics.Z**2 * (1 - margin) / margin)


def verdict(figures: Mapping[str, Any], primary: str, margin: float) -> Verdict:
    """`figures` of the grader that leads, as `arms` makes them; shares from 0 to 1."""
    judgement = judge(figures["low"], figures["high"], margin)
    name, n = GRADERS[primary].label, figures["n"]
    within = f"{margin * 100:g} points"
    interval = f"95 % interval {points(figures['low'])} to {points(figures['high'])}"
    levels = (
        f"{figures['adapter'] * 100:.1f} % with the adapter on its base, {figures['derived'] * 100:.1f} % with this"
    )
    size = f"{abs(figures['difference']) * 100:.1f}"
    headline = {
        Judgement.EQUAL: f"Equal within {within}",
        Judgement.WORSE: f"Worse by {size} points",
        Judgement.BETTER: f"Better by {size} points",
        Judgement.CANNOT_SAY: "Too close to say",
    }[judgement]
    difference = f"a difference of {points(figures['difference'])} points ({interval})"
    sentence = f"{name}: {levels} on {formatting.number(n)} golden rows, {difference}."
    if judgement is Judgement.CANNOT_SAY:
        sentence += f" It may be neither worse nor equal within {within}. {_larger(n, margin)}"
    return Verdict(judgement, headline, sentence)


def _larger(n: int, margin: float) -> str:
    least = rows_needed(margin)
    if n < least:
        return f"Equality within {margin * 100:g} points takes {least} rows at the very least."
    return "A larger golden set tells, or a wider margin that the team can live with."


def arms(items: Sequence[Mapping[str, Any]], name: str, rng: "Generator") -> dict[str, Any]:
    """Means of both, each with its interval, and the paired difference. Empty where the grader has nothing to say."""
    grader = GRADERS[name]
    pairs = [
        (one["scores"]["adapter"][name], one["scores"]["derived"][name])
        for one in items
        if name in one["scores"]["adapter"]
    ]
    if not pairs:
        return {}
    columns = {arm: [pair[place] for pair in pairs] for place, arm in enumerate(ARMS)}
    paired = statistics.paired_interval(columns["adapter"], columns["derived"], binary=grader.binary, rng=rng)
    gains, losses = sum(b > a for a, b in pairs), sum(a > b for a, b in pairs)
    low, high = paired.low, paired.high
    if grader.binary:  # resampled rows are overconfident where few of them change, and equality hangs on just that
        below, above = statistics.score_interval(gains, losses, len(pairs))
        low, high = min(low, below), max(high, above)
    found: dict[str, Any] = {"difference": paired.mean, "low": low, "high": high}
    for arm, values in columns.items():
        lowest, highest = _level(values, grader.binary, rng)
        found |= {arm: sum(values) / len(values), f"{arm}_low": lowest, f"{arm}_high": highest}
    found = {key: round(value, 6) for key, value in found.items()}
    found |= {"n": len(pairs), "gains": gains, "losses": losses}
    if grader.binary:
        found["p_value"] = round(statistics.mcnemar(gains, losses), 6)
    return found


def _level(values: Sequence[float], binary: bool, rng: "Generator") -> tuple[float, float]:
    """The interval of one mean: exact for right or wrong, resampled for shares."""
    if binary:
        return statistics.exact_share(round(sum(values)), len(values))
    found = statistics.bootstrap_interval(values, rng=rng, resamples=2_000)
    return found.low, found.high


def summary(
    items: Sequence[Mapping[str, Any]], names: Sequence[str], primary: str, margin: float, seed: int
) -> dict[str, Any]:
    """What is stored of an evaluation of a derived model."""
    import numpy

    rng = numpy.random.default_rng(seed)
    found = {name: figures for name in names if (figures := arms(items, name, rng))}
    same = sum(one["adapter_output"] == one["derived_output"] for one in items)
    lead = found[primary]
    return {
        "n": len(items),
        "primary": primary,
        "margin": margin,
        "graders": found,
        "same_text": same,
        "judgement": judge(lead["low"], lead["high"], margin).value,
    }
