"""Cleaning recipes: the steps that make a new version out of an old one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from datasets_app.domain.findings import Found, about


class Op(StrEnum):
    DEDUPE = "dedupe"
    DEDUPE_NEAR = "dedupe_near"
    STRIP_HIDDEN = "strip_hidden"
    DROP_FINDING = "drop_finding"
    DROP_OVERLAP = "drop_overlap"
    MASK_SECRETS = "mask_secrets"


class BadRecipe(ValueError):
    """A step that cannot be followed; the message says which one and why."""


@dataclass(frozen=True, slots=True)
class Step:
    op: Op
    code: str = ""
    golden: tuple[int, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        extras = {"code": self.code} if self.code else {}
        return {"op": self.op.value, **extras, **({"golden": list(self.golden)} if self.golden else {})}


def read_steps(value: object) -> list[Step]:
    if not isinstance(value, list) or not value:
        raise BadRecipe("A recipe is a list of at least one step.")
    if len(value) > 20:
        raise BadRecipe("A recipe has at most 20 steps.")
    return [_step(entry, n) for n, entry in enumerate(value, 1)]


def describe(step: Step) -> str:
    if step.op == Op.DROP_FINDING:
        return f"Drop rows with “{about(step.code).title}”"
    return {
        Op.DEDUPE: "Keep the first of each exact duplicate",
        Op.DEDUPE_NEAR: "Keep the first of each group of near duplicates",
        Op.STRIP_HIDDEN: "Strip characters nobody can see",
        Op.DROP_OVERLAP: "Drop rows whose prompt is in a golden set",
        Op.MASK_SECRETS: "Mask secrets",
    }[step.op]


def fix_for(code: str) -> Step | None:
    """The one step that mends a finding, if one does."""
    fix = about(code).fix
    if not fix:
        return None
    return Step(Op(fix), code if fix == Op.DROP_FINDING else "")


def _step(entry: object, n: int) -> Step:
    if not isinstance(entry, Mapping):
        raise BadRecipe(f"Step {n} is not an object.")
    unknown = set(entry) - {"op", "code", "golden"}
    if unknown:
        raise BadRecipe(f"Step {n} has unknown fields: {', '.join(sorted(map(str, unknown)))}.")
    if entry.get("op") not in list(Op):
        raise BadRecipe(f"Step {n}: “{entry.get('op')}” is none of {', '.join(Op)}.")
    op = Op(entry["op"])
    if op == Op.DROP_FINDING:
        return Step(op, code=_droppable(entry.get("code"), n))
    if op == Op.DROP_OVERLAP:
        return Step(op, golden=_golden(entry.get("golden"), n))
    return Step(op)


def _droppable(code: object, n: int) -> str:
    if code not in list(Found) or about(str(code)).fix != Op.DROP_FINDING:
        raise BadRecipe(f"Step {n}: rows cannot be dropped by “{code}”.")
    return str(code)


def _golden(value: object, n: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(pk) is int for pk in value):
        raise BadRecipe(f"Step {n}: name the golden versions by their ids.")
    return tuple(value)
