"""What a run will take, before it starts: tokens, time, money and memory as P10, P50 and P90, with the reason."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from training.domain.recipe import Method, Recipe

# z of the 90th percentile of a normal distribution.
Z90 = 1.2816
# A LoRA step costs two passes over the frozen weights forward and two for the gradient of the inputs: 4N operations a
# token (Hu et al. 2021, arXiv:2106.09685); recomputing activations on a GPU adds two. DPO runs two answers for each row
# through both the policy and the reference.
FLOP_PER_TOKEN = {"cpu": 4, "cuda": 6}
DPO_PASSES = 1.5
# Sustained operations a second that such runs reached when measured: one CPU core, one current data-centre card.
FLOPS = {"cpu": 4e10, "cuda": 5e13}
STEP_SECONDS = {"cpu": 0.02, "cuda": 0.08}
START_SECONDS = {"cpu": 8.0, "cuda": 25.0}
# Log-normal spread of each way to know the rate: measured runs differ by a fifth, a formula by a factor of three.
SPREAD = {"same": 0.18, "scaled": 0.45, "formula": 0.9}


@dataclass(frozen=True)
class Band:
    """A projection is never one number."""

    p10: float
    p50: float
    p90: float

    def times(self, factor: float) -> "Band":
        return Band(self.p10 * factor, self.p50 * factor, self.p90 * factor)


@dataclass(frozen=True)
class Shape:
    """What the projection needs to know about a base model."""

    parameters: int
    hidden: int = 0
    layers: int = 0
    vocab: int = 0
    heads: int = 1


@dataclass(frozen=True)
class PastRun:
    """A finished run: its rate in tokens a second, and how alike it is to the one being planned."""

    rate: float
    same_base: bool
    parameters: int


@dataclass(frozen=True)
class Rate:
    """Tokens a second: the middle, the spread of its logarithm, and where the figure comes from."""

    tokens_per_second: float
    sigma: float
    source: str
    why: str


@dataclass(frozen=True)
class Projection:
    device: str
    rows: int
    steps: int
    tokens: int
    trained_tokens: int
    seconds: Band
    money: dict[str, str]
    currency: str
    memory_bytes: Band
    rate: float
    source: str
    why: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_tokens(stats: Mapping[str, Any], recipe: Recipe) -> tuple[int, int, int]:
    """Rows, tokens and trained tokens of one epoch under the recipe's cut policy."""
    rows = stats["rows"] - (stats["cut"] if recipe.cut == "drop" else 0)
    kept = stats["kept_tokens"] - (stats["cut"] * stats["limit"] if recipe.cut == "drop" else 0)
    share = kept / stats["tokens"] if stats["tokens"] else 0.0
    return max(rows, 0), max(kept, 0), round(stats["trained_tokens"] * share)


def steps_for(recipe: Recipe, rows: int, tokens: int) -> int:
    """Optimiser steps; packed rows fill sequences of `max_length` to about 95 %."""
    if recipe.packing:
        rows = max(1, math.ceil(tokens / (0.95 * recipe.max_length)))
    return recipe.steps(rows)


def rate_for(past: Sequence[PastRun], recipe: Recipe, shape: Shape, device: str, mean_tokens: float) -> Rate:
    """Measured on the same base if possible, else scaled from other bases, else from a formula."""
    same = [run.rate for run in past if run.same_base and run.rate > 0]
    if same:
        return Rate(
            statistics.median(same),
            _spread(same, SPREAD["same"]),
            "measured",
            f"Measured: {_runs(len(same))} with this base, method and device.",
        )
    scaled = [run.rate * run.parameters / shape.parameters for run in past if run.rate > 0 and shape.parameters]
    if scaled:
        return Rate(
            statistics.median(scaled),
            _spread(scaled, SPREAD["scaled"]),
            "scaled",
            f"Scaled by model size from {_runs(len(scaled))} with other bases on this kind of device.",
        )
    return Rate(
        _formula_rate(recipe, shape, device, mean_tokens),
        SPREAD["formula"],
        "formula",
        "No run of this kind has been measured here yet, so this is a formula from the model's size. The band is wide.",
    )


def _formula_rate(recipe: Recipe, shape: Shape, device: str, mean_tokens: float) -> float:
    flop = FLOP_PER_TOKEN[device] * max(shape.parameters, 1) * (DPO_PASSES if recipe.method == Method.DPO else 1)
    tokens_per_step = max(1.0, recipe.rows_per_step * (recipe.max_length if recipe.packing else mean_tokens))
    seconds = STEP_SECONDS[device] * recipe.accumulation + tokens_per_step * flop / FLOPS[device]
    return tokens_per_step / seconds


def _spread(rates: Sequence[float], floor: float) -> float:
    """Spread of the logarithm; few runs know little about their own spread."""
    if len(rates) < 2:
        return floor * 2
    seen = statistics.stdev(math.log(rate) for rate in rates)
    return max(seen, floor * (1 + 1 / len(rates)))


def _runs(count: int) -> str:
    return "1 finished run" if count == 1 else f"{count} finished runs"


def project(
    stats: Mapping[str, Any],
    recipe: Recipe,
    shape: Shape,
    *,
    past: Sequence[PastRun],
    device: str,
    hour_price: Decimal,
    currency: str,
) -> Projection:
    """The whole projection from the token profile of the data, the recipe, the base and what was measured before."""
    rows, tokens, trained = run_tokens(stats, recipe)
    rate = rate_for(past, recipe, shape, device, tokens / rows if rows else 1.0)
    all_tokens = round(tokens * recipe.epochs)
    seconds = _band(all_tokens / rate.tokens_per_second, rate.sigma, START_SECONDS[device])
    return Projection(
        device=device,
        rows=rows,
        steps=steps_for(recipe, rows, tokens),
        tokens=all_tokens,
        trained_tokens=round(trained * recipe.epochs),
        seconds=seconds,
        money={name: str(cost(value, hour_price)) for name, value in asdict(seconds).items()},
        currency=currency,
        memory_bytes=memory(recipe, shape, device, min(stats["longest"], recipe.max_length) or recipe.max_length),
        rate=rate.tokens_per_second,
        source=rate.source,
        why=rate.why,
    )


def _band(seconds: float, sigma: float, start: float) -> Band:
    """A log-normal band around the work, plus the start of the process, which varies little."""
    factor = math.exp(Z90 * sigma)
    return Band(seconds / factor + start * 0.6, seconds + start, seconds * factor + start * 2)


def cost(seconds: float, hour_price: Decimal) -> Decimal:
    return (Decimal(str(seconds)) / 3600 * hour_price).quantize(Decimal("0.0001"))


def memory(recipe: Recipe, shape: Shape, device: str, longest: int) -> Band:
    """Peak bytes: frozen weights, adapter with Adam's two moments, activations, one row of logits at a time.

    Activations follow Korthikanti et al. 2022 (arXiv:2205.05198): about 34 bytes per token, layer and hidden unit in
    16 bit; twice that in 32 bit; with recomputation on a GPU only the input of each layer is kept.
    """
    width = 0.6 if recipe.four_bit else (2 if device == "cuda" else 4)
    per_layer = 7 * 2 * shape.hidden * recipe.rank  # seven linear layers, two thin matrices each
    adapter = per_layer * shape.layers * 16  # weight, gradient and two moments in 32 bit
    answers = 2 if recipe.method == Method.DPO else 1
    tokens = recipe.batch_size * answers * longest
    kept = 2 * shape.layers + 34 if device == "cuda" else 68 * shape.layers
    activations = tokens * shape.hidden * kept
    fixed = 0.7e9 if device == "cpu" else 1.5e9  # the libraries themselves
    middle = fixed + shape.parameters * width + adapter + activations + min(tokens, 4096) * shape.vocab * 6
    return Band(middle * 0.7, middle, middle * 1.6)


def compare(projection: Mapping[str, Any], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Predicted against actual: for each figure the band, what it came to, and if it lay inside."""
    rows = []
    for name, label in (("seconds", "Time"), ("money", "Cost"), ("memory_bytes", "Peak memory")):
        band, actual = projection.get(name), measured.get(name)
        if not band or actual is None:
            continue
        low, middle, high = (float(band[key]) for key in ("p10", "p50", "p90"))
        rows.append(
            {
                "name": name,
                "label": label,
                "p10": low,
                "p50": middle,
                "p90": high,
                "actual": float(actual),
                "inside": low <= float(actual) <= high,
            }
        )
    return rows
