"""Evidence as bytes: one canonical form, its digest, and what differs between two of them."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "—"
HASH, HASH_SHOWN = re.compile(r"[0-9a-f]{64}"), 12


@dataclass(frozen=True)
class Change:
    field: str
    label: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.label}: {self.before} → {self.after}"


def canonical(evidence: Any) -> bytes:
    """Equal evidence gives equal bytes, whichever database or JSON parser it went through."""
    return json.dumps(
        _plain(evidence), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(evidence: Any) -> str:
    return hashlib.sha256(canonical(evidence)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        # jsonb hands 1e22 and 1.0 back as it pleases; a whole number has one spelling here.
        return int(value) if value.is_integer() else value
    return value


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs, field by field; lists are compared as sets of their elements."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return [
        Change(path, _label(path), _words(old.get(path)), _words(new.get(path)))
        for path in sorted(old.keys() | new.keys())
        if digest(old.get(path)) != digest(new.get(path))
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}/{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        yield path, sorted(value, key=canonical)
    elif value is not None and value != {}:
        yield path, value


def _words(value: Any) -> str:
    if value is None or value == []:
        return ABSENT
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value)
    text = value if isinstance(value, str) else canonical(value).decode()
    return text[:HASH_SHOWN] if HASH.fullmatch(text) else text


LABELS = {
    "other_base": "The base it would be served on",
    "adapter/files": "Recorded adapter file",
    "adapter/found": "Adapter file on disk",
    "adapter/findings": "Finding about the adapter",
    "evaluation/graders": "Evaluation score",
    "evaluation/golden": "Golden set",
    "evaluation/retention_set": "Retention set",
    "evaluation": "Evaluation",
    "measurements": "Finished evaluations of this adapter",
    "stale": "Withdrawn or erased among what it stands on",
    "contamination": "Golden rows found in the training data",
    "training_data": "Training data",
    "gates": "Gate",
    "live": "Live in the slot",
    "adapter": "Adapter",
    "base": "Base model",
    "run": "Run",
    "import": "Import",
    "slot": "Slot",
}


def _label(path: str) -> str:
    for prefix, words in LABELS.items():
        if path == prefix:
            return words
        if path.startswith(f"{prefix}/"):
            rest = path.removeprefix(f"{prefix}/").replace("_", " ").replace("/", " · ")
            return f"{words}, {rest}"
    return path.replace("_", " ").replace("/", " · ")
