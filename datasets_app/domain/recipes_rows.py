"""What the steps of a recipe do to one row: redact, strip, map, edit; and what a filter asks of it."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from datasets_app.domain import characters, provenance, sensitive
from datasets_app.domain.formats.base import Message, Row
from datasets_app.domain.purposes import Kind

Change = Callable[[str], str]
SPOKEN = ("content", "thinking", "reasoning_content")


def with_texts(row: Row, change: Change, part: str = "all") -> Row:
    """The row with every text of a part changed: turns, thinking, the arguments of tool calls, the document."""
    if row.kind == Kind.TEXT:
        return replace(row, text=change(row.text or ""))
    prompt, answer = part in ("all", "prompt"), part in ("all", "answer")
    last = len(row.messages) - 1
    is_answer = [row.kind == Kind.SFT and n == last for n in range(len(row.messages))]
    return replace(
        row,
        messages=[
            _turn(turn, change) if (answer if here else prompt) else turn
            for turn, here in zip(row.messages, is_answer, strict=True)
        ],
        chosen=[_turn(turn, change) for turn in row.chosen] if row.chosen and answer else row.chosen,
        rejected=[_turn(turn, change) for turn in row.rejected] if row.rejected and answer else row.rejected,
    )


def _turn(turn: Message, change: Change) -> Message:
    new = {**turn, **{name: change(turn[name]) for name in SPOKEN if turn.get(name)}}
    if turn.get("tool_calls"):
        new["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _deep(call["function"]["arguments"], change)}}
            for call in turn["tool_calls"]
        ]
    return new


def _deep(value: Any, change: Change) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _deep(part, change) for key, part in value.items()}
    return [_deep(part, change) for part in value] if isinstance(value, list) else value


def texts(row: Row, part: str = "all") -> list[str]:
    """What `with_texts` would change."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    with_texts(row, note, part)
    return found


def redact(row: Row, args: Mapping[str, Any], salt: str = "") -> Row:
    return with_texts(row, lambda text: redacted(text, args, salt))


def redacted(text: str, args: Mapping[str, Any], salt: str = "") -> str:
    """The text with hits of the group, or of the kinds, replaced; overlapping hits once, the longest first."""
    group, kinds = args.get("group", sensitive.SECRET), args.get("kinds")
    hits = [hit for hit in sensitive.find(text) if group in ("all", hit.group) and (not kinds or hit.kind in kinds)]
    if not hits:
        return text
    pieces, end = [], 0
    for hit in sorted(hits, key=lambda h: (h.start, -h.end)):
        if hit.start >= end:
            found = text[hit.start : hit.end]
            pieces += [text[end : hit.start], _mark(hit.kind, found, args.get("style", "kind"), salt)]
            end = hit.end
    return "".join([*pieces, text[end:]])


def _mark(kind: str, found: str, style: str, salt: str) -> str:
    """[email], or [email 3f9a1c] where the same address is the same everywhere and nobody can compute it back."""
    if style == "kind":
        return f"[{kind}]"
    plain = re.sub(r"[\s().\-/]", "", found).casefold()
    return f"[{kind} {hmac.new(salt.encode(), plain.encode(), hashlib.sha256).hexdigest()[:6]}]"


def strip_hidden(row: Row) -> Row:
    return with_texts(row, characters.strip)


def mapped(row: Row, args: Mapping[str, Any]) -> Row:
    return CHANGES[args["do"]](row, args)


def _rename(row: Row, args: Mapping[str, Any]) -> Row:
    def turns(given: list[Message] | None) -> list[Message] | None:
        return given and [{**turn, "role": args["to"]} if turn["role"] == args["from"] else turn for turn in given]

    return replace(row, messages=turns(row.messages) or [], chosen=turns(row.chosen), rejected=turns(row.rejected))


def _set_system(row: Row, args: Mapping[str, Any]) -> Row:
    if row.kind == Kind.TEXT or not row.messages:
        return row
    has = row.messages[0]["role"] == "system"
    if has and not args["replace"]:
        return row
    return replace(row, messages=[{"role": "system", "content": args["value"]}, *row.messages[1 if has else 0 :]])


def _remove_system(row: Row, args: Mapping[str, Any]) -> Row:
    return replace(row, messages=[turn for turn in row.messages if turn["role"] != "system"])


def _replace(row: Row, args: Mapping[str, Any]) -> Row:
    return with_texts(row, lambda text: text.replace(args["old"], args["new"]), args["part"])


def _set_label(row: Row, args: Mapping[str, Any]) -> Row:
    return replace(row, label=args["value"] or None)


def _add_tag(row: Row, args: Mapping[str, Any]) -> Row:
    tags = row.tags or []
    return row if args["value"] in tags else replace(row, tags=[*tags, args["value"]])


def _remove_tag(row: Row, args: Mapping[str, Any]) -> Row:
    tags = [tag for tag in row.tags or [] if tag != args["value"]]
    return row if tags == (row.tags or []) else replace(row, tags=tags or None)


CHANGES: dict[str, Callable[[Row, Mapping[str, Any]], Row]] = {
    "rename_role": _rename,
    "set_system": _set_system,
    "remove_system": _remove_system,
    "replace": _replace,
    "trim": lambda row, args: with_texts(row, str.strip),
    "set_label": _set_label,
    "add_tag": _add_tag,
    "remove_tag": _remove_tag,
}


def with_answer(row: Row, answer: str) -> Row:
    """The row with another last answer; what the old one said besides its text (calls, thinking) goes with it."""
    if row.kind == Kind.TEXT:
        return replace(row, text=answer)
    turns = row.chosen if row.kind == Kind.PREFERENCE else row.messages
    if not turns:
        return row
    kept = {name: turns[-1][name] for name in ("name", "weight") if name in turns[-1]}
    new = [*turns[:-1], {"role": "assistant", "content": answer, **kept}]
    return replace(row, chosen=new) if row.kind == Kind.PREFERENCE else replace(row, messages=new)


def turned_round(row: Row) -> Row:
    """The pair with its answers in each other's places; other rows have none to change."""
    return replace(row, chosen=row.rejected, rejected=row.chosen) if row.kind == Kind.PREFERENCE else row


def still_whole(row: Row) -> bool:
    """Whether a changed row can still be trained on: an answer at the end, or a text."""
    if row.kind == Kind.TEXT:
        return bool((row.text or "").strip())
    if row.kind == Kind.PREFERENCE:
        return bool(row.messages and row.chosen and row.rejected)
    return bool(row.messages) and row.messages[-1]["role"] == "assistant"


def matches(row: Row, args: Mapping[str, Any]) -> bool:
    """Whether a row is what a filter asks for."""
    return CONDITIONS[args["field"]](row, args)


def _text(row: Row, args: Mapping[str, Any]) -> bool:
    wanted = unicodedata.normalize("NFC", args["value"]).casefold()
    return any(wanted in unicodedata.normalize("NFC", text).casefold() for text in texts(row, args["part"]))


def _within(n: int, args: Mapping[str, Any]) -> bool:
    return args.get("least", 0) <= n <= args.get("most", n)


def _roles(row: Row) -> set[str]:
    return {turn["role"] for turn in [*row.messages, *(row.chosen or []), *(row.rejected or [])]}


def _tools(row: Row) -> bool:
    return bool(row.tools) or any(turn.get("tool_calls") for turn in [*row.messages, *(row.chosen or [])])


CONDITIONS: dict[str, Callable[[Row, Mapping[str, Any]], bool]] = {
    "label": lambda row, args: row.label in args["values"],
    "tag": lambda row, args: not set(row.tags or []).isdisjoint(args["values"]),
    "origin": lambda row, args: (row.provenance or {}).get("origin", provenance.UNKNOWN) in args["values"],
    "role": lambda row, args: not _roles(row).isdisjoint(args["values"]),
    "text": _text,
    "length": lambda row, args: _within(sum(map(len, texts(row, args["part"]))), args),
    "turns": lambda row, args: _within(
        sum(turn["role"] != "system" for turn in row.messages + (row.chosen or [])), args
    ),
    "tools": lambda row, args: _tools(row),
}
