"""A recipe: every knob of a run with its range and a plain explanation, and the reader that refuses the rest."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from projects.domain.errors import Invalid


class Method(StrEnum):
    SFT = "sft"
    DPO = "dpo"


class Cut(StrEnum):
    """What to do with a row that is longer than `max_length`."""

    REFUSE = "refuse"
    DROP = "drop"
    CUT = "cut"


BOTH = frozenset(Method)
ALL_LINEAR = "all-linear"
# Names of linear layers in the model families PEFT knows; anything else is a typing error or an attack.
MODULES = (
    "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj qkv_proj gate_up_proj c_attn c_proj c_fc "
    "query_key_value dense dense_h_to_4h dense_4h_to_h fc1 fc2 out_proj in_proj"
).split()
SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")


@dataclass(frozen=True)
class Knob:
    """One field of the recipe, as the form shows it and the reader checks it."""

    name: str
    label: str
    help: str
    kind: str  # "int", "float", "choice", "bool" or "modules"
    default: Any
    low: float = 0
    high: float = 0
    choices: tuple[tuple[str, str], ...] = ()
    methods: frozenset[Method] = BOTH
    expert: bool = False


KNOBS: tuple[Knob, ...] = (
    Knob(
        "method",
        "Method",
        "SFT shows the model good answers. DPO shows it pairs, one answer preferred to the other.",
        "choice",
        "sft",
        choices=(("sft", "SFT: learn from answers"), ("dpo", "DPO: learn from preferences")),
    ),
    Knob(
        "epochs",
        "Epochs",
        "How often the run goes through all rows. More than about 5 tends to learn by heart.",
        "float",
        3,
        0.01,
        100,
    ),
    Knob(
        "learning_rate",
        "Learning rate",
        "How big each step is. Too high and the loss jumps or turns to NaN; too low and nothing is learned.",
        "float",
        2e-4,
        1e-8,
        0.1,
    ),
    Knob(
        "rank",
        "LoRA rank",
        "How much the adapter can hold. 8 to 32 suits most tasks; more costs memory.",
        "int",
        16,
        1,
        512,
    ),
    Knob(
        "alpha",
        "LoRA alpha",
        "How strongly the adapter speaks: alpha divided by rank. Twice the rank is a good start.",
        "int",
        32,
        1,
        2048,
    ),
    Knob(
        "dropout",
        "LoRA dropout",
        "Share of the adapter switched off at random while training; a little helps on small data.",
        "float",
        0.0,
        0.0,
        0.9,
        expert=True,
    ),
    Knob(
        "target_modules",
        "Layers to adapt",
        "“all-linear” adapts every linear layer and is the best choice almost always. Or name layers, separated by commas.",
        "modules",
        ALL_LINEAR,
        expert=True,
    ),
    Knob(
        "batch_size",
        "Rows at once",
        "Rows in memory at the same time. Lower it when memory runs out.",
        "int",
        8,
        1,
        1024,
    ),
    Knob(
        "accumulation",
        "Gradient accumulation",
        "Batches added up before each step. Rows at once × this = rows a step.",
        "int",
        1,
        1,
        1024,
        expert=True,
    ),
    Knob(
        "max_length",
        "Longest row in tokens",
        "Rows longer than this are handled as you choose below. Longer costs memory.",
        "int",
        1024,
        16,
        131_072,
    ),
    Knob(
        "cut",
        "Rows that are too long",
        "A cut answer teaches the model to stop in the middle, so nothing is ever cut without your decision.",
        "choice",
        "refuse",
        choices=(
            ("refuse", "Do not start"),
            ("drop", "Leave these rows out"),
            ("cut", "Cut them, answers too"),
        ),
    ),
    Knob(
        "warmup",
        "Warm-up",
        "Share of the steps over which the learning rate rises to its full size.",
        "float",
        0.03,
        0.0,
        0.5,
        expert=True,
    ),
    Knob(
        "scheduler",
        "Learning-rate curve",
        "How the learning rate falls after the warm-up. Cosine is a good default.",
        "choice",
        "cosine",
        choices=tuple((name, name.replace("_", " ")) for name in SCHEDULERS),
        expert=True,
    ),
    Knob(
        "packing",
        "Pack short rows together",
        "Puts several short rows into one sequence, kept apart from each other. Faster when rows are short.",
        "bool",
        False,
        methods=frozenset({Method.SFT}),
        expert=True,
    ),
    Knob(
        "beta",
        "DPO beta",
        "How closely the model must stay to where it started: 0.1 is usual, higher stays closer.",
        "float",
        0.1,
        0.001,
        10,
        methods=frozenset({Method.DPO}),
    ),
    Knob(
        "seed",
        "Seed",
        "Same spec, same seed, same machine: same adapter.",
        "int",
        0,
        0,
        2**32 - 1,
        expert=True,
    ),
    Knob(
        "checkpoint_steps",
        "Checkpoint every … steps",
        "0 saves every five minutes. A lost worker costs at most this much work.",
        "int",
        0,
        0,
        1_000_000,
        expert=True,
    ),
    Knob(
        "four_bit",
        "4-bit base (QLoRA)",
        "Loads the base in 4 bits: a quarter of the memory, a little slower. Needs the bitsandbytes package on the worker.",
        "bool",
        False,
        expert=True,
    ),
)
KNOB = {knob.name: knob for knob in KNOBS}
# DPO pulls much harder per step than SFT does.
DPO_DEFAULTS = {"learning_rate": 1e-5, "epochs": 1, "beta": 0.1}


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
