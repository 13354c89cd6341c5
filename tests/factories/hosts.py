"""Hosts for tests: a driver that says what a test wants, and rows as worker processes write them."""

from datetime import timedelta
from pathlib import Path

from projects import leases, probes
from projects.models import Card, Host, WorkerProcess

CARD = "{index}, GPU-{index}{index}{index}{index}-0000, NVIDIA H200, 143771, {used}, {temperature}, {use}, 410.5"


def driver_output(cards: int = 2, used: int = 1024, temperature: int = 41, use: int = 87) -> str:
    lines = [CARD.format(index=index, used=used, temperature=temperature, use=use) for index in range(cards)]
    return "".join(f"{line}\n" for line in lines)


def fake_driver(folder: Path, says: str, *, returncode: int = 0) -> str:
    """A program that answers as nvidia-smi would; its address is for `settings.NVIDIA_SMI`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "said").write_text(says)
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\ncat {folder}/said\nexit {returncode}\n')
    program.chmod(0o755)
    probes.forget()
    return str(program)


def make_host(name: str, *, queues=("cpu", "gpu"), places=None, silent=0.0, cards=0, versions=None, **fields) -> Host:
    """A host with one worker process, last heard of `silent` seconds ago."""
    beat = leases.database_time() - timedelta(seconds=silent)
    load = {
        "cpu": 0.42, "cpus": 16, "memory_used": 48 * 10**9, "memory_total": 128 * 10**9,
        "disk_free": 410 * 10**9, "disk_used": 570 * 10**9, "disk_total": 980 * 10**9,
    }  # fmt: skip
    host = Host.objects.create(name=name, beat_at=beat, **({"load": load} | fields))
    if places is None:
        on_cards = [f"gpu:{index}" for index in range(cards)] or ["cpu:0"]
        places = {queue: on_cards if queue == "gpu" else ["cpu:0", "cpu:1"] for queue in queues}
    WorkerProcess.objects.create(
        host=host,
        pid=4000 + host.pk,
        queues=list(queues),
        places=places,
        versions=versions or {"luthier": "0.1.0+aaaaaaaa", "torch": "2.13.0"},
        stop_grace_seconds=12,
        started_at=beat - timedelta(hours=5),
        beat_at=beat,
    )
    for index in range(cards):
        Card.objects.create(
            host=host,
            index=index,
            uuid=f"GPU-{index}",
            name="NVIDIA H200",
            memory_bytes=150_000_000_000,
            memory_used_bytes=121_000_000_000 if index == 0 else 96_000_000_000,
            temperature=61 + 4 * index,
            utilisation=0.97 - 0.06 * index,
            power_watts=612.0 - 40 * index,
        )
    return host
