"""Signals and parents: stop when asked, and never outlive the supervisor."""

import os
import signal
import threading
from types import FrameType

from training.engine.events import Stopped


class StopFlag:
    """SIGTERM. Where nothing can be saved it ends the work on the spot; while training it is looked at between batches.

    `at_once` says which of the two; it begins with the first.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = True

    def install(self) -> "StopFlag":
        signal.signal(signal.SIGTERM, self._ask)
        return self

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self.at_once:
            raise Stopped

    def defer(self) -> None:
        """From here on there is something to save: whoever works looks at `asked`."""
        self.at_once = False

    def look(self) -> None:
        """End here if that is wanted: for a signal that came where an exception is swallowed."""
        if self.asked:
            raise Stopped


def die_with_parent(every_seconds: float = 2.0) -> None:
    """End at once when the parent is gone: its fence is lost, so nothing written from now on could count."""
    parent = os.getppid()

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(every_seconds)
        os._exit(70)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
