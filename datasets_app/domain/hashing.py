"""Fingerprints of rows: what makes two rows, or two prompts, the same."""

import hashlib
import re
import unicodedata
from typing import Any

import orjson

from datasets_app.domain.formats.base import Message, Row

NO_PROMPT = 0  # rows without a prompt never match each other

# Signs that carry meaning in formulas and code: "2*3" and "2/3" are different questions.
MEANINGFUL = frozenset("-*/%\\#@&")


class _Folding(dict[int, int | str]):
    """A translation table that learns: punctuation, spaces and controls become a space, the rest stays."""

    def __missing__(self, codepoint: int) -> int | str:
        sign = chr(codepoint)
        dropped = unicodedata.category(sign)[0] in "PZC" and sign not in MEANINGFUL
        self[codepoint] = " " if dropped else codepoint
        return self[codepoint]


_FOLDING = _Folding()
_LONE_DASHES = re.compile(r"(?:^| )-+(?= |$)")


def canonical(row: Row) -> bytes:
    """The trained content of a row in one spelling; label, tags and id are about the row, not in it."""
    return orjson.dumps(
        [row.kind.value, row.messages, row.chosen, row.rejected, row.tools, row.text], option=orjson.OPT_SORT_KEYS
    )


def normalised(text: str) -> str:
    """Text without the differences that leave a question the same: width, case, spacing, punctuation."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_FOLDING).split())
    return _LONE_DASHES.sub("", folded).strip() if "-" in folded else folded


def prompt_texts(row: Row) -> list[str]:
    """What is asked, turn by turn. The system turn is left out: a leaked question leaks under any of them."""
    if row.text is not None:
        return [row.text]
    return [turn["role"] + "\n" + turn["content"] for turn in row.prompt_turns() if turn["role"] != "system"]


def prompt_hash(row: Row) -> int:
    return _of_texts(prompt_texts(row))


def prompt_norm_hash(row: Row) -> int:
    """Equal for prompts that differ in form only; prompts made of punctuation alone keep their exact hash."""
    folded = [normalised(text) for text in prompt_texts(row)]
    bare = {"", "user", "assistant", "tool"}
    return prompt_hash(row) if all(text in bare for text in folded) else _of_texts(folded)


def context_hash(row: Row) -> int:
    """Everything an answer depends on, tools and system turn included: two answers to one context conflict."""
    return to_int64(hashlib.sha256(orjson.dumps([row.prompt_turns(), row.tools], option=orjson.OPT_SORT_KEYS)).digest())


def answer_hash(row: Row) -> int:
    turns: list[Message] = row.answer_turns()
    parts: list[Any] = [[normalised(turn["content"]), turn.get("tool_calls")] for turn in turns]
    return to_int64(hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest())


def _of_texts(texts: list[str]) -> int:
    if not any(text.partition("\n")[2].strip() or "\n" not in text for text in texts):
        return NO_PROMPT
    return to_int64(hashlib.sha256("\x1e".join(texts).encode()).digest())


def to_int64(digest: bytes) -> int:
    """The first eight bytes of a digest as the signed number a Parquet int64 column holds."""
    return int.from_bytes(digest[:8], "big", signed=True)
