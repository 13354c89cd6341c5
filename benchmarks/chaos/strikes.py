"""The faults themselves: what is killed, stopped, asked to go or laid out, and what was really delivered."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from benchmarks.chaos.looking import environment, offspring
from benchmarks.chaos.points import APART, ENGINE
from benchmarks.chaos.workload import Workload
from benchmarks.chaos.world import HOSTS, World
from projects import faults

# A zombie sleeps for longer than its lease lasts, so that its job is somebody else's when it wakes.
SLEEP = (1.15, 2.0)
LAID_AT_ONCE, LAID_LEASES = 6, 5.0


@dataclass
class Asleep:
    """A stopped process, and when it is woken."""

    process: psutil.Process
    kind: str
    until: float


@dataclass
class Laid:
    point: str
    action: str
    until: float
    tries: int = 0


@dataclass
class Strikes:
    """Counts what was delivered, by kind. All choices come from one seeded generator."""

    world: World
    work: Workload
    rng: random.Random
    delivered: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    asleep: list[Asleep] = field(default_factory=list)
    laid: list[Laid] = field(default_factory=list)
    waiting: list[Laid] = field(default_factory=list)
    zombies: Counter[str] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=set)

    def total(self) -> int:
        return sum(self.delivered.values()) + sum(self.messages().values())

    def messages(self) -> Counter[str]:
        """What the layer under the senders has done to messages."""
        log = self.world.message_log
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter(f"message {line.split(' ', 1)[0]}" for line in lines)

    # Random moments

    def kill(self, kind: str, found: list[psutil.Process]) -> bool:
        """SIGKILL to one of them, if it still lives when its turn comes."""
        if not found:
            return False
        victim = self.rng.choice(found)
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            return False
        self.delivered[f"kill {kind}"] += 1
        return True

    def kill_part(self, name: str) -> bool:
        """The process of a part and what it has forked; a supervisor is no part of it."""
        part = self.world.parts[name]
        if not part.is_alive():
            return False
        assert part.process is not None
        part.asleep_until = time.monotonic() + self.rng.uniform(0, 1.0)
        os.killpg(part.process.pid, signal.SIGKILL)
        self.delivered[f"kill {name.partition('-')[0]}"] += 1
        return True

    def kill_host(self) -> bool:
        """As if a host lost its power: its worker, its supervisors and their children at once."""
        host = self.rng.choice(HOSTS)
        part = self.world.parts[f"worker-{host}"]
        victims = [one for one in self.world.supervisors() if environment(one).get("LUTHIER_HOST") == host]
        for victim in [process for one in victims for process in [one, *offspring(one)]]:
            try:
                victim.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        if not part.is_alive():
            return False
        assert part.process is not None
        os.killpg(part.process.pid, signal.SIGKILL)
        part.asleep_until = time.monotonic() + self.rng.uniform(0, 3.0)
        self.delivered["kill host"] += 1
        return True

    def kill_database(self) -> bool:
        if self.world.database is None or not self.world.database.kill():
            return False
        self.delivered["kill postgres"] += 1
        return True

    def kill_broker(self) -> bool:
        if self.world.broker is None or not self.world.broker.kill():
            return False
        self.delivered["kill broker"] += 1
        return True

    def term_supervisor(self) -> bool:
        """What a host that is being stopped sends: the run saves and goes back to its queue."""
        found = self.world.supervisors()
        if not found:
            return False
        try:
            self.rng.choice(found).terminate()
        except psutil.NoSuchProcess:
            return False
        self.delivered["term supervisor"] += 1
        return True

    # Zombies

    def freeze(self, kind: str) -> bool:
        """SIGSTOP to a supervisor, its child, both, or a worker; woken when the lease is over."""
        found = self._to_freeze(kind)
        if not found:
            return False
        until = time.monotonic() + self.world.lease * self.rng.uniform(*SLEEP)
        for process in found:
            try:
                process.suspend()
            except psutil.NoSuchProcess:
                continue
            self.asleep.append(Asleep(process, kind, until))
        return True

    def _to_freeze(self, kind: str) -> list[psutil.Process]:
        if kind == "worker":
            part = self.world.parts[f"worker-{self.rng.choice(HOSTS)}"]
            return [psutil.Process(part.process.pid)] if part.is_alive() and part.process else []
        found = self.world.children() if kind == "child" else self.world.supervisors()
        if not found:
            return []
        one = self.rng.choice(found)
        return [one, *offspring(one)] if kind == "both" else [one]

    def wake(self, everybody: bool = False) -> None:
        """SIGCONT to whoever has slept long enough; counted only when it was really asleep until now."""
        now, still = time.monotonic(), []
        for one in self.asleep:
            if not everybody and now < one.until:
                still.append(one)
                continue
            try:
                was_stopped = one.process.status() == psutil.STATUS_STOPPED
                one.process.resume()
            except psutil.NoSuchProcess:
                continue
            if was_stopped:
                self.delivered[f"stop {one.kind}"] += 1
                self.zombies[one.kind] += 1
        self.asleep = still

    # Named points

    def plan_points(self, chosen: list[str]) -> None:
        """Every point, or the chosen ones, once with a kill and once more with something else that can happen there."""
        names = [name for name in chosen or faults.POINTS if name not in APART]
        kills = [Laid(name, "kill", 0) for name in names]
        others = [Laid(name, self._other(name), 0) for name in names]
        self.rng.shuffle(kills)
        self.rng.shuffle(others)
        self.waiting = kills + others

    def _other(self, name: str) -> str:
        choices = (
            ["stop", "enospc", "sleep=1.5"] if name.startswith(ENGINE) else ["stop", "raise", "raise", "sleep=1.5"]
        )
        if name.startswith("artefacts."):
            choices = ["stop", "enospc", "raise"]
        return self.rng.choice(choices)

    def lay(self) -> Laid | None:
        """Arm the next point, if not too many are armed; returns it so that somebody may provoke it."""
        if len(self.laid) >= LAID_AT_ONCE or not self.waiting:
            return None
        armed = {one.point for one in self.laid}
        nth = next((i for i, one in enumerate(self.waiting) if one.point not in armed), None)
        if nth is None:
            return None
        one = self.waiting.pop(nth)
        aside = self.world.faults / f".{one.point}"
        aside.write_text(one.action)
        one.until = time.monotonic() + LAID_LEASES * self.world.lease
        self.laid.append(one)
        aside.rename(self.world.faults / one.point)
        return one

    def collect(self) -> None:
        """What was taken counts; what nobody came by is withdrawn and tried again later."""
        now, still = time.monotonic(), []
        for path in (self.world.faults / faults.TAKEN).iterdir():
            if path.name not in self.taken:
                self.taken.add(path.name)
                self._struck(*path.name.split("~")[:2], action=path.read_text().strip())
        armed = {path.name for path in self.world.faults.iterdir()}
        for one in self.laid:
            if one.point not in armed:
                continue
            if now < one.until:
                still.append(one)
            elif self._withdraw(one) and one.tries < 3:
                self.waiting.append(Laid(one.point, one.action, 0, one.tries + 1))
        self.laid = still

    def _struck(self, point: str, pid: str, *, action: str) -> None:
        word = action.partition("=")[0]
        self.points[point] += 1
        if word != "stop":
            self.delivered[f"point {word}"] += 1
            return
        try:
            process = psutil.Process(int(pid))
        except psutil.NoSuchProcess:
            return
        self.asleep.append(Asleep(process, "at point", time.monotonic() + self.world.lease * self.rng.uniform(*SLEEP)))

    def _withdraw(self, one: Laid) -> bool:
        try:
            (self.world.faults / one.point).unlink()
        except FileNotFoundError:
            return False  # taken in this moment
        return True

    def withdraw_all(self) -> None:
        for one in self.laid:
            self._withdraw(one)
        self.collect()
        self.laid, self.waiting = [], []


@dataclass
class Choice:
    """One kind of fault at a random moment: how often it is chosen, and how long there is rest from it afterwards.

    What everything else stands on is left alone for a while, or no run would ever get far enough to be disturbed.
    """

    weight: float
    rest: float
    strike: Callable[[], bool]
    rests_until: float = 0.0

    def try_now(self, now: float) -> bool:
        done = now >= self.rests_until and self.strike()
        if done:
            self.rests_until = now + self.rest
        return done


def menu(strikes: Strikes) -> list[Choice]:
    """Faults at random moments."""
    world = strikes.world
    found = [
        Choice(24, 0, lambda: strikes.kill("child", world.children())),
        Choice(14, 0, lambda: strikes.kill("supervisor", world.supervisors())),
        Choice(4, 5, lambda: strikes.kill_part(f"worker-{strikes.rng.choice(HOSTS)}")),
        Choice(3, 6, lambda: strikes.kill_part("web")),
        Choice(3, 6, lambda: strikes.kill_part("beat")),
        Choice(3, 8, strikes.kill_host),
        Choice(5, 1, strikes.term_supervisor),
        Choice(6, 1, lambda: strikes.freeze("supervisor")),
        Choice(8, 1, lambda: strikes.freeze("both")),
        Choice(4, 1, lambda: strikes.freeze("child")),
        Choice(3, 5, lambda: strikes.freeze("worker")),
        Choice(4, 25 if world.name.endswith("rabbitmq") else 8, strikes.kill_broker),
    ]
    if world.database is not None:
        found.append(Choice(5, 8, strikes.kill_database))
    return found
