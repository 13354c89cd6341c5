"""What a dialect is: how a tool names the settings of a run, and how a run is written for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from training.domain.dialects.notes import Batch
from training.domain.dialects.rules import Rule, Work
from training.domain.recipe import Recipe

USUAL_SAVES = 500  # steps between two checkpoints of the trainer that all tools hand on to


@dataclass(frozen=True)
class About:
    """What a written spec says besides the recipe: names that a person finds again, and hashes that prove them."""

    name: str
    base: str
    revision: str = ""
    fingerprint: str = ""
    data: str = ""
    content_hash: str = ""
    rows: int = 0
    kind: str = "sft"
    parent: str = ""
    parent_digest: str = ""
    validation: str = ""
    validation_hash: str = ""

    @property
    def slug(self) -> str:
        """The data as a file or a name without spaces."""
        return _slug(self.data, "data")

    @property
    def validation_slug(self) -> str:
        found = _slug(self.validation, "validation")
        return found if found != self.slug else f"{found}-validation"


def _slug(name: str, otherwise: str) -> str:
    plain = "".join(char if char.isalnum() and char.isascii() else "-" for char in name.lower())
    return "-".join(part for part in plain.split("-") if part) or otherwise


@dataclass(frozen=True)
class Lost:
    """What a tool has no word for, and what follows."""

    knob: str
    text: str


@dataclass(frozen=True)
class Dialect:
    """One tool. `defaults` are the values that it takes where a file says nothing, for each method."""

    name: str
    label: str
    rules: Mapping[str, Rule]
    signature: frozenset[str]
    method: Callable[[Work], str]
    check: Callable[[Work], None]
    defaults: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    write: Callable[[Recipe, About], dict[str, Any]]
    lost: Callable[[Recipe, About], list[Lost]]
    command: Callable[[Recipe, str], str]
    remarks: Callable[[Recipe, About], list[str]] = field(default=lambda recipe, about: [])


@dataclass(frozen=True)
class Written:
    """A run in the words of a tool."""

    dialect: str
    label: str
    file_name: str
    text: str
    batch: Batch
    lost: list[Lost]
    command: str


def number(value: float) -> int | float:
    """Whole numbers without a point, as people write them."""
    return int(value) if value == int(value) else value


WITHOUT_WORDS = (
    Lost("pace", "How fast it goes is decided by the tool. The numbers learned are the same but for rounding."),
    Lost(
        "devices",
        "How many cards is said where the tool is started. The rows a step written here are those of one card: on "
        "several, divide them.",
    ),
    Lost("sharding", "If the cards share the weights (FSDP) is said where the tool is started."),
)


ALL_ROWS = Lost(
    "validation data",
    "All of its rows are read at each look, and the loss may be a mean of batches. Here it is up to a thousand rows, "
    "and a mean over tokens.",
)


def lost_in_all(recipe: Recipe, about: About) -> list[Lost]:
    knobs = Recipe.__dataclass_fields__
    found = [one for one in WITHOUT_WORDS if getattr(recipe, one.knob) != knobs[one.knob].default]
    return found + ([ALL_ROWS] if about.validation else [])


def looks(recipe: Recipe) -> dict[str, Any]:
    """How often the trainer that all tools hand on to looks at validation data: as often as it saves."""
    return {"eval_strategy": "steps", "eval_steps": recipe.checkpoint_steps or USUAL_SAVES, "eval_on_start": True}
