"""The true likeness of two rows, counted exactly: what finders of near duplicates are measured against."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

GRAM = 3
# Scripts without spaces: one token a sign. Everything else: runs of letters, digits and marks.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)


def text_of(messages: Iterable[Mapping[str, Any]]) -> str:
    """What is compared: every turn but the system's."""
    return "\n".join(turn["content"] for turn in messages if turn["role"] != "system")


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def shingles(text: str) -> set[tuple[str, ...]]:
    """Word 3-grams; of a text with fewer words, the whole of it."""
    words = tokens(text)
    if len(words) < GRAM:
        return {tuple(words)}
    return set(zip(words, words[1:], words[2:], strict=False))


def jaccard(one: str, other: str) -> float:
    """Shared 3-grams by all 3-grams; 1.0 for texts that differ in case, spacing and punctuation only."""
    a, b = shingles(one), shingles(other)
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)
