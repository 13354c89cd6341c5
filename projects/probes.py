"""Readings of this machine: its load, and its cards with what they are doing."""

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
from django.conf import settings

from projects.domain import cards
from projects.domain.cards import Reading

SECONDS = 10  # a driver that hangs must not hold a worker


@dataclass(frozen=True)
class Cards:
    """The cards of this process, and why there are none, if there are none."""

    cards: tuple[Reading, ...]
    note: str = ""


def read_cards() -> Cards:
    """Ask the driver. Its answer is cut to what CUDA_VISIBLE_DEVICES leaves this process."""
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
        return Cards((), "No NVIDIA driver is installed (nvidia-smi was not found).")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Cards((), f"nvidia-smi did not answer: {error}"[:300])
    if said.returncode:
        why = (said.stderr or said.stdout).strip().splitlines()
        return Cards((), f"nvidia-smi failed: {why[0] if why else said.returncode}"[:300])
    found = cards.read(said.stdout)
    mine = cards.visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if mine:
        return Cards(tuple(mine))
    return Cards((), "CUDA_VISIBLE_DEVICES hides every card." if found else "nvidia-smi lists no card.")


@cache
def own_cards() -> tuple[Reading, ...]:
    """The cards as they were when the process first asked: slots do not come and go with a driver's mood."""
    return read_cards().cards


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
        "disk_total": disk.total,
    }
