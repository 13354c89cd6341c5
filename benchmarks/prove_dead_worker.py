"""make prove-dead-worker: hosts that lose their power, with the product's own timers.

Each host works on one run; then its worker, its supervisor and the training process are killed at once. The reconciler
has to find out, and another host has to go on with the run, within 90 s. RUNS sets how many hosts die (5). The last
line is one JSON object.
"""

import json
import os
import sys
import time
from datetime import datetime
from functools import partial

import psutil

from benchmarks.chaos.bench import Bench, at_once, opened
from benchmarks.chaos.looking import environment, offspring

LIMIT_SECONDS, STEPS = 90.0, 80
RESCUE = "rescue"


class Outage:
    """One host with one run."""

    def __init__(self, bench: Bench, host: str) -> None:
        self.bench, self.host = bench, host
        self.found_seconds = self.resumed_seconds = float("inf")
        self.problem = ""

    def begin(self) -> None:
        self.run = self.bench.start(f"on {self.host}", steps=STEPS)
        if not self.bench.until(self.run, lambda: self.run.checkpoint_step > 0, 60):
            self.problem = f"{self.run} did not begin: {self.run.state} {self.run.error_message}"

    def strike(self) -> None:
        """Kill everything of the host that the run is on, and keep it from coming back."""
        from projects import leases

        self.run.refresh_from_db()
        host, self.fence = self.run.owner.split("/")[0], self.run.fence
        part = self.bench.world.parts[f"worker-{host}"]
        part.wanted = False
        victims = [one for one in self.bench.world.supervisors() if environment(one).get("LUTHIER_HOST") == host]
        assert part.process is not None
        worker = psutil.Process(part.process.pid)
        for victim in [worker, *offspring(worker), *(process for one in victims for process in [one, *offspring(one)])]:
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
        self.killed_at = leases.database_time()

    def follow(self) -> None:
        """Until another attempt has said that it works, and then until its end."""
        from projects import leases

        if not self.bench.until(self.run, lambda: self.run.fence > self.fence and self._works(), LIMIT_SECONDS + 30):
            self.problem = f"{self.run} is {self.run.state}: nobody went on with it"
            return
        self.resumed_seconds = (leases.database_time() - self.killed_at).total_seconds()
        self.found_seconds = (self._requeued_at() - self.killed_at).total_seconds()
        if not self.bench.until(self.run, lambda: self.run.is_over, 120) or self.run.state != "succeeded":
            self.problem = f"{self.run} is {self.run.state}: {self.run.error_message}"

    def _works(self) -> bool:
        """The next attempt's training process has said that it has begun."""
        from projects.models import Attempt

        rows = Attempt.objects.filter(job_label="training.run", job_id=self.run.pk, fence=self.fence + 1)
        return rows.exclude(device_name="").exists()

    def _requeued_at(self) -> datetime:
        from projects.models import AuditEvent

        told = AuditEvent.objects.filter(target=f"training.run:{self.run.pk}", action="run.queued", actor="reconciler")
        return told.latest("at").at


def main() -> int:
    how_many = int(os.environ.get("RUNS", "5"))
    hosts = tuple(f"doomed-{number}" for number in range(1, how_many + 1))
    with opened(hosts, slots=1, step_seconds=0.25) as bench:
        outages = [Outage(bench, host) for host in hosts]
        at_once([outage.begin for outage in outages], how_many)
        bench.world.add_worker(RESCUE, slots=how_many)
        for outage in outages:
            time.sleep(bench.rng.uniform(0, 2))
            outage.strike()
        at_once([partial(outage.follow) for outage in outages], how_many)
    for outage in outages:
        print(
            f"{outage.run}: found after {outage.found_seconds:.1f} s, went on after {outage.resumed_seconds:.1f} s "
            f"{outage.problem}"
        )
    good = [one for one in outages if not one.problem and one.resumed_seconds <= LIMIT_SECONDS]
    figures = {
        "resumed": len(good),
        "of": how_many,
        "slowest_found_seconds": round(max(one.found_seconds for one in outages), 1),
        "slowest_resumed_seconds": round(max(one.resumed_seconds for one in outages), 1),
    }
    print(json.dumps(figures))
    return int(len(good) < how_many)


if __name__ == "__main__":
    sys.exit(main())
