"""Does an adapter fit its base, and are its weights sound? By names, shapes and figures; no model is loaded."""

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.domain.findings import Finding, some

Shapes = Mapping[str, tuple[int, ...]]
# base_model.model.<module>.lora_A.weight, as PEFT saves the adapter called “default”.
TENSOR = re.compile(r"^base_model\.model\.(?P<module>[A-Za-z0-9_.]+)\.lora_(?P<half>[AB])\.weight$", re.ASCII)
# From here on a path is the same in a checkpoint and in a model that wraps it once more.
BLOCKS = ("layers", "h", "blocks", "block")
# The effect of one module, ‖B·A‖, stands out when it is this many times the median and this far from the others.
OUTLIER_TIMES, OUTLIER_SIGMAS = 20.0, 8.0
MAD = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
FEW = 4  # of fewer modules none stands out


@dataclass(frozen=True)
class Pair:
    """The two halves of what one module was given."""

    module: str
    a: tuple[int, ...]
    b: tuple[int, ...]

    @property
    def sides(self) -> tuple[int, int]:
        """Out and in of the module it belongs to."""
        return self.b[0], self.a[1]


def about_pairs(shapes: Shapes, rank: int) -> list[Finding]:
    """Every tensor must be one half of a LoRA pair of the promised rank."""
    foreign = sorted(name for name in shapes if not TENSOR.match(name))
    halves = {name: shape for name, shape in shapes.items() if name not in foreign}
    wrong = sorted(name for name, shape in halves.items() if not _has_rank(name, shape, rank))
    single = sorted(name for name in halves if _other(name) not in halves)
    found = []
    if not shapes:
        found.append(Finding("wrong_shape", "The weights file holds no tensors."))
    if foreign:
        found.append(Finding("foreign_tensor", f"No LoRA weights of a layer: {some(foreign)}.", foreign[0][:200]))
    if wrong:
        listed = some([f"{name} {list(shapes[name])}" for name in wrong])
        found.append(Finding("wrong_shape", f"No LoRA matrix of rank {rank}: {listed}.", wrong[0][:200]))
    if single:
        found.append(Finding("unpaired_tensor", f"Half of a pair is missing: {some(single)}.", single[0][:200]))
    return found


def _has_rank(name: str, shape: tuple[int, ...], rank: int) -> bool:
    axis = 0 if ".lora_A." in name else 1
    return len(shape) == 2 and min(shape) > 0 and shape[axis] == rank


def _other(name: str) -> str:
    first, second = (".lora_A.", ".lora_B.") if ".lora_A." in name else (".lora_B.", ".lora_A.")
    return name.replace(first, second)


def pairs(shapes: Shapes) -> list[Pair]:
    """The pairs of an adapter about which `about_pairs` finds nothing."""
    found = []
    for name in sorted(shapes):
        match = TENSOR.match(name)
        if match and match["half"] == "A":
            found.append(Pair(match["module"], shapes[name], shapes[_other(name)]))
    return found


def target_modules(shapes: Shapes) -> list[str]:
    """The last names of the modules that were adapted."""
    return sorted({pair.module.rpartition(".")[2] for pair in pairs(shapes)})


def about_base(shapes: Shapes, base: Shapes, *, transposed: bool = False) -> list[Finding]:
    """Every adapted module must be one of the base's, of the same shape. `transposed` is PEFT's fan_in_fan_out.

    An empty shape is of weights that are packed, and fits everything.
    """
    find = _finder(base)
    missing, other = [], []
    for pair in pairs(shapes):
        there = find(pair.module)
        wanted = tuple(reversed(pair.sides)) if transposed else pair.sides
        if there == ():
            continue
        if there is None:
            missing.append(pair.module)
        elif there != wanted:
            other.append(f"{pair.module} is {list(there)}, the adapter is for {list(wanted)}")
    found = []
    if missing:
        found.append(Finding("module_missing", f"The base has no layer {some(missing)}.", missing[0][:200]))
    if other:
        place = other[0].partition(" ")[0][:200]
        found.append(Finding("shape_mismatch", f"Layers of another size: {some(other, 2)}.", place))
    return found


def _finder(base: Shapes) -> Callable[[str], tuple[int, ...] | None]:
    """Shape of a module by its path; a model may wrap the paths of its checkpoint in one more name."""
    short: dict[str, tuple[int, ...] | None] = {}
    for name, shape in base.items():
        key = from_block(name)
        short[key] = shape if key not in short else None  # two of them: nothing can be said

    def find(module: str) -> tuple[int, ...] | None:
        name = f"{module}.weight"
        if name in base:
            return base[name]
        if f"{module}.qweight" in base:
            return ()
        if module.rpartition(".")[2] == "lm_head":  # tied: it is the embedding's matrix
            tied = [shape for other, shape in base.items() if other.endswith("embed_tokens.weight")]
            return tied[0] if len(tied) == 1 else None
        return short.get(from_block(name))

    return find


def from_block(name: str) -> str:
    parts = name.split(".")
    start = next((n for n, part in enumerate(parts) if part in BLOCKS), 0)
    return ".".join(parts[start:])


def linear_sides(base: Shapes) -> dict[str, int]:
    """Of every kind of linear layer in a base the shorter side: no rank beyond it can add anything."""
    found: dict[str, int] = {}
    for name, shape in base.items():
        kind = name.removesuffix(".weight").rpartition(".")[2]
        if name.endswith(".weight") and len(shape) == 2 and any(part in BLOCKS for part in name.split(".")):
            found[kind] = min(found.get(kind, min(shape)), *shape)
    return found


def about_values(not_finite: Sequence[str], norms: Mapping[str, float]) -> list[Finding]:
    """What the numbers themselves say; `norms` is ‖B·A‖ · scale by module."""
    found = []
    if not_finite:
        found.append(Finding("not_finite", f"Weights that are no numbers: {some(not_finite)}.", not_finite[0][:200]))
    if norms and not any(norms.values()):
        found.append(
            Finding("no_effect", "All of its weights cancel out: with and without it the base says the same.",
                    refuses=False)
        )  # fmt: skip
    if odd := outliers(norms):
        listed = some([f"{name} ({times:.0f} times the median)" for name, times in odd])
        found.append(
            Finding("norm_outlier", f"Layers that are changed far more than the others: {listed}.", odd[0][0][:200],
                    refuses=False)
        )  # fmt: skip
    return found


def outliers(norms: Mapping[str, float]) -> list[tuple[str, float]]:
    """Modules whose effect is far from that of the others, on a logarithmic scale; with the multiple of the median."""
    logs = {name: math.log(value) for name, value in norms.items() if value > 0 and math.isfinite(value)}
    if len(logs) < FEW:
        return []
    middle = statistics.median(logs.values())
    spread = MAD * statistics.median(abs(value - middle) for value in logs.values())
    bound = middle + max(math.log(OUTLIER_TIMES), OUTLIER_SIGMAS * spread)
    odd = [(name, math.exp(value - middle)) for name, value in logs.items() if value > bound]
    return sorted(odd, key=lambda one: -one[1])


def scale(config: Mapping[str, Any]) -> float:
    """By how much PEFT multiplies B·A: alpha / r, or alpha / √r."""
    return float(config["lora_alpha"]) / (math.sqrt(config["r"]) if config.get("use_rslora") else config["r"])
