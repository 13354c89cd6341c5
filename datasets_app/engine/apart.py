"""Other people's programs under limits: a chat template may neither hang nor eat the process that renders it."""

import json
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from projects.domain.errors import Refused


class TooLong(Exception):
    """The time for one piece of work is over."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TooLong inside Python code that takes more processor time, however busy the machine is.

    Elsewhere than in the main thread no limit holds.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TooLong


def apart(body: Callable[[], Any], *, cpu_seconds: int, memory_bytes: int) -> Any:
    """The JSON-ready answer of `body`, worked out in a fork that is killed when it takes too much.

    Raises the body's own Refused, or Refused("template_limit") when the fork did not live to answer.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _answer(body, write, cpu_seconds, memory_bytes)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        raise Refused("it takes too much time or memory", code="template_limit")
    answer = json.loads(said)
    if "refused" in answer:
        raise Refused(answer["refused"], code=answer["code"])
    return answer["value"]


def _answer(body: Callable[[], Any], write: int, cpu_seconds: int, memory_bytes: int) -> None:
    """Never returns: whatever happens ends this process."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        bound = address_space() + memory_bytes  # what the fork has of its parent is not the body's doing
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        try:
            said = {"value": body()}
        except Refused as refused:
            said = {"refused": str(refused), "code": refused.code}
        os.write(write, json.dumps(said).encode())
    finally:
        os._exit(0)


def address_space() -> int:
    """Bytes that this process has mapped already."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
