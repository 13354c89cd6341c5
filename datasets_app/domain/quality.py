"""One look at one row: the traits that findings are made of, as the reference for native/look.c."""

from dataclasses import dataclass
from enum import IntFlag
from itertools import pairwise

import orjson

from datasets_app.domain.endings import Ending, ending
from datasets_app.domain.formats.base import Message, Row
from datasets_app.domain.purposes import Kind


class Trait(IntFlag):
    """The bits are shared with look.c."""

    EMPTY_ANSWER = 1
    PLACEHOLDER = 2
    CUT = 4
    STOPS = 8
    LONG_ANSWER = 16
    JSON = 32
    NON_ALTERNATING = 64
    SYSTEM_NOT_FIRST = 128
    NO_USER = 256
    EMPTY_TURN = 512
    SAME_PAIR = 8192
    UNTRAINED = 16384
    HAS_ANSWER = 32768
    NEGATIVE = 1 << 16  # says that it does not know, declines, asks back, or hands over to a person
    SHORT_PROMPT = 1 << 17
    ODD_PROMPT = 1 << 18  # without a letter
    JSON_LIKE = 1 << 19  # begins as JSON: a parser decides
    MAYBE_STOPS = 1 << 20  # long, and ends in a letter: domain.endings decides


# What `look` decides; the rest is for the kernel and its callers only.
DECIDED = Trait((1 << 16) - 1)
PLACEHOLDERS = frozenset(
    {
        "todo", "tbd", "tba", "fixme", "undefined", "nan", "[object object]", "lorem ipsum", "<answer>", "[answer]",
        "placeholder", "<insert answer here>", "[insert answer here]", "insert answer here", "your answer here",
        "[your answer here]", "answer goes here",
    }
)  # fmt: skip
LOREM = "Lorem ipsum dolor"
LONG_ANSWER = 40


@dataclass(slots=True)
class Look:
    traits: Trait
    prompt_chars: int
    answer_chars: int
    turns: int


def look(row: Row) -> Look:
    if row.kind == Kind.TEXT:
        text = row.text or ""
        return Look(Trait(0) if text.strip() else Trait.EMPTY_ANSWER, 0, len(text), 1)
    spoken = row.messages + (row.chosen or [])
    answers = [turn for turn in row.answer_turns() if turn["role"] == "assistant"]
    answer = "\n".join(turn["content"] for turn in answers)
    return Look(
        _answer(answer, answers) | _order(spoken) | _training(row),
        prompt_chars=sum(len(turn["content"]) for turn in row.prompt_turns()),
        answer_chars=len(answer),
        turns=sum(turn["role"] != "system" for turn in spoken),
    )


def _answer(answer: str, turns: list[Message]) -> Trait:
    stripped = answer.strip()
    if not stripped:
        calls = any(turn.get("tool_calls") for turn in turns)
        return Trait(0) if calls else Trait.EMPTY_ANSWER
    traits = Trait.HAS_ANSWER
    if stripped.lower() in PLACEHOLDERS or stripped.startswith(LOREM):
        traits |= Trait.PLACEHOLDER
    if _is_json(stripped):
        traits |= Trait.JSON
    else:
        traits |= (Trait(0), Trait.STOPS, Trait.CUT)[ending(stripped) - Ending.WHOLE]
    if len(stripped) >= LONG_ANSWER:
        traits |= Trait.LONG_ANSWER
    return traits


def _is_json(text: str) -> bool:
    if text[0] not in "{[" or text[-1] not in "}]":
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _order(messages: list[Message]) -> Trait:
    roles = [turn["role"] for turn in messages]
    spoken = [role for role in roles if role != "system"]
    traits = Trait(0)
    if "system" in roles[1:]:
        traits |= Trait.SYSTEM_NOT_FIRST
    if "user" not in spoken:
        traits |= Trait.NO_USER
    # Several tool results may follow one another, and an assistant may go on after calling a tool.
    if any(a == b != "tool" for a, b in pairwise(spoken)) or spoken[:1] == ["assistant"]:
        traits |= Trait.NON_ALTERNATING
    if any(not turn["content"].strip() and not turn.get("tool_calls") for turn in messages[:-1]):
        traits |= Trait.EMPTY_TURN
    return traits


def _training(row: Row) -> Trait:
    weights = [turn.get("weight", 1) for turn in row.messages if turn["role"] == "assistant"]
    if row.kind == Kind.SFT and not any(weights):
        return Trait.UNTRAINED
    same = row.kind == Kind.PREFERENCE and row.chosen == row.rejected
    return Trait.SAME_PAIR if same else Trait(0)
