"""A recipe: one value for every knob of a run, and the reader that refuses the rest."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from projects.domain.errors import Invalid
from training.domain.knobs import ALL_LINEAR, DPO_DEFAULTS, KNOB, KNOBS, MODULES, Cut, Knob, Method

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
    four_bit: bool = False

    @property
    def rows_per_step(self) -> int:
        return self.batch_size * self.accumulation

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
        unknown = sorted(set(raw) - set(KNOB))
        if unknown:
            raise BadRecipe(
                f"There is no setting called “{_shown(unknown[0])}”. Remove it.",
                code="unknown_setting",
                field=str(unknown[0])[:60],
            )
        method = check(KNOB["method"], raw.get("method", "sft"))
        values = defaults(method) | {name: check(KNOB[name], value) for name, value in raw.items()}
        if method == Method.DPO and values["packing"]:
            raise BadRecipe(
                "Packing works with SFT only. Switch it off for DPO.",
                code="packing_needs_sft",
                field="packing",
            )
        return cls(**values)


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
    return BadRecipe(f"{knob.label} is “{_shown(value)}”, but must be {expected}.", code=code, field=knob.name)


def _shown(value: Any) -> str:
    return str(value)[:60]


def _number(knob: Knob, value: Any) -> float:
    expected = f"a number from {knob.low:g} to {knob.high:g}"
    if isinstance(value, bool):
        raise _refuse(knob, value, expected, "not_a_number")
    try:
        number = float(str(value)[:40])
    except ValueError:
        raise _refuse(knob, value, expected, "not_a_number") from None
    if not (math.isfinite(number) and knob.low <= number <= knob.high):
        raise _refuse(knob, value, expected)
    return number


def _whole(knob: Knob, value: Any) -> int:
    number = _number(knob, value)
    if number != int(number):
        raise _refuse(knob, value, f"a whole number from {knob.low:g} to {knob.high:g}", "not_a_whole_number")
    return int(number)


def _choice(knob: Knob, value: Any) -> str:
    names = [name for name, _ in knob.choices]
    if value not in names:
        raise _refuse(knob, value, "one of " + ", ".join(names), "unknown_choice")
    return str(value)


def _yes_no(knob: Knob, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(knob, value, "true or false", "not_a_boolean")
    return value


def _modules(knob: Knob, value: Any) -> tuple[str, ...]:
    names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or len(names) > len(MODULES):
        raise _refuse(knob, value, "“all-linear” or a list of layer names", "unknown_module")
    if list(names) == [ALL_LINEAR]:
        return (ALL_LINEAR,)
    if bad := [name for name in names if name not in MODULES]:
        raise _refuse(knob, bad[0], "“all-linear” or names from: " + ", ".join(MODULES), "unknown_module")
    return tuple(sorted(set(names)))
