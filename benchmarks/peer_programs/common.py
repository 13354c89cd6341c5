"""Reading the rows for a peer, and the CPU seconds of its work alone."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Found = dict[str, Any]


def texts(path: str) -> list[str]:
    """What is said in each row but by the system, one text a row; lines that are no rows are left out."""
    import orjson

    found = []
    with open(path, "rb") as lines:
        for line in lines:
            try:
                found.append(said(orjson.loads(line)["messages"]))
            except (ValueError, KeyError, TypeError):
                continue
    return found


def said(messages: list[dict[str, Any]]) -> str:
    return "\n".join(turn["content"] for turn in messages if turn["role"] != "system")


@contextmanager
def measured(found: Found) -> Iterator[None]:
    """CPU seconds of all threads of this process, and of children that it waited for."""
    before, began = cpu(), time.monotonic()
    yield
    found["section_cpu_s"] = cpu() - before
    found["section_wall_s"] = time.monotonic() - began


def cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def answer(found: Found) -> None:
    print(json.dumps(found))
