"""What a recipe may ask of its data and its base: steps, length and rank within what can be."""

from collections.abc import Iterable, Mapping

from training.domain.recipe import ALL_LINEAR, MODULES, BadRecipe, Recipe

MOST_STEPS = 10_000_000


def check(recipe: Recipe, *, rows: int, context_length: int = 0, linear: Mapping[str, int] | None = None) -> None:
    """Refuse what cannot end or cannot help. `linear`: the shorter side of each kind of layer. Unknown is no bound."""
    steps = recipe.steps(rows)
    if steps > MOST_STEPS:
        raise BadRecipe(
            f"{recipe.epochs:g} epochs over {rows:,} rows, {recipe.rows_per_step} a step, are {steps:,} steps. "
            f"More than {MOST_STEPS:,} never end: lower the epochs or take more rows a step.",
            code="too_many_steps",
            field="epochs",
        )
    if context_length and recipe.max_length > context_length:
        raise BadRecipe(
            f"The longest row is {recipe.max_length:,} tokens, but this base sees {context_length:,} at most. "
            "Lower it, or choose a base with a longer context.",
            code="beyond_context",
            field="max_length",
        )
    _check_rank(recipe, linear or {})


def _check_rank(recipe: Recipe, linear: Mapping[str, int]) -> None:
    sides = {name: linear[name] for name in adapted(recipe, linear)}
    if not sides:
        return
    name = min(sides, key=lambda one: (sides[one], one))
    if recipe.rank > sides[name]:
        raise BadRecipe(
            f"The rank is {recipe.rank}, but the shorter side of {name} in this base is {sides[name]}, and no rank "
            "beyond it can hold more. Lower the rank.",
            code="rank_beyond_layer",
            field="rank",
        )


def adapted(recipe: Recipe, linear: Mapping[str, int]) -> Iterable[str]:
    """Kinds of layers that get an adapter; of all that a base has only those known to be plain linear layers."""
    wanted = MODULES if recipe.target_modules == (ALL_LINEAR,) else recipe.target_modules
    return [name for name in wanted if name in linear]
