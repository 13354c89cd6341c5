"""Where an answer differs from the expected one, in pieces a page can mark: fields of JSON, words of text."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from evaluation.domain import answers

MOST_WORDS = 600  # comparing longer texts word by word is slow and nobody reads the marks
_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass(frozen=True)
class Piece:
    """`kind` is same, changed (a field with another value), extra (not expected) or missing."""

    kind: str
    text: str


def expected_in_lines(expected: str) -> str:
    """The expected answer laid out as the marked answers beside it are: JSON fields one a line."""
    wanted = answers.parsed(expected)
    return "".join(_line(*field) for field in wanted.items()) if isinstance(wanted, dict) and wanted else expected


def marked(expected: str, answer: str) -> list[Piece]:
    """The answer in pieces, with what is missing from it shown where it should stand."""
    wanted, got = answers.parsed(expected), answers.parsed(answer)
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted:
        return list(_fields(wanted, got))
    if isinstance(wanted, dict | list) and got is answers.NOT_JSON and answer:
        return [Piece("extra", answer)]  # prose where JSON belongs: there is nothing to compare word by word
    return _words(expected, answer)


def _fields(wanted: dict[str, Any], got: dict[str, Any]) -> Iterator[Piece]:
    """One piece a line: the expected fields in their order, then the invented ones."""
    for name, value in wanted.items():
        if name not in got:
            yield Piece("missing", _line(name, value))
        else:
            yield Piece("same" if answers.same_json(value, got[name]) else "changed", _line(name, got[name]))
    yield from (Piece("extra", _line(name, value)) for name, value in got.items() if name not in wanted)


def _line(name: str, value: Any) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}\n"


def _words(expected: str, answer: str) -> list[Piece]:
    wanted, got = _WORD.findall(expected), _WORD.findall(answer)
    if answers.normalised(expected) == answers.normalised(answer):
        return [Piece("same", answer)]
    if len(wanted) > MOST_WORDS or len(got) > MOST_WORDS or not answer.strip():
        return [Piece("extra", answer)] if answer else []
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes():
        if tag in ("delete", "replace"):
            pieces.append(Piece("missing", "".join(wanted[i1:i2])))
        if tag != "delete":
            pieces.append(Piece("same" if tag == "equal" else "extra", "".join(got[j1:j2])))
    return pieces
