"""Rows whose lengths are log-normal, as those of instructions are, and whose tokens can be learned."""

import math
import random

MEDIAN, SPREAD, SHORTEST, LONGEST = 270, 0.9, 32, 2048


def lengths(count: int, rng: random.Random) -> list[int]:
    """Tokens of each row: median 270, from 32 to 2048."""
    drawn = (round(math.exp(rng.gauss(math.log(MEDIAN), SPREAD))) for _ in range(count))
    return [min(LONGEST, max(SHORTEST, length)) for length in drawn]


def texts(count: int, vocab: int, seed: int = 1) -> list[str]:
    """Texts of known lengths; each counts on in steps of its own, so that there is something to learn."""
    rng = random.Random(seed)
    made = []
    for length in lengths(count, rng):
        start, step = rng.randrange(1, vocab), rng.choice((1, 2, 3))
        numbers = (1 + (start + step * place) % min(1000, vocab - 1) for place in range(length - 1))
        made.append(" ".join(f"t{number}" for number in numbers))
    return made
