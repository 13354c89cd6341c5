"""Readings of this machine: its load, its cards and what they are doing, and the versions it would work with."""

import hashlib
import os
import platform
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil
from django.conf import settings

from projects.domain import cards
from projects.domain.cards import Reading

SECONDS = 10  # a driver that hangs must not hold a worker
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "celery", "django")
APPS = ("config", "projects", "datasets_app", "training", "evaluation", "deployments")


@dataclass(frozen=True)
class Cards:
    """The cards of this host, those of them that this process may use, and why there are none, if so."""

    cards: tuple[Reading, ...] = ()
    mine: tuple[Reading, ...] = ()
    note: str = ""


def read_cards() -> Cards:
    """Ask the driver what there is now."""
    try:
        said = subprocess.run(
            cards.query(settings.NVIDIA_SMI),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return Cards(note="No NVIDIA driver is installed (nvidia-smi was not found).")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Cards(note=f"nvidia-smi did not answer: {error}"[:300])
    if said.returncode:
        why = (said.stderr or said.stdout).strip().splitlines()
        return Cards(note=f"nvidia-smi failed: {why[0] if why else said.returncode}"[:300])
    found = cards.read(said.stdout)
    mine = cards.visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
    note = "" if mine else "CUDA_VISIBLE_DEVICES hides every card." if found else "nvidia-smi lists no card."
    return Cards(tuple(found), tuple(mine), note)


class _Memory:
    """What the driver said last. It may forget a card for a moment; its places stay."""

    reading: Cards | None = None


def remember(reading: Cards) -> None:
    if reading.mine or _Memory.reading is None or not _Memory.reading.mine:
        _Memory.reading = reading


def forget() -> None:
    _Memory.reading = None


def own_cards() -> tuple[Reading, ...]:
    """The cards that this process may use, without asking the driver again."""
    if _Memory.reading is None:
        remember(read_cards())
    return _Memory.reading.mine if _Memory.reading else ()


def read_load() -> dict[str, float | int]:
    """Shares of 0 to 1 and bytes. The first reading of the processors covers the time since the process began."""
    memory = psutil.virtual_memory()
    work = Path(settings.WORK_DIR)
    disk = psutil.disk_usage(str(work if work.exists() else settings.BASE_DIR))
    return {
        "cpu": psutil.cpu_percent() / 100,
        "cpus": psutil.cpu_count() or 1,
        "memory_used": memory.total - memory.available,
        "memory_total": memory.total,
        "disk_free": disk.free,
        "disk_used": disk.used,
        "disk_total": disk.total,
    }


@cache
def versions() -> dict[str, str]:
    """What results may depend on, by name; a library that is not there is left out."""
    found = {"luthier": own_version(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def own_version() -> str:
    """The number in pyproject.toml and a hash over the code itself, which tells two checkouts apart."""
    root = Path(settings.BASE_DIR)
    digest = hashlib.sha256()
    for path in sorted(path for app in APPS for path in (root / app).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    number = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return f"{number}+{digest.hexdigest()[:8]}"
