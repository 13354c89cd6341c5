"""Signals and parents: stop when asked, and never outlive the supervisor."""

import os
import signal
import threading
from types import FrameType


class StopFlag:
    """Set by SIGTERM; the work looks at it where it can stop cleanly."""

    def __init__(self) -> None:
        self.asked = False

    def install(self) -> "StopFlag":
        signal.signal(signal.SIGTERM, self._ask)
        return self

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def die_with_parent(every_seconds: float = 2.0) -> None:
    """End at once when the parent is gone: its fence is lost, so nothing written from now on could count."""
    parent = os.getppid()

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(every_seconds)
        os._exit(70)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
