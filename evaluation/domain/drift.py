"""How far an adapter on another version of its base is from what was judged: from readings of prompts to a verdict.

Per prompt, over the tokens of its expected answer: the divergence KL(own ‖ other) of what both versions say next,
without and with the adapter, and what the adapter adds to the log-probability of the answer on either. All in nats per
token. Intervals resample prompts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluation.domain import statistics
from training.domain.compatibility import ORDER, Judgement, Reason, Verdict

if TYPE_CHECKING:
    from numpy.random import Generator

# Nats per token below which nothing can have changed: by Pinsker's inequality at most 0.7 % of probability has moved.
FLOOR = 1e-4
TIMES = 10.0  # by how much a drift must exceed what reloads of the same files differ by
FEWEST = 8  # prompts of which an interval can be told
RESAMPLES = 2_000


@dataclass(frozen=True)
class Reading:
    """One prompt on both versions."""

    index: int
    tokens: int
    base_kl: float
    adapter_kl: float
    gain_own: float
    gain_other: float

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Reading":
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})


def threshold(reloads: Sequence[float]) -> float:
    """Calibrated on how far reloads of the identical version are apart, which should be nothing at all."""
    return max([FLOOR, *(TIMES * reading for reading in reloads)])


def figures(readings: Sequence[Reading], reloads: Sequence[float], rng: "Generator") -> dict[str, Any]:
    """What is stored of a probe: means with intervals, the threshold, and the verdict that follows."""
    limit = threshold(reloads)
    base = _interval([one.base_kl for one in readings], rng)
    adapter = _interval([one.adapter_kl for one in readings], rng)
    change = _interval([one.gain_other - one.gain_own for one in readings], rng)
    own, other = (sum(gains) / len(readings) for gains in _gains(readings))
    return {
        "prompts": len(readings),
        "tokens": sum(one.tokens for one in readings),
        "reloads": [float(reading) for reading in reloads],
        "threshold": limit,
        "base": base,
        "adapter": adapter,
        "effect": change | {"own": round(own, 9), "other": round(other, 9)},
        "verdict": verdict(len(readings), adapter, limit).value,
    }


def _gains(readings: Sequence[Reading]) -> tuple[list[float], list[float]]:
    return [one.gain_own for one in readings], [one.gain_other for one in readings]


def _interval(values: Sequence[float], rng: "Generator") -> dict[str, float]:
    found = statistics.bootstrap_interval(values, rng=rng, resamples=RESAMPLES)
    return {name: round(value, 9) for name, value in vars(found).items()}


def verdict(prompts: int, adapter: Mapping[str, float], limit: float) -> Verdict:
    """Drifted when all of the interval is beyond the threshold, compatible when none of it is; else nobody can say."""
    if not math.isfinite(adapter["mean"]):
        return Verdict.DRIFTED
    if prompts < FEWEST:
        return Verdict.UNKNOWN
    if adapter["low"] > limit:
        return Verdict.DRIFTED
    return Verdict.COMPATIBLE if adapter["high"] <= limit else Verdict.UNKNOWN


def together(structure: Judgement, measured: Mapping[str, Any] | None) -> Judgement:
    """Structure and measurement as one verdict. What was measured settles what structure could only suspect."""
    if not measured or structure.verdict in {Verdict.SAME, Verdict.INCOMPATIBLE}:
        return structure
    found = Verdict(measured["verdict"])
    told = Reason("measured", sentence(measured), found)
    settled = [one for one in structure.reasons if one.code == "base_unproven"]
    worst = max([found, *(one.verdict for one in settled)], key=ORDER.index)
    if found == Verdict.UNKNOWN:
        worst = max(structure.verdict, Verdict.DRIFTED, key=ORDER.index)
    return Judgement(worst, (told, *structure.reasons))


def sentence(measured: Mapping[str, Any]) -> str:
    """A probe's figures in a sentence."""
    adapter, effect = measured["adapter"], measured["effect"]
    drift = f"{adapter['mean']:.3g} nats a token [{adapter['low']:.3g}, {adapter['high']:.3g}]"
    gain = f"what it adds to the expected answers goes from {effect['own']:+.3g} to {effect['other']:+.3g}"
    words = {
        Verdict.COMPATIBLE: f"Measured on {measured['prompts']} prompts it says the same: drift {drift}; {gain}.",
        Verdict.DRIFTED: f"Measured on {measured['prompts']} prompts it has drifted by {drift}; {gain}.",
    }
    found = words.get(Verdict(measured["verdict"]))
    return found or f"{measured['prompts']} prompts cannot tell: drift {drift}. Probe it with more of them."
