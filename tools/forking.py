"""Starts engines by fork of a process that has their imports behind it (`tools/forkserver.py`), for tests and fuzzing.

    with forking.forking(folder) as server: ...  # supervisors start by fork what the server knows

Commands that are not known there, and those with faults armed at import, start from nothing as they always do.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from projects import faults
from projects.bounds import Limits
from tools.forkserver import MOST, PROGRAMS

GONE = b'{"returncode": -9}'  # the server has died, and its children with it


class Server:
    """A fork server and the way to it; it is started when the first fork is asked for."""

    def __init__(
        self, environment: dict[str, str], folder: Path, usual: Callable[..., Any], kind: str = "rows"
    ) -> None:
        self.environment, self.folder, self.usual, self.kind = environment, folder, usual, kind
        self.channel: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.last: dict[str, Any] = {}  # how the last child ended: returncode, cpu_s, peak_mb

    def start(self) -> socket.socket:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.forkserver", str(theirs.fileno()), self.kind],
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
        programs = PROGRAMS[self.kind]
        if command[1] == "-m":
            return command[2] in programs
        return any(Path(command[1]) == self.folder / name for name in programs)

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

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()

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
