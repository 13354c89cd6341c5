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
        made.append(_counted(start, step, 0, length - 1, vocab))
    return made


def pairs(count: int, vocab: int, seed: int = 1) -> list[dict[str, str]]:
    """Prompts with two answers: one counts on as the prompt does, the other, of another length, in other steps.

    Prompt and longer answer together are as long as the texts are.
    """
    rng = random.Random(seed)
    made = []
    for length in lengths(count, rng):
        start, step = rng.randrange(1, vocab), rng.choice((1, 2, 3))
        prompt = max(1, round(length * rng.uniform(0.2, 0.6)))
        longer = max(2, length - prompt - 1)
        shorter = max(1, round(longer * rng.uniform(0.4, 1.0)))
        good, bad = rng.sample((longer, shorter), 2)
        made.append(
            {
                "prompt": _counted(start, step, 0, prompt, vocab),
                "chosen": _counted(start, step, prompt, good, vocab),
                "rejected": _counted(start, step + 3, prompt, bad, vocab),
            }
        )
    return made


def _counted(start: int, step: int, first: int, count: int, vocab: int) -> str:
    numbers = (1 + (start + step * place) % min(1000, vocab - 1) for place in range(first, first + count))
    return " ".join(f"t{number}" for number in numbers)
