"""JSON as the standard has it and not a byte more; every refusal says where and what."""

from typing import Any

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine.limits import Limits
from datasets_app.engine.native import json as native

LONGEST = 60
AROUND = 30  # characters quoted on either side of a fault


def loads(data: bytes, limits: Limits) -> Any:
    """The value of a text; raises BadRecord with code, column (in characters from 1) and path of its first fault."""
    fault = native.check(data)
    if fault is not None:
        raise _named(data, fault, limits)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:  # the check took it; only the second reader did not
        raise BadRecord("", Code.INVALID_JSON, str(error)[:120], "valid JSON") from error


def _named(data: bytes, fault: native.Fault, limits: Limits) -> BadRecord:
    before = data[: fault.at].decode("utf-8", "replace")
    found, expected = _words(data, fault, before, limits)
    bad = BadRecord(fault.path, fault.code, found, expected)
    bad.column = len(before) + 1
    return bad


def _words(data: bytes, fault: native.Fault, before: str, limits: Limits) -> tuple[str, str]:
    """What was found and what was expected, as a person can act on it."""
    rest = data[fault.at : fault.at + 400].decode("utf-8", "replace")
    where = f"at column {len(before) + 1}"
    if fault.code == Code.INVALID_JSON:
        around = before[-AROUND:] + rest[:AROUND]
        return f"“{around}” {where}" if rest else f"the end of the row {where}", fault.hint
    if fault.code == Code.INVALID_UTF8:
        return f"byte 0x{data[fault.at]:02x} at byte {fault.at + 1} of the row", "UTF-8"
    levels = f"{limits.depth} levels"
    return {
        Code.LONE_SURROGATE: (f"{rest[:6]} {where}", "a whole character"),
        Code.NOT_A_NUMBER: (_word(rest), "a number or null"),
        Code.NUMBER_TOO_LARGE: (_word(rest), "a number of at most 64 bits"),
        Code.TOO_DEEP: (f"more than {levels}", f"at most {levels}"),
        Code.TOO_MANY_VALUES: ("hundreds of thousands of lists, objects or fields", "one example a row"),
        Code.DUPLICATE_KEY: (f"“{fault.path.rpartition('.')[2]}” twice in one object", "each key once"),
    }[fault.code]


def _word(text: str) -> str:
    """The number, or what was meant to be one, at the beginning of this text."""
    n = next((n for n, sign in enumerate(text) if not (sign.isalnum() or sign in "+-.")), len(text))
    return text[:n] if n <= LONGEST else text[:LONGEST] + "…"
