"""Two forms of a row side by side: which words went, which came."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
MOST_WORDS = 2_000  # beyond it the middle is shown as replaced: matching is quadratic
SAME, GONE, NEW = "same", "gone", "new"


@dataclass(frozen=True, slots=True)
class Piece:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One place of a row: a turn, a label. `where` names it for people."""

    where: str
    pieces: list[Piece]

    @property
    def changed(self) -> bool:
        return any(piece.kind != SAME for piece in self.pieces)


def words(before: str, after: str) -> list[Piece]:
    """The text as pieces that stayed, went and came, in reading order."""
    if before == after:
        return [Piece(SAME, before)] if before else []
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    pieces = [Piece(SAME, "".join(old[:head]))]
    if len(middle_old) > MOST_WORDS or len(middle_new) > MOST_WORDS:
        pieces += [Piece(GONE, "".join(middle_old)), Piece(NEW, "".join(middle_new))]
    else:
        pieces += _matched(middle_old, middle_new)
    pieces.append(Piece(SAME, "".join(old[len(old) - tail :])))
    return [piece for piece in pieces if piece.text]


def _shared(old: list[str], new: list[str]) -> int:
    n = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        n += 1
    return n


def _matched(old: list[str], new: list[str]) -> list[Piece]:
    pieces = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece(SAME, "".join(old[i1:i2])))
            continue
        pieces += [Piece(GONE, "".join(old[i1:i2])), Piece(NEW, "".join(new[j1:j2]))]
    return pieces


def rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Part]:
    """Every place of two stored rows, turn by turn; places that are equal come as they are."""
    parts = []
    for name, title in (("messages", ""), ("chosen", "chosen "), ("rejected", "rejected ")):
        parts += _turns(before.get(name) or [], after.get(name) or [], title)
    for name, title in (("text", "Text"), ("label", "Label"), ("tags", "Tags"), ("tools", "Tools")):
        old, new = _plain(before.get(name)), _plain(after.get(name))
        if old or new:
            parts.append(Part(title, words(old, new)))
    return [part for part in parts if part.pieces]


def _turns(old: list[Any], new: list[Any], title: str) -> list[Part]:
    """Turns in pairs by their place, counted from the end when one side has more in front (a system prompt)."""
    shift = len(new) - len(old)
    aligned_at_end = shift != 0 and bool(old) and bool(new) and _said(old[-1])[0] == _said(new[-1])[0]
    if aligned_at_end:
        pad: list[Any] = [None] * abs(shift)
        old, new = (pad + old, new) if shift > 0 else (old, pad + new)
    size = max(len(old), len(new))
    old, new = old + [None] * (size - len(old)), new + [None] * (size - len(new))
    parts = []
    for n, (a, b) in enumerate(zip(old, new, strict=True), 1):
        role, text = _said(a)
        new_role, new_text = _said(b)
        where = role if role == new_role or b is None else new_role if a is None else f"{role} → {new_role}"
        pieces = words(text, new_text)
        if a is not None and b is not None and role != new_role and text == new_text:
            pieces = [Piece(GONE, text), Piece(NEW, new_text)]
        parts.append(Part(f"{title}{where} {n}".strip(), pieces))
    return parts


def _said(turn: Mapping[str, Any] | None) -> tuple[str, str]:
    if turn is None:
        return "", ""
    calls = [f"{call['function']['name']}({call['function']['arguments']})" for call in turn.get("tool_calls") or []]
    weight = ["weight 0"] if turn.get("weight") == 0 else []
    spoken = [turn.get(name) or "" for name in ("thinking", "reasoning_content", "content")]
    return turn["role"], "\n".join([text for text in spoken if text] + calls + weight)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
