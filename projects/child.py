"""One child process: its own process group, its events, its limits, its end."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from projects import faults
from projects.bounds import Limits, bind

MAX_LINE = 4 * 1024 * 1024
MOST_WAITING = 10_000  # events that wait to be noted; a child that says more waits itself
SECRETS = ("_TOKEN", "_KEY", "_SECRET", "_PASSWORD")

SIGNALS = {
    signal.SIGKILL: ("killed", "The process was killed, most often because the machine ran out of memory."),
    signal.SIGXCPU: ("cpu_limit", "It used more processor time than allowed."),
    signal.SIGXFSZ: ("file_limit", "It wrote a larger file than allowed."),
    signal.SIGSEGV: ("crashed", "The process crashed."),
    signal.SIGABRT: ("crashed", "The process crashed."),
}


@dataclass
class Said:
    """What a child said and how it ended."""

    returncode: int | None = None
    cancelled: bool = False
    paused: bool = False
    interrupted: bool = False
    stalled: str = ""
    failure: dict[str, Any] | None = None
    result: dict[str, Any] | None = None

    @property
    def succeeded(self) -> bool:
        return self.returncode == 0 and self.result is not None and self.failure is None

    @property
    def was_killed(self) -> bool:
        return self.returncode == -signal.SIGKILL and self.failure is None

    @property
    def lost_a_part(self) -> bool:
        """One of the processes that it consists of is gone, as it might be itself."""
        return self.failure is not None and self.failure.get("code") == "rank_lost"

    @property
    def stopped_on_request(self) -> bool:
        """It was asked to stop and ended without a result and without a failure of its own."""
        return (self.paused or self.interrupted) and self.result is None and self.failure is None

    def why(self) -> tuple[str, str, str]:
        """Code, message for people, detail."""
        if self.failure:
            return (
                str(self.failure.get("code") or "failed")[:60],
                str(self.failure.get("message") or "It failed."),
                str(self.failure.get("detail") or ""),
            )
        if self.returncode is not None and self.returncode < 0:
            code, message = SIGNALS.get(
                signal.Signals(-self.returncode),
                ("killed", f"The process was ended by signal {-self.returncode}."),
            )
            return code, message, ""
        if self.returncode == 0:
            return "no_result", "The process ended without a result.", ""
        return (
            "crashed",
            f"The process ended unexpectedly (exit code {self.returncode}). Its log says why.",
            "",
        )


def storable(value: Any) -> Any:
    """The same without what no database takes: NUL and halves of surrogate pairs, which quoted data may hold."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(part) for key, part in value.items()}
    return [storable(part) for part in value] if isinstance(value, list) else value


def child_environment() -> dict[str, str]:
    """Only what a child needs: no database address, no secrets, no proxies."""
    allowed = (
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "VIRTUAL_ENV",
        "PYTHONPATH",
        faults.FAULT,
        faults.ALLOWED,
    )
    prefixes = ("CUDA_", "NVIDIA_", "HF_", "OMP_", "MKL_", "TOKENIZERS_", "SSL_", "LUTHIER_ENGINE_")
    kept = {k: v for k, v in os.environ.items() if k in allowed or (k.startswith(prefixes) and not k.endswith(SECRETS))}
    return {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"} | kept


def spawn(command: list[str], *, environment: dict[str, str], limits: Limits, log: BinaryIO) -> subprocess.Popen[bytes]:
    """The process itself. Tests put a fork of a warm process in this place: tools/forkserver.py."""
    parent = os.getpid()
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
        preexec_fn=lambda: bind(limits, parent),  # noqa: PLW1509 - the supervisor has no other thread yet
    )


class Child:
    """A running child. Leaving the `with` block leaves no process of its group behind."""

    def __init__(
        self,
        command: list[str],
        *,
        workdir: Path,
        limits: Limits,
        grace_seconds: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.said = Said()
        self.grace_seconds = grace_seconds
        self._kill_at: float | None = None
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=MOST_WAITING)
        self._log = (workdir / "engine.log").open("ab")
        faults.point("child.before_spawn")
        self._process = spawn(
            command, environment=child_environment() | dict(environment or {}), limits=limits, log=self._log
        )
        faults.point("child.spawned")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        self._log.close()
        self.said.returncode = self._process.returncode

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in iter(lambda: self._process.stdout.readline(MAX_LINE), b""):  # type: ignore[union-attr]
            try:
                event = storable(json.loads(line))
            except (ValueError, RecursionError):
                continue  # libraries print too; only JSON objects are events
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                self._events.put(event)
        self._events.put(None)

    def events(self, wait_seconds: float) -> Iterator[dict[str, Any]]:
        """Events said so far; waits up to `wait_seconds` for the first, and takes no longer for all of them.

        0 drains after the child has ended.
        """
        until = time.monotonic() + wait_seconds
        if not wait_seconds:
            self.kill()  # what is left of its group would hold the pipe open
            self._reader.join(timeout=5)
        try:
            event = self._events.get(timeout=wait_seconds) if wait_seconds else self._events.get_nowait()
            while event is not None:
                self._keep(event)
                yield event
                if wait_seconds and time.monotonic() > until:
                    return  # a child that never stops talking must not keep its supervisor from its heartbeat
                event = self._events.get_nowait()
        except queue.Empty:
            return
        self._events.put(None)  # it has said all: from here on only its end is waited for
        try:
            self._process.wait(wait_seconds)
        except subprocess.TimeoutExpired:
            pass  # it closed its output but works on

    def _keep(self, event: dict[str, Any]) -> None:
        if event["event"] == "failed":
            self.said.failure = event
        elif event["event"] == "result":
            self.said.result = event

    def is_running(self) -> bool:
        """Also sees to it that a cancelled child ends when its grace is over."""
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self.kill()
        return self._process.poll() is None

    def cancel(self) -> None:
        """Ask the child to save and stop; its group is killed when the grace is over."""
        if self._process.poll() is None:
            self.said.cancelled = True
            self._ask_to_stop()

    def pause(self) -> None:
        """The same, but the work is to go on some day from what it saves now."""
        if self._process.poll() is None:
            self.said.paused = True
            self._ask_to_stop()

    def give_up(self, why: str) -> None:
        """Kill a child that has not said anything for too long: whatever it waits for does not come."""
        if self._process.poll() is None:
            self.said.stalled = why
            self.kill()

    def interrupt(self) -> None:
        """The same because the host is being stopped: the work goes on elsewhere, from its last checkpoint."""
        if self._process.poll() is None:
            self.said.interrupted = True
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self.grace_seconds
            self._process.terminate()

    def kill(self) -> None:
        """The whole group, at once."""
        faults.point("child.before_kill")
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the whole group has ended by itself
