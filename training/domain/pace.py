"""How a run is made fast: what is decided from the card, the model, the recipe and the lengths of the rows, and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.domain.recipe import Method, Recipe

# Share of the card that training may fill; the rest is for the allocator's gaps and for whatever else runs there.
USABLE = 0.85
# Below this many tokens in a pass, kernels of a data-centre card wait for their launch more than they work.
WORTHWHILE_TOKENS = 4096
# Rows of logits made at a time by the fast head, in 16 bit, with the product that follows them.
HEAD_ROWS = 4096


@dataclass(frozen=True)
class Card:
    """Where the run will work. `memory` is in bytes, 0 when it is not known; `attention` is the best kernel there."""

    kind: str  # "cpu" or "cuda"
    memory: int = 0
    attention: str = "sdpa"  # "varlen", "flash" or "sdpa"


@dataclass(frozen=True)
class Widths:
    """The sizes of a decoder that its memory and pace depend on."""

    parameters: int
    hidden: int
    intermediate: int
    layers: int
    queries: int  # outputs of the query projection
    keys: int  # outputs of the key projection
    vocab: int

    def kept_bytes(self) -> int:
        """Bytes that the fast path keeps for each token and layer until its gradient is made, in 16 bit."""
        return 2 * (6 * self.hidden + self.queries + 2 * self.keys + 2 * self.intermediate)

    def fixed_bytes(self, recipe: Recipe) -> int:
        """Frozen weights in 16 bit, factors with gradient and two moments in 32 bit, one stretch of logits."""
        thin = 3 * self.hidden + self.queries + 2 * self.keys + 2 * (self.hidden + self.queries)
        factors = self.layers * recipe.rank * (thin + 3 * (self.hidden + self.intermediate))
        return 2 * self.parameters + 16 * factors + 6 * HEAD_ROWS * self.vocab


@dataclass(frozen=True)
class Pace:
    """What was decided. `rows` at a time × `accumulation` is what the recipe asks for in each step, never more."""

    path: str  # "fast", or "library": the model's own forward pass
    attention: str
    rows: int
    accumulation: int
    recompute: bool
    by_length: bool
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": list(self.reasons)}


def decide(recipe: Recipe, card: Card, widths: Widths, lengths: Sequence[int], obstacle: str | None) -> Pace:
    """The fastest way that computes what the recipe says.

    `lengths`: tokens of each row (of each sequence, when they are packed). `obstacle`: why the fast path cannot be
    taken by this model, None when it can.
    """
    obstacle = _obstacle(recipe, card, obstacle)
    if obstacle is not None:
        return _library(recipe, card, obstacle)
    reasons = [
        "Rows of a batch lie end to end without padding, and none sees another: the same numbers in fewer tokens.",
        "Linear layers of one input and their LoRA factors are one product; weights of the adapter stay in 32 bit.",
    ]
    rows, recompute = _rows_that_fit(recipe, card, widths, lengths)
    if recompute:
        reasons.append("Activations are computed again in the backward pass: kept, they would not fit on the card.")
    else:
        reasons.append("Activations are kept, since they fit on the card: nothing is computed twice.")
    if rows != recipe.batch_size:
        reasons.append(
            f"{rows} rows at a time instead of {recipe.batch_size}, with as many to a step as before: "
            + ("it fits, and the card has more to do at once." if rows > recipe.batch_size else "more would not fit.")
        )
    return Pace("fast", card.attention, rows, recipe.rows_per_step // rows, recompute, False, tuple(reasons))


def _obstacle(recipe: Recipe, card: Card, obstacle: str | None) -> str | None:
    if recipe.pace == "library":
        return "the recipe says so"
    if recipe.method == Method.DPO:
        return "preferences are compared by the library"
    if card.kind != "cuda" and recipe.pace != "fast":
        return "there is no GPU"
    if card.kind == "cuda" and card.attention == "sdpa":
        return "this version of torch has no attention for sequences of different lengths, and flash-attn is not there"
    return obstacle


def _library(recipe: Recipe, card: Card, obstacle: str) -> Pace:
    """The library's own pass: rows of like length together when nothing better keeps padding down."""
    by_length = card.kind == "cuda" and not recipe.packing and recipe.method == Method.SFT
    reasons = [f"The model's own forward pass is used: {obstacle}."]
    if by_length:
        reasons.append("Rows of like length share a batch, so that little is padded.")
    recompute = card.kind == "cuda" and recipe.recompute != "never"
    if recompute:
        reasons.append("Activations are computed again in the backward pass, which saves memory.")
    return Pace("library", "sdpa", recipe.batch_size, recipe.accumulation, recompute, by_length, tuple(reasons))


def _rows_that_fit(recipe: Recipe, card: Card, widths: Widths, lengths: Sequence[int]) -> tuple[int, bool]:
    """Rows at a time, a divisor of the rows of a step, and whether activations must be recomputed."""
    if not card.memory:
        return recipe.batch_size, recipe.recompute == "always"
    longest_first = sorted(lengths, reverse=True)
    kept = _largest(recipe, longest_first, _token_room(recipe, card, widths, recompute=False))
    if recipe.recompute == "never" or (
        recipe.recompute == "auto" and kept and _worthwhile(recipe, longest_first, kept)
    ):
        return max(kept, 1), False
    again = _largest(recipe, longest_first, _token_room(recipe, card, widths, recompute=True))
    return max(again, 1), True


def _token_room(recipe: Recipe, card: Card, widths: Widths, *, recompute: bool) -> float:
    """Tokens that can be in the making at once."""
    free = USABLE * card.memory - widths.fixed_bytes(recipe)
    layer = widths.kept_bytes()
    for_token = 2 * widths.hidden * widths.layers + 2 * layer if recompute else layer * (widths.layers + 1)
    return max(free, 0.0) / for_token


def _largest(recipe: Recipe, longest_first: Sequence[int], room: float) -> int:
    """The most rows, dividing the step's evenly, of which even the longest fit together; 0 when not even one does."""
    step = recipe.rows_per_step
    fitting, tokens = 0, 0
    for count, length in enumerate(longest_first[:step] or [recipe.max_length], start=1):
        tokens += length
        if tokens > room:
            break
        fitting = count
    else:
        fitting = step
    return max((rows for rows in range(1, fitting + 1) if step % rows == 0), default=0)


def _worthwhile(recipe: Recipe, longest_first: Sequence[int], rows: int) -> bool:
    """Is a pass of so many typical rows worth the card's while, or as large as the step allows?"""
    typical = sum(longest_first) / max(len(longest_first), 1)
    return rows >= recipe.rows_per_step or rows * typical >= WORTHWHILE_TOKENS
