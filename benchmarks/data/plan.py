"""Which line is what: drawn once for the whole file, before a word of it is written."""

import random
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    PLAIN = 0
    EXACT = 1
    NEAR = 2
    PII = 3
    SECRET = 4
    MALFORMED = 5
    CONTAMINATED = 6
    CONFLICT = 7
    HIDDEN = 8
    INJECTION = 9
    HARMLESS = 10  # looks like personal data and is not: in no truth table
    TOOLS = 11  # calls a tool: in no truth table


SHARES = {
    Kind.EXACT: 0.05,
    Kind.NEAR: 0.10,
    Kind.PII: 0.005,
    Kind.SECRET: 0.005,
    Kind.MALFORMED: 0.005,
    Kind.CONTAMINATED: 0.003,
    Kind.CONFLICT: 0.003,
    Kind.HIDDEN: 0.002,
    Kind.INJECTION: 0.002,
    Kind.HARMLESS: 0.005,
    Kind.TOOLS: 0.02,
}
AGAIN = 0.2  # share of exact copies whose original has been copied before


@dataclass(frozen=True, slots=True)
class Plan:
    kind: NDArray[np.uint8]
    of: NDArray[np.int64]  # the row copied from; for contaminated rows the row of the golden set; else -1
    golden: int  # rows of the golden set


def make(rows: int, seed: int) -> Plan:
    """Every near copy and every conflict has an original of its own, so that no two plantings meet."""
    rng = random.Random(f"plan {seed} {rows}")
    kind = _kinds(rows, rng)
    of: NDArray[np.int64] = np.full(rows, -1, dtype=np.int64)
    free: list[int] = []
    copied: list[int] = []
    for row, what in enumerate(kind.tolist()):
        if what == Kind.PLAIN:
            free.append(row)
        elif what in (Kind.EXACT, Kind.NEAR, Kind.CONFLICT):
            again = what == Kind.EXACT and copied and rng.random() < AGAIN
            if not again and not free:
                kind[row] = Kind.PLAIN
                free.append(row)
                continue
            of[row] = copied[rng.randrange(len(copied))] if again else _taken(free, rng)
            if what == Kind.EXACT and not again:
                copied.append(int(of[row]))
    leaked = np.flatnonzero(kind == Kind.CONTAMINATED)
    golden = len(leaked) * 3 // 2 + 50
    of[leaked] = rng.sample(range(golden), len(leaked))
    return Plan(kind, of, golden)


def _kinds(rows: int, rng: random.Random) -> NDArray[np.uint8]:
    edges, total = [], 0.0
    for what, share in SHARES.items():
        total += share
        edges.append((total, what))
    kind: NDArray[np.uint8] = np.zeros(rows, dtype=np.uint8)
    for row in range(rows):
        drawn = rng.random()
        if drawn < total:
            kind[row] = next(what for edge, what in edges if drawn < edge)
    return kind


def _taken(free: list[int], rng: random.Random) -> int:
    """One of the rows before this one, each as likely as the other, and none twice."""
    place = rng.randrange(len(free))
    free[place], free[-1] = free[-1], free[place]
    return free.pop()
