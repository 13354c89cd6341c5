"""Forks engines from a process that has their imports behind it: the far side of `tools/forking.py`.

A fork has what a child of `projects.child.spawn` has: the same command line, environment, folder, session, limits and
pipes, and it runs the same `__main__`. What it saves is the start of Python and of its libraries: half a second where
rows are read, seven where torch is at work.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import selectors
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from projects.bounds import Limits, bind

MOST = 1 << 18  # bytes of a request: a command line and an environment
LIBRARIES = (
    *("concurrent.futures.thread", "jinja2.sandbox", "numpy.ma", "tokenizers"),
    *(f"pyarrow.{part}" for part in ("compute", "csv", "ipc", "pandas_compat", "parquet")),
)
TRAINS = ("adapter", "meter", "progress", "randomness", "trainers", "fast.trainer")
# Programs that may be forked, by kind of server, and what they import later than at their start.
PROGRAMS: dict[str, dict[str, tuple[str, ...]]] = {
    "rows": {
        "datasets_app.engine": (*LIBRARIES, "datasets_app.engine.*", "datasets_app.domain.*"),
        "training.engine.fingerprint": (),
        "training.engine.tokens": (),
        "training.engine.seen": (),
        "deployments.engine": ("deployments.engine.*",),
        "tests.fake_engine": ("email.parser",),
        "tests.fake_rehearsal": (),
        "tests/factories/evaluation_engine.py": ("numpy.random", "evaluation.engine.grading", "evaluation.engine.spec"),
        "tests/factories/derive_engine.py": ("training.engine.derive_spec", "training.domain.derived"),
        "tests/factories/equating_engine.py": ("evaluation.engine.equating", "evaluation.domain.equivalence"),
        "tests/factories/probe_engine.py": ("evaluation.domain.drift", "evaluation.engine.drift_spec"),
    },
    "torch": {
        "training.engine": ("training.engine.__main__", *(f"training.engine.{part}" for part in TRAINS)),
        "training.engine.rehearsal": ("training.engine.enough",),
        "evaluation.engine": (*LIBRARIES, "evaluation.engine.*"),
        "training.engine.deriving": ("training.engine.derived_check", "training.engine.packing"),
        "evaluation.engine.equating": ("evaluation.domain.equivalence", "training.engine.derived_check"),
        "evaluation.engine.drifting": ("evaluation.domain.drift", "training.engine.anatomy"),
    },
}


class Kept(NamedTuple):
    """A fork whose end somebody waits for."""

    pid: int
    channel: socket.socket


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each request until the near side is gone: returns its request in a fork, nothing in the server."""
    watch = selectors.DefaultSelector()
    watch.register(channel, selectors.EVENT_READ)
    while True:
        for key, _ in watch.select():
            if isinstance(key.data, Kept):
                watch.unregister(key.fd)
                os.close(key.fd)
                _tell_end(key.data)
                continue
            message, handles, _, _ = socket.recv_fds(channel, MOST, 3)
            if not message:
                return None
            parent = os.getpid()
            pid = os.fork()
            if not pid:
                _leave(watch, channel)
                request = json.loads(message)
                _become(request, handles, parent)
                return dict(request)
            os.close(handles[0])
            os.close(handles[1])
            kept = Kept(pid, socket.socket(fileno=handles[2]))
            watch.register(os.pidfd_open(pid), selectors.EVENT_READ, kept)


def _tell_end(kept: Kept) -> None:
    _, status, usage = os.wait4(kept.pid, 0)
    ended = {
        "returncode": os.waitstatus_to_exitcode(status),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }
    with kept.channel:
        try:
            kept.channel.send(json.dumps(ended).encode())
        except BrokenPipeError:
            pass  # nobody waits any more


def _leave(watch: selectors.BaseSelector, channel: socket.socket) -> None:
    """In the fork: nothing of the server's own stays open."""
    for key in list(watch.get_map().values()):
        if isinstance(key.data, Kept):
            os.close(key.fd)
            key.data.channel.close()
    watch.close()
    channel.close()


def _become(request: dict[str, Any], handles: list[int], parent: int) -> None:
    """In the fork: what subprocess.Popen and `bind` do in a child of the supervisor."""
    os.setsid()
    bind(Limits(**request["limits"]), parent)
    os.dup2(handles[0], 1)
    os.dup2(handles[1], 2)
    with socket.socket(fileno=handles[2]) as channel:  # from here on it may be killed with its group
        channel.send(json.dumps({"pid": os.getpid()}).encode())
    os.close(handles[0])
    os.close(handles[1])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])


def warm(kind: str) -> None:
    """Import what engines need. No thread may be started here: threads do not survive a fork."""
    from tools import forkrender

    if kind == "rows":
        _warm_rows()
    programs = PROGRAMS[kind]
    for name in _modules(programs):
        importlib.import_module(name)
    forkrender.install()
    for name in (*programs, *(f"{name}.__main__" for name in programs)):
        if not hasattr(sys.modules.get(name), "__path__"):
            sys.modules.pop(name, None)  # a fork runs it, and runpy warns of programs that are imported
    gc.collect()
    gc.freeze()


def _warm_rows() -> None:
    import pyarrow

    from datasets_app.engine import lean, native

    lean.without_pandas()
    native.library()
    pyarrow.scalar(0)  # at its first value Arrow imports more


def _modules(programs: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """What a program imports at its start and later: itself, and what its row says; "x.*" is all of a package."""
    for program, needed in programs.items():
        yield from () if program.endswith(".py") else (program,)
        for name in needed:
            if name.endswith(".*"):
                path = importlib.import_module(name[:-2]).__path__
                yield from (f"{name[:-1]}{module.name}" for module in pkgutil.iter_modules(path))
            else:
                yield name


def run(command: list[str]) -> int:
    """Like `python -m MODULE …` or `python SCRIPT …`; returns the exit status."""
    try:
        if command[1] == "-m":
            sys.argv = command[2:]
            runpy.run_module(command[2], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = command[1:], str(Path(command[1]).parent)
            runpy.run_path(command[1], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # what nobody caught ends a Python process like this
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> None:
    """Without tidying memory up: touching every object would copy every page of the server."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    # As the engine of data does before it imports what reads them.
    os.environ |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
    warm(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        end(run(asked["command"]))
