"""Where in a text a finding is: places with what they are, what may be shown of them, and an excerpt around them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from datasets_app.domain import characters, sensitive
from datasets_app.domain.findings import Found

AROUND = 120  # characters shown on either side of a place
UNMARKED = 280
MOST_PLACES = 12
TAIL = 60
Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """`shown` stands for the text between start and end; None shows the text itself."""

    start: int  # in characters
    end: int
    label: str
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    label: str = ""  # of a marked place; empty for what stands around it


def places(code: str, text: str, detail: Detail, *, answer: bool) -> list[Place]:
    """The places of a finding in one turn; `answer` says that the turn is the one the model learns last."""
    finder = FINDERS.get(code)
    return finder(text, detail, answer)[:MOST_PLACES] if finder and text else []


def pieces(text: str, found: list[Place]) -> list[Piece]:
    """The text around the places, with what stands far from any of them left out."""
    if not found:
        return [Piece(text[:UNMARKED] + ("…" if len(text) > UNMARKED else ""))]
    out: list[Piece] = []
    at = 0
    for place in sorted(found, key=lambda p: p.start):
        if place.start < at:
            continue
        out.append(Piece(_between(text, at, place.start, first=not out)))
        out.append(Piece(place.shown if place.shown is not None else text[place.start : place.end], place.label))
        at = place.end
    tail = text[at : at + AROUND] + ("…" if len(text) > at + AROUND else "")
    return [piece for piece in [*out, Piece(tail)] if piece.text]


def _between(text: str, start: int, end: int, *, first: bool) -> str:
    if end - start <= 2 * AROUND:
        return text[start:end]
    before = "" if first else text[start : start + AROUND]
    return f"{before} … {text[end - AROUND : end]}" if before else "…" + text[end - AROUND : end]


def _hits(group: str) -> Callable[[str, Detail, bool], list[Place]]:
    def find(text: str, detail: Detail, answer: bool) -> list[Place]:
        found = [hit for hit in sensitive.find(text) if hit.group == group]
        return [Place(h.start, h.end, sensitive.kind_name(h.kind), h.preview) for h in found]

    return find


def _signs(group: str) -> Callable[[str, Detail, bool], list[Place]]:
    def find(text: str, detail: Detail, answer: bool) -> list[Place]:
        found = [sign for sign in characters.find(text) if sign.group == group]
        if group == characters.DAMAGE:
            return [Place(s.start, s.end, s.kind) for s in found]
        return [Place(s.start, s.end, s.kind, f"U+{ord(text[s.start]):04X}") for s in found]

    return find


def _phrases(text: str, detail: Detail, answer: bool) -> list[Place]:
    """Phrases are found word by word by the kernel; here by their words with anything but letters between them."""
    found = []
    for entry in detail.get("phrases", []):
        phrase = str(entry["phrase"] if isinstance(entry, Mapping) else entry)
        words = [re.escape(word) for word in phrase.split()]
        for match in re.finditer(r"\W+".join(words), text, re.IGNORECASE):
            found.append(Place(match.start(), match.end(), "phrase"))
    return found


def _end(text: str, detail: Detail, answer: bool) -> list[Place]:
    end = len(text.rstrip())
    return [Place(max(0, end - TAIL), end, "ends here")] if answer and end else []


def _whole(text: str, detail: Detail, answer: bool) -> list[Place]:
    return [Place(0, len(text), "placeholder")] if answer and len(text) <= UNMARKED else []


FINDERS: dict[str, Callable[[str, Detail, bool], list[Place]]] = {
    Found.SECRETS: _hits(sensitive.SECRET),
    Found.PERSONAL_DATA: _hits(sensitive.PERSONAL),
    Found.IP_ADDRESSES: _hits(sensitive.ADDRESS),
    Found.HIDDEN_UNICODE: _signs(characters.HIDDEN),
    Found.BIDI_CONTROLS: _signs(characters.BIDI),
    Found.ENCODING_DAMAGE: _signs(characters.DAMAGE),
    Found.PROMPT_INJECTION: _phrases,
    Found.TRIGGER_CANDIDATES: _phrases,
    Found.CUT_ANSWERS: _end,
    Found.PLACEHOLDER_ANSWERS: _whole,
}
