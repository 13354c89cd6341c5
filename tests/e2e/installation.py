"""A whole installation as an operator starts it: its own folder, its own processes, known only by its address."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import migrated

ROOT = Path(__file__).resolve().parents[2]
# What the tests' own settings put into the environment must not reach a real installation.
NOT_OURS = ("DJANGO_SETTINGS_MODULE", "DEBUG", "DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "LUTHIER_MODELS")


@dataclass(frozen=True)
class Installation:
    folder: Path
    address: str

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        port = self.address.rpartition(":")[2]
        return inherited | {"LUTHIER_DATA": str(self.folder), "LUTHIER_ADDRESS": f"127.0.0.1:{port}"}

    def create_owner(self, email: str, name: str) -> str:
        """The one thing that an operator does in a terminal; returns the password it prints."""
        command = [sys.executable, "manage.py", "create_owner", email, "--name", name]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        shown = re.search(r"shown only now: (\S+)", done.stdout)
        assert shown, done.stdout + done.stderr
        return shown[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def installed(folder: Path, base: Path) -> Iterator[Installation]:
    """Tables, static files, a base model in the models folder; then broker, web, worker and beat until the end."""
    made = Installation(folder, f"http://127.0.0.1:{free_port()}")
    shutil.copytree(base, folder / "models" / "tiny-help-desk")
    migrated.fill_sqlite(folder / "luthier.sqlite3")
    subprocess.run([sys.executable, "-m", "config.first_run"], cwd=ROOT, env=made.environment, check=True)
    log = folder / "manager.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "config.processes"]
        manager = subprocess.Popen(command, cwd=ROOT, env=made.environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while "serves" not in log.read_text():
            assert manager.poll() is None and time.monotonic() < deadline, f"it did not start: {log.read_text()}"
            time.sleep(0.1)
        yield made
    finally:
        manager.terminate()
        manager.wait(60)
