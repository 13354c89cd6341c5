"""What the child says to its supervisor: one JSON object a line on standard output."""

import sys
from typing import Any

import orjson


def emit(event: str, **fields: Any) -> None:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    said = {"event": event, **fields}
    try:
        line = orjson.dumps(said, default=_shown, option=options)
    except TypeError:  # halves of characters, quoted out of a damaged file
        line = orjson.dumps(_whole(said), default=_shown, option=options)
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _shown(value: Any) -> str:
    """What tables may hold and JSON does not: bytes, decimals, spans of time."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _whole(value: Any) -> Any:
    """The same with a question mark for every half of a surrogate pair, which no encoding can carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(part) for key, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list | tuple) else value
