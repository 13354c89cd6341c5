"""One configuration under fire, in a process of its own: `python -m benchmarks.chaos.one NAME FAULTS SEED FOLDER`.

The last line is one JSON object with its counts; exit status 1 when anything was violated.
"""

import json
import os
import random
import resource
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.chaos import strikes as striking
from benchmarks.chaos.looking import repeat
from benchmarks.chaos.points import NEEDS
from benchmarks.chaos.servers import Missing
from benchmarks.chaos.strikes import Strikes
from benchmarks.chaos.world import World

MESSAGES = os.environ.get("MESSAGES", "lost=0.12,tripled=0.08,late=0.08")
QUIET_SECONDS = 120.0
POINT_SHARE = 0.65
HISTORIES = 5
REAL_RUNS = int(os.environ.get("REAL_RUNS", "2"))


def furnish(world: World, rng: random.Random) -> Any:
    """A project with its data, and clients that know a token."""
    from benchmarks import installation
    from benchmarks.chaos.client import Client
    from benchmarks.chaos.workload import Watcher, Workload
    from datasets_app import services as datasets
    from projects.domain.tokens import Scope
    from projects.services import tokens

    cache = Path(os.environ.get("LUTHIER_BENCH_CACHE", installation.ROOT / "var" / "bench"))
    owner, project, base, version = installation.furnish(cache, 24, work_off)
    dataset = datasets.create_dataset(project, by=owner, name="Others", purpose="training")
    _, secret = tokens.create_token(project, by=owner, name="chaos", scope=Scope.WRITE)
    client = Client(f"http://127.0.0.1:{world.port}", secret)
    address = f"/api/v1/projects/{project.slug}"
    return Workload(client, address, base.pk, version.pk, dataset.pk, rng, Watcher(), real_left=REAL_RUNS)


def work_off(job: Any) -> bool:
    """Before there is any worker, this process does what is queued."""
    from django.test import override_settings

    from projects import supervision

    with override_settings(SUPERVISE_INLINE=True, SEND_WAKE_UPS=False, LEASE_SECONDS=600):
        while supervision.claim_and_start("cpu"):
            pass
    job.refresh_from_db()
    return bool(job.is_over)


class Siege:
    """Strikes until enough were delivered."""

    def __init__(self, world: World, work: Any, rng: random.Random, wanted: int) -> None:
        self.world, self.work, self.rng, self.wanted = world, work, rng, wanted
        self.strikes = Strikes(world, work, rng)
        self.strikes.plan_points(os.environ.get("POINTS", "").split())
        self.menu = striking.menu(self.strikes)
        self.began = time.monotonic()
        self.threads: list[threading.Thread] = []

    def run(self) -> None:
        while self.strikes.total() < self.wanted:
            self.strikes.wake()
            self.strikes.collect()
            if self.rng.random() < POINT_SHARE:
                self._lay()
            else:
                choice = self.rng.choices(self.menu, [one.weight for one in self.menu])[0]
                choice.try_now(time.monotonic())
            self._pause()

    def _pause(self) -> None:
        """Room for work between faults: without anybody to disturb, they would prove nothing."""
        time.sleep(self.rng.uniform(0.1, 0.5))
        deadline = time.monotonic() + 2
        while not self.work.watcher.active() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _lay(self) -> None:
        laid = self.strikes.lay()
        if laid is not None and laid.point in NEEDS:
            self._provoke(NEEDS[laid.point])

    def _provoke(self, what: str) -> None:
        """Have somebody do what leads past the point."""
        if what == "lose":
            self.strikes.kill("supervisor", self.world.supervisors())
        elif what == "term":
            self.strikes.term_supervisor()
        elif what == "upload":
            self._aside(self.work.upload)
        else:
            self._aside(lambda: self._extra(what))

    def _extra(self, plan: str) -> None:
        from benchmarks.chaos.workload import Promise

        with self.work.lock:
            promise = Promise(f"{plan} {len(self.work.promises) + 1}", plan)
            self.work.promises.append(promise)
        self.work.fulfil(promise)

    def _aside(self, job: Any) -> None:
        from benchmarks.chaos.client import Unanswered

        def quietly() -> None:
            try:
                job()
            except Unanswered as problem:
                print(f"nobody answered: {problem}", file=sys.stderr)

        thread = threading.Thread(target=quietly, daemon=True)
        thread.start()
        self.threads.append(thread)

    def end(self) -> list[Any]:
        """No more faults; everybody wakes; what was accepted must come to its end by itself."""
        self.strikes.withdraw_all()
        self.strikes.wake(everybody=True)
        for thread in self.threads:
            thread.join(QUIET_SECONDS)
        return self.work.finish(QUIET_SECONDS)


def verdict(world: World, siege: Siege) -> tuple[dict[str, Any], list[Any]]:
    """Counts and violations, when all is quiet."""
    from benchmarks.chaos import oracle, witness

    work, found = siege.work, oracle.gather({promise.run: promise for promise in siege.work.promises})
    wrong = [violation for facts in found for violation in oracle.judge(facts)]
    wrong += oracle.unkept(work.promises, found)
    writes = witness.writes()
    wrong += [oracle.Violation(oracle.ZOMBIE, write.job, text) for write in writes if (text := witness.offence(write))]
    wrong += orphans(world)
    wrong += [oracle.Violation(oracle.OTHER, 0, text) for text in work.client.broken]
    wrong += [oracle.Violation(oracle.OTHER, 0, text) for text in invariants()]
    kinds = Counter(violation.kind for violation in wrong)
    return {
        "faults": siege.strikes.total(),
        "kinds": dict(sorted((siege.strikes.delivered + siege.strikes.messages()).items())),
        "points": sorted(siege.strikes.points),
        "runs": len(found),
        "states": dict(Counter(facts.state for facts in found)),
        "claims": sum(facts.fence for facts in found),
        "zombies": sum(siege.strikes.zombies.values()),
        "writes_seen": len(writes),
        "answers": dict(work.client.seen),
        **{kind: kinds[kind] for kind in (oracle.LOST, oracle.DUPLICATE, oracle.ZOMBIE, oracle.STUCK, oracle.OTHER)},
    }, wrong


def orphans(world: World, seconds: float = 10) -> list[Any]:
    """Supervisors and children that are left although nothing runs any more."""
    from benchmarks.chaos.oracle import STUCK, Violation

    deadline = time.monotonic() + seconds
    left = [*world.supervisors(), *world.children()]
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = [*world.supervisors(), *world.children()]
    return [Violation(STUCK, 0, f"a process is left: {' '.join(one.cmdline())}") for one in left]


def invariants() -> list[str]:
    from projects import invariants as kept

    return [f"{broken.name}: {row}" for broken in kept.check() for row in broken.rows]


def tell(wrong: list[Any]) -> None:
    """Every violation, and the whole history of the first few runs that it is about."""
    from benchmarks.chaos import history

    for violation in wrong:
        print(f"VIOLATION {violation.kind}: run {violation.run}: {violation.text}", file=sys.stderr)
    for run in sorted({violation.run for violation in wrong if violation.run})[:HISTORIES]:
        print(history.tell(run), file=sys.stderr)


def besiege(name: str, wanted: int, seed: int, folder: Path) -> tuple[dict[str, Any], list[Any]]:
    rng = random.Random(f"{seed}/{name}")
    world = World(name, folder, messages=MESSAGES)
    try:
        world.prepare()
        work = furnish(world, rng)
        world.open()
        done = threading.Event()
        watching = threading.Thread(target=repeat, args=(work.watcher.look, done, 0.3), daemon=True)
        watching.start()
        with world.kept():
            siege = Siege(world, work, rng, wanted)
            work.start()
            siege.run()
            siege.end()
            done.set()
            figures, wrong = verdict(world, siege)
            tell(wrong)
            return figures, wrong
    finally:
        world.close()


def used() -> dict[str, float]:
    """Processor seconds of this process and of all that it has seen the end of."""
    whose = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in whose), 1)}


def main(name: str, wanted: str, seed: str, folder: str) -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    try:
        figures, wrong = besiege(name, int(wanted), int(seed), Path(folder))
    except Missing as missing:
        print(json.dumps({"configuration": name, "skipped": f"{missing} is not on this machine"}))
        return 0
    print(json.dumps({"configuration": name, **figures, **used(), "seconds": round(time.monotonic() - began, 1)}))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
