"""Starts the reading child by fork instead of from nothing: its imports are there, everything else is its own.

What runs in the fork is `datasets_app.engine.__main__.main`, the product's own entry, under its own limits. Only the
half second of imports is saved. `Forked` takes the place of `subprocess.Popen` in `projects.child`.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PR_SET_PDEATHSIG = 1


def serve(channel: socket.socket) -> None:
    """Fork once for each request (a spec's path, with the two handles to write to), and say how each fork ended."""
    from datasets_app.engine import __main__ as engine

    _warm()
    gc.freeze()
    while True:
        message, handles, _, _ = socket.recv_fds(channel, 65536, 2)
        if not message:
            return
        pid = os.fork()
        if not pid:
            _child(engine, message.decode(), handles, channel)
        for handle in handles:
            os.close(handle)
        channel.send(json.dumps({"pid": pid}).encode())
        _, status, usage = os.wait4(pid, 0)
        ended = {
            "returncode": os.waitstatus_to_exitcode(status),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss / 1024,
        }
        channel.send(json.dumps(ended).encode())


def _warm() -> None:
    """Import what reading needs; no thread may be started here, for threads do not survive a fork."""
    import pyarrow.csv
    import pyarrow.ipc
    import pyarrow.parquet  # noqa: F401

    from datasets_app.engine import build, native, upload  # noqa: F401

    native.library()


def _child(engine: Any, spec: str, handles: list[int], channel: socket.socket) -> None:
    code = 1
    try:
        channel.close()
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(handles[0], 1)
        os.dup2(handles[1], 2)
        code = engine.main(["", spec])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Server:
    """The fork server of one worker; it has one child at a time."""

    def __init__(self, environment: dict[str, str], folder: str) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzzing.forkserver", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=folder,
            env=environment,
        )
        theirs.close()
        self.last: dict[str, Any] = {}

    def close(self) -> None:
        self.channel.close()
        self.process.wait(10)


class Forked:
    """As much of Popen as `projects.child.Child` uses."""

    server: Server

    def __init__(self, command: list[str], *, stderr: Any, **_: Any) -> None:
        reading, writing = os.pipe()
        socket.send_fds(self.server.channel, [command[-1].encode()], [writing, stderr.fileno()])
        os.close(writing)
        self.stdout = os.fdopen(reading, "rb")
        self.pid = int(json.loads(self.server.channel.recv(4096))["pid"])
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("forked", timeout or 0)
        return code

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self.server.channel], [], [], timeout)[0]:
            self.server.last = json.loads(self.server.channel.recv(4096))
            self.returncode = int(self.server.last["returncode"])
        return self.returncode


class _Subprocess:
    """The module subprocess, but for Popen."""

    Popen = Forked

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


@contextmanager
def forked_children(folder: str) -> Iterator[Server]:
    """Inside, the product's supervisor starts its children through a fork server."""
    from projects import child

    Forked.server = Server(child.child_environment(), folder)
    usual, child.subprocess = child.subprocess, _Subprocess()  # type: ignore[assignment]
    try:
        yield Forked.server
    finally:
        child.subprocess = usual  # type: ignore[assignment]
        Forked.server.close()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
