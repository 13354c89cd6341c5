"""The schema that a set's JSON answers follow, inferred from them, and what breaks it, named by path.

Paths are written as `$.items[].name`. A field is required when nearly every object at its place has it; a type, or a
value of a field with few values, is expected unless hardly anybody has it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Signature: TypeAlias = tuple[tuple[str, str], ...]  # (path, type) of everything in an answer, sorted, each once

REQUIRED, EXPECTED, KNOWN = 0.9, 0.05, 0.02  # shares of the objects (or values) at a place
ENOUGH = 20
MOST_ENTRIES, DEEPEST, MOST_VALUES, LONGEST_VALUE = 200, 8, 200, 48
RARE_VALUE, ENUM_VALUES = 0.005, 20


@dataclass(frozen=True, slots=True)
class Violation:
    path: str
    problem: str  # missing | type | unknown | value
    expected: str = ""
    found: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "problem": self.problem, "expected": self.expected, "found": self.found}


@dataclass(slots=True)
class Place:
    """What stands at one path, over all answers."""

    present: int = 0
    within: int = 0  # objects that could have had it
    types: Counter[str] = field(default_factory=Counter)

    @property
    def required(self) -> bool:
        return self.within > 0 and self.present / self.within >= REQUIRED

    @property
    def expected(self) -> list[str]:
        return [kind for kind, n in self.types.most_common() if n >= EXPECTED * self.present]


Schema: TypeAlias = dict[str, dict[str, Any]]  # path → {"types", "required", "share", "values"?}


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def walk(value: Any) -> tuple[Signature, list[tuple[str, str]]]:
    """The signature of an answer, and its short texts as (path, text)."""
    entries: set[tuple[str, str]] = set()
    texts: list[tuple[str, str]] = []
    waiting: list[tuple[str, Any, int]] = [("$", value, 0)]
    while waiting and len(entries) < MOST_ENTRIES:
        path, one, depth = waiting.pop()
        kind = type_of(one)
        entries.add((path, kind))
        if depth >= DEEPEST:
            continue
        if kind == "object":
            waiting.extend((f"{path}.{name}", inner, depth + 1) for name, inner in one.items())
        elif kind == "array":
            waiting.extend((f"{path}[]", inner, depth + 1) for inner in one[:MOST_ENTRIES])
        elif kind in ("string", "boolean") and len(str(one)) <= LONGEST_VALUE:
            texts.append((path, str(one)))
    return tuple(sorted(entries)), texts


def parent(path: str) -> str:
    return path[:-2] if path.endswith("[]") else path.rpartition(".")[0]


def infer(signatures: Iterable[tuple[Signature, int]], values: Mapping[str, Mapping[str, int]]) -> Schema:
    """From signatures with their number of answers, and counts of the values of fields that have few of them."""
    places: dict[str, Place] = {}
    objects: Counter[str] = Counter()
    for signature, n in signatures:
        for path, kind in signature:
            place = places.setdefault(path, Place())
            place.types[kind] += n
            if kind == "object":
                objects[path] += n
        for path in {path for path, _ in signature}:
            places[path].present += n
    for path, place in places.items():
        place.within = objects[parent(path)] if "." in path and not path.endswith("[]") else 0
    schema = {path: _said(path, place) for path, place in sorted(places.items()) if _known(place)}
    for path, counts in values.items():
        usual = usual_values(counts)
        if usual and schema.get(path, {}).get("types") == ["string"]:
            schema[path]["values"] = usual
    return schema


def _known(place: Place) -> bool:
    return not place.within or place.within < ENOUGH or place.present >= KNOWN * place.within


def _said(path: str, place: Place) -> dict[str, Any]:
    share = round(place.present / place.within, 4) if place.within else 1.0
    enough = place.within >= ENOUGH
    return {"types": place.expected, "required": place.required and enough and path != "$", "share": share}


def usual_values(counts: Mapping[str, int]) -> list[str]:
    """The values of an enumeration, most frequent first; empty when the field is none."""
    total = sum(counts.values())
    usual = [value for value, n in sorted(counts.items(), key=lambda kv: -kv[1]) if n > max(1, RARE_VALUE * total)]
    covered = sum(counts[value] for value in usual)
    is_enum = len(counts) > len(usual) and 2 <= len(usual) <= ENUM_VALUES and covered >= 0.98 * total
    return usual if is_enum and total >= 5 * ENOUGH else []


def broken_by(schema: Schema, signature: Signature) -> list[Violation]:
    """Missing fields, other types and unknown fields of one signature."""
    have: dict[str, list[str]] = {}
    for path, kind in signature:
        have.setdefault(path, []).append(kind)
    found = [
        Violation(path, "missing", " or ".join(rule["types"]))
        for path, rule in schema.items()
        if rule["required"] and path not in have and "object" in have.get(parent(path), ())
    ]
    for path, kinds in have.items():
        if path in schema:
            wrong = [kind for kind in kinds if kind not in schema[path]["types"]]
            found += [Violation(path, "type", " or ".join(schema[path]["types"]), kind) for kind in wrong]
        elif parent(path) in schema:
            found.append(Violation(path, "unknown", "", " or ".join(kinds)))
    return found


def violations(schema: Schema, value: Any) -> list[Violation]:
    """Everything in which an answer breaks the schema."""
    signature, texts = walk(value)
    found = broken_by(schema, signature)
    for path, text in texts:
        usual = schema.get(path, {}).get("values")
        if usual and text not in usual:
            found.append(Violation(path, "value", ", ".join(usual[:6]), text))
    return found
