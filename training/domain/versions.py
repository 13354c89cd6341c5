"""Two versions of a base beside each other, field by field."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from training.domain import anatomy
from training.domain.compatibility import Base, config_changes, reshaped, weights_told
from training.domain.findings import some


class Kind(StrEnum):
    IDENTICAL = "identical"
    WORDS = "words"
    WEIGHTS = "weights"
    SHAPES = "shapes"
    UNKNOWN = "unknown"


KINDS = {
    Kind.IDENTICAL: "Identical: every file is the same.",
    Kind.WORDS: "The same weights, with other words around them: template, tokenizer or settings.",
    Kind.WEIGHTS: "The same shapes with other weights. An adapter loads on either without a word.",
    Kind.SHAPES: "Other shapes: another network.",
    Kind.UNKNOWN: "One of them is not ready, or was registered before shapes were recorded.",
}


@dataclass(frozen=True)
class Field:
    """One field of both; `told` says how they differ, where that can be said."""

    name: str
    label: str
    before: str
    after: str
    same: bool
    told: str = ""


@dataclass(frozen=True)
class Comparison:
    kind: Kind
    fields: tuple[Field, ...]

    @property
    def title(self) -> str:
        return KINDS[self.kind]

    @property
    def differing(self) -> list[Field]:
        return [field for field in self.fields if not field.same]


def compare(one: Base, other: Base) -> Comparison:
    fields = tuple(_fields(one, other))
    if one.fingerprint and one.fingerprint == other.fingerprint:
        return Comparison(Kind.IDENTICAL, fields)
    shapes = next(field for field in fields if field.name == "shapes")
    weights = next(field for field in fields if field.name == "weights")
    if not one.ready or not other.ready:
        kind = Kind.UNKNOWN
    elif weights.same:
        kind = Kind.WORDS  # the same files of weights have the same shapes, recorded or not
    elif not one.anatomy or not other.anatomy:
        kind = Kind.UNKNOWN
    else:
        kind = Kind.WEIGHTS if shapes.same else Kind.SHAPES
    return Comparison(kind, fields)


def _fields(one: Base, other: Base) -> list[Field]:
    rows: list[tuple[str, str, Callable[[Base], Any]]] = [
        ("architecture", "Architecture", lambda base: base.architecture),
        ("context", "Context, tokens", lambda base: f"{base.context:,}" if base.context else ""),
        ("vocabulary", "Rows of the embedding", lambda base: f"{base.vocabulary:,}" if base.vocabulary else ""),
        ("shapes", "Names and shapes", lambda base: _hashed(base, "tensors")),
        ("weights", "Weights", lambda base: anatomy.digest(sorted(base.parts.get("weights", {}).items()))),
        ("config", "config.json", lambda base: base.parts.get("config", "")),
        ("tokenizer", "Tokenizer files", lambda base: base.parts.get("tokenizer", "")),
        ("vocabulary_of_tokens", "Tokens and their numbers", lambda base: _tokens(base, "vocabulary")),
        ("special_tokens", "Special tokens", _special),
        ("chat_template", "Chat template", lambda base: base.parts.get("chat_template", "")),
        ("generation_config", "Generation config", lambda base: base.parts.get("generation_config", "")),
    ]
    told = _told(one, other)
    return [
        Field(name, label, read(one), read(other), read(one) == read(other), told.get(name, ""))
        for name, label, read in rows
    ]


def _hashed(base: Base, part: str) -> str:
    return anatomy.digest(base.anatomy[part]) if base.anatomy else ""


def _tokens(base: Base, name: str) -> str:
    return str(base.anatomy["tokenizer"][name]) if base.anatomy else ""


def _special(base: Base) -> str:
    special = base.anatomy["tokenizer"]["special"] if base.anatomy else {}
    return ", ".join(f"{name.removesuffix('_token')} {text}" for name, text in sorted(special.items()))


def _told(one: Base, other: Base) -> dict[str, str]:
    """How the fields differ whose hashes say only that they do."""
    told = {"weights": weights_told(one.parts.get("weights", {}), other.parts.get("weights", {}))}
    if one.anatomy and other.anatomy:
        mine, theirs = (anatomy.unfold(base.anatomy["tensors"]) for base in (one, other))
        told["shapes"] = some(reshaped(mine, theirs), 4)
        told["config"] = some(config_changes(one, other), 4)
    return told
