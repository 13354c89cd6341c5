"""make prove-kills: SIGKILL of the engine child, of the whole worker, and of the broker while a run is queued.

Every run must end `succeeded` once, with one adapter. The last line is {"kills", "lost", "duplicates"}.
KILLS sets how many of each; the default is 20.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks import installation

RECIPE = {
    "method": "sft",
    "rank": 8,
    "alpha": 16,
    "learning_rate": 2e-3,
    "epochs": 5,
    "batch_size": 8,
    "max_length": 128,
    "checkpoint_steps": 20,
}
ROWS = 120


class Proof:
    """One installation under fire."""

    def __init__(self, manager: psutil.Process, cache: Path, rng: random.Random) -> None:
        self.manager, self.rng = manager, rng
        self.owner, self.project, self.base, self.version = installation.furnish(cache, ROWS)
        self.kills = self.resumed = 0
        self.runs: list[Any] = []

    def start(self, name: str) -> Any:
        from training import services as training

        run = training.create_run(
            self.project,
            by=self.owner,
            name=name,
            base=self.base,
            version=self.version,
            recipe=RECIPE,
        )
        self.runs.append(run)
        return training.start_run(run, by=self.owner)

    def wait_until(self, run: Any, is_true: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > deadline:
                raise SystemExit(f"{run} came to nothing: {run.state} {run.error_message}")
            time.sleep(0.05)
            run.refresh_from_db()

    def kill(self, victims: list[psutil.Process]) -> None:
        for victim in victims:
            try:
                victim.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        self.kills += 1

    def kill_the_child(self, number: int) -> None:
        """The child alone dies, as when the kernel needs its memory; its supervisor puts the run back."""
        run = self.start(f"child {number}")
        self._some_way_in(run)
        self.kill(installation.find(self.manager, f"training.run/{run.pk}/f{run.fence}"))

    def kill_the_worker(self, number: int) -> None:
        """As if the host lost its power: Celery, supervisor and child at once."""
        run = self.start(f"worker {number}")
        self._some_way_in(run)
        worker = installation.find(self.manager, "celery", "worker")
        supervisors = installation.find(self.manager, "manage.py", "supervise")
        children = installation.find(self.manager, "training.run/")
        self.kill([*worker, *supervisors, *children])

    def kill_the_broker(self, number: int) -> None:
        """The broker dies before, or at any moment around, the wake-up of a queued run."""
        first = self.rng.random() < 0.5
        broker = installation.find(self.manager, "valkey-server")
        if first:
            self.kill(broker)
        self.start(f"broker {number}")
        if not first:
            time.sleep(self.rng.uniform(0, 0.05))
            self.kill(broker)

    def _some_way_in(self, run: Any) -> None:
        """Wait until the run works, then a random while: into loading, training, or saving."""
        self.wait_until(run, lambda: run.state == "running")
        if self.rng.random() < 0.7:
            self.wait_until(run, lambda: run.step > 0 or run.is_over)
        time.sleep(self.rng.uniform(0, 3))
        run.refresh_from_db()

    def settle(self) -> None:
        run = self.runs[-1]
        installation.wait(run)
        self.resumed += run.checkpoint_step is not None and run.fence > 1

    def lost(self) -> list[str]:
        return [f"{run} {run.state} {run.error_code}" for run in self.runs if run.state != "succeeded"]

    def duplicates(self) -> list[str]:
        from django.conf import settings

        from projects.models import AuditEvent
        from training.models import Adapter

        found = []
        for run in self.runs:
            adapters = Adapter.objects.filter(run=run).count()
            ends = AuditEvent.objects.filter(target=f"training.run:{run.pk}", action="run.succeeded").count()
            stored = len(list(Path(settings.DATA_DIR).glob(f"files/**/run-{run.pk}-f*/MANIFEST.json")))
            if max(adapters, ends, stored) > 1:
                found.append(f"{run}: {adapters} adapters, {ends} ends, {stored} stored")
        return found


def main() -> int:
    each = int(os.environ.get("KILLS", "20"))
    cache = Path(os.environ.get("LUTHIER_BENCH_CACHE", installation.ROOT / "var" / "bench"))
    with tempfile.TemporaryDirectory(prefix="luthier-proof-") as folder:
        installation.prepare(Path(folder))
        with installation.processes("127.0.0.1:8190") as manager:
            proof = Proof(manager, cache, random.Random(7))
            for what in (proof.kill_the_child, proof.kill_the_worker, proof.kill_the_broker):
                for number in range(1, each + 1):
                    what(number)
                    proof.settle()
                    run = proof.runs[-1]
                    print(f"{run}: {run.state} after {run.fence} claims, {run.finished_at - run.queued_at}", flush=True)
            lost, duplicates = proof.lost(), proof.duplicates()
    for line in [*lost, *duplicates]:
        print(line, file=sys.stderr)
    figures = {"kills": proof.kills, "lost": len(lost), "duplicates": len(duplicates), "resumed": proof.resumed}
    print(json.dumps(figures))
    return int(bool(lost or duplicates))


if __name__ == "__main__":
    sys.exit(main())
