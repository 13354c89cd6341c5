"""Starts engines by fork of a process that has their imports behind it, for tests and for fuzzing.

A fork has what a child of `projects.child.spawn` has: the same command line, environment, folder, session, limits and
pipes, and it runs the same `__main__`. What it saves is the start of Python and of its libraries: half a second each.
Commands that are not known here, and those with faults armed at import, start from nothing as they always do.

    with forkserver.forking(modules, environment, folder) as server: ...  # server.spawn takes the place of child.spawn
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
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from projects import faults
from projects.bounds import Limits, bind

MOST = 1 << 18  # bytes of a request: a command line and an environment
GONE = b'{"returncode": -9}'  # the server has died, and its children with it
# Programs that may be forked, and what their packages import only when it is needed.
ENGINES = {
    "datasets_app.engine": ("datasets_app.engine", "datasets_app.domain"),
    "training.engine.fingerprint": (),
    "training.engine.tokens": (),
    "training.engine.seen": (),
    "deployments.engine": ("deployments.engine",),
    "tests.fake_engine": (),
}
ARROW = tuple(f"pyarrow.{part}" for part in ("compute", "csv", "ipc", "pandas_compat", "parquet"))
LIBRARIES = ("concurrent.futures.thread", "jinja2.sandbox", "numpy.ma", "tokenizers", *ARROW)
SCRIPTS = {"tests/factories/evaluation_engine.py": ("evaluation.engine.grading", "evaluation.engine.spec")}


# The far side


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


def warm() -> None:
    """Import what engines need. No thread may be started here: threads do not survive a fork."""
    import pyarrow

    from datasets_app.engine import lean, native

    lean.without_pandas()
    names = [*LIBRARIES, *ENGINES, *(name for needed in SCRIPTS.values() for name in needed)]
    for package in (package for packages in ENGINES.values() for package in packages):
        path = importlib.import_module(package).__path__
        names += [f"{package}.{module.name}" for module in pkgutil.iter_modules(path)]
    for name in names:
        importlib.import_module(name)
    native.library()
    pyarrow.scalar(0)  # at its first value Arrow imports more
    for name in (*ENGINES, *(f"{name}.__main__" for name in ENGINES)):
        if not hasattr(sys.modules.get(name), "__path__"):
            sys.modules.pop(name, None)  # a fork runs it, and runpy warns of programs that are imported
    gc.collect()
    gc.freeze()


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


# The near side


class Server:
    """A fork server and the way to it."""

    def __init__(self, environment: dict[str, str], folder: Path, usual: Callable[..., Any]) -> None:
        self.environment, self.folder, self.usual = environment, folder, usual
        self.channel: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.last: dict[str, Any] = {}  # how the last child ended: returncode, cpu_s, peak_mb

    def start(self) -> socket.socket:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.forkserver", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env=self.environment,
        )
        theirs.close()
        return self.channel

    def close(self) -> None:
        if self.channel is not None and self.process is not None:
            self.channel.close()
            self.process.wait(30)

    def knows(self, command: list[str], environment: dict[str, str]) -> bool:
        """Whether a fork may stand for this command."""
        if command[:1] != [sys.executable] or len(command) < 3 or faults.FAULT in environment:
            return False
        if command[1] == "-m":
            return command[2] in ENGINES
        return any(Path(command[1]) == self.folder / name for name in SCRIPTS)

    def fork(self, command: list[str], *, environment: dict[str, str], limits: Limits, log: BinaryIO) -> "Forked":
        request = {
            "command": command,
            "environment": environment,
            "folder": str(self.folder),
            "limits": asdict(limits),
        }
        return Forked(self, json.dumps(request).encode(), log)


class Forked:
    """As much of Popen as a supervisor uses. The child is the fork server's; how it ended comes over a channel."""

    def __init__(self, server: Server, request: bytes, log: BinaryIO) -> None:
        self.server = server
        reading, writing = os.pipe()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            channel = server.channel or server.start()
            socket.send_fds(channel, [request], [writing, log.fileno(), theirs.fileno()])
        os.close(writing)
        self.stdout = os.fdopen(reading, "rb")
        self.pid = int(json.loads(self._channel.recv(MOST))["pid"])
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a fork", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._channel.settimeout(timeout)
            try:
                said = self._channel.recv(MOST) or GONE
            except (TimeoutError, BlockingIOError):
                return None
            self.server.last = json.loads(said)
            self._channel.close()
            self.returncode = int(self.server.last["returncode"])
        return self.returncode


@contextmanager
def forking(folder: Path) -> Iterator[Server]:
    """Inside, supervisors start the engines that are known here by fork."""
    from projects import child

    server = Server(child.child_environment(), folder, usual=child.spawn)

    def spawn(command: list[str], *, environment: dict[str, str], limits: Limits, log: BinaryIO) -> Any:
        start: Callable[..., Any] = server.fork if server.knows(command, environment) else server.usual
        return start(command, environment=environment, limits=limits, log=log)

    child.spawn = spawn
    try:
        yield server
    finally:
        child.spawn = server.usual
        server.close()


if __name__ == "__main__":
    # As the engine of data does before it imports what reads them.
    os.environ |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
    warm()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        end(run(asked["command"]))
