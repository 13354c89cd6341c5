"""How a file says things, in our words: columns, keys of turns and roles, as a person has mapped them.

A mapping is {"columns": {theirs: ours}, "turns": {theirs: ours}, "roles": {theirs: ours}}; an empty name of ours
leaves a column out. Two columns under one name are joined when both are texts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from datasets_app.domain.formats.base import Record

FIELDS = {
    "messages": "Messages: turns with role and content",
    "prompt": "Prompt or question",
    "completion": "Completion or answer",
    "system": "System text",
    "chosen": "Chosen answer",
    "rejected": "Rejected answer",
    "conversations": "Conversations: turns with from and value",
    "instruction": "Instruction",
    "input": "Input beside the instruction",
    "output": "Output",
    "history": "Earlier turns: pairs of question and answer",
    "text": "Text of a document",
    "expected": "Expected answer",
    "answers": "Ranked answers",
    "segments": "Segments with label",
    "tools": "Tools: JSON schemas",
    "label": "Label",
    "tags": "Tags",
    "id": "Id",
    "parent_id": "Id of the row before",
}
OTHERS = ("question", "answer", "response", "kto_tag", "completions", "labels", "chat_template_kwargs", "category",
          "parallel_tool_calls", "preferred_output", "non_preferred_output", "origin", "teacher", "licence", "depth",
          "contributor", "provenance", "rejected_text", "chosen_response", "rejected_response")  # fmt: skip
TURN_KEYS = ("role", "content", "from", "value", "weight", "name", "tool_calls", "tool_call_id", "thinking")
ROLES = ("system", "user", "assistant", "tool")
KNOWN_ROLES = {*ROLES, "developer", "function", "human", "gpt", "chatgpt", "observation", "function_call"}
PARTS = {"columns": {*FIELDS, *OTHERS, ""}, "turns": set(TURN_KEYS), "roles": set(ROLES)}
MOST, LONGEST = 200, 200
SHOWN_RECORDS, SHOWN_CHARS, SHOWN_VALUE = 3, 60_000, 120


# What columns are often called where they are called none of ours: a guess to begin with, never applied unasked.
GUESSES = {
    **dict.fromkeys(
        ("ask", "query", "request", "user", "user_message", "human", "customer", "q", "utterance"), "prompt"
    ),
    **dict.fromkeys(
        ("reply", "a", "assistant", "bot", "model", "target", "agent_reply", "assistant_message", "gold", "solution"),
        "completion",
    ),
    **dict.fromkeys(("good", "better", "preferred", "winner", "accepted"), "chosen"),
    **dict.fromkeys(("worse", "dispreferred", "loser", "refused"), "rejected"),
    **dict.fromkeys(("dialog", "dialogue", "conversation", "turns", "chat", "history_messages"), "messages"),
    **dict.fromkeys(("context", "system_prompt", "persona"), "system"),
    **dict.fromkeys(("content", "document", "body", "passage"), "text"),
    **dict.fromkeys(("class", "intent", "topic"), "label"),
}
GUESSED_TURNS = {"speaker": "role", "author": "role", "said": "content", "text": "content", "message": "content"}


def guess(name: str) -> str:
    """Our name for a column, as far as its own name tells; nothing when it does not."""
    return GUESSES.get(name.strip().lower().replace(" ", "_").replace("-", "_"), "")


class BadMapping(ValueError):
    """What a mapping says that cannot be followed."""


def checked(mapping: Any) -> dict[str, dict[str, str]]:
    """The mapping without empty parts; BadMapping names what is wrong with it."""
    if not isinstance(mapping, Mapping):
        raise BadMapping("A mapping is an object with columns, turns and roles.")
    for name in mapping:
        if name not in PARTS:
            raise BadMapping(f"“{str(name)[:60]}” is no part of a mapping; it has columns, turns and roles.")
    return {name: _checked_part(name, mapping[name]) for name in PARTS if mapping.get(name)}


def _checked_part(name: str, part: Any) -> dict[str, str]:
    if not isinstance(part, Mapping) or len(part) > MOST:
        raise BadMapping(f"“{name}” is an object of at most {MOST} names.")
    for theirs, ours in part.items():
        if not isinstance(theirs, str) or not isinstance(ours, str) or len(theirs) > LONGEST:
            raise BadMapping(f"“{name}” maps names to names of at most {LONGEST} characters.")
        if ours not in PARTS[name]:
            known = ", ".join(sorted(PARTS[name] - {""}))
            raise BadMapping(f"“{ours[:60]}” in “{name}” is none of {known}.")
    return dict(part)


def apply(record: Record, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The record in our words; the given one stays as it is."""
    columns = mapping.get("columns") or {}
    mapped = _columns(record, columns) if columns else dict(record)
    turns, roles = mapping.get("turns") or {}, mapping.get("roles") or {}
    if turns or roles:
        for name, value in mapped.items():
            if isinstance(value, list):
                mapped[name] = [_turn(one, turns, roles) if isinstance(one, dict) else one for one in value]
    return mapped


def _columns(record: Record, columns: Mapping[str, str]) -> dict[str, Any]:
    taken = {ours for theirs, ours in columns.items() if theirs in record}
    mapped: dict[str, Any] = {}
    for theirs, value in record.items():
        ours = columns.get(theirs, theirs)
        if not ours or (theirs not in columns and theirs in taken):
            continue
        mapped[ours] = _joined(mapped.get(ours), value)
    return mapped


def _joined(before: Any, value: Any) -> Any:
    """Two columns under one name: texts one below the other, otherwise the later one that is there."""
    if isinstance(before, str) and isinstance(value, str):
        return f"{before}\n\n{value}" if before and value else before or value
    return before if value is None else value


def _turn(turn: dict[str, Any], keys: Mapping[str, str], roles: Mapping[str, str]) -> dict[str, Any]:
    said = {keys.get(key, key): value for key, value in turn.items()} if keys else dict(turn)
    for key in ("role", "from"):
        speaker = said.get(key)
        if isinstance(speaker, str) and speaker in roles:
            said[key] = roles[speaker]
    return said


def head_of(records: Iterable[Record]) -> dict[str, Any]:
    """What a person maps by: {"columns": [[name, example]], "turns": [key], "roles": [role], "records": [three]}."""
    columns: dict[str, str] = {}
    turns: dict[str, None] = {}
    roles: dict[str, None] = {}
    kept: list[dict[str, Any]] = []
    for record in records:
        for name, value in list(record.items())[:MOST]:
            if not columns.get(str(name)[:LONGEST]):
                columns[str(name)[:LONGEST]] = example(value)
            for one in value[:50] if isinstance(value, list) else ():
                if isinstance(one, dict):
                    turns.update(dict.fromkeys(str(key)[:LONGEST] for key in list(one)[:20]))
                    said = [one.get(key) for key in ("role", "from", "speaker", "author")]
                    roles.update({text[:LONGEST]: None for text in said if isinstance(text, str)})
        if len(kept) < SHOWN_RECORDS and _size(record) <= SHOWN_CHARS:
            kept.append(dict(record))
    return {
        "columns": [list(pair) for pair in columns.items()][:MOST],
        "turns": list(turns)[:20],
        "roles": list(roles)[:30],
        "records": kept,
    }


def _size(value: Any) -> int:
    """Characters of all texts inside, and something for every value."""
    total, stack = 0, [value]
    while stack and total <= SHOWN_CHARS:
        top = stack.pop()
        if isinstance(top, Mapping):
            stack.extend(top.values())
        elif isinstance(top, list | tuple):
            stack.extend(top)
        total += 8 + (len(top) if isinstance(top, str) else 0)
    return total


def example(value: Any) -> str:
    """A value as the mapping shows it: its beginning, or its kind."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:SHOWN_VALUE] + ("…" if len(value) > SHOWN_VALUE else "")
    if isinstance(value, list):
        inner = example(value[0]) if value else ""
        return f"a list of {len(value)}" + (f": {inner}" if inner else "")[:SHOWN_VALUE]
    if isinstance(value, Mapping):
        return "{" + ", ".join(str(key)[:30] for key in list(value)[:8]) + "}"
    return str(value)[:SHOWN_VALUE]


def from_dataset_info(entry: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The mapping that an entry of LLaMA-Factory's dataset_info.json describes."""
    columns, tags = entry.get("columns") or {}, entry.get("tags") or {}
    sharegpt = entry.get("formatting") == "sharegpt"
    ours = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
    ours |= {name: name for name in ("system", "history", "tools", "chosen", "rejected", "kto_tag")}
    keys = {tags.get("role_tag", ""): "from", tags.get("content_tag", ""): "value"} if sharegpt else {}
    speakers = {"user_tag": "user", "assistant_tag": "assistant", "observation_tag": "tool", "system_tag": "system"}
    return checked(
        {
            "columns": {theirs: ours[name] for name, theirs in columns.items() if name in ours},
            "turns": {theirs: ours for theirs, ours in keys.items() if theirs},
            "roles": {tags[name]: role for name, role in speakers.items() if name in tags},
        }
    )
