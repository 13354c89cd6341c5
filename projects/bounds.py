"""What a child may use at most, and how a process binds itself to it before it becomes an engine; plain Python."""

import ctypes
import os
import resource
import signal
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Limits:
    """What the child may use at most; None is no limit."""

    memory_bytes: int | None = None
    cpu_seconds: int | None = None
    file_bytes: int | None = None


UNBOUND = Limits()


def bind(limits: Limits, parent: int) -> None:
    """Called in the child: it dies with its supervisor, and never uses more than it may."""
    # The check after the wish closes the gap in which the parent may already be gone.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for what, bound in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        if bound is not None:
            resource.setrlimit(what, (bound, bound))
