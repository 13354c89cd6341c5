"""ShareGPT turns ({from, value}) as messages, function calls and observations included."""

from collections.abc import Mapping
from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Message, tried
from datasets_app.domain.formats.messages import HOLE, from_json, read_message, tool_call

# What a turn carries besides its text; our own export writes these, and others read past them.
KEPT = ("weight", "name", "tool_call_id", "thinking", "reasoning_content", "tool_calls")
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "system": "system",
    "observation": "tool",
    "tool": "tool",
    "function_call": "assistant",
}


def read_turns(value: Any, field: str) -> list[Message]:
    if not isinstance(value, list):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a list of turns {from, value}")
    if not value:
        raise BadRecord(field, Code.EMPTY_LIST, "an empty list", "at least one turn")
    return [tried(_turn, turn, f"{field}[{n}]", default=HOLE) for n, turn in enumerate(value)]


def _turn(turn: Any, field: str) -> Message:
    if not isinstance(turn, Mapping):
        raise BadRecord(field, Code.WRONG_TYPE, turn, "an object with from and value")
    if "from" not in turn and "role" in turn:
        return read_message(turn, field)  # files that mix both spellings are common
    speaker = turn.get("from")
    if not isinstance(speaker, str) or speaker not in ROLES:
        code = Code.MISSING_FIELD if speaker is None else Code.UNKNOWN_ROLE
        raise BadRecord(f"{field}.from", code, speaker, "one of human, gpt, system, observation, function_call")
    text = turn.get("value")
    if not isinstance(text, str):
        raise BadRecord(f"{field}.value", Code.WRONG_TYPE if text is not None else Code.MISSING_FIELD, text, "a text")
    if speaker == "function_call":
        return _calls(text, f"{field}.value")
    message: Message = {"role": ROLES[speaker], "content": text}
    kept = {key: turn[key] for key in KEPT if turn.get(key) is not None}
    return read_message({**message, **kept}, field) if kept else message


def _calls(text: str, field: str) -> Message:
    """A function_call turn holds one call, or a list of them, as JSON text."""
    calls = from_json(text, field, Code.TOOL_CALL_INVALID, "a JSON object with name and arguments")
    if not isinstance(calls, list):
        calls = [calls]
    return {"role": "assistant", "content": "", "tool_calls": [tool_call(c, field) for c in calls]}
