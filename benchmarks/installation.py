"""A whole installation in a folder of its own: the process manager, a project, a base model, a dataset."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tools import migrated

ROOT = Path(__file__).resolve().parents[1]
# Timers of a tenth of the product's, so that waiting for a lease to expire takes seconds.
SCALED = {
    "LUTHIER_LEASE_SECONDS": "6",
    "LUTHIER_HEARTBEAT_SECONDS": "1",
    "LUTHIER_CANCEL_POLL_SECONDS": "0.5",
    "LUTHIER_RECONCILE_SECONDS": "2",
    "LUTHIER_WAKE_AGAIN_SECONDS": "3",
    "LUTHIER_WORKER_BEAT_SECONDS": "1",
    "LUTHIER_CANARY_SECONDS": "3",
    "LUTHIER_CANARY_LIMIT_SECONDS": "12",
}


def prepare(folder: Path, *, timers: dict[str, str] | None = None, **environment: str) -> None:
    """Point this process and its children at `folder` and make the tables there."""
    os.environ.update(
        (SCALED if timers is None else timers)
        | {"LUTHIER_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings.base"}
        | environment
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from config import first_run

    first_run.secret_key(folder)
    import django

    django.setup()
    from django.core.management import call_command

    if "DATABASE_URL" not in os.environ:
        migrated.fill_sqlite(folder / "luthier.sqlite3")
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)  # pages of a clean checkout need them


@contextmanager
def processes(address: str) -> Iterator[psutil.Process]:
    """The process manager with all its parts, ended in good order afterwards."""
    log = Path(os.environ["LUTHIER_DATA"]) / "manager.log"
    with log.open("ab") as out:
        manager = subprocess.Popen(
            [sys.executable, "-m", "config.processes"],
            cwd=ROOT,
            env=os.environ | {"LUTHIER_ADDRESS": address},
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 90
        while "serves" not in log.read_text():
            if manager.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the installation did not start: {log.read_text()}")
            time.sleep(0.1)
        yield psutil.Process(manager.pid)
    finally:
        manager.terminate()
        manager.wait(60)


@contextmanager
def web(address: str) -> Iterator[psutil.Process]:
    """Only the web server, as an installation runs it."""
    from config.processes import parts

    server = next(part for part in parts(address) if part.name == "web")
    log = Path(os.environ["LUTHIER_DATA"]) / "web.log"
    with log.open("ab") as out:
        process = subprocess.Popen(server.command, cwd=ROOT, env=os.environ | {"LUTHIER_ADDRESS": address}, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while not server.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the web server did not start: {log.read_text()}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def find(manager: psutil.Process, *words: str) -> list[psutil.Process]:
    """The manager's descendants whose command line has all the words."""
    found = []
    for process in manager.children(recursive=True):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if all(word in line for word in words):
            found.append(process)
    return found


def base_folder(cache: Path) -> Path:
    """The tiny base model, built once and kept in the cache folder."""
    folder = cache / "tiny-help-desk"
    if not (folder / "config.json").exists():
        aside = cache / ".tiny-help-desk.part"
        shutil.rmtree(aside, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "training.engine.tiny", str(aside)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        aside.rename(folder)
    return folder


def wait(job: Any, seconds: float = 180) -> bool:
    """Wait until a job is over; False when it is not over in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job.refresh_from_db()
        if job.is_over:
            return True
        time.sleep(0.1)
    return False


def furnish(cache: Path, rows: int, wait: Callable[[Any], bool] = wait) -> tuple[Any, Any, Any, Any]:
    """An owner, a project, a registered base and a training version, made by the product's own services and workers."""
    import json

    from django.conf import settings
    from django.core.files.uploadedfile import SimpleUploadedFile

    from datasets_app import services as datasets
    from demo import tickets
    from projects.models import Project, User
    from training import services as training

    target = Path(settings.MODELS_DIR) / "tiny-help-desk"
    if not target.exists():
        shutil.copytree(base_folder(cache), target)
    owner = User.objects.create_user("owner@luthier.example", "not used to sign in")
    project = Project.objects.create(name="Proof", slug="proof")
    project.memberships.create(user=owner, role="owner")
    base = training.register_base(project, by=owner, name="Tiny", source="local", path=target.name)
    dataset = datasets.create_dataset(project, by=owner, name="Tickets", purpose="training")
    train, _ = tickets.routing_sets(rows, 10)
    content = "".join(json.dumps(row) + "\n" for row in train).encode()
    upload = datasets.accept_upload(dataset, by=owner, file=SimpleUploadedFile("tickets.jsonl", content))
    for job in (base, upload):
        if not wait(job) or job.state != "succeeded":
            raise SystemExit(f"{job} {job.state}: {job.error_code} {job.error_message} {job.error_detail}")
    profile = training.measure_tokens(upload.version, by=owner, base=base, max_length=128)
    if not wait(profile):
        raise SystemExit(f"{profile} was not counted")
    return owner, project, base, upload.version
