"""Lines that cannot be used, each with the code it has to be refused with."""

import json
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.data.draw import Draw

Damage = Callable[[dict[str, Any], Draw], bytes]


def _line(row: dict[str, Any], **fields: Any) -> bytes:
    return orjson.dumps(row | fields)


def _turn(row: dict[str, Any], n: int, **fields: Any) -> bytes:
    """The row with fields of one turn changed; a field of None is taken out."""
    turns = list(row["messages"])
    turns[n] = {key: value for key, value in (turns[n] | fields).items() if value is not None}
    return _line(row, messages=turns)


def _inside(row: dict[str, Any], draw: Draw, insert: bytes) -> bytes:
    """Bytes put behind some letter of the first content."""
    line = _line(row)
    start = line.index(b'"content":"') + 11
    while line[start] >= 0x80 or line[start - 1] == 0x5C:  # not inside a sign or an escape
        start += 1
    return line[:start] + insert + line[start:]


def _cut(row: dict[str, Any], draw: Draw) -> bytes:
    line = _line(row)
    return line[: len(line) // 4 + draw.below(len(line) // 2)]


def _nested(opening: str, closing: str, levels: int) -> bytes:
    return (opening * levels + closing * levels).encode()


def _extra(row: dict[str, Any], value: bytes) -> bytes:
    return _line(row)[:-1] + b',"extra":' + value + b"}"


def _twice(row: dict[str, Any]) -> bytes:
    return b'{"messages":' + orjson.dumps(row["messages"]) + b"," + _line(row)[1:]


CALL = {"type": "function", "function": {"name": "look_up", "arguments": "{not json"}}

MALFORMED: tuple[tuple[str, str, Damage], ...] = (
    ("cut", "invalid_json", _cut),
    ("single_quotes", "invalid_json", lambda row, d: repr(row).encode()),
    ("trailing_comma", "invalid_json", lambda row, d: _line(row)[:-1] + b",}"),
    ("two_objects", "invalid_json", lambda row, d: _line(row) + b' {"a": 1}'),
    ("control_character", "invalid_json", lambda row, d: _inside(row, d, b"\x07")),
    ("bad_escape", "invalid_json", lambda row, d: _inside(row, d, b"\\x41")),
    ("latin_1", "invalid_utf8", lambda row, d: _inside(row, d, b"caf\xe9 ")),
    ("over_long", "invalid_utf8", lambda row, d: _inside(row, d, b"\xc0\xaf")),
    ("cut_sign", "invalid_utf8", lambda row, d: _inside(row, d, b"\xe2\x82")),
    ("surrogate", "lone_surrogate", lambda row, d: _inside(row, d, b"\\ud83d ")),
    ("nul", "nul_character", lambda row, d: _inside(row, d, b"\\u0000")),
    ("nan", "not_a_number", lambda row, d: _extra(row, b"NaN")),
    ("infinity", "not_a_number", lambda row, d: _extra(row, b"-Infinity")),
    ("exponent", "number_too_large", lambda row, d: _extra(row, b"1e999")),
    ("digits", "number_too_large", lambda row, d: _extra(row, d.text("123456789", 400).encode())),
    ("deep_lists", "too_deep", lambda row, d: _extra(row, _nested("[", "]", 70 + d.below(300)))),
    ("deep_objects", "too_deep", lambda row, d: _extra(row, _nested('{"a":', "}", 1500).replace(b":}", b":1}"))),
    ("same_key", "duplicate_key", lambda row, d: _twice(row)),
    ("bare_list", "not_an_object", lambda row, d: orjson.dumps(row["messages"])),
    ("bare_text", "not_an_object", lambda row, d: orjson.dumps(row["messages"][0]["content"])),
    ("no_messages", "missing_field", lambda row, d: _line({"tags": row["tags"]})),
    ("no_content", "missing_field", lambda row, d: _turn(row, -1, content=None)),
    ("no_role", "missing_field", lambda row, d: _turn(row, 0, role=None)),
    ("messages_text", "wrong_type", lambda row, d: _line(row, messages="hello")),
    ("content_number", "wrong_type", lambda row, d: _turn(row, 0, content=17)),
    ("turn_text", "wrong_type", lambda row, d: _line(row, messages=["hello", *row["messages"][1:]])),
    ("empty_list", "empty_list", lambda row, d: _line(row, messages=[])),
    ("role", "unknown_role", lambda row, d: _turn(row, 0, role=d.one(("bot", "human", "USER", "narrator")))),
    (
        "image",
        "content_not_text",
        lambda row, d: _turn(row, 0, content=[{"type": "image_url", "image_url": {"url": "x"}}]),
    ),
    ("weight", "weight_invalid", lambda row, d: _turn(row, -1, weight=0.5)),
    ("weight_on_user", "weight_invalid", lambda row, d: _turn(row, -2, weight=1)),
    ("only_user", "no_assistant_turn", lambda row, d: _line(row, messages=[{"role": "user", "content": "hello?"}])),
    (
        "last_is_user",
        "last_turn_not_assistant",
        lambda row, d: _line(row, messages=[*row["messages"], {"role": "user", "content": "and then?"}]),
    ),
    ("call", "tool_call_invalid", lambda row, d: _turn(row, -1, tool_calls=[CALL])),
    ("tools", "tools_not_json", lambda row, d: _line(row, tools="no schemas")),
)


def damaged(row: dict[str, Any], draw: Draw) -> tuple[bytes, str]:
    """A line without its end, and “code (kind)”."""
    kind, code, damage = draw.one(MALFORMED)
    line = damage(json.loads(orjson.dumps(row)), draw)
    if b"\n" in line:
        raise AssertionError(f"{kind} has broken the line in two")
    return line, f"{code} ({kind})"
