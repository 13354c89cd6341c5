"""A rehearsal: which rows some real steps are made of, how long they may take, and what a result says."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.domain.projection.bands import Band
from training.domain.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 30
LONG_STEPS = 6  # of them with the longest rows there are, before the typical ones
SECONDS = 35  # of training at most; at least FEWEST steps
FEWEST = 8
REFERENCE_SECONDS = 8  # of reading with the reference before them, where pairs are compared by the fast pass
PROBE_SECONDS = 20  # to find what would fit, when this does not
PRIORITY = 5  # before runs that wait: somebody sits in front of the page
NEEDS_ONE_CARD = (
    "A rehearsal works on one card, and in this run several share the weights of the base. Start the run: when it does "
    "not fit, it ends before its first step and says so."
)
# What a rehearsal's answer depends on; learning rate, epochs and seed are not among it.
KNOBS = (
    "method", "rank", "dropout", "target_modules", "batch_size", "accumulation", "max_length", "cut", "packing",
    "four_bit", "pace", "recompute",
)  # fmt: skip


def digest(recipe: Recipe, *, fingerprint: str, content_hash: str, parent: str, device: str) -> str:
    """Equal for runs that would rehearse the same."""
    knobs = recipe.as_dict()
    about = {"knobs": {name: knobs[name] for name in KNOBS}, "base": fingerprint, "data": content_hash}
    if recipe.devices > 1:
        # What was rehearsed before there was a choice stays known.
        choice = {} if recipe.sharding == "auto" else {"sharding": recipe.sharding}
        about["cards"] = {"devices": recipe.devices} | choice
    text = json.dumps(about | {"parent": parent, "device": device}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def choose(lengths: "NDArray[Any]", recipe: Recipe, steps: int = STEPS) -> list[int]:
    """Places of rows in the order they are trained on: the longest first, then a fair draw. Some may come again."""
    import numpy as np

    if not len(lengths):
        return []
    each = recipe.of_one_card().rows_per_step
    if recipe.packing:  # so many rows as fill the sequences; how they are packed is the packer's to say
        each = max(1, round(each * recipe.max_length / max(1.0, float(lengths.mean()))))
    longest = np.argsort(-lengths, kind="stable")[: each * min(LONG_STEPS, steps)]
    wanted = each * steps - len(longest)
    drawn: list[NDArray[Any]] = [longest]
    rng = np.random.default_rng(recipe.seed)
    while wanted > 0:
        drawn.append(rng.permutation(len(lengths))[:wanted])
        wanted -= len(drawn[-1])
    return [int(place) for place in np.concatenate(drawn)]


@dataclass(frozen=True)
class Expected:
    """What the rehearsal itself will take."""

    seconds: Band
    steps: int


def expected(projection: Mapping[str, Any]) -> Expected:
    """The start of a run, its first steps, one checkpoint and one adapter: all of it from the run's own projection."""
    stages, steps = projection["stages"], min(STEPS, projection["steps"])
    training = min(SECONDS, steps * stages["training"] / max(1, projection["steps"]))
    around = sum(stages[name] for name in ("starting", "loading", "warm_up", "saving", "closing"))
    around += min(REFERENCE_SECONDS, stages.get("reference", 0.0))
    around += stages.get("samples", 0.0) / (2 + projection["saves"])  # it asks once, a run before, between and after
    whole = projection["seconds"]
    wide = max(1.2, whole["p90"] / max(whole["p50"], 1e-9))
    most = min(around + training * wide, around * wide + SECONDS)
    return Expected(Band((around + training) / wide, around + training, max(most, around + training)), steps)


def misfit(*, row: int, tokens: int, rows: int, limit: str, fits_rows: int, fits_tokens: int) -> str:
    """What does not fit, by name, and what would."""
    together = f"{rows} rows at once" if rows > 1 else "one row at a time"
    said = f"Row {row} has {tokens} tokens; with {together} that needs more memory than {limit}."
    ways = []
    if fits_rows and fits_rows < rows:
        ways.append(f"{fits_rows} row{'s' if fits_rows > 1 else ''} at once")
    if fits_tokens and fits_tokens < tokens:
        ways.append(f"rows of at most {fits_tokens} tokens")
    return f"{said} What fits: {' or '.join(ways)}." if ways else f"{said} Nothing smaller was found to fit."
