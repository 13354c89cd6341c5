"""The engine's side of the protocol: one JSON object per line on stdout, and nothing else ever on stdout."""

import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from projects.domain.errors import Refused

EXIT_FAILED = 1
EXIT_STOPPED = 143  # what a shell reports for SIGTERM


class EngineError(Refused):
    """The run cannot go on; `code` is one of the taxonomy in training.domain.failures."""

    code = "internal"

    def __init__(self, message: str, *, code: str, detail: str = "", where: dict[str, Any] | None = None) -> None:
        super().__init__(message, code=code)
        self.detail = detail
        self.where = where or {}  # the step, the rows, the longest of them: whatever is known


class Stopped(BaseException):
    """SIGTERM has come and what could be saved is saved. Like Ctrl-C, it passes through libraries that catch errors."""


_claimed: list[TextIO] = []
_muted: list[bool] = []


def claim_stdout() -> None:
    """Keep the real stdout for events and send everybody else's prints to stderr, C libraries included."""
    if not _claimed:
        _claimed.append(os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8"))
        os.dup2(2, 1)
        sys.stdout = sys.stderr


def speak_only_of_failure(writer: int) -> None:
    """For a process that is one of several: what all of them see is told by the first, and failures go to it."""
    for out in _claimed:
        out.close()  # or whoever reads there would wait for our end
    _claimed[:] = [os.fdopen(writer, "w", buffering=1, encoding="utf-8")]
    _muted.append(True)


def emit(event: str, **fields: Any) -> None:
    if _muted and event != "failed":
        return
    out = _claimed[0] if _claimed else sys.stdout
    print(json.dumps({"event": event} | _plain(fields), ensure_ascii=False), file=out, flush=True)


def _plain(value: Any) -> Any:
    """JSON has no NaN or infinity; they become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def log(text: str) -> None:
    if not _muted:
        print(text, file=sys.stderr, flush=True)


def run_child(body: Callable[[str], None], argv: list[str], usage: str) -> int:
    """The frame of every engine command: events out, refusals told, an exit status that means something."""
    if len(argv) != 2:
        print(f"usage: python -m {usage}", file=sys.stderr)
        return 2
    claim_stdout()
    try:
        body(argv[1])
    except Stopped:
        return EXIT_STOPPED
    except Refused as refusal:
        known = {name: getattr(refusal, name, "") for name in ("detail", "where")}
        emit("failed", code=refusal.code, message=str(refusal), **known)
        return EXIT_FAILED
    return 0
