"""Turns of a conversation: roles, text, weights and tool calls, checked and brought into one form."""

from collections.abc import Mapping
from typing import Any

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Message, tried

ROLES = ("system", "user", "assistant", "tool")
# Newer OpenAI models call the system turn "developer"; chat templates know it as "system".
ALIASES = {"developer": "system", "function": "tool"}
UNKNOWN = "?"  # stands for a role that could not be read while all faults of a row are gathered
HOLE: Message = {"role": UNKNOWN, "content": ""}
KEPT = ("name", "tool_call_id", "thinking", "reasoning_content")


def read_messages(value: Any, field: str) -> list[Message]:
    if not isinstance(value, list):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a list of messages")
    if not value:
        raise BadRecord(field, Code.EMPTY_LIST, "an empty list", "at least one message")
    return [tried(read_message, turn, f"{field}[{n}]", default=HOLE) for n, turn in enumerate(value)]


def read_message(turn: Any, field: str) -> Message:
    if not isinstance(turn, Mapping):
        raise BadRecord(field, Code.WRONG_TYPE, turn, "an object with role and content")
    message: Message = {"role": tried(_role, turn, field, default=UNKNOWN)}
    calls: list[dict[str, Any]] | None = tried(_tool_calls, turn, field)
    message["content"] = tried(_content, turn, field, calls is None or bool(calls), default="")
    for key in KEPT:
        if turn.get(key) is not None:
            message[key] = tried(_string, turn[key], f"{field}.{key}")
    if calls:
        message["tool_calls"] = calls
    weight = turn.get("weight")
    if weight is not None:
        message["weight"] = tried(_weight, weight, message["role"], field)
    return message


def must_end_with_assistant(messages: list[Message], field: str) -> None:
    if messages[-1]["role"] in ("assistant", UNKNOWN):
        return
    if not any(m["role"] in ("assistant", UNKNOWN) for m in messages):
        raise BadRecord(
            field,
            Code.NO_ASSISTANT_TURN,
            f"only turns of {', '.join(sorted({m['role'] for m in messages}))}",
            "an assistant turn",
        )
    last = messages[-1]["role"]
    raise BadRecord(f"{field}[{len(messages) - 1}].role", Code.LAST_TURN_NOT_ASSISTANT, f"“{last}”", "“assistant”")


def _role(turn: Mapping[str, Any], field: str) -> str:
    role = turn.get("role")
    if role is None:
        found = "fields " + ", ".join(map(str, turn))[:120] if turn else "an empty object"
        raise BadRecord(f"{field}.role", Code.MISSING_FIELD, found, "one of " + ", ".join(ROLES))
    known = ALIASES.get(role, role) if isinstance(role, str) else None
    if known not in ROLES:
        raise BadRecord(f"{field}.role", Code.UNKNOWN_ROLE, role, "one of " + ", ".join(ROLES))
    return known


def _content(turn: Mapping[str, Any], field: str, may_be_empty: bool) -> str:
    content = turn.get("content")
    if isinstance(content, str):
        return content
    if content is None and may_be_empty:
        return ""
    if content is None:
        raise BadRecord(f"{field}.content", Code.MISSING_FIELD, "nothing", "a text")
    if isinstance(content, list):
        return "".join(_part(part, f"{field}.content[{n}]") for n, part in enumerate(content))
    raise BadRecord(f"{field}.content", Code.WRONG_TYPE, content, "a text")


def _part(part: Any, field: str) -> str:
    """One part of a multi-part content; only text can be trained on."""
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return part["text"]
    found = part.get("type") if isinstance(part, Mapping) and part.get("type") != "text" else part
    raise BadRecord(field, Code.CONTENT_NOT_TEXT, found, "a part of type text")


def _string(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a text")
    return value


def _weight(weight: Any, role: str, field: str) -> int:
    # Parquet and CSV bring 1.0 or "1" where JSON brings 1.
    as_number = float(weight) if weight in ("0", "1") else weight
    if isinstance(as_number, bool) or as_number not in (0, 1):
        raise BadRecord(f"{field}.weight", Code.WEIGHT_INVALID, weight, "0 or 1")
    if role not in ("assistant", UNKNOWN):
        raise BadRecord(
            f"{field}.weight", Code.WEIGHT_INVALID, f"a weight on a {role} turn", "weights on assistant turns only"
        )
    return int(as_number)


def _tool_calls(turn: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    calls = turn.get("tool_calls")
    if calls is None and turn.get("function_call") is not None:
        calls = [turn["function_call"]]
    if calls is None:
        return []
    if isinstance(calls, str):
        calls = from_json(calls, f"{field}.tool_calls", Code.TOOL_CALL_INVALID, "a JSON list of calls")
    if not isinstance(calls, list):
        raise BadRecord(f"{field}.tool_calls", Code.TOOL_CALL_INVALID, calls, "a list of calls")
    return [tool_call(call, f"{field}.tool_calls[{n}]") for n, call in enumerate(calls)]


def tool_call(call: Any, field: str) -> dict[str, Any]:
    """A call as TRL and chat templates read it, with arguments as an object."""
    body = call.get("function", call) if isinstance(call, Mapping) else None
    name = body.get("name") if isinstance(body, Mapping) else None
    if not isinstance(name, str) or not name or not isinstance(body, Mapping):
        raise BadRecord(field, Code.TOOL_CALL_INVALID, call, "a call with function.name")
    arguments = body.get("arguments")
    if isinstance(arguments, str):
        arguments = from_json(arguments or "{}", f"{field}.function.arguments", Code.TOOL_CALL_INVALID, "a JSON object")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        raise BadRecord(f"{field}.function.arguments", Code.TOOL_CALL_INVALID, arguments, "a JSON object")
    read: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": dict(arguments)}}
    if isinstance(call, Mapping) and isinstance(call.get("id"), str):
        read["id"] = call["id"]
    return read


def read_tools(value: Any, field: str = "tools") -> list[Any] | None:
    """The schemas of the tools a row may call: a list, or a string that holds one; nothing stays nothing."""
    if value is None or value in ("", []):
        return None
    if isinstance(value, str):
        value = from_json(value, field, Code.TOOLS_NOT_JSON, "a JSON list of schemas")
        if not value:
            return None
    if not isinstance(value, list):
        raise BadRecord(field, Code.TOOLS_NOT_JSON, value, "a list of JSON schemas")
    # Parquet files often hold each schema as a JSON text of its own.
    tools = [from_json(t, field, Code.TOOLS_NOT_JSON, "a JSON schema") if isinstance(t, str) else t for t in value]
    if not all(isinstance(tool, Mapping) for tool in tools):
        raise BadRecord(field, Code.TOOLS_NOT_JSON, value, "a list of JSON schemas")
    return [dict(tool) for tool in tools]


def from_json(text: str, field: str, code: Code, expected: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRecord(field, code, text, f"{expected} ({error.msg})") from error
