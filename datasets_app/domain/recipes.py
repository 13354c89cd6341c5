"""Recipes: the steps that make a new version out of others, checked before anything is followed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from datasets_app.domain.findings import about


class Op(StrEnum):
    MERGE = "merge"
    ASSEMBLE = "assemble"
    RESTORE = "restore"
    DEDUPE = "dedupe"
    DEDUPE_NEAR = "dedupe_near"
    DROP_FINDING = "drop_finding"
    DROP_OVERLAP = "drop_overlap"
    DROP_ROWS = "drop_rows"
    REDACT = "redact"
    MASK_SECRETS = "mask_secrets"
    STRIP_HIDDEN = "strip_hidden"
    MAP = "map"
    FILTER = "filter"
    SAMPLE = "sample"
    SPLIT = "split"
    EDIT = "edit"


# What only other commands write, each for its own purpose; nobody types them.
INTERNAL = frozenset({Op.ASSEMBLE, Op.RESTORE})
FIRST_ONLY = frozenset({Op.MERGE, Op.ASSEMBLE, Op.RESTORE})
BY_ROW = frozenset({Op.DROP_ROWS, Op.EDIT})  # name rows of one version, so they mean nothing in another
MOST_STEPS = 20


class BadRecipe(ValueError):
    """A step that cannot be followed; the message says which one and why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with its arguments, as domain.recipes_fields reads them."""

    op: Op
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        return self.args.get("code", "")

    @property
    def golden(self) -> tuple[int, ...]:
        return tuple(self.args.get("golden", ()))

    @property
    def words(self) -> str:
        return describe(self)

    def as_dict(self) -> dict[str, Any]:
        return {"op": self.op.value, **self.args}


def read_steps(value: object) -> list[Step]:
    """Steps out of JSON; raises BadRecipe with the number of the first bad one."""
    from datasets_app.domain.recipes_fields import read_args

    if not isinstance(value, list) or not value:
        raise BadRecipe("A recipe is a list of at least one step.")
    if len(value) > MOST_STEPS:
        raise BadRecipe(f"A recipe has at most {MOST_STEPS} steps.")
    steps = []
    for n, entry in enumerate(value, 1):
        if not isinstance(entry, Mapping):
            raise BadRecipe(f"Step {n} is not an object.")
        if entry.get("op") not in list(Op):
            raise BadRecipe(f"Step {n}: “{entry.get('op')}” is none of {', '.join(Op)}.")
        op = Op(entry["op"])
        steps.append(Step(op, read_args(op, entry, n)))
    _check_order(steps)
    return steps


def _check_order(steps: list[Step]) -> None:
    for n, step in enumerate(steps, 1):
        if step.op in FIRST_ONLY and n > 1:
            raise BadRecipe(f"Step {n}: “{step.op}” can only be the first step.")
        if step.op == Op.SPLIT and n < len(steps):
            raise BadRecipe(f"Step {n}: a split is the last step, because every part becomes a version of its own.")
        if step.op in BY_ROW and steps[0].op == Op.MERGE:
            raise BadRecipe(f"Step {n}: rows are named by their number in one version, so not after a merge.")


def fix_for(code: str) -> Step | None:
    """The one step that mends a finding, if one does."""
    said = about(code)
    if not said.fix:
        return None
    return Step(Op(said.fix), {"code": code} if said.fix == Op.DROP_FINDING else dict(said.fix_args))


def portable(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A recipe as it was followed, as one that can be followed again elsewhere: counts and rows by number left out."""
    counts = {"rows", "dropped", "changed"}
    kept = [
        {name: value for name, value in step.items() if name not in counts}
        for step in steps
        if step.get("op") not in BY_ROW | INTERNAL
    ]
    return [
        {name: v for name, v in step.items() if name != "part"} if step["op"] == Op.SPLIT else step for step in kept
    ]


def describe(step: Step) -> str:
    from datasets_app.domain.recipes_words import WORDS

    return WORDS[step.op](step.args)
