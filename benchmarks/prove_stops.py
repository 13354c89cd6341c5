"""make prove-stops: cancels and stops of hosts at random phases, with the product's own timers.

Every cancelled run must be over within 15 s and leave no process behind; every run whose host is stopped must have
saved the step it was at and go on from there elsewhere. RUNS sets how many of each (50); five of them train for real.
The last line is one JSON object.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.chaos.bench import Bench, at_once, opened
from projects.domain.errors import Refused

LIMIT_SECONDS, REAL, AT_ONCE = 15.0, 5, 4
END_SECONDS = 300.0  # for what goes on after a stop
HOSTS = ("alpha", "beta")
STEPS, REAL_STEPS = 40, 60
RESUMED = re.compile(r"going on from the checkpoint of step (\d+)")


class Cancels:
    """Runs that are cancelled somewhere between their queue and their end."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seconds: list[float] = []
        self.late: list[str] = []
        self.orphans: list[str] = []

    def one(self, number: int, real: bool) -> None:
        """A run that is over before the wish came shows nothing: then another one."""
        run, began, kind, steps = None, 0.0, "real" if real else "chain", REAL_STEPS if real else STEPS
        while run is None:
            run = self.bench.start(f"{kind} cancel {number}", steps=steps)
            time.sleep(self.bench.rng.uniform(0, 12 if real else 4))
            began = time.monotonic()
            run = run if self._asked(run) else None
        over = self.bench.until(run, lambda: run.is_over, LIMIT_SECONDS)
        self.seconds.append(time.monotonic() - began)
        if not over or run.state != "cancelled":
            self.late.append(f"{run} is {run.state} after {self.seconds[-1]:.1f} s")
        # The supervisor tidies up when all is written down; it has the rest of the time for that, and no more.
        while (left := self.bench.processes_of(run)) and time.monotonic() - began < LIMIT_SECONDS:
            time.sleep(0.1)
        self.orphans += [f"{run}: process {one.pid} is left" for one in left]

    def _asked(self, run: Any) -> bool:
        from training import services

        try:
            services.cancel_run(run, by=self.bench.owner, reason="proof")
        except Refused:
            return False
        return True


class Stops:
    """Runs whose host is being stopped in good order."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.saved = self.resumed = 0
        self.wrong: list[str] = []

    def one(self, number: int, real: bool) -> None:
        run = self.bench.start(
            f"{'real' if real else 'chain'} stop {number}", steps=REAL_STEPS if real else STEPS, checkpoint_steps=1000
        )
        if not self.bench.until(run, lambda: run.step > 0, 90):
            self.wrong.append(f"{run} did not begin: {run.state} {run.error_message}")
            return
        time.sleep(self.bench.rng.uniform(0, 2))
        self._stop(run)

    def _stop(self, run: Any) -> None:
        run.refresh_from_db()
        step, fence = run.step, run.fence
        for process in self.bench.world.processes(f"manage.py supervise training.run {run.pk} {fence}"):
            try:
                process.terminate()
            except psutil.NoSuchProcess:
                continue
        over = self.bench.until(run, lambda: run.is_over, END_SECONDS)
        again = self._resumed_from(run, fence)
        self.saved += again is not None and again >= step
        self.resumed += over and run.state == "succeeded" and run.fence == fence + 1
        if again is None or again < step or run.state != "succeeded":
            self.wrong.append(f"{run}: stopped at step {step}, went on from {again}, is {run.state}")

    def _resumed_from(self, run: Any, fence: int) -> int | None:
        """What the next attempt said about where it goes on; steps before it are not taken again."""
        log = Path(run.home) / f"f{fence + 1}" / "engine.log"
        found = RESUMED.search(log.read_text()) if log.exists() else None
        return int(found[1]) if found else None


def jobs(one: Callable[[int, bool], None], how_many: int) -> list[Callable[[], None]]:
    return [partial(one, number, number < min(REAL, how_many)) for number in range(how_many)]


def main() -> int:
    how_many = int(os.environ.get("RUNS", "50"))
    with opened(HOSTS, slots=AT_ONCE // 2, step_seconds=0.15) as bench:
        cancels, stops = Cancels(bench), Stops(bench)
        at_once(jobs(cancels.one, how_many), AT_ONCE)
        at_once(jobs(stops.one, how_many), AT_ONCE)
    for line in [*cancels.late, *cancels.orphans, *stops.wrong]:
        print(line, file=sys.stderr)
    slowest = sorted(cancels.seconds)
    figures = {
        "cancelled": how_many - len(cancels.late),
        "cancels": how_many,
        "slowest_seconds": round(slowest[-1], 2),
        "median_seconds": round(slowest[len(slowest) // 2], 2),
        "orphans": len(cancels.orphans),
        "saved": stops.saved,
        "resumed": stops.resumed,
        "stops": how_many,
    }
    print(json.dumps(figures))
    return int(bool(cancels.late or cancels.orphans or stops.saved < how_many or stops.resumed < how_many))


if __name__ == "__main__":
    sys.exit(main())
