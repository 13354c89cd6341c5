"""One installation under fire: its servers, its parts on two hosts, and the keeper that starts again what died."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.chaos import servers
from benchmarks.chaos.looking import is_zombie, keep_server, repeat
from benchmarks.chaos.servers import Server
from benchmarks.installation import ROOT

PR_SET_CHILD_SUBREAPER = 36
# Timers of a thirtieth of the product's: a lease that runs out costs two seconds, not a minute.
TIMERS = {
    "LUTHIER_LEASE_SECONDS": 2.0,
    "LUTHIER_HEARTBEAT_SECONDS": 0.3,
    "LUTHIER_CANCEL_POLL_SECONDS": 0.3,
    "LUTHIER_RECONCILE_SECONDS": 0.7,
    "LUTHIER_WAKE_AGAIN_SECONDS": 1.5,
    "LUTHIER_STOP_GRACE_SECONDS": 3.0,
    "LUTHIER_MIN_STOP_GRACE_SECONDS": 1.0,
    "LUTHIER_WORKER_BEAT_SECONDS": 2.0,
}
FIXED = {
    # Quarantine after three losses is the product's own rule; here every run is lost more often than that.
    "LUTHIER_MAX_LOSSES": "40",
    "LUTHIER_CANARY_SECONDS": "10",
    "LUTHIER_CANARY_LIMIT_SECONDS": "60",
}
HOSTS = ("alpha", "beta")
# A supervisor must start well within its lease; where programs start slowly, all timers are stretched.
START_SECONDS, MOST_STRETCH, OPEN_SECONDS = 0.7, 4.0, 90
CONFIGURATIONS = {
    "postgres+rabbitmq": ("postgres", "rabbitmq"),
    "postgres+redis": ("postgres", "redis"),
    "embedded": ("sqlite", "valkey"),
}


@dataclass
class Part:
    """A process of the installation that is started again whenever it is dead."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True
    starts: int = 0
    asleep_until: float = 0.0

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.starts += 1

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class World:
    """Everything of one configuration. Only what was started here is ever signalled."""

    name: str
    folder: Path
    timers: dict[str, float] = field(default_factory=lambda: dict(TIMERS))
    stretch: float = 1.0
    slots: int = 2
    messages: str = ""
    database: Server | None = None
    broker: Server | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    port: int = field(default_factory=servers.free_port)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> Path:
        return self.folder / "faults"

    @property
    def message_log(self) -> Path:
        return self.folder / "messages.log"

    def prepare(self) -> None:
        """Start the servers, point this process at them, and make the tables and the witness."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # supervisors outlive their workers
        self.folder.chmod(0o755)  # PostgreSQL runs as somebody else
        url = self._start_servers()
        from projects import faults  # before anything is armed: this process bears none

        (self.faults / faults.TAKEN).mkdir(parents=True)
        self.environment |= {
            **(FIXED if self.timers else {}),
            **url,
            "LUTHIER_DATA": str(self.folder / "data"),
            "LUTHIER_GPU_SLOTS": str(self.slots),
            "LUTHIER_CPU_SLOTS": "1",
            "DJANGO_SETTINGS_MODULE": "benchmarks.chaos.settings",
            "LOG_LEVEL": "INFO",
        }
        os.environ.update(self.environment)
        from benchmarks import installation

        if self.timers:  # without any, the product's own hold
            self.measure()
        timers = {name: f"{seconds * self.stretch:g}" for name, seconds in self.timers.items()}
        self.environment |= timers
        installation.prepare(self.folder / "data", timers=timers, **self.environment)
        from benchmarks.chaos import witness

        witness.install()

    @property
    def lease(self) -> float:
        return self.timers["LUTHIER_LEASE_SECONDS"] * self.stretch

    def measure(self) -> None:
        """How slowly do programs start here and now, with as many at a time as there will be?"""
        began = time.monotonic()
        words = [sys.executable, str(ROOT / "manage.py"), "help", "supervise"]
        quiet = {"env": os.environ | self.environment | {"DEBUG": "1"}, "cwd": ROOT, "stdout": subprocess.DEVNULL}
        for process in [subprocess.Popen(words, **quiet) for _ in range(2)]:  # type: ignore[call-overload]
            process.wait()
        self.stretch = min(MOST_STRETCH, max(1.0, (time.monotonic() - began) / START_SECONDS))

    def _start_servers(self) -> dict[str, str]:
        database, broker = CONFIGURATIONS[self.name]
        found: dict[str, str] = {}
        if database == "postgres":
            self.database = servers.Postgres(self.folder / "postgres")
            self.database.start()
            found["DATABASE_URL"] = self.database.create("luthier")
        if broker == "rabbitmq":
            self.broker = rabbit = servers.Rabbit(self.folder / "rabbitmq")
            found["CELERY_BROKER_URL"] = rabbit.url
        elif broker == "redis":
            self.broker = redis = servers.Redis(self.folder / "redis")
            found["CELERY_BROKER_URL"] = redis.url
        else:
            from config.env import broker_socket

            path = broker_socket(self.folder / "data")
            path.parent.mkdir(parents=True, exist_ok=True)
            self.broker = servers.Valkey(self.folder / "valkey", path)
        self.broker.start()
        return found

    def _part(self, name: str, command: list[str], **more: str) -> Part:
        from projects import faults

        environment = os.environ | self.environment | {"LUTHIER_CHAOS_PART": name} | more
        environment |= {faults.FAULT: str(self.faults), faults.ALLOWED: "1"}
        environment |= {"LUTHIER_CHAOS_MESSAGES": self.messages, "LUTHIER_CHAOS_LOG": str(self.message_log)}
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        return Part(name, command, environment, log)

    def open(self, hosts: tuple[str, ...] = HOSTS) -> None:
        """Web, a worker on each host, and beat."""
        python = sys.executable
        web = [
            python, "-m", "gunicorn", "config.wsgi:application", "--bind", f"127.0.0.1:{self.port}",
            "--worker-class", "gthread", "--workers", "1", "--threads", "6", "--timeout", "60", "--no-control-socket",
        ]  # fmt: skip
        self.parts["web"] = self._part("web", web)
        for host in hosts:
            self.parts[f"worker-{host}"] = self._worker(host)
        beat = [python, "-m", "celery", "-A", "config", "beat", "-l", "WARNING", "--pidfile="]
        self.parts["beat"] = self._part("beat", beat)
        for part in self.parts.values():
            part.start()
        deadline = time.monotonic() + OPEN_SECONDS
        while not (servers.answers(self.port) and self._present(hosts)):
            dead = [part for part in self.parts.values() if not part.is_alive()]
            if dead or time.monotonic() > deadline:
                told = [f"{part.name}: {part.log.read_text()[-2000:]}" for part in dead or self.parts.values()]
                raise SystemExit("the installation did not start\n" + "\n".join(told))
            time.sleep(0.1)

    def _present(self, hosts: tuple[str, ...]) -> bool:
        """Every host's worker has announced itself."""
        from projects.models import WorkerProcess

        return set(hosts) <= set(WorkerProcess.objects.values_list("host__name", flat=True))

    def _worker(self, host: str, **more: str) -> Part:
        worker = [
            sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "cpu,gpu", "-P", "solo", "-l", "WARNING",
            "--without-mingle", "--without-gossip", "-n", f"{host}@%h",
        ]  # fmt: skip
        return self._part(f"worker-{host}", worker, LUTHIER_HOST=host, **more)

    def add_worker(self, host: str, *, slots: int) -> None:
        """One more host, while the others work."""
        part = self._worker(host, LUTHIER_GPU_SLOTS=str(slots))
        part.start()
        self.parts[part.name] = part

    def keep_once(self) -> None:
        """Start again what is dead. Servers are seen to by a keeper of their own: they take seconds."""
        now = time.monotonic()
        for part in list(self.parts.values()):
            if part.wanted and not part.is_alive() and now >= part.asleep_until:
                part.start()
        self.reap()

    def reap(self) -> None:
        """Collect adopted supervisors that have ended."""
        mine = {one.process.pid for one in self.parts.values() if one.process}
        mine |= {one.process.pid for one in (self.database, self.broker) if one and one.process}
        for child in psutil.Process().children():
            if child.pid not in mine and is_zombie(child):
                try:
                    os.waitpid(child.pid, os.WNOHANG)
                except ChildProcessError:
                    pass  # another part of this process was waiting for it

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While inside, the dead are started again."""
        done = threading.Event()
        jobs: list[Callable[[], None]] = [self.keep_once]
        jobs += [keep_server(server) for server in (self.database, self.broker) if server is not None]
        threads = [threading.Thread(target=repeat, args=(job, done), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
                thread.join(60)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Descendants that live and whose command line has all the words."""
        found = []
        for process in psutil.Process().children(recursive=True):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words) and not is_zombie(process):
                found.append(process)
        return found

    def supervisors(self) -> list[psutil.Process]:
        return self.processes("manage.py supervise")

    def children(self) -> list[psutil.Process]:
        """Training processes: they name a spec, supervisors do not."""
        return self.processes("/training.run/", "spec.json")

    def close(self) -> None:
        for part in self.parts.values():
            part.wanted = False
        while left := [one for one in psutil.Process().children(recursive=True) if not self._is_server(one.pid)]:
            for process in left:  # again and again: what is killed may just have started something
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(left, timeout=5)
            self.reap()
        for server in (self.broker, self.database):
            if server is not None:
                server.stop()

    def _is_server(self, pid: int) -> bool:
        roots = [one.process.pid for one in (self.database, self.broker) if one and one.process]
        if pid in roots:
            return True
        try:
            return any(parent.pid in roots for parent in psutil.Process(pid).parents())
        except psutil.NoSuchProcess:
            return False
