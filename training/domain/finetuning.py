"""Fine-tuning jobs as the OpenAI API knows them: their names, hyperparameters, states, and what they are here."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from projects.domain.errors import Invalid
from projects.domain.machine import Machine
from projects.domain.states import JobState
from training.domain import recipe as recipes
from training.domain.knobs import Method
from training.domain.recipe import shown

AUTO = "auto"
MOST_IN_MEMORY = 8  # rows at once; a larger batch is reached by accumulation
LEAST_LENGTH = 16


class State(StrEnum):
    """Of the job before its run: once that exists, the run says how it goes."""

    VALIDATING = "validating_files"
    STARTED = "started"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = State
JOB = Machine(
    "fine_tuning_job",
    {
        S.VALIDATING: frozenset({S.STARTED, S.FAILED, S.CANCELLED}),
        S.STARTED: frozenset(),
        S.FAILED: frozenset(),
        S.CANCELLED: frozenset(),
    },
)
# What a run's state is called there. Nobody waits for a yes there, so what is held is queued.
STATUS = {
    JobState.DRAFT: "queued",
    JobState.HELD: "queued",
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.PAUSED: "paused",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
METHODS = {"supervised": Method.SFT, "dpo": Method.DPO}
# Name, whether whole, smallest, largest.
BOUNDS = {
    "n_epochs": (True, 1, 50),
    "batch_size": (True, 1, 256),
    "learning_rate_multiplier": (False, 0.001, 100),
    "beta": (False, 0.001, 2),
}
OF_METHOD = {
    "supervised": ("n_epochs", "batch_size", "learning_rate_multiplier"),
    "dpo": ("n_epochs", "batch_size", "learning_rate_multiplier", "beta"),
}
REASONS = ("budget_reason", "leak_reason")  # keys of the metadata that are read here
SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def hyperparameters(method: str, given: Any, where: str) -> dict[str, Any]:
    """Every hyperparameter of the method, “auto” where nobody said it; what is not known is refused by name."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise Invalid("Hyperparameters are an object.", code="invalid_type", field=where)
    found: dict[str, Any] = dict.fromkeys(OF_METHOD[method], AUTO)
    for name, value in given.items():
        if name not in found:
            known = ", ".join(OF_METHOD[method])
            raise Invalid(
                f"There is no hyperparameter “{shown(name)}” of {method}. There are {known}.", code="unknown_parameter",
                field=f"{where}.{shown(name)}",
            )  # fmt: skip
        if value is not None and value != AUTO:
            found[name] = _within(name, value, f"{where}.{name}")
    return found


def _within(name: str, value: Any, where: str) -> int | float:
    whole, low, high = BOUNDS[name]
    kind = "a whole number" if whole else "a number"
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or (whole and value != int(value)) or not low <= value <= high:
        raise Invalid(
            f"{name} is “{shown(value)}”, but must be {kind} from {low:g} to {high:g}, or “auto”.",
            code="invalid_value", field=where,
        )  # fmt: skip
    return int(value) if whole else float(value)


def split_batch(rows: int) -> tuple[int, int]:
    """Rows at once and how often they are accumulated, so that exactly so many rows make a step."""
    at_once = max(size for size in range(1, MOST_IN_MEMORY + 1) if rows % size == 0)
    return at_once, rows // at_once


def recipe_of(
    method: str,
    hyper: Mapping[str, Any],
    *,
    seed: int,
    longest: int,
    context: int,
    parent: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """The recipe of a job. `longest`: tokens of the longest row, so that none is cut; `parent`: its rank and alpha.

    What is “auto” is the default of the method here, a batch of eight rows and a multiplier of one.
    """
    values = recipes.defaults(METHODS[method]) | {"method": METHODS[method].value, "seed": seed}
    if hyper.get("n_epochs", AUTO) != AUTO:
        values["epochs"] = hyper["n_epochs"]
    if hyper.get("batch_size", AUTO) != AUTO:
        values["batch_size"], values["accumulation"] = split_batch(hyper["batch_size"])
    if hyper.get("learning_rate_multiplier", AUTO) != AUTO:
        values["learning_rate"] *= hyper["learning_rate_multiplier"]
    if hyper.get("beta", AUTO) != AUTO:
        values["beta"] = hyper["beta"]
    if parent is not None:
        values["rank"], values["alpha"] = parent
    values["max_length"] = max(LEAST_LENGTH, min(longest, context or longest))
    return {name: value for name, value in values.items() if METHODS[method] in recipes.KNOB[name].methods}


def resolved(method: str, hyper: Mapping[str, Any], recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """What “auto” came to, once the run is made."""
    if recipe is None:
        return dict(hyper)
    default = recipes.defaults(METHODS[method])["learning_rate"]
    epochs = recipe["epochs"]
    came = {
        "n_epochs": int(epochs) if epochs == int(epochs) else epochs,
        "batch_size": recipe["batch_size"] * recipe["accumulation"],
        "learning_rate_multiplier": float(f"{recipe['learning_rate'] / default:.6g}"),
        "beta": recipe.get("beta"),
    }
    return {name: came[name] for name in OF_METHOD[method]}


def read_id(text: str, kind: str) -> int | None:
    """The number in an id of this kind: ftjob, file, file-results."""
    match = re.fullmatch(rf"{kind}-(\d{{1,18}})", text, re.ASCII)
    return int(match[1]) if match else None


def model_name(base: str, project: str, suffix: str, adapter: int) -> str:
    """The name of a fine-tuned model: stable for as long as the adapter exists."""
    return f"ft:{base}:{project}:{suffix}:a{adapter}"


def adapter_of(name: str) -> int | None:
    """The adapter that a fine-tuned model's name ends with; whether the rest is right is for its owner to say."""
    match = re.fullmatch(r"ft:.+:a(\d{1,18})", name, re.ASCII | re.DOTALL)
    return int(match[1]) if match else None


def suffix_of(name: str) -> str:
    """The name of an adapter as the suffix of a model."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")
    return plain[:64]
