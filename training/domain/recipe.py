"""A recipe: one value for every knob of a run, and the reader that refuses the rest."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from projects.domain.errors import Invalid
from training.domain.knobs import ALL_LINEAR, DPO_DEFAULTS, KNOB, KNOBS, MODULES, Cut, Knob, Method
from training.domain.sharing import spread

__all__ = [
    "ALL_LINEAR",
    "KNOB",
    "KNOBS",
    "MODULES",
    "BadRecipe",
    "Cut",
    "Knob",
    "Method",
    "Recipe",
    "check",
    "defaults",
]


# A number as a form sends it: ASCII digits, for Python's own reader takes those of every script, and “1_000”.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)
LONGEST_NUMBER = 40
SHOWN = 60


class BadRecipe(Invalid):
    """A knob that does not exist or stands where no run can go."""

    code = "bad_recipe"


@dataclass(frozen=True)
class Recipe:
    method: str = "sft"
    epochs: float = 3
    learning_rate: float = 2e-4
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] = (ALL_LINEAR,)
    batch_size: int = 8
    accumulation: int = 1
    max_length: int = 1024
    cut: str = "refuse"
    warmup: float = 0.03
    scheduler: str = "cosine"
    packing: bool = False
    beta: float = 0.1
    seed: int = 0
    checkpoint_steps: int = 0
    pace: str = "auto"
    recompute: str = "auto"
    devices: int = 1
    sharding: str = "auto"
    four_bit: bool = False

    @property
    def rows_per_step(self) -> int:
        return self.batch_size * self.accumulation

    def of_one_card(self) -> "Recipe":
        """What one of its cards does in each step."""
        rows, accumulation = spread(self.batch_size, self.accumulation, self.devices)
        each = -(-rows // self.devices)
        return replace(self, devices=1, sharding="auto", batch_size=each, accumulation=accumulation)

    def steps(self, rows: int) -> int:
        """Optimiser steps over `rows` rows, as the trainer counts them: a started batch is a batch."""
        batches = math.ceil(rows / self.batch_size)
        per_epoch = math.ceil(batches / self.accumulation)
        return max(1, math.ceil(self.epochs * per_epoch))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"target_modules": list(self.target_modules)}

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Recipe":
        """A recipe from a form, the API or a stored spec; whatever is left out takes the default of the method."""
        if not isinstance(raw, Mapping):
            raise BadRecipe("A recipe is an object with a value for each setting.", field="recipe")
        unknown = sorted((shown(key) for key in raw if key not in KNOB), key=str)
        if unknown:
            raise BadRecipe(
                f"There is no setting called “{unknown[0]}”. Remove it.", code="unknown_setting", field=unknown[0]
            )
        method = check(KNOB["method"], raw.get("method", "sft"))
        values = defaults(method) | {name: check(KNOB[name], value) for name, value in raw.items()}
        if method == Method.DPO and values["packing"]:
            raise BadRecipe(
                "Packing works with SFT only. Switch it off for DPO.",
                code="packing_needs_sft",
                field="packing",
            )
        if values["sharding"] == "shard":
            _check_sharding(values)
        return cls(**values)


def _check_sharding(values: Mapping[str, Any]) -> None:
    if values["devices"] == 1:
        raise BadRecipe(
            "Weights can only be shared among several cards. Take more cards, or leave it to the run.",
            code="sharding_needs_cards",
            field="sharding",
        )
    if values["four_bit"]:
        raise BadRecipe(
            "A 4-bit base cannot be shared among cards: its weights are packed. Load it in 16 bits, which the cards "
            "then share, or let each card hold all of its 4 bits.",
            code="sharding_needs_16_bit",
            field="sharding",
        )


def defaults(method: str) -> dict[str, Any]:
    values = {knob.name: knob.default for knob in KNOBS} | {
        "method": str(method),
        "target_modules": (ALL_LINEAR,),
    }
    return values | (DPO_DEFAULTS if method == Method.DPO else {})


def check(knob: Knob, value: Any) -> Any:
    """The value in the knob's own type, or a refusal that names the knob and its range."""
    return {"int": _whole, "float": _number, "choice": _choice, "bool": _yes_no, "modules": _modules}[knob.kind](
        knob, value
    )


def _refuse(knob: Knob, value: Any, expected: str, code: str = "out_of_range") -> BadRecipe:
    return BadRecipe(f"{knob.label} is “{shown(value)}”, but must be {expected}.", code=code, field=knob.name)


def shown(value: Any) -> str:
    """A value as it may be quoted to whoever sent it: short, printable, and never worked out at length."""
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "a number of more than 60 digits"
    text = value[:SHOWN] if isinstance(value, str) else type(value).__name__
    if isinstance(value, int | float | None):
        text = str(value)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _number(knob: Knob, value: Any) -> float:
    expected = f"a number from {knob.low:g} to {knob.high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _refuse(knob, value, expected, "not_a_number")
    if isinstance(value, str):
        number = _spelled(knob, value.strip(), expected)
    else:
        number = float(value) if abs(value) < 10**SHOWN else math.inf
    if not (math.isfinite(number) and knob.low <= number <= knob.high):
        raise _refuse(knob, value, expected)
    return number


def _spelled(knob: Knob, text: str, expected: str) -> float:
    if len(text) > LONGEST_NUMBER:
        raise _refuse(knob, text, expected)
    if not NUMBER.fullmatch(text):
        raise _refuse(knob, text, expected, "not_a_number")
    return float(text)


def _whole(knob: Knob, value: Any) -> int:
    number = _number(knob, value)
    if number != int(number):
        raise _refuse(knob, value, f"a whole number from {knob.low:g} to {knob.high:g}", "not_a_whole_number")
    return int(number)


def _choice(knob: Knob, value: Any) -> str:
    names = [name for name, _ in knob.choices]
    if not isinstance(value, str) or value not in names:
        raise _refuse(knob, value, "one of " + ", ".join(names), "unknown_choice")
    return str(value)


def _yes_no(knob: Knob, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(knob, value, "true or false", "not_a_boolean")
    return value


def _modules(knob: Knob, value: Any) -> tuple[str, ...]:
    names = [part.strip() for part in value[:2000].split(",")] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or len(names) > len(MODULES):
        raise _refuse(knob, value, "“all-linear” or a list of layer names", "unknown_module")
    if list(names) == [ALL_LINEAR]:
        return (ALL_LINEAR,)
    if bad := [name for name in names if not isinstance(name, str) or name not in MODULES]:
        raise _refuse(knob, bad[0], "“all-linear” or names from: " + ", ".join(MODULES), "unknown_module")
    return tuple(sorted(set(names)))
