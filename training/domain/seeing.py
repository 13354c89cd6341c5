"""A row as the model will see it, in stretches: context or trained, kept or cut away, every sign visible."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_SHOWN = 3000  # tokens of a sequence, until somebody asks for all
SIGNS = {"\n": "↵\n", "\t": "⇥\t", "\r": "␍", "\u00a0": "⍽"}


@dataclass(frozen=True, slots=True)
class Token:
    number: int
    id: int
    text: str  # with its blanks and hidden signs made visible
    special: bool
    trained: bool
    cut: bool

    @property
    def odd(self) -> bool:
        """Neighbours are tinted in turn, so that boundaries show."""
        return bool(self.number % 2)


@dataclass(slots=True)
class Stretch:
    """Neighbouring tokens of one kind: `first` and `last` are their numbers, from 0."""

    trained: bool
    cut: bool
    first: int
    tokens: list[Token] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.first + len(self.tokens) - 1

    @property
    def word(self) -> str:
        if self.cut:
            return "Cut away, would be trained" if self.trained else "Cut away"
        return "Trained" if self.trained else "Context"

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


@dataclass(slots=True)
class Shown:
    """One sequence of a row under a limit."""

    name: str
    total: int
    trained: int
    kept_trained: int
    limit: int
    stretches: list[Stretch]
    left_out: int  # tokens that are not shown
    more: int  # of them, tokens that can be shown when asked for

    @property
    def cut(self) -> int:
        return max(0, self.total - self.limit)

    @property
    def verdict(self) -> tuple[str, str]:
        """Tone and sentence."""
        if not self.trained:
            return "failed", "Nothing of this row is trained."
        if not self.kept_trained:
            return "failed", "The whole answer is cut away: nothing is left to train."
        if self.kept_trained < self.trained:
            return "attention", "The end of the answer is cut away: the model would learn to stop there."
        if self.cut:
            return "running", "The row is cut, but only behind its answers."
        return "succeeded", "All of it fits."


def sequence(raw: Mapping[str, Any], limit: int, *, whole: bool = False) -> Shown:
    """What is shown of a sequence that the engine has looked at."""
    stored = len(raw["ids"])
    shown = stored if whole else min(stored, MOST_SHOWN)
    spans = raw["trained"]
    return Shown(
        name=raw["name"],
        total=raw["tokens"],
        trained=sum(high - low for low, high in spans),
        kept_trained=sum(max(0, min(high, limit) - low) for low, high in spans),
        limit=limit,
        stretches=_stretches(raw, limit, shown),
        left_out=raw["tokens"] - shown,
        more=stored - shown,
    )


def _stretches(raw: Mapping[str, Any], limit: int, shown: int) -> list[Stretch]:
    special = set(raw["special"])
    found: list[Stretch] = []
    trained = _mask(raw["trained"], shown)
    for number in range(shown):
        cut = number >= limit
        if not found or (found[-1].trained, found[-1].cut) != (trained[number], cut):
            found.append(Stretch(trained[number], cut, number))
        text = visible(raw["texts"][number])
        found[-1].tokens.append(Token(number, raw["ids"][number], text, number in special, trained[number], cut))
    return found


def _mask(spans: Sequence[Sequence[int]], length: int) -> list[bool]:
    mask = [False] * length
    for low, high in spans:
        mask[low:high] = [True] * (min(high, length) - min(low, length))
    return mask


def visible(text: str) -> str:
    """Blanks and signs that take no room, made visible."""
    return "".join(_sign(char) for char in text)


def _sign(char: str) -> str:
    if char == " ":
        return "·"
    if char in SIGNS:
        return SIGNS[char]
    if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn"}:
        return f"⟨U+{ord(char):04X}⟩"
    return char
