"""How long each stage of a run takes: starting, preparing, loading, training, saving."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Stages:
    """Seconds by stage. One stage begins where the other ends, so that together they are the whole."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, started_before: float = 0.0) -> None:
        self._clock = clock
        self._name, self._since = "starting", clock() - started_before
        self.seconds: dict[str, float] = {}

    def enter(self, name: str) -> None:
        now = self._clock()
        self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now

    @contextmanager
    def aside(self, name: str) -> Iterator[None]:
        """A stage within another, which goes on afterwards."""
        outer = self._name
        self.enter(name)
        try:
            yield
        finally:
            self.enter(outer)

    def close(self) -> dict[str, float]:
        """All of them; the current stage ends now and goes on, should there be more."""
        self.enter(self._name)
        return {name: round(value, 4) for name, value in self.seconds.items()}


def process_age() -> float:
    """Seconds since this process was made: what the interpreter and the imports have taken."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return 0.0
