"""The internal form of a row, and the error that names what is wrong with a record."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from datasets_app.domain.codes import Code
from datasets_app.domain.purposes import Kind

Record = Mapping[str, Any]
Message = dict[str, Any]
T = TypeVar("T")

SHOWN = 160  # characters of a value that are quoted back to a person


class Format(StrEnum):
    OPENAI_CHAT = "openai_chat"
    PROMPT_COMPLETION = "prompt_completion"
    PREFERENCE = "preference"
    OPENAI_PREFERENCE = "openai_preference"
    ALPACA = "alpaca"
    SHAREGPT = "sharegpt"
    QUESTION_ANSWER = "question_answer"
    TEXT = "text"
    INPUT_OUTPUT = "input_output"
    RANKED = "ranked_answers"
    KTO_PAIRS = "kto_pairs"
    KTO_GOOD = "kto_good"
    CHAINED = "chained"


FORMAT_LABELS: dict[Format, tuple[str, str]] = {
    Format.OPENAI_CHAT: ("Chat messages", "messages: [{role, content}], optional tools, weight (OpenAI, TRL)"),
    Format.PROMPT_COMPLETION: ("Prompt and completion", "prompt, completion: texts or lists of messages (TRL)"),
    Format.PREFERENCE: (
        "Preference pairs",
        "chosen and rejected, or chosen_response, rejected_text …; mostly a prompt (TRL, Argilla, AutoTrain)",
    ),
    Format.OPENAI_PREFERENCE: ("Preference pairs, OpenAI", "input.messages, preferred_output, non_preferred_output"),
    Format.ALPACA: ("Alpaca", "instruction, input, output, optional system and history"),
    Format.SHAREGPT: ("ShareGPT", "conversations: [{from, value}], optional system and tools"),
    Format.QUESTION_ANSWER: (
        "Question and answer",
        "input, question or prompt with expected, ideal, answer or response",
    ),
    Format.TEXT: ("Plain text", "text: one document a row"),
    Format.INPUT_OUTPUT: ("Segments", "segments: [{label, text}], trained where label is true (Axolotl input_output)"),
    Format.RANKED: ("Ranked answers", "prompt, answers: [{answer, rank}]; the best against the second (Nectar)"),
    Format.KTO_PAIRS: ("Judged answers, as pairs", "label true and false to the same prompt become a pair (KTO)"),
    Format.KTO_GOOD: ("Judged answers, good ones only", "rows with label true become examples (KTO)"),
    Format.CHAINED: ("Chained rows", "id, parent_id, prompt, answer: rows linked into conversations (H2O)"),
}


class BadRecord(ValueError):
    """One record that cannot be used: the field (JSON path), a stable code, what was found and expected."""

    column: int | None = None  # in characters from 1, where the parser knows it

    def __init__(self, field: str, code: Code, found: object, expected: str) -> None:
        self.field = field
        self.code = code
        self.found = found if isinstance(found, str) else shown(found)
        self.expected = expected
        super().__init__(f"{field}: {code.value}: found {self.found}, expected {expected}")


class _Collecting(threading.local):
    """While it is a list, faults are gathered there instead of ending the row at the first."""

    faults: list[BadRecord] | None = None


collecting = _Collecting()


def tried(read: Callable[..., T], *args: Any, default: Any = None) -> T:
    """`read(*args)`; while faults are gathered, its fault is noted and `default` stands in its place."""
    if collecting.faults is None:
        return read(*args)
    try:
        return read(*args)
    except BadRecord as bad:
        collecting.faults.append(bad)
        return default


@dataclass(slots=True)
class Row:
    """One example as every later stage knows it, whatever format it came in."""

    kind: Kind
    messages: list[Message]
    chosen: list[Message] | None = None
    rejected: list[Message] | None = None
    tools: list[Any] | None = None
    text: str | None = None
    label: str | None = None
    tags: list[str] | None = None
    source_id: str | None = None
    extras: dict[str, Any] | None = None  # chat_template_kwargs, parallel_tool_calls: kept, given back on export
    provenance: dict[str, Any] | None = None  # origin, teacher, licence, depth, contributor, edited_by, edited_at

    def answer_turns(self) -> list[Message]:
        """The turns a trainer learns from last: the final assistant turn, or the chosen answer of a pair."""
        return (self.chosen or []) if self.kind == Kind.PREFERENCE else self.messages[-1:]

    def prompt_turns(self) -> list[Message]:
        """What the model is given before that answer."""
        return self.messages if self.kind == Kind.PREFERENCE else self.messages[:-1]


def shown(value: object) -> str:
    """A value as people see it in an error list: its kind, or its text cut short."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"“{value[:SHOWN]}…”" if len(value) > SHOWN else f"“{value}”"
    if isinstance(value, bool | int | float):
        return f"{type(value).__name__} {str(value)[:SHOWN]}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "an object with " + (", ".join(list(map(str, value))[:8])[:SHOWN] or "no fields")
    return type(value).__name__


def need(record: Record, field: str, expected: str) -> Any:
    """The value of a field that this format cannot do without."""
    value = record.get(field)
    if value is None:
        found = "fields " + ", ".join(list(map(str, record))[:12])[:SHOWN] if record else "an empty object"
        raise BadRecord(field, Code.MISSING_FIELD, found, expected)
    return value


def need_text(record: Record, field: str) -> str:
    value = need(record, field, "a text")
    if not isinstance(value, str):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a text")
    return value


def optional_text(record: Record, field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a text or nothing")
    return value
