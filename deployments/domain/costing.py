"""What probes and evaluations are expected to take, by what such work took before. Runs have projections of their own.

Seconds scale with questions and with parameters. With nothing to go by the estimate is a formula, and says so by a
wide band: P90 is three times the middle, against a third more where the very same work was measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Any

from projects.domain import money

# A formula's rates: what a device works off of 2 × parameters × tokens in a second, far below its data sheet.
RATES = {"cpu": 2e10, "cuda": 2e13}
START = 20.0  # seconds to start a process and import torch
READ = 5e8  # bytes a second that weights are read and hashed at
ANSWER_TOKENS, PROMPT_TOKENS = 32, 128
WRITING = 4.0  # what a token that is written costs more than one that is read
ENOUGH = 5  # past measurements from which a band can be read


@dataclass(frozen=True)
class Estimate:
    """Seconds of one piece of work, what they cost, and what they rest on: same, measured, formula or projection."""

    p50: float
    p90: float
    money50: Decimal
    money90: Decimal
    source: str

    def as_dict(self) -> dict[str, Any]:
        told = {"p50": round(self.p50, 3), "p90": round(self.p90, 3), "source": self.source}
        return told | {"money50": str(self.money50), "money90": str(self.money90)}


@dataclass(frozen=True)
class Sum:
    """Many estimates together. `money90` is None where one of them cannot be told."""

    count: int
    p50: float
    money50: Decimal
    money90: Decimal | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "seconds": round(self.p50, 3),
            "p50": str(self.money50),
            "p90": None if self.money90 is None else str(self.money90),
        }


def added(parts: Iterable[Estimate | None]) -> Sum:
    """All together, each at its own P50 and P90: what is held for them."""
    found = list(parts)
    known = [one for one in found if one is not None]
    every = len(known) == len(found)
    return Sum(
        len(found),
        sum(one.p50 for one in known),
        sum((one.money50 for one in known), Decimal(0)),
        sum((one.money90 for one in known), Decimal(0)) if every else None,
    )


def priced(p50: float, p90: float, price: Decimal, source: str) -> Estimate:
    fifty, ninety = (money.amount(money.hours(seconds), price) for seconds in (p50, p90))
    return Estimate(p50, p90, fifty, ninety, source)


def again(seconds: float, *, scale: float, price: Decimal) -> Estimate:
    """The same questions once more, on a model `scale` times as large."""
    return priced(seconds * scale, seconds * scale * 1.33 + START, price, "same")


def from_past(rates: Sequence[float], *, work: float, price: Decimal) -> Estimate:
    """`rates` are seconds per unit of work, such as a question of a model of one parameter."""
    middle = median(rates)
    spread = max(1.33, sorted(rates)[int(len(rates) * 0.9)] / middle if middle else 1.0)
    if len(rates) < ENOUGH:
        spread = max(spread, 2.0)
    return priced(middle * work, middle * work * spread + START, price, "measured")


def evaluation_formula(*, questions: int, parameters: int, size: int, answer: int, device: str) -> float:
    """Seconds to answer every question by base and adapter, weights loaded once."""
    tokens = 2 * (PROMPT_TOKENS + WRITING * (answer or ANSWER_TOKENS))
    return START + size / READ + questions * tokens * 2 * parameters / RATES.get(device, RATES["cpu"])


def probe_formula(*, questions: int, parameters: int, size: int, reloads: int, device: str) -> float:
    """Seconds to read every prompt on both versions, without and with the adapter, and again after each reload."""
    loads = 2 + reloads
    tokens = 2 * loads * PROMPT_TOKENS
    return START + loads * size / READ + questions * tokens * 2 * parameters / RATES.get(device, RATES["cpu"])


def guessed(seconds: float, price: Decimal) -> Estimate:
    return priced(seconds, seconds * 3, price, "formula")
