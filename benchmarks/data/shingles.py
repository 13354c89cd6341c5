"""The true likeness of two rows, counted exactly: what finders of near duplicates are measured against."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

GRAM = 3
_SOLO = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Runs of letters and digits; in scripts without spaces every sign by itself; and signs of operation between two words,
# with or without spaces around them, because "2*3" and "2/3" are different questions.
_TOKEN = re.compile(
    rf"[{_SOLO}]|[^\W_{_SOLO}]+"
    r"|(?<=[^\W_])[-*/%\\#@&+=<>^|~$](?=[^\W_])|(?<=[^\W_] )[*/%\\#@&+=<>^~$](?= [^\W_])"
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
