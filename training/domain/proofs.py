"""Is what was loaded the adapter that was made, on its base, and does it do what it did? What differs has a name.

Two things are kept of every adapter: a sketch of its weights, and what the model says of a few fixed texts with and
without it. The sketch has one hash for each layer and one for each component of the rank over all layers: a flipped bit
changes one of each, another adapter all of them, a cut rank takes components away.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# What is asked: nobody's data, several languages and forms. Kept as tokens with the proof, so that it can be improved.
PROBES = (
    "The quick brown fox jumps over the lazy dog while the bells of the old town ring for noon.",
    "Please summarise the following message in one sentence and name its topic.",
    '{"name": "Ada", "age": 36, "tags": ["engine", "poetry"]}',
    "Q: What is the capital of France?\nA:",
    "def total(values):\n    return sum(value for value in values if value > 0)\n",
    "Wie komme ich am schnellsten zum Bahnhof? Gehen Sie geradeaus und dann links.",
    "La comida estaba muy buena, pero el servicio fue lento y nadie pidió disculpas.",
    "Order 4711 has not arrived. I would like my money back, or a new delivery by Friday.",
)
MOST_TOKENS = 32  # of one text
TOPS = 8  # next tokens that are looked at behind each text
ZERO = "0"  # the hash of a component that is all zeros
EPSILON = 1e-5  # of a log-probability: what changes less does nothing
# How far two loads of the same bytes may be apart, by the type of the numbers; measured noise times NOISES where more.
FLOORS = {"float32": 1e-3, "bfloat16": 0.15, "float16": 0.05}
NOISES = 10.0
FEW = 0.25  # share of layers or components: what changes less is damage, what changes more is something else


class Fault(StrEnum):
    NOT_APPLIED = "adapter_not_applied"
    NO_EFFECT = "adapter_no_effect"
    OTHER_ADAPTER = "other_adapter"
    OTHER_BASE = "other_base"
    FLIPPED_BIT = "flipped_bit"
    RANK_CUT = "rank_cut"
    WRONG_SCALING = "wrong_scaling"
    EFFECT_DIFFERS = "effect_differs"
    WRONG_QUANTISATION = "wrong_quantisation"  # of models that were made of an adapter: training.domain.faithful


@dataclass(frozen=True)
class Found:
    """What is wrong with a load: a code and a sentence."""

    fault: Fault
    text: str


@dataclass(frozen=True)
class Sketch:
    """Of the weights of an adapter: a hash for each adapted layer, one for each component of the rank, the scales."""

    rank: int
    modules: Mapping[str, str]
    components: Sequence[str]
    scales: Sequence[float]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Sketch":
        return cls(int(raw["rank"]), raw["modules"], raw["components"], raw["scales"])


@dataclass(frozen=True)
class Observation:
    """Log-probabilities of the same tokens without and with the adapter. `noise`: how far two readings are apart."""

    ids: Sequence[Sequence[int]]
    tops: Sequence[Sequence[int]]
    base: Sequence[float]
    adapter: Sequence[float]
    numerics: str  # such as “cpu float32”
    noise: float = 0.0

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Observation":
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})

    @property
    def effect(self) -> float:
        """The largest change of any log-probability by the adapter."""
        return apart(self.base, self.adapter)

    @property
    def tolerance(self) -> float:
        floor = FLOORS.get(self.numerics.rpartition(" ")[2], max(FLOORS.values()))
        return max(floor, NOISES * self.noise)


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference; infinite where two readings are not of the same things, or hold no numbers."""
    if len(one) != len(other):
        return float("inf")
    gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
    return max(gaps, default=0.0) if not any(map(math.isnan, gaps)) else float("inf")


def about_weights(stored: Sketch, seen: Sketch) -> Found | None:
    """What the weights in memory are, held against those that were made."""
    if not seen.modules:
        return Found(Fault.NOT_APPLIED, "No layer of the model carries the adapter.")
    if dict(stored.modules) == dict(seen.modules) and list(stored.components) == list(seen.components):
        return _about_scales(stored, seen)
    if found := _about_rank(stored, seen):
        return found
    layers = [name for name in {*stored.modules, *seen.modules} if stored.modules.get(name) != seen.modules.get(name)]
    pairs = zip(stored.components, seen.components, strict=False)
    parts = [number for number, (mine, theirs) in enumerate(pairs) if mine != theirs]
    known = set(stored.modules) == set(seen.modules) and stored.rank == seen.rank
    if known and (_few(len(layers), len(stored.modules)) or _few(len(parts), stored.rank)):
        place = f"{sorted(layers)[0]}" + (f" and {len(layers) - 1} more" if len(layers) > 1 else "")
        return Found(Fault.FLIPPED_BIT, f"Its weights are damaged: {place} is not what was made.")
    return Found(
        Fault.OTHER_ADAPTER,
        f"These are the weights of another adapter: {len(layers)} of {len(stored.modules)} layers differ.",
    )


def _few(count: int, of: int) -> bool:
    return count <= FEW * of


def _about_rank(stored: Sketch, seen: Sketch) -> Found | None:
    """Components that are gone or zero, while the others are those that were made."""
    lost = [n for n, (mine, theirs) in enumerate(zip(stored.components, seen.components, strict=False))
            if theirs == ZERO != mine]  # fmt: skip
    kept = set(seen.components) & set(stored.components) - {ZERO}
    missing = stored.rank - seen.rank + len(lost)
    if missing <= 0 or not kept:
        return None
    return Found(Fault.RANK_CUT, f"Only {stored.rank - missing} of its {stored.rank} components were loaded.")


def _about_scales(stored: Sketch, seen: Sketch) -> Found | None:
    if all(any(abs(one - other) <= 1e-6 * abs(other) for other in stored.scales) for one in seen.scales):
        return None
    mine, theirs = (", ".join(f"{scale:g}" for scale in sketch.scales) for sketch in (stored, seen))
    return Found(Fault.WRONG_SCALING, f"Its weights are multiplied by {theirs} instead of {mine}.")


def about_effect(seen: Observation, stored: Observation | None) -> Found | None:
    """What the model says, held against what it said; without a stored reading only that it says something else."""
    if stored is not None:
        allowed = max(stored.tolerance, seen.tolerance)
        if (gap := apart(stored.base, seen.base)) > allowed:
            return Found(Fault.OTHER_BASE, f"Without the adapter the model is not the base: {_told(gap, allowed)}.")
    if not seen.effect > EPSILON:
        if stored is not None and stored.effect > EPSILON:
            return Found(Fault.NOT_APPLIED, "With the adapter the model says the same as without it.")
        text = "The adapter changes nothing: with and without it the model says the same. It was not trained, or its "
        return Found(Fault.NO_EFFECT, text + "weights were lost on the way.")
    if stored is not None and (gap := apart(stored.adapter, seen.adapter)) > allowed:
        return Found(Fault.EFFECT_DIFFERS, f"With the adapter the model says something else: {_told(gap, allowed)}.")
    return None


def _told(gap: float, allowed: float) -> str:
    return f"a log-probability is {gap:.3g} away from what was stored, and {allowed:.3g} is allowed"


def judge(
    stored: Sketch | None, seen: Sketch, before: Observation | None, now: Observation, *, own_base: bool = True
) -> list[Found]:
    """All that is wrong, the cause before its consequences. On another base only weights and effect can be judged."""
    expected = before if own_base else None
    found = [stored and about_weights(stored, seen), about_effect(now, expected)]
    return [one for one in found if one]
