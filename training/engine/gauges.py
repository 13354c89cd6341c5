"""What the machine says while a run trains: memory, and how busy its card is; looked at aside, told with the steps."""

import os
import subprocess
import threading
import time
from typing import Any

import psutil

from projects.domain import cards
from training.engine import memory

EVERY = 5.0  # seconds
PATIENCE = 5.0  # for a driver that hangs
PROGRAM = "nvidia-smi"


class Gauges:
    """`read()` gives the newest figures; a thread asks the driver, which may take a second to answer.

    `memory_bytes` (bytes): what torch holds on the card, or what this process holds of the machine's memory.
    `device_use` (0 to 1): share of the last seconds in which the card worked, or this process per thread it may use.
    `temperature` (°C) and `power_watts` where a card tells them. Where the run has several cards, `device_use_1`,
    `memory_bytes_1` and so on tell of each what the driver says.
    """

    def __init__(self, device: str, threads: int = 1) -> None:
        self.device, self.threads = device, max(1, threads)
        self._process = psutil.Process()
        self._driver: dict[str, float] = {}
        self._use: dict[str, float] = {}
        self._over = threading.Event()
        self._spent = self._cpu()
        if device == "cuda":
            threading.Thread(target=self._ask_on, name="gauges", daemon=True).start()

    def read(self) -> dict[str, float]:
        if self.device == "cuda":
            return {"memory_bytes": float(memory.held(self.device)), **self._driver}
        now, before = self._cpu(), self._spent
        found = {"memory_bytes": float(memory.held(self.device))}
        if now[1] - before[1] >= 0.2:  # over less the clock of the CPU is too coarse
            self._spent = now
            self._use = {"device_use": min(1.0, (now[0] - before[0]) / (now[1] - before[1]) / self.threads)}
        return found | self._use

    def close(self) -> None:
        self._over.set()

    def _cpu(self) -> tuple[float, float]:
        times = self._process.cpu_times()
        return times.user + times.system, time.monotonic()

    def _ask_on(self) -> None:
        while not self._over.is_set():
            self._driver = ask()
            self._over.wait(EVERY)


def ask(program: str = PROGRAM) -> dict[str, float]:
    """The driver's figures of the cards that this run uses, the first for all; nothing where it does not answer."""
    try:
        said = subprocess.run(
            cards.query(program), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    mine = cards.visible(cards.read(said.stdout), os.environ.get("CUDA_VISIBLE_DEVICES"))
    if not mine:
        return {}
    figures: dict[str, Any] = {
        "device_use": mine[0].utilisation,
        "temperature": mine[0].temperature,
        "power_watts": mine[0].power_watts,
    }
    if len(mine) > 1:
        for number, card in enumerate(mine, start=1):
            figures |= {f"device_use_{number}": card.utilisation, f"memory_bytes_{number}": card.memory_used_bytes}
    return {name: float(value) for name, value in figures.items() if value is not None}
