"""What becomes of an adapter when its base gets a new version: what survives as it is, comes back, or is lost.

Three answers to the same golden rows are held against each other: the adapter on its own base (old), the same adapter
on the new version (carried over), and the adapter that its recipe makes on the new version (retrained).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evaluation.domain import statistics
from evaluation.domain.verdicts import points
from training.domain.compatibility import Verdict

if TYPE_CHECKING:
    from numpy.random import Generator

MARGIN = 0.05  # how much worse may still count as “not worse”, as a share: five points
LEAST_MARGIN, MOST_MARGIN = 0.01, 0.2
RESAMPLES = 2_000


class Step(StrEnum):
    """What a person orders for many adapters at once."""

    PROBE = "probe"
    EVALUATE = "evaluate"
    RETRAIN = "retrain"


class Part(StrEnum):
    """What is done for one adapter, in this order."""

    BASELINE = "baseline"
    PROBE = "probe"
    CARRIED = "carried"
    RETRAIN = "retrain"
    RETRAINED = "retrained"


PARTS: Mapping[Step, tuple[Part, ...]] = {
    Step.PROBE: (Part.PROBE,),
    Step.EVALUATE: (Part.BASELINE, Part.CARRIED),
    Step.RETRAIN: (Part.BASELINE, Part.RETRAIN, Part.RETRAINED),
}
# A part that came to nothing ends those that would be held against it or made of it.
NEEDS: Mapping[Part, tuple[Part, ...]] = {
    Part.CARRIED: (Part.BASELINE,),
    Part.RETRAINED: (Part.RETRAIN, Part.BASELINE),
}
WORDS: Mapping[Part, str] = {
    Part.BASELINE: "Evaluation on its own base",
    Part.PROBE: "Probe",
    Part.CARRIED: "Evaluation on the new version",
    Part.RETRAIN: "Training on the new version",
    Part.RETRAINED: "Evaluation of the retrained adapter",
}
HEADS: Mapping[Part, str] = {
    Part.BASELINE: "On its own base",
    Part.PROBE: "Probe",
    Part.CARRIED: "Carried over",
    Part.RETRAIN: "Training",
    Part.RETRAINED: "Retrained",
}


def parts_of(steps: Sequence[Step]) -> list[Part]:
    """Every part that these steps consist of, once, in the order in which they are done."""
    wanted = {part for step in steps for part in PARTS[step]}
    return [part for part in Part if part in wanted]


STEPS = [(step.value, step.value.capitalize()) for step in Step]
MAIN: Mapping[Step, Part] = {Step.PROBE: Part.PROBE, Step.EVALUATE: Part.CARRIED, Step.RETRAIN: Part.RETRAIN}


def main_parts(steps: Sequence[Step]) -> list[Part]:
    """What steps are ordered for; the other parts are there to judge it."""
    wanted = [MAIN[step] for step in steps]
    return [*wanted, Part.RETRAINED] if Step.RETRAIN in steps else wanted


class Outcome(StrEnum):
    """What becomes of an adapter when its base gets a new version."""

    SURVIVED = "survived"
    CAME_BACK = "came_back"
    LOST = "lost"
    UNKNOWN = "unknown"


TONES = {
    Outcome.SURVIVED: "succeeded",
    Outcome.CAME_BACK: "running",
    Outcome.LOST: "failed",
    Outcome.UNKNOWN: "waiting",
}
LABELS = {
    Outcome.SURVIVED: "Survived",
    Outcome.CAME_BACK: "Came back",
    Outcome.LOST: "Lost",
    Outcome.UNKNOWN: "Unknown",
}
OUTCOMES = [(outcome.value, label) for outcome, label in LABELS.items()]


@dataclass(frozen=True)
class Use:
    """How much an adapter is used: where it is live, how often it was deployed, what was done with it lately."""

    live: tuple[str, ...] = ()
    deployments: int = 0
    evaluations: int = 0
    runs: int = 0

    @property
    def key(self) -> tuple[int, int, int]:
        """Ascending order of this key puts what is used most first."""
        return -len(self.live), -self.deployments, -(self.evaluations + self.runs)


# Scores


@dataclass(frozen=True)
class Arm:
    """Mean score with its own 95 % interval, as shares."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Against:
    """An adapter held against the old one on the old base, over the same golden rows."""

    n: int
    old: Arm
    new: Arm
    difference: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Against":
        told = {name: float(raw[name]) for name in ("difference", "low", "high")}
        return cls(n=int(raw["n"]), old=Arm(**raw["old"]), new=Arm(**raw["new"]), **told)

    def not_worse(self, margin: float) -> bool | None:
        """Whether the whole interval is above −margin; False where it is below zero, None where it says neither."""
        if self.low >= -margin:
            return True
        return False if self.high < 0 else None

    @property
    def interval(self) -> str:
        """“−2.5 [−6.0, +1.0]”, in points"""
        return f"{points(self.difference)} [{points(self.low)}, {points(self.high)}]"

    def told(self, margin: float) -> str:
        found = f"{points(self.difference)} points [{points(self.low)}, {points(self.high)}] over {self.n} golden rows"
        verdict = self.not_worse(margin)
        if verdict is None:
            return f"{found}: too close to say with a margin of {margin * 100:g}"
        return f"{found}: {'not worse' if verdict else 'worse'}"


def against(old: Mapping[int, float], new: Mapping[int, float], *, binary: bool, rng: "Generator") -> Against | None:
    """Pair the scores of golden rows by their numbers; None where the two have not been asked the same."""
    both = sorted(set(old) & set(new))
    if not both:
        return None
    before, after = [old[index] for index in both], [new[index] for index in both]
    found = statistics.paired_interval(before, after, binary=binary, rng=rng, resamples=RESAMPLES)
    one, other = (_arm(scores, binary=binary, rng=rng) for scores in (before, after))
    return Against(len(both), one, other, round(found.mean, 6), round(found.low, 6), round(found.high, 6))


def _arm(scores: Sequence[float], *, binary: bool, rng: "Generator") -> Arm:
    mean = sum(scores) / len(scores)
    if binary:
        low, high = statistics.exact_share(round(sum(scores)), len(scores))
    else:
        found = statistics.bootstrap_interval(scores, rng=rng, resamples=RESAMPLES)
        low, high = found.low, found.high
    return Arm(round(mean, 6), round(low, 6), round(high, 6))


# Verdicts

MEASURED = "Measured, it says the same."
DRIFTED = "It has drifted; whether its answers are worse, only its golden set can say."


@dataclass(frozen=True)
class Known:
    """All that is known of one adapter and one new version. `verdict` is that of structure and probe together."""

    verdict: Verdict
    reason: str = ""
    measured: bool = False
    carried: Against | None = None
    retrained: Against | None = None
    troubles: Mapping[str, str] = field(default_factory=dict)  # by part


@dataclass(frozen=True)
class Found:
    """What became of an adapter, and why, in sentences."""

    outcome: Outcome
    as_is: bool | None  # whether it may go on as it is
    again: bool | None  # whether what was trained in its place is as good
    why: str

    @property
    def label(self) -> str:
        return LABELS[self.outcome]

    @property
    def tone(self) -> str:
        return TONES[self.outcome]


def judge(known: Known, margin: float = MARGIN) -> Found:
    """The golden set decides where it was asked; else the drift; else nobody can say."""
    as_is, why = _as_is(known, margin)
    if as_is:
        return Found(Outcome.SURVIVED, True, _again(known, margin), why)
    again = _again(known, margin)
    then = _told_again(known, margin)
    if again:
        return Found(Outcome.CAME_BACK, as_is, True, f"{why} {then}")
    # What was trained in its place and may be as good is not lost before somebody can say so.
    undecided = known.retrained is not None and again is None
    lost = as_is is False and not undecided
    return Found(Outcome.LOST if lost else Outcome.UNKNOWN, as_is, again, f"{why} {then}".strip())


def _as_is(known: Known, margin: float) -> tuple[bool | None, str]:
    if known.carried is not None:
        return known.carried.not_worse(margin), f"As it is: {known.carried.told(margin)}."
    if known.verdict == Verdict.INCOMPATIBLE:
        return False, f"It does not belong on the new version: {known.reason}".strip()
    if known.verdict in {Verdict.SAME, Verdict.COMPATIBLE}:
        structure = f"By structure it says the same. {known.reason}".strip()
        return True, (known.reason or MEASURED) if known.measured else structure
    trouble = known.troubles.get(Part.CARRIED) or known.troubles.get(Part.PROBE)
    if trouble:
        return None, f"As it is nobody can say: {trouble}"
    drifted = known.measured and known.verdict == Verdict.DRIFTED
    return None, DRIFTED if drifted else "Nobody has measured what it says there."


def _again(known: Known, margin: float) -> bool | None:
    return known.retrained.not_worse(margin) if known.retrained is not None else None


def _told_again(known: Known, margin: float) -> str:
    if known.retrained is not None:
        return f"Retrained: {known.retrained.told(margin)}."
    trouble = known.troubles.get(Part.RETRAIN) or known.troubles.get(Part.RETRAINED)
    return f"Retraining: {trouble}" if trouble else ""


def counts(found: Sequence[Outcome]) -> dict[str, int]:
    """How many of each, those that nobody has first left at nought."""
    return {outcome.value: sum(one == outcome for one in found) for outcome in Outcome}


def headline(numbers: Mapping[str, int]) -> str:
    """The report in a sentence."""
    total = sum(numbers.values())
    if not total:
        return "No adapter stands on the old version."
    usable = numbers[Outcome.SURVIVED] + numbers[Outcome.CAME_BACK]
    told = [
        f"{numbers[outcome]} {word}"
        for outcome, word in (
            (Outcome.SURVIVED, "survived as they are" if numbers[Outcome.SURVIVED] != 1 else "survived as it is"),
            (Outcome.CAME_BACK, "came back by training again"),
            (Outcome.LOST, "lost"),
            (Outcome.UNKNOWN, "unknown"),
        )
        if numbers[outcome]
    ]
    return f"{usable} of {total} adapters can move to the new version: {', '.join(told)}."
