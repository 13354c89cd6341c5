"""How the rows of a step are shared out among the cards of a run."""

import heapq
from collections.abc import Sequence


def shares(lengths: Sequence[int], parts: int) -> list[list[int]]:
    """For each of `parts` cards which rows it takes, in their order: as many tokens for one as for another.

    The longest row goes first and each to whoever has the fewest tokens, so that no card has more than the mean and one
    row. The same lengths always give the same shares. With fewer rows than cards, some have none.
    """
    taken: list[list[int]] = [[] for _ in range(parts)]
    loads = [(0, part) for part in range(parts)]
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        load, part = heapq.heappop(loads)
        taken[part].append(row)
        heapq.heappush(loads, (load + lengths[row], part))
    return [sorted(rows) for rows in taken]


# What several cards reach of as many times one, until it has been measured: shares are never quite even, and gradients
# go from card to card.
EFFICIENCY = 0.9


def spread(rows: int, accumulation: int, devices: int) -> tuple[int, int]:
    """(rows, accumulation) of batches that are shared out: a card has at most `rows` at once, a step as many as ever.

    Batches that were added up one after another on one card lie side by side on several.
    """
    whole = rows * accumulation
    for batches in range(-(-accumulation // devices), accumulation):
        if whole % batches == 0:
            return whole // batches, batches
    return rows, accumulation
