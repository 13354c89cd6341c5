"""One look at one row: the facts from which the findings of a whole set are made."""

import re
from dataclasses import dataclass, field
from enum import IntFlag
from itertools import pairwise
from typing import Any

import orjson

from datasets_app.domain import sensitive
from datasets_app.domain.endings import Ending, ending
from datasets_app.domain.formats.base import Message, Row
from datasets_app.domain.purposes import Kind


class Trait(IntFlag):
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
    SECRET = 1024
    PERSONAL = 2048
    DAMAGED = 4096
    SAME_PAIR = 8192
    UNTRAINED = 16384
    HAS_ANSWER = 32768
    NEGATIVE = 1 << 16  # says that it does not know, declines, asks back, or hands over to a person
    SHORT_PROMPT = 1 << 17
    ODD_PROMPT = 1 << 18  # without a letter
    JSON_LIKE = 1 << 19  # begins as JSON: a parser decides
    MAYBE_STOPS = 1 << 20  # long, and ends in a letter: domain.endings decides


PLACEHOLDERS = frozenset({"todo", "tbd", "undefined", "nan", "[object object]", "lorem ipsum", "<answer>", "[answer]"})
# UTF-8 read as Latin-1 or Windows-1252, and the replacement character.
DAMAGE = re.compile("\ufffd|Ã[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[™œ\u009d“”¦˜\u0098\u0099]")
LONG_ANSWER = 40


@dataclass(slots=True)
class Look:
    traits: Trait
    prompt_chars: int
    answer_chars: int
    turns: int
    answer: str
    json_answer: Any = None
    hits: list[sensitive.Hit] = field(default_factory=list)


def look(row: Row) -> Look:
    if row.kind == Kind.TEXT:
        return _text(row)
    answers = row.answer_turns()
    answer = "\n".join(turn["content"] for turn in answers if turn["role"] == "assistant")
    seen = Look(
        Trait(0),
        prompt_chars=sum(len(turn["content"]) for turn in row.prompt_turns()),
        answer_chars=len(answer),
        turns=sum(turn["role"] != "system" for turn in row.messages + (row.chosen or [])),
        answer=answer,
    )
    seen.traits |= _answer(answer, answers, seen) | _order(row.messages + (row.chosen or [])) | _training(row)
    for part in _texts(row):
        seen.traits |= _content(part, seen)
    return seen


def _text(row: Row) -> Look:
    text = row.text or ""
    seen = Look(Trait(0), 0, len(text), 1, text)
    seen.traits |= _content(text, seen)
    if not text.strip():
        seen.traits |= Trait.EMPTY_ANSWER
    return seen


def _texts(row: Row) -> list[str]:
    return [turn["content"] for turn in row.messages + (row.chosen or []) + (row.rejected or [])]


def _answer(answer: str, turns: list[Message], seen: Look) -> Trait:
    stripped = answer.strip()
    if not stripped:
        calls = any(turn.get("tool_calls") for turn in turns)
        return Trait(0) if calls else Trait.EMPTY_ANSWER
    traits = Trait.HAS_ANSWER
    if stripped.casefold() in PLACEHOLDERS:
        traits |= Trait.PLACEHOLDER
    if stripped[0] in "{[" and stripped[-1] in "}]":
        traits |= _json(stripped, seen)
    if not traits & Trait.JSON:
        traits |= (Trait(0), Trait.STOPS, Trait.CUT)[ending(stripped) - Ending.WHOLE]
    if len(stripped) >= LONG_ANSWER:
        traits |= Trait.LONG_ANSWER
    return traits


def _json(text: str, seen: Look) -> Trait:
    try:
        seen.json_answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Trait(0)
    return Trait.JSON


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


def _content(text: str, seen: Look) -> Trait:
    traits = Trait(0)
    for hit in sensitive.find(text):
        seen.hits.append(hit)
        traits |= Trait.SECRET if hit.group == sensitive.SECRET else Trait.PERSONAL
    if DAMAGE.search(text):
        traits |= Trait.DAMAGED
    return traits
