"""What the child says to its supervisor: one JSON object a line on standard output."""

import sys
from typing import Any

import orjson


def emit(event: str, **fields: Any) -> None:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps({"event": event, **fields}, option=options) + b"\n")
    sys.stdout.buffer.flush()
