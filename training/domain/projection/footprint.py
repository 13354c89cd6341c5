"""Peak memory and disk of a run by formula: what is kept, for how many tokens, and in which precision."""

import math
from typing import TYPE_CHECKING

from training.domain.projection.formula import Shape, adapter_parameters
from training.domain.projection.workload import Workload
from training.domain.recipe import Recipe

if TYPE_CHECKING:
    from training.domain.projection.plan import Plan

# The libraries themselves: resident on a CPU; on a card their context lies outside of what is counted.
LIBRARIES = {"cpu": 0.62e9, "cuda": 0.1e9}
# A weight of the adapter with its gradient and Adam's two moments, all in 32 bit.
TRAINED_WEIGHT = 16
# The head is computed in tiles of so many tokens and words (TRL's fused head).
TILE_TOKENS, TILE_WORDS, TILE_BYTES = 4096, 32_768, 4
# Rows as lists of numbers while they wait to be trained on, in main memory.
ROW_TOKEN = 56
CHECKPOINTS_HELD = 3  # two are kept, and the third is there before the oldest goes
TOKENIZER_WORD = 76  # bytes of tokenizer.json for a word and its merge
SMALL_FILES = 40_000


def memory(plan: "Plan") -> float:
    """Peak bytes: frozen weights, adapter, activations of the widest batch, a stretch of the head.

    The fast forward pass is counted by `training.domain.pace`, which decides by it. For the library's own: with
    recomputation only the input of each layer is kept, and one layer at a time is whole; without, all are. The terms
    are those of Korthikanti et al. 2022 (arXiv:2205.05198); the factors were read off measured peaks.
    """
    return _memory(plan, at_once(plan), plan.work.widest_length)


def growing(plan: "Plan") -> float:
    """The share of the peak that grows with the widest batch."""
    return 1 - _memory(plan, 0, 0) / memory(plan)


def at_once(plan: "Plan") -> int:
    """Tokens in the widest pass: of a batch, or of as much of a step as is taken at once."""
    tokens = plan.work.widest_rows * plan.work.widest_length
    return min(tokens, max(plan.pace.tokens, plan.work.longest)) if plan.pace.tokens else tokens


def host(plan: "Plan") -> float:
    """Main memory of the host at the fullest moment, where the work is done on cards: while the base is read.

    Each process reads all of it before it goes to its card, but for weights that are shared out or packed into 4 bits,
    which go there one by one. Weights lie in 16 bit.
    """
    shape, devices = plan.shape, plan.recipe.devices
    if plan.device != "cuda":
        return 0.0
    one_by_one = plan.pace.sharded or plan.recipe.four_bit
    read = max(shape.vocab * shape.hidden, shape.hidden * shape.inner) if one_by_one else shape.parameters
    return devices * (LIBRARIES["cpu"] + 2 * read) + plan.work.epoch_tokens * ROW_TOKEN


def _memory(plan: "Plan", tokens: int, width: int) -> float:
    shape, widths = plan.shape, plan.shape.widths()
    if plan.pace.path == "fast" and plan.device == "cuda":
        layer, layers = widths.kept_bytes(), widths.layers
        each = 2 * widths.hidden * layers + 2 * layer if plan.pace.recompute else layer * (layers + 1)
        return LIBRARIES["cuda"] + widths.fixed_bytes(plan.recipe, sharded=plan.pace.sharded) + tokens * each
    parameters = widths.share_of_a_card(plan.recipe.devices) if plan.pace.sharded else shape.parameters
    weights = parameters * (0.6 if plan.recipe.four_bit else 2 if plan.device == "cuda" else 4)
    trained = adapter_parameters(shape, plan.recipe) * TRAINED_WEIGHT
    rows = 0 if plan.device == "cuda" else plan.work.epoch_tokens * ROW_TOKEN
    return LIBRARIES[plan.device] + weights + trained + _activations(plan, tokens, width) + rows


def _activations(plan: "Plan", tokens: int, width: int) -> float:
    shape = plan.shape
    mask = tokens * width * 2
    bits = 1 if plan.device == "cuda" else 2
    layer = (50 * shape.hidden + 14 * shape.inner) * bits
    tile = min(tokens, TILE_TOKENS) * min(shape.vocab, TILE_WORDS) * TILE_BYTES
    if plan.pace.recompute:  # the head and one whole layer are not there at the same time
        return tokens * 2 * bits * shape.hidden * shape.layers + max(tokens * layer, tile) + mask
    return tokens * shape.layers * layer + tile + mask


def checkpoint(shape: Shape, recipe: Recipe) -> float:
    """Bytes of one checkpoint: the adapter, the optimiser's two moments, the tokenizer, and small files."""
    return adapter_parameters(shape, recipe) * 12 + tokenizer(shape) + SMALL_FILES


def adapter(shape: Shape, recipe: Recipe) -> float:
    """Bytes of the finished adapter."""
    return adapter_parameters(shape, recipe) * 4 + tokenizer(shape) + SMALL_FILES


def tokenizer(shape: Shape) -> float:
    return shape.vocab * TOKENIZER_WORD


def saves(recipe: Recipe, work: Workload, train_seconds: float, every_seconds: float = 300) -> int:
    """How often a run of this length saves itself: every so many steps, or every five minutes."""
    if recipe.checkpoint_steps:
        return (work.steps - 1) // recipe.checkpoint_steps
    return math.floor(train_seconds / every_seconds)
