"""Is a derived model what it says: its base, this adapter added at its own scale, and at most the error of its numbers?

By figures of every layer, held against base and adapter; by a hash of every tensor, against what was made; and by what
the model says of the fixed texts. What differs has a name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.domain import proofs
from training.domain.derived import Kind
from training.domain.integrity import TENSOR, Shapes, from_block
from training.domain.proofs import FEW, Fault, Found, Observation

# Half of the last digit, by the type of the stored numbers; in 32 bit also the order in which sums are taken.
ROUNDING = {"F64": 1e-6, "F32": 1e-6, "F16": 2**-11, "BF16": 2**-8}
# What packing may cost: ‖packed − merged‖ / ‖merged‖ of a layer, and how far its slope may be from 1.
LOSS = {8: 0.05, 4: 0.25}
SLOPE = {8: 0.02, 4: 0.08}
UNMERGED = 0.25  # share of the adapter that is found in the weights: below it, it is not there
NEAR = 0.1
SIGMAS = 5.0
NOISY = 3.0  # times the noise that is expected: cutting the largest weights of a group adds to it
UNLIKE = 0.2  # spread of those shares over the layers from which on it is no matter of scale
KEPT = (0.5, 1.5)  # share of the adapter's effect that a packed model has to show; golden sets tell the rest


@dataclass(frozen=True)
class Layer:
    """One tensor of a derived model beside what it should be. Squares of norms, and products.

    `wanted` ‖U‖² of what the adapter adds, `along` ⟨D, U⟩ with D what is there less the base, `merged` ‖M‖² of base and
    adapter together, `shared` ⟨there, M⟩, `off` ‖there − M‖², `count` how many numbers.
    """

    name: str
    dtype: str
    packed: bool
    count: int
    merged: float
    shared: float
    off: float
    wanted: float = 0.0
    along: float = 0.0
    moved: float = 0.0  # ‖D‖²
    noise: float = 0.0  # what packing is expected to add to ‖D‖², from its own scales: a twelfth of each step squared

    @property
    def is_adapted(self) -> bool:
        return self.wanted > 0

    @property
    def error(self) -> float:
        return math.sqrt(self.off / self.merged) if self.merged else math.sqrt(self.off)

    @property
    def slope(self) -> float:
        return self.shared / self.merged if self.merged else 1.0

    @property
    def share(self) -> float:
        return self.along / self.wanted if self.wanted else 1.0

    @property
    def there(self) -> float:
        """‖there‖²"""
        return max(0.0, self.off - self.merged + 2 * self.shared)

    def slack(self, bits: int) -> float:
        """The relative error that its numbers may have."""
        return LOSS[bits] if self.packed else ROUNDING.get(self.dtype, 1e-6)

    def is_sound(self, bits: int) -> bool:
        return self.error <= self.slack(bits) and not (self.packed and abs(self.slope - 1) > SLOPE[bits])

    def is_multiple(self, bits: int) -> bool:
        """Whether it is base and adapter together, multiplied by something."""
        rest = max(0.0, self.there - self.slope**2 * self.merged)
        return rest <= (self.slack(bits) ** 2) * self.there and abs(self.slope - 1) > SLOPE.get(bits, NEAR)

    def is_share(self, bits: int) -> bool:
        """Whether it is the base and some multiple of the adapter, and nothing besides."""
        rest = max(0.0, self.moved - self.share**2 * self.wanted)
        room = NOISY * self.noise if self.packed else (2 * self.slack(bits)) ** 2 * max(self.there, self.merged)
        return self.is_adapted and rest <= room


def about_layers(layers: Sequence[Layer], kind: Kind) -> Found | None:
    """What the weights are, held against base and adapter: the one cause that explains all that is odd."""
    bits = kind.bits
    odd = [one for one in layers if not one.is_sound(bits)]
    adapted = [one for one in layers if one.is_adapted]
    plain = [one for one in odd if not one.is_adapted and not one.packed]
    if plain:
        return _about_base(plain, [one for one in layers if not one.is_adapted and not one.packed])
    if odd and all(one.packed and one.is_multiple(bits) for one in odd):
        worst = max(odd, key=lambda one: abs(one.slope - 1))
        text = f"Its scales are wrong: {worst.name} is {worst.slope:.3g} times what it should be{_more(odd)}."
        return Found(Fault.WRONG_QUANTISATION, text)
    if all(one.is_share(bits) for one in odd):
        return _about_share(adapted, odd, kind)
    if len(odd) <= max(1, FEW * len(layers)) and len(odd) < len(adapted):
        return _damaged(odd)
    share = _share(adapted)
    return Found(Fault.OTHER_ADAPTER, f"Another adapter is in the weights: of this one {max(0.0, share):.0%} is found.")


def _about_base(plain: Sequence[Layer], of: Sequence[Layer]) -> Found:
    """Tensors that are kept as they are: few that differ are damaged, many are those of another base."""
    if len(plain) <= max(1, FEW * len(of)):
        return _damaged(plain)
    text = f"It does not stand on this base: {len(plain)} of {len(of)} tensors beside the adapter differ."
    return Found(Fault.OTHER_BASE, text)


def _about_share(adapted: Sequence[Layer], odd: Sequence[Layer], kind: Kind) -> Found | None:
    """How much of the adapter is in the weights, where they are the base and some of the adapter."""
    wanted = sum(one.wanted for one in adapted)
    if not wanted or (not odd and not kind.bits):
        return None
    share = _share(adapted)
    # What packing adds is no part of the adapter and averages out over many numbers.
    lost = sum(one.off for one in adapted if one.is_sound(kind.bits))
    noise = math.sqrt(lost / max(1, sum(one.count for one in adapted)) / wanted)
    if abs(share - 1) <= max(NEAR, SIGMAS * noise):
        return _damaged(odd) if odd else None
    if abs(share) < NEAR:
        return Found(Fault.NOT_APPLIED, "The adapter is not in the weights: this is the base itself.")
    if _is_even(adapted, share):
        return Found(Fault.WRONG_SCALING, f"The adapter was added {share:.3g} times instead of once.")
    return Found(Fault.OTHER_ADAPTER, f"Another adapter is in the weights: of this one {max(0.0, share):.0%} is found.")


def _share(adapted: Sequence[Layer]) -> float:
    wanted = sum(one.wanted for one in adapted)
    return sum(one.along for one in adapted) / wanted if wanted else 1.0


def _is_even(adapted: Sequence[Layer], share: float) -> bool:
    """Whether every layer holds about as much of the adapter: a matter of scale, and not of another adapter."""
    shares = [one.share for one in adapted]
    middle = sum(shares) / len(shares)
    spread = math.sqrt(sum((one - middle) ** 2 for one in shares) / len(shares))
    return spread <= UNLIKE * max(1.0, abs(share))


def _damaged(odd: Sequence[Layer]) -> Found:
    return Found(Fault.FLIPPED_BIT, f"Its weights are damaged: {odd[0].name} is not what was made{_more(odd)}.")


def _more(odd: Sequence[Layer]) -> str:
    return f" ({len(odd) - 1} more like it)" if len(odd) > 1 else ""


def about_hashes(stored: Mapping[str, str], seen: Mapping[str, str]) -> Found | None:
    """Whether every tensor is, bit for bit, the one that was made."""
    odd = sorted(name for name in {*stored, *seen} if stored.get(name) != seen.get(name))
    if not odd:
        return None
    more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
    return Found(Fault.FLIPPED_BIT, f"Its weights are damaged: {odd[0]}{more} are not what was made.")


def about_effect(
    seen: Sequence[float], pair: Observation, stored: Sequence[float] | None, kind: Kind, dtype: str
) -> Found | None:
    """What the model says of the fixed texts, beside its base, the adapter on its base, and what it said before."""
    if stored is not None and (gap := proofs.apart(stored, seen)) > pair.tolerance:
        text = f"It says something else than when it was made: a log-probability is {gap:.3g} away."
        return Found(Fault.EFFECT_DIFFERS, text)
    share, gap = kept_effect(seen, pair), proofs.apart(pair.adapter, seen)
    if pair.effect > pair.tolerance and (math.isinf(gap) or abs(share) < UNMERGED):
        return Found(Fault.NOT_APPLIED, "It says what its base says: the adapter is not at work in it.")
    if kind.bits:
        if pair.effect > pair.tolerance and not KEPT[0] <= share <= KEPT[1]:
            return Found(Fault.EFFECT_DIFFERS, f"Of the adapter's effect on the fixed texts it shows {share:.0%}.")
        return None
    floor = proofs.FLOORS.get({"F16": "float16", "BF16": "bfloat16"}.get(dtype, "float32"), 0.0)
    allowed = max(pair.tolerance, floor, 0.1 * pair.effect if floor > 0.01 else 0.0)
    if gap > allowed:
        text = f"It says something else than the adapter on its base: a log-probability is {gap:.3g} away"
        return Found(Fault.EFFECT_DIFFERS, f"{text}, and {allowed:.3g} is allowed.")
    return None


def kept_effect(seen: Sequence[float], pair: Observation) -> float:
    """How much of the way from base to adapter the model has gone: 0 is the base, 1 the adapter."""
    if len(seen) != len(pair.base):
        return 0.0
    wanted = [after - before for before, after in zip(pair.base, pair.adapter, strict=True)]
    moved = [now - before for before, now in zip(pair.base, seen, strict=True)]
    length = sum(one * one for one in wanted)
    return sum(a * b for a, b in zip(wanted, moved, strict=True)) / length if length else 1.0


def places(base: Shapes, adapter: Shapes) -> dict[str, str]:
    """The base's tensor of each adapted module; modules that share one with another part of the model are left out."""
    short: dict[str, list[str]] = {}
    for name in base:
        short.setdefault(from_block(name), []).append(name)
    found = {}
    for name in adapter:
        match = TENSOR.match(name)
        if match is None or match["half"] != "A":
            continue
        wanted = f"{match['module']}.weight"
        likely = short.get(from_block(wanted), [])
        if wanted in base:
            found[match["module"]] = wanted
        elif len(likely) == 1:
            found[match["module"]] = likely[0]
    return found


def summary(layers: Sequence[Layer], kind: Kind) -> dict[str, Any]:
    """What is kept of the figures: how much of the adapter is there, and the largest error of any layer."""
    adapted = [one for one in layers if one.is_adapted]
    packed = [one for one in layers if one.packed]
    wanted = sum(one.wanted for one in adapted)
    worst = max(packed or layers, key=lambda one: one.error)
    return {
        "adapted": len(adapted),
        "packed": len(packed),
        "share": round(sum(one.along for one in adapted) / wanted, 6) if wanted else None,
        "worst_layer": worst.name,
        "worst_error": round(worst.error, 6),
        "mean_error": round(sum(one.error for one in packed) / len(packed), 6) if packed else 0.0,
        "lost_in_rounding": round(_lost(adapted), 6),
    } | ({"bits": kind.bits, "group": kind.group} if kind.bits else {})


def _lost(adapted: Sequence[Layer]) -> float:
    """Of what the adapter adds, the share that the stored numbers could not hold."""
    wanted = sum(one.wanted for one in adapted if not one.packed)
    off = sum(one.off for one in adapted if not one.packed)
    return math.sqrt(off / wanted) if wanted else 0.0
