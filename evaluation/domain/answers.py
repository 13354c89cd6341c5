"""Answers as values: text made comparable, JSON read strictly, and what a dataset row asks and expects."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_JSON = object()
_SPACE = re.compile(r"\s+")


def normalised(text: str) -> str:
    """Canonical Unicode and single spaces. Case stays: for a label, `High` and `high` are two answers."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parsed(text: str) -> Any:
    """The JSON value that `text` is, or `NOT_JSON`. NaN, Infinity and bottomless nesting are not JSON."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return NOT_JSON


def is_structured(text: str) -> bool:
    """Whether the text is a JSON object or list, rather than a word that happens to be valid JSON."""
    return isinstance(parsed(text), dict | list)


def same_json(left: Any, right: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are the same number, true and 1 are not, the order of keys does not matter."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs.extend((one[key], other[key]) for key in one)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, bool) != isinstance(other, bool) or one != other:
            return False
    return True


def leaves(value: Any) -> dict[str, Any]:
    """Every field of a JSON value by its path: `{"a": {"b": [1]}}` is `{"a.b[0]": 1}`."""
    found: dict[str, Any] = {}
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict) and item:
            stack.extend((f"{path}.{key}" if path else str(key), item[key]) for key in reversed(list(item)))
        elif isinstance(item, list) and item:
            stack.extend((f"{path}[{index}]", item[index]) for index in reversed(range(len(item))))
        else:
            found[path] = item
    return found


@dataclass(frozen=True)
class Question:
    """One golden row: the turns before the answer, the tools, and the answer that is expected."""

    messages: list[dict[str, Any]]
    expected: str
    tools: list[Any] | None = None

    @property
    def prompt(self) -> str:
        """The turns as people read them: one user turn is shown bare, more are named by role."""
        if len(self.messages) == 1:
            return text_of(self.messages[0])
        return "\n\n".join(f"{turn.get('role', '')}: {text_of(turn)}" for turn in self.messages)


def text_of(turn: Mapping[str, Any]) -> str:
    """What a turn says: its text, the text of its parts, or the tool calls it makes as JSON."""
    content = turn.get("content")
    if isinstance(content, str) and (content or not turn.get("tool_calls")):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    calls = [call.get("function", call) for call in turn.get("tool_calls") or []]
    return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False) if calls else ""


def question(row: Mapping[str, Any]) -> Question | None:
    """The question a stored row asks, or None when it holds no answer to compare with.

    The last assistant turn is the expected answer; of a preference row, the chosen one.
    """
    turns = list(_decoded(row.get("messages")))
    tools = _decoded(row.get("tools")) or None
    if row.get("kind") == "preference":
        answer = [turn for turn in _decoded(row.get("chosen")) if turn.get("role") == "assistant"]
        return Question(turns, text_of(answer[-1]), tools) if turns and answer else None
    last = next((i for i in reversed(range(len(turns))) if turns[i].get("role") == "assistant"), 0)
    return Question(turns[:last], text_of(turns[last]), tools) if last else None


def _decoded(value: Any) -> list[Any]:
    """Columns hold JSON text; a reader may already have decoded it."""
    decoded = json.loads(value) if isinstance(value, str) else value
    return decoded if isinstance(decoded, list) else []


def answer_budget(expected: Sequence[str], *, ceiling: int = 1024) -> int:
    """How many new tokens an answer may need: the longest expected one in bytes and a quarter more.

    A byte-level token holds at least one byte, so what is expected always fits below the ceiling.
    """
    longest = max((len(text.encode("utf-8", "surrogatepass")) for text in expected), default=0)
    return min(ceiling, max(32, -(-longest * 5 // (4 * 16)) * 16))


def general(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A retention row as the engine reads it: plain text, or the turns of a conversation."""
    if row.get("kind") == "text":
        text = row.get("text")
        return {"text": text} if text else None
    turns = _decoded(row.get("messages"))
    if row.get("kind") == "preference":
        turns = [*turns, *_decoded(row.get("chosen"))]
    return {"messages": turns, "tools": _decoded(row.get("tools")) or None} if turns else None
