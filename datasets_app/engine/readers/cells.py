"""Values of tables: lists of turns that a CSV or Parquet cell holds as JSON text, and nulls of nested columns."""

from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import strict
from datasets_app.engine.limits import Limits

# These are lists in every format, so text that begins like JSON must be JSON.
ALWAYS = ("messages", "conversations", "history", "tools", "preferred_output", "non_preferred_output")
# These may be plain text, and an answer may be JSON text: only lists of turns are unpacked.
SOMETIMES = ("prompt", "completion", "chosen", "rejected", "input")


_BEGINNINGS = {**dict.fromkeys(ALWAYS, ("[", "{")), **dict.fromkeys(SOMETIMES, ("[{", '{"messages"', "[ {"))}


def unpacked(record: dict[str, Any], limits: Limits) -> dict[str, Any]:
    if record.keys().isdisjoint(_BEGINNINGS):
        return record
    for name, beginnings in _BEGINNINGS.items():
        value = record.get(name)
        if isinstance(value, str) and value.lstrip().startswith(beginnings):
            record[name] = _parsed(name, value, limits) if name in ALWAYS else _turns_or_text(value, limits)
    return record


def _parsed(name: str, value: str, limits: Limits) -> Any:
    try:
        return strict.loads(value.encode(), limits)
    except BadRecord as bad:
        raise BadRecord(name, bad.code, bad.found, bad.expected) from bad
    except UnicodeEncodeError as broken:
        raise BadRecord(name, Code.LONE_SURROGATE, f"at character {broken.start + 1}", "a whole character") from broken


def _turns_or_text(value: str, limits: Limits) -> Any:
    try:
        parsed = strict.loads(value.encode("utf-8", "surrogatepass"), limits)
    except BadRecord:
        return value
    if isinstance(parsed, dict) and isinstance(parsed.get("messages"), list):
        return parsed
    is_turns = isinstance(parsed, list) and all(isinstance(t, dict) and ("role" in t or "from" in t) for t in parsed)
    return parsed if is_turns else value


def without_nulls(value: Any) -> Any:
    """Parquet gives every struct every field; a field that is null was never there."""
    if isinstance(value, dict):
        return {key: without_nulls(v) for key, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value
