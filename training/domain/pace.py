"""How a run is made fast: what is decided from the card, the model, the recipe and the lengths of the rows, and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.domain.recipe import ALL_LINEAR, Method, Recipe
from training.domain.sharing import spread

# Families whose decoder the fast pass can be.
FAMILIES = frozenset({"LlamaForCausalLM", "Qwen2ForCausalLM", "MistralForCausalLM"})
PLAYED = FAMILIES | {"Qwen3ForCausalLM"}  # whose sample answers are played from a record of one token, on a card
# Share of the card that training may fill; the rest is for the allocator's gaps and for whatever else runs there.
USABLE = 0.85
# Below this many tokens in a pass, kernels of a data-centre card wait for their launch more than they work.
WORTHWHILE_TOKENS = 4096
# More in one pass is no faster and leaves less room for surprises.
MOST_TOKENS = 65_536
UNKNOWN_ROOM = 8192  # where the memory is not known, as on a CPU
# Rows of logits made at a time by the fast head, in 16 bit, with the product that follows them.
HEAD_ROWS = 4096
PAIRS = (
    "Log-probabilities of the reference are computed once, before the first step, and kept with the run.",
    "Both answers of a pair go through the model in the same pass, each behind a prompt of its own.",
)


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

    def fixed_bytes(self, recipe: Recipe, *, sharded: bool = False) -> int:
        """Frozen weights in 16 bit, factors with gradient and two moments in 32 bit, one stretch of logits."""
        thin = 3 * self.hidden + self.queries + 2 * self.keys + 2 * (self.hidden + self.queries)
        factors = self.layers * recipe.rank * (thin + 3 * (self.hidden + self.intermediate))
        weights = 2 * (self.share_of_a_card(recipe.devices) if sharded else self.parameters)
        return weights + 16 * factors + 6 * HEAD_ROWS * self.vocab

    def of_layer(self) -> int:
        """Weights of one layer of the decoder."""
        return self.hidden * (2 * self.queries + 2 * self.keys + 3 * self.intermediate)

    def share_of_a_card(self, devices: int) -> int:
        """Weights on each of the cards that share them: its part, what lies outside of the layers, which stays whole
        through a pass, and three layers: one at work, one being fetched, one laid out for the products."""
        outside = max(0, self.parameters - self.layers * self.of_layer())
        return -(-self.parameters // devices) + outside + min(3, self.layers) * self.of_layer()


@dataclass(frozen=True)
class Pace:
    """What was decided. `rows` × `accumulation` is what the recipe asks for in each step, never more.

    `rows` are those of all cards of the run together, `tokens` those of each. On the fast path a step comes as a whole
    and is worked through in passes of at most `tokens` tokens.
    """

    path: str  # "fast", or "library": the model's own forward pass
    attention: str
    rows: int
    accumulation: int
    tokens: int
    recompute: bool
    by_length: bool
    reasons: tuple[str, ...]
    sharded: bool = False  # do the cards share the weights of the base? Else each has all of them

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": list(self.reasons)}


def decide(recipe: Recipe, card: Card, widths: Widths, longest: int, obstacle: str | None) -> Pace:
    """The fastest way that computes what the recipe says.

    `longest`: tokens of the longest row (or sequence, when rows are packed; of a pair both answers, each with the
    prompt). `obstacle`: why this model cannot take the
    fast path, None when it can.
    """
    obstacle = _obstacle(recipe, card, obstacle)
    sharded = is_sharded(recipe, card, widths, longest)
    several = _on_several(recipe, card, widths, sharded=sharded)
    if obstacle is not None:
        return _library(recipe, card, obstacle, several, sharded=sharded)
    tokens, recompute = _tokens_that_fit(recipe, card, widths, longest, sharded=sharded)
    reasons = (
        *several,
        *(PAIRS if recipe.method == Method.DPO else ()),
        "Rows of a step lie end to end without padding, and none sees another: the same numbers in fewer tokens.",
        "Linear layers of one input and their LoRA factors are one product; weights of the adapter stay in 32 bit.",
        f"Up to {tokens:,} tokens at a time, by the memory of the card; a step has the rows that the recipe says.",
        "Activations are made again in the backward pass: kept, too few tokens would fit on the card."
        if recompute
        else "Activations are kept, since they fit on the card: nothing is computed twice.",
    )
    return Pace("fast", card.attention, recipe.rows_per_step, 1, tokens, recompute, False, reasons, sharded)


def is_sharded(recipe: Recipe, card: Card, widths: Widths, longest: int) -> bool:
    """Do the cards share the weights? By itself only where one has no room for them beside the longest row, since
    fetching them takes time."""
    if recipe.devices == 1 or recipe.four_bit or recipe.sharding == "replicate":
        return False
    return recipe.sharding == "shard" or not fits(recipe, card, widths, longest)


def fits(recipe: Recipe, card: Card, widths: Widths, longest: int, *, sharded: bool = False) -> bool:
    """Is there room on a card for the weights and the longest row? Where its memory is not known, nothing says no."""
    if not card.memory:
        return True
    recompute = recipe.recompute != "never"
    return _room(recipe, card, widths, recompute=recompute, sharded=sharded) >= min(longest, MOST_TOKENS)


def obstacle(architecture: str, recipe: Recipe) -> str | None:
    """Why a family with this recipe cannot take the fast path, as far as that can be told without its config."""
    obstacles = {
        f"{architecture} is not one of the families that have it": architecture not in FAMILIES,
        "LoRA dropout needs a pass of its own over every input": recipe.dropout > 0,
        "a 4-bit base is not a plain matrix": recipe.four_bit,
        "it adapts all linear layers or none": tuple(recipe.target_modules) != (ALL_LINEAR,),
    }
    return next((told for told, stands in obstacles.items() if stands), None)


def _obstacle(recipe: Recipe, card: Card, obstacle: str | None) -> str | None:
    if recipe.pace == "library":
        return "the recipe says so"
    if card.kind != "cuda" and recipe.pace != "fast":
        return "there is no GPU"
    if card.kind == "cuda" and card.attention == "sdpa":
        return "this version of torch has no attention for sequences of different lengths, and flash-attn is not there"
    return obstacle


def _library(recipe: Recipe, card: Card, obstacle: str, several: tuple[str, ...], *, sharded: bool) -> Pace:
    """The library's own pass: rows of like length together, unless somebody wants to compare."""
    chosen = recipe.pace == "library"
    by_length = card.kind == "cuda" and not chosen and not recipe.packing and recipe.method == Method.SFT
    reasons = [*several, f"The model's own forward pass is used: {obstacle}."]
    if by_length:
        reasons.append("Rows of like length share a batch, so that little is padded.")
    recompute = card.kind == "cuda" and recipe.recompute != "never"
    if recompute:
        reasons.append("Activations are made again in the backward pass, which saves memory.")
    rows, accumulation = spread(recipe.batch_size, recipe.accumulation, recipe.devices)
    return Pace("library", "sdpa", rows, accumulation, 0, recompute, by_length, tuple(reasons), sharded)


def _on_several(recipe: Recipe, card: Card, widths: Widths, *, sharded: bool) -> tuple[str, ...]:
    if recipe.devices == 1:
        return ()
    rows = f"The rows of each step are shared out among {recipe.devices} cards by their tokens"
    told = [f"{rows}; each has the whole model."] if not sharded else [f"{rows}.", _shared(recipe, card, widths)]
    if recipe.rows_per_step < recipe.devices:
        told.append(f"A step has {recipe.rows_per_step} rows, so that not all of the cards have something to do.")
    return tuple(told)


def _shared(recipe: Recipe, card: Card, widths: Widths) -> str:
    """Why the weights are shared, with what each card has of them."""
    why = "the recipe says so"
    if recipe.sharding != "shard":
        whole, room = _gib(2 * widths.parameters), _gib(card.memory)
        why = f"all {whole} GiB of them and a row do not fit into the {room} GiB of one"
    part = _gib(2 * widths.share_of_a_card(recipe.devices))
    return (
        f"The cards share the weights of the base as well, since {why}: each holds up to {part} GiB of them, with the "
        "layers at work, and fetches a layer when it is its turn."
    )


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f}"


def _tokens_that_fit(recipe: Recipe, card: Card, widths: Widths, longest: int, *, sharded: bool) -> tuple[int, bool]:
    """Tokens in a pass, never fewer than the longest row has, and whether activations must be made again."""
    if not card.memory:
        return max(UNKNOWN_ROOM, longest), recipe.recompute == "always"
    kept = _room(recipe, card, widths, recompute=False, sharded=sharded)
    enough = kept >= max(longest, WORTHWHILE_TOKENS)
    if recipe.recompute == "never" or (recipe.recompute == "auto" and enough):
        return max(kept, longest), False
    return max(_room(recipe, card, widths, recompute=True, sharded=sharded), longest), True


def _room(recipe: Recipe, card: Card, widths: Widths, *, recompute: bool, sharded: bool) -> int:
    """Tokens that can be in the making at once."""
    free = USABLE * card.memory - widths.fixed_bytes(recipe, sharded=sharded)
    layer = widths.kept_bytes()
    for_token = 2 * widths.hidden * widths.layers + 2 * layer if recompute else layer * (widths.layers + 1)
    return min(MOST_TOKENS, max(0, int(free / for_token)))


def passes(lengths: Sequence[int], most: int) -> list[int]:
    """How many rows each pass over a step takes, in order: as even as rows allow, none above `most` tokens.

    A row that is longer than `most` by itself has a pass of its own.
    """
    total = sum(lengths)
    even = -(-total // max(1, -(-total // most)))
    counts: list[int] = []
    tokens = 0
    for length in lengths:
        if counts and (tokens + length <= most) and tokens < even:
            counts[-1] += 1
            tokens += length
        else:
            counts.append(1)
            tokens = length
    return counts
