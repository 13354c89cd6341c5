"""What the child says to its supervisor: one JSON object a line on standard output."""

import sys
from typing import Any

import orjson


def emit(event: str, **fields: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps({"event": event, **fields}, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.buffer.flush()
