"""The switch of a slot under fire: its process killed at each of its points, and a zombie that wakes too late.

The process knows no database, so it needs none here: `strike(folder)` returns the faults and what went wrong.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks.chaos.oracle import LOST, STUCK, ZOMBIE, Violation
from benchmarks.chaos.points import APART
from benchmarks.installation import ROOT
from deployments.engine import release
from projects import faults

WAIT_SECONDS = 20


def order(folder: Path, number: int, turn: tuple[int, int]) -> Path:
    """The spec of one deployment of adapter `number` into the one slot."""
    source = folder / f"adapter-{number}"
    source.mkdir(exist_ok=True)
    (source / "adapter_model.safetensors").write_bytes(bytes([number]) * 5000)
    (source / "adapter_config.json").write_text(json.dumps({"r": number}))
    files = {
        path.name: {"sha256": release.sha256_of(path), "size": path.stat().st_size} for path in sorted(source.iterdir())
    }
    spec = {
        "source": str(source), "files": files, "slot_dir": str(folder / "slot"), "release": f"release{number}",
        "turn": list(turn), "record": {"files": files},
    }  # fmt: skip
    place = folder / f"order-{number}-{turn[0]}-{turn[1]}.json"
    place.write_text(json.dumps(spec))
    return place


def begin(spec: Path, fault: str = "") -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {faults.FAULT, faults.ALLOWED}}
    if fault:
        environment |= {faults.FAULT: fault, faults.ALLOWED: "1"}
    words = [sys.executable, "-m", "deployments.engine", str(spec)]
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def serves(folder: Path, number: int) -> bool:
    """Whether the slot points at this adapter, every byte of it."""
    slot = folder / "slot"
    try:
        files = json.loads((slot / "current" / release.RECORD).read_text())["files"]
        return (slot / "current").readlink().name == f"release{number}" and not release.faults(slot / "current", files)
    except (OSError, ValueError):
        return False


def strike(folder: Path) -> tuple[Counter[str], list[Violation]]:
    """Adapter 1 is live; then every fault on the way to another one."""
    delivered, wrong = Counter[str](), list[Violation]()
    (folder / "slot").mkdir(parents=True)
    begin(order(folder, 1, (1, 1))).communicate()
    for number, name in enumerate(sorted(APART), start=2):
        before = number - 1
        killed = begin(order(folder, number, (number, 1)), f"{name}:kill")
        killed.communicate()
        delivered["point kill"] += killed.returncode == -signal.SIGKILL
        if not serves(folder, before) and not serves(folder, number):
            wrong.append(Violation(LOST, 0, f"after a kill at {name} the slot serves neither the old nor the new"))
        begin(order(folder, number, (number, 2))).communicate()
        if not serves(folder, number):
            wrong.append(Violation(LOST, 0, f"after a kill at {name} the next attempt did not switch the slot"))
    return delivered + _zombie(folder, wrong), wrong


def _zombie(folder: Path, wrong: list[Violation]) -> Counter[str]:
    """Stopped with its files ready; a later deployment switches; what wakes must leave that alone."""
    zombie = begin(order(folder, 8, (8, 1)), "release.filled:stop")
    deadline = time.monotonic() + WAIT_SECONDS
    while psutil.Process(zombie.pid).status() != psutil.STATUS_STOPPED and time.monotonic() < deadline:
        time.sleep(0.05)
    begin(order(folder, 9, (9, 1))).communicate()
    zombie.send_signal(signal.SIGCONT)
    said, _ = zombie.communicate()
    if not serves(folder, 9):
        wrong.append(Violation(ZOMBIE, 0, "a deployment that slept through a later one switched the slot back"))
    if '"superseded"' not in said:
        wrong.append(Violation(STUCK, 0, f"a deployment that slept through a later one did not say so: {said[-200:]}"))
    return Counter({"stop at point": 1})
