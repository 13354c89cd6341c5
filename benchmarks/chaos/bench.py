"""What the proofs with the product's own timers share: an installation, its runs, and questions about them."""

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import installation
from benchmarks.chaos.world import World

RECIPE = {"method": "sft", "rank": 2, "alpha": 4, "batch_size": 8, "max_length": 128}
ROWS = 24


class Bench:
    """Runs on an installation whose timers are the product's own."""

    def __init__(self, world: World, rng: random.Random) -> None:
        from benchmarks.chaos.one import work_off

        self.world, self.rng = world, rng
        cache = installation.ROOT / "var" / "bench"
        self.owner, self.project, self.base, self.version = installation.furnish(cache, ROWS, work_off)

    def start(self, name: str, *, steps: int, checkpoint_steps: int = 3) -> Any:
        """A run of the fake trainer; of the real engine when its name begins with "real"."""
        from training import services

        recipe = RECIPE | {"epochs": steps / (ROWS // 8), "checkpoint_steps": checkpoint_steps}
        return services.launch_run(
            self.project, by=self.owner, name=name, base=self.base, version=self.version, recipe=recipe
        )

    def until(self, run: Any, is_true: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
            run.refresh_from_db()
        return True

    def processes_of(self, run: Any) -> list[Any]:
        """Everything that works on a run: supervisors name its number, children its folder."""
        return [
            *self.world.processes("manage.py supervise training.run", f"training.run {run.pk} "),
            *self.world.processes(f"/training.run/{run.pk}/f"),
        ]


@contextmanager
def opened(hosts: tuple[str, ...], *, slots: int, step_seconds: float, seed: int = 7) -> Iterator[Bench]:
    """The embedded installation with a worker on each of these hosts, kept alive and ended in the end."""
    with tempfile.TemporaryDirectory(prefix="luthier-proof-", ignore_cleanup_errors=True) as folder:
        world = World("embedded", Path(folder), timers={}, slots=slots)
        world.environment["LUTHIER_ENGINE_STEP_SECONDS"] = str(step_seconds)
        try:
            world.prepare()
            bench = Bench(world, random.Random(seed))
            world.open(hosts)
            with world.kept():
                yield bench
        finally:
            world.close()


def at_once(jobs: list[Callable[[], None]], most: int) -> None:
    """All of them, `most` at a time, each in a thread."""
    from django.db import connection

    waiting, lock = list(jobs), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    break
                job = waiting.pop(0)
            job()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(most)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
