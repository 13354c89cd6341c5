"""How long it takes to save and stop, measured: the longest stretch between two looks, and the longest save."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MARGIN_SECONDS = 3.0
# Until a save has been measured: what a slow disk writes, flushes and reads back in a second.
SAVED_BYTES_A_SECOND = 40e6
TELL_CHANGE = 0.1


class StopTime:
    """The clock of a run that may be asked to stop at any time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.longest_step = self.longest_save = 0.0
        self.checkpoint_bytes = 0
        self._looked_at = clock()
        self._told = 0.0

    def begin(self) -> None:
        """Looks are taken from now on."""
        self._looked_at = self.clock()

    def look(self) -> None:
        """Here the wish to stop would be seen."""
        now = self.clock()
        self.longest_step = max(self.longest_step, now - self._looked_at)
        self._looked_at = now

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A save is no step: it comes after the look and is counted by itself."""
        began = self.clock()
        yield
        self.longest_save = max(self.longest_save, self.clock() - began)
        self._looked_at = self.clock()

    @property
    def save_seconds(self) -> float:
        return self.longest_save or 1 + self.checkpoint_bytes / SAVED_BYTES_A_SECOND

    @property
    def stop_seconds(self) -> float:
        """From the signal to the end of the process, everything saved."""
        return self.longest_step + self.save_seconds + MARGIN_SECONDS

    def news(self) -> float | None:
        """The seconds it needs, whenever that has changed enough to be told."""
        needed = self.stop_seconds
        if abs(needed - self._told) <= TELL_CHANGE * self._told:
            return None
        self._told = needed
        return needed
