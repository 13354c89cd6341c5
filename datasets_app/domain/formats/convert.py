"""From a record in any accepted format to a row: one small reader per format."""

from collections.abc import Callable
from typing import Any

import orjson

from datasets_app.domain import provenance
from datasets_app.domain.codes import Code
from datasets_app.domain.formats import examples, judged, pairs
from datasets_app.domain.formats.base import BadRecord, Format, Record, Row, collecting, tried
from datasets_app.domain.formats.examples import ANSWERS, QUESTIONS
from datasets_app.domain.formats.messages import read_tools

__all__ = ["ANSWERS", "FIELDS", "QUESTIONS", "READERS", "convert", "convert_all", "ignored_fields"]

# Kept beside the turns and given back on export.
EXTRAS = ("chat_template_kwargs", "parallel_tool_calls")
PROVENANCE = ("provenance", "_provenance", *sorted(provenance.AT_THE_TOP))
TAG_FIELDS = ("label", "category", "tags", "id", "tools", *EXTRAS, *PROVENANCE)
JUDGED = (Format.KTO_PAIRS, Format.KTO_GOOD)


def convert(record: Record, fmt: Format) -> Row:
    """The row this record holds under the format; raises BadRecord naming the first field that does not fit."""
    row = READERS[fmt](record)
    label = record.get("label", record.get("category"))
    row.label = tried(_scalar, None if fmt in JUDGED and isinstance(label, bool) else label, "label")
    row.source_id = tried(_scalar, record.get("id"), "id")
    row.tags = tried(_tags, record.get("tags"))
    if row.tools is None:
        row.tools = tried(read_tools, record.get("tools"))
    said = record.get("provenance")
    row.provenance = provenance.read({**record, "provenance": _unpacked(said)} if isinstance(said, str) else record)
    for name in EXTRAS:
        value = _unpacked(record.get(name))
        if value is not None:
            row.extras = {**(row.extras or {}), name: value}
    return row


def convert_all(record: Record, fmt: Format) -> Row | list[BadRecord]:
    """The row, or every independent fault of the record in the order of its fields; the first is that of `convert`."""
    faults: list[BadRecord] = []
    collecting.faults = faults
    try:
        row = tried(convert, record, fmt)
    finally:
        collecting.faults = None
    return faults or row


def _unpacked(value: Any) -> Any:
    """Tables hold what is nested as JSON text."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "t", "f"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _scalar(value: Any, field: str) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | bool | int | float):
        return str(value)
    raise BadRecord(field, Code.WRONG_TYPE, value, "a text or a number")


def _tags(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return [tag.strip() for tag in value.split(",") if tag.strip()] or None
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise BadRecord("tags", Code.WRONG_TYPE, value, "a list of texts")
    return value


READERS: dict[Format, Callable[[Record], Row]] = {
    Format.OPENAI_CHAT: examples.chat,
    Format.PROMPT_COMPLETION: examples.prompt_completion,
    Format.PREFERENCE: pairs.preference,
    Format.OPENAI_PREFERENCE: pairs.openai_preference,
    Format.ALPACA: examples.alpaca,
    Format.SHAREGPT: examples.share_gpt,
    Format.QUESTION_ANSWER: examples.question_answer,
    Format.TEXT: examples.text,
    Format.INPUT_OUTPUT: examples.input_output,
    Format.RANKED: pairs.ranked,
    Format.KTO_PAIRS: judged.paired,
    Format.KTO_GOOD: judged.good,
    Format.CHAINED: examples.question_answer,
}

_JUDGED = frozenset(
    {"prompt", "completion", "kto_tag", "conversations", "messages", "instruction", "input", "output", "system"}
)
# Fields each format reads; what a file holds besides is counted and shown, never dropped without a word.
FIELDS: dict[Format, frozenset[str]] = {
    Format.OPENAI_CHAT: frozenset({"messages"}),
    Format.PROMPT_COMPLETION: frozenset({"prompt", "completion", "system"}),
    Format.PREFERENCE: frozenset({*pairs.PROMPT_NAMES, *sum(pairs.ANSWER_NAMES, ()), "system"}),
    Format.OPENAI_PREFERENCE: frozenset({"input", "preferred_output", "non_preferred_output"}),
    Format.ALPACA: frozenset({"instruction", "input", "output", "system", "history", "chosen", "rejected"}),
    Format.SHAREGPT: frozenset({"conversations", "messages", "system", "chosen", "rejected"}),
    Format.QUESTION_ANSWER: frozenset({*QUESTIONS, *ANSWERS, "system"}),
    Format.TEXT: frozenset({"text"}),
    Format.INPUT_OUTPUT: frozenset({"segments"}),
    Format.RANKED: frozenset({"prompt", "answers"}),
    Format.KTO_PAIRS: _JUDGED | {"chosen", "rejected"},
    Format.KTO_GOOD: _JUDGED,
    Format.CHAINED: frozenset({*QUESTIONS, *ANSWERS, "instruction", "output", "system", "parent_id", "messages"}),
}


def ignored_fields(record: Record, fmt: Format) -> list[str]:
    return [str(name) for name in record if name not in FIELDS[fmt] and name not in TAG_FIELDS]
