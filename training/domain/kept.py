"""How much of the time that was paid for is not lost, because a checkpoint keeps what was done in it."""

from collections.abc import Iterable, Mapping
from typing import Any

MOST_SAVES = 4  # an attempt can only be gone on from at checkpoints that still exist

# By fence of the attempt, its last saves: (step, seconds since the attempt began).
Saves = dict[str, list[list[float]]]


def noted(saves: Mapping[str, Any], fence: int, step: int, seconds: float) -> Saves:
    """One more save."""
    mine = [*saves.get(str(fence), []), [step, round(seconds, 3)]]
    return {**saves, str(fence): mine[-MOST_SAVES:]}


def resumed(saves: Mapping[str, Any], step: int) -> Saves:
    """An attempt began at `step`: what others saved beyond it is part of no course any more."""
    left = {fence: [save for save in mine if save[0] <= step] for fence, mine in saves.items()}
    return {fence: mine for fence, mine in left.items() if mine}


def share(saves: Mapping[str, Any], fence: int, seconds: float, steps: Iterable[int]) -> float:
    """The part of an attempt of `seconds` that checkpoints keep: its time up to its last save that is still there or
    was built upon. `steps` are those that exist."""
    newest = max(steps, default=0)
    mine = [at for step, at in saves.get(str(fence), []) if step <= newest]
    return min(1.0, max(mine, default=0.0) / seconds) if seconds > 0 else 0.0
