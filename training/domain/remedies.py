"""What to change after a failure, as settings of the next run: advice that a button can follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.domain.knobs import ALL_LINEAR, KNOB, Cut
from training.domain.recipe import Recipe

SHORTEST = 256  # below this, shorter rows are no remedy


@dataclass(frozen=True)
class Remedy:
    """`label` finishes “New run …”; `changes` are the knobs that differ."""

    label: str
    changes: dict[str, Any]


def remedy(code: str, recipe: Recipe, where: Mapping[str, Any] | None = None) -> Remedy | None:
    """The change that the advice of a failure names, for this recipe; None when no setting would help."""
    find = _REMEDIES.get(code)
    return find(recipe, where or {}) if find else None


def _smaller(recipe: Recipe, where: Mapping[str, Any]) -> Remedy | None:
    """The same rows a step in smaller batches; then less of the base on each card; then shorter rows. Where the base
    itself was too large, rows have nothing to do with it."""
    if recipe.batch_size > 1 and not where.get("loading"):
        rows = recipe.batch_size // 2
        accumulation = min(-(-recipe.rows_per_step // rows), int(KNOB["accumulation"].high))
        return Remedy("with half the rows at once", {"batch_size": rows, "accumulation": accumulation})
    if recipe.devices > 1 and recipe.sharding != "shard" and not recipe.four_bit:
        return Remedy("with the weights shared among its cards", {"sharding": "shard"})
    if not recipe.four_bit:
        whole = {"sharding": "auto"} if recipe.sharding == "shard" else {}
        return Remedy("with the base in 4 bits", {"four_bit": True} | whole)
    if recipe.max_length > SHORTEST and not where.get("loading"):
        length = max(SHORTEST, recipe.max_length // 2)
        return Remedy(f"without rows beyond {length:,} tokens", {"max_length": length, "cut": Cut.DROP.value})
    return None


def _slower(recipe: Recipe, where: Mapping[str, Any]) -> Remedy | None:
    rate = float(f"{recipe.learning_rate / 3:.2g}")
    return (
        Remedy("with a third of the learning rate", {"learning_rate": rate})
        if rate >= KNOB["learning_rate"].low
        else None
    )


def _longer(recipe: Recipe, where: Mapping[str, Any]) -> Remedy | None:
    length = min(recipe.max_length * 2, int(KNOB["max_length"].high))
    return (
        Remedy(f"with rows of up to {length:,} tokens", {"max_length": length}) if length > recipe.max_length else None
    )


def _without_long(recipe: Recipe, where: Mapping[str, Any]) -> Remedy:
    return Remedy("without the rows that are too long", {"cut": Cut.DROP.value})


def _without_unshowable(recipe: Recipe, where: Mapping[str, Any]) -> Remedy:
    return Remedy("without the rows that cannot be shown", {"cut": Cut.DROP.value})


def _all_layers(recipe: Recipe, where: Mapping[str, Any]) -> Remedy:
    return Remedy("on all linear layers", {"target_modules": (ALL_LINEAR,)})


def _full_base(recipe: Recipe, where: Mapping[str, Any]) -> Remedy:
    return Remedy("without 4-bit loading", {"four_bit": False})


def _thinner(recipe: Recipe, where: Mapping[str, Any]) -> Remedy | None:
    if recipe.rank == 1:
        return None
    return Remedy("with half the LoRA rank", {"rank": recipe.rank // 2, "alpha": max(1, recipe.alpha // 2)})


_REMEDIES = {
    "oom": _smaller,
    "will_not_fit": _smaller,
    "killed": _smaller,
    "infra_quarantined": _smaller,
    "nan_loss": _slower,
    "adapter_invalid": _slower,
    "no_trained_tokens": _longer,
    "answer_cut": _without_long,
    "template": _without_unshowable,
    "unknown_module": _all_layers,
    "no_quantiser": _full_base,
    "file_limit": _thinner,
    "rank_beyond_layer": _thinner,
}
