"""A failure of a library as one of our taxonomy: what happened, where, and the traceback for whoever wants it."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safetensors import SafetensorError

from training.domain.failures import shorten
from training.engine import blame, disk
from training.engine.data import Prepared
from training.engine.events import EngineError

OOM = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "std::bad_alloc",
    "cublas_status_alloc_failed",
)
# What is said by a process of several when another is gone.
LOST = "rank_lost"
GONE = (
    "connection closed by peer",
    "connection reset by peer",
    "broken pipe",
    "gloo",
    "remote process exited",
    "ncclremoteerror",
    "nccl communicator was aborted",
    "watchdog caught collective operation timeout",
)
DEVICE = ("cuda", "cublas", "cudnn", "nccl", "hip error", "nvrtc")


@contextmanager
def library_failures() -> Iterator[None]:
    """Whatever a library breaks with, as one of our taxonomy."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError, SafetensorError) as problem:
        raise named(problem) from problem


def named(problem: BaseException, *, step: int = 0, batch: Any = None, prepared: Prepared | None = None) -> EngineError:
    """`batch` is what was being worked on, if anything was."""
    where = blame.where(batch, prepared, step) if prepared is not None and step else {}
    code, message = _told(problem, where)
    if code == "oom" and not where:
        where = {"loading": True}
    trace = shorten("".join(traceback.format_exception(problem)))
    return EngineError(message, code=code, detail=trace, where=where)


def is_out_of_memory(problem: BaseException) -> bool:
    lowered = str(problem).lower()
    return isinstance(problem, MemoryError) or any(words in lowered for words in OOM)


def _has_others() -> bool:
    """Is this one of several processes? Alone, a broken pipe is no lost card."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def _told(problem: BaseException, where: dict[str, Any]) -> tuple[str, str]:
    text = str(problem)
    lowered, first = text.lower(), shorten(text.splitlines()[0]) if text else type(problem).__name__
    at = f" at step {where['step']:,}" if where else ""
    if is_out_of_memory(problem):
        return "oom", f"The device ran out of memory{at or ' while the model was being loaded'}.{blame.longest(where)}"
    if _has_others() and (type(problem).__name__.startswith("Dist") or any(words in lowered for words in GONE)):
        return LOST, f"Another card's process is gone{at}: {first}"
    if (number := disk.number(problem)) is not None:
        full = number in disk.FULL
        what = "The worker's disk is full" if full else "A file could not be read or written"
        return "disk_full" if full else "disk_error", f"{what}: {first}"
    if any(word in lowered for word in DEVICE):
        return "device_error", f"The GPU reported an error{at}: {first}"
    return "internal", f"The training library stopped{at}: {first}"
