"""Small JSON documents from strangers: an object in UTF-8, each key once, not deep, every number finite."""

import json
import math
from collections.abc import Iterator
from typing import Any

MOST_DEPTH = 32
MOST_INTEGER = 2**63


class BadDocument(ValueError):
    """Says what is wrong with it, in words that complete “The file …”."""


def read_object(data: bytes, *, most_bytes: int, finite: bool = True) -> dict[str, Any]:
    """The object that a document holds. `finite=False` takes what configs of models have: Infinity,

    and the 10^30 that tokenizers write for “no longest text”.
    """
    if len(data) > most_bytes:
        raise BadDocument(f"has more than {most_bytes:,} bytes")
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_no_constant if finite else None
        )
    except BadDocument:
        raise
    except UnicodeDecodeError as problem:
        raise BadDocument(f"is not UTF-8 at byte {problem.start}") from problem
    except RecursionError as problem:
        raise BadDocument("is nested too deeply") from problem
    except ValueError as problem:
        raise BadDocument(f"is not valid JSON: {str(problem)[:120]}") from problem
    if not isinstance(found, dict):
        raise BadDocument("holds something other than one object")
    for value, depth in _values(found):
        _check(value, depth, finite=finite)
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadDocument(f"has the key “{twice[:60]}” twice")
    return found


def _no_constant(name: str) -> Any:
    raise BadDocument(f"holds {name}, which is no number")


def _values(found: dict[str, Any]) -> Iterator[tuple[Any, int]]:
    """Every key and every value, with its depth."""
    waiting: list[tuple[Any, int]] = [(found, 1)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]


def _check(value: Any, depth: int, *, finite: bool) -> None:
    if depth > MOST_DEPTH:
        raise BadDocument("is nested too deeply")
    if isinstance(value, str) and not _is_text(value):
        raise BadDocument("holds a text with a NUL or half a character")
    if finite and isinstance(value, int) and abs(value) >= MOST_INTEGER:
        raise BadDocument("holds a number beyond 64 bits")
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise BadDocument("holds a number that is not finite")


def _is_text(value: str) -> bool:
    return "\x00" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
