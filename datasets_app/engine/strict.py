"""JSON as the standard has it and not a byte more; every refusal says where and what."""

import json
import re
from typing import Any

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine.limits import Limits

MANY_VALUES = 300_000  # containers in one row: more would take hundreds of bytes of memory for each byte of text
_NOT_A_NUMBER = re.compile(rb"[:\[,]\s*(-?(?:NaN|Infinity|nan|inf))\b")
_HUGE_NUMBER = re.compile(rb"[:\[,]\s*(-?\d[\d.eE+-]{15,}|-?\d+[eE]\+?\d{3,})")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(data: bytes, limits: Limits) -> Any:
    if len(data) > 1_000_000 and data.count(b"{") + data.count(b"[") > MANY_VALUES:
        raise _crowded(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _named(data, error) from error
    if data.count(b"{") + data.count(b"[") > limits.depth and _depth(value) > limits.depth:
        raise BadRecord("", Code.TOO_DEEP, f"more than {limits.depth} levels", f"at most {limits.depth} levels")
    # A key is followed by a colon; more such places than keys means that some key was given twice.
    places = data.count(b'":') + data.count(b'" :') - data.count(b'\\":') - data.count(b'\\" :')
    if places > _keys(value):
        _refuse_duplicates(data)
    return value


def _crowded(data: bytes) -> BadRecord:
    """Refused before parsing, when the parsed form would not fit the memory limit."""
    head = data[:65536]
    if head.count(b"{") + head.count(b"[") - head.count(b"}") - head.count(b"]") > 1024:
        return BadRecord("", Code.TOO_DEEP, "more than 1,024 levels", "at most 64 levels")
    return BadRecord("", Code.TOO_MANY_VALUES, f"more than {MANY_VALUES:,} lists and objects", "one example a row")


def _named(data: bytes, error: orjson.JSONDecodeError) -> BadRecord:
    """The error a person can act on, told apart from the general complaint of the parser."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as broken:
        byte = data[broken.start]
        return BadRecord("", Code.INVALID_UTF8, f"byte 0x{byte:02x} at byte {broken.start + 1} of the row", "UTF-8")
    if "recursion" in error.msg or "depth" in error.msg:
        return BadRecord("", Code.TOO_DEEP, "more than 1,024 levels", "at most 64 levels")
    if "surrogate" in error.msg or (_SURROGATE.search(data) and "escape" in error.msg):
        return BadRecord("", Code.LONE_SURROGATE, excerpt(data, error), "a whole character")
    if match := _NOT_A_NUMBER.search(data):
        return BadRecord("", Code.NOT_A_NUMBER, match[1].decode(), "a number or null")
    if "number" in error.msg and (match := _HUGE_NUMBER.search(data)):
        return BadRecord("", Code.NUMBER_TOO_LARGE, match[1][:60].decode() + "…", "a number of at most 64 bits")
    return BadRecord("", Code.INVALID_JSON, excerpt(data, error), f"valid JSON: {error.msg}")


def excerpt(data: bytes, error: orjson.JSONDecodeError) -> str:
    """The text around the place where the parser stopped, with its column."""
    text = data.decode("utf-8", "replace")
    around = text[max(0, error.pos - 30) : error.pos + 30]
    return f"“{around}” at column {error.pos + 1}" if around else f"the end of the row at column {error.pos + 1}"


def _depth(value: Any) -> int:
    """Levels of nesting, counted level by level so that no recursion limit can be hit."""
    depth, level = 0, [value]
    while level := [v for v in level if isinstance(v, list | dict)]:
        depth += 1
        level = [child for v in level for child in (v.values() if isinstance(v, dict) else v)]
    return depth


def _keys(value: Any) -> int:
    count, stack = 0, [value]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            count += len(top)
            stack.extend(v for v in top.values() if isinstance(v, list | dict))
        elif isinstance(top, list):
            stack.extend(v for v in top if isinstance(v, list | dict))
    return count


def _refuse_duplicates(data: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        known = dict(items)
        if len(known) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadRecord(twice, Code.DUPLICATE_KEY, f"“{twice}” twice in one object", "each key once")
        return known

    try:
        json.loads(data, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    except (json.JSONDecodeError, RecursionError) as error:  # orjson took it; only the second reader did not
        raise BadRecord("", Code.INVALID_JSON, str(error)[:120], "valid JSON") from error
