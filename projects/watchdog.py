"""The watchdog of a child: one that hangs would keep its slot for ever, for its supervisor lives and heartbeats."""

import time
from typing import Any

from projects.jobs import JobKind


class Watchdog:
    """Any event is a sign of life; how long a child may be silent depends on what it is doing."""

    def __init__(self, kind: JobKind) -> None:
        self.kind, self.phase, self.heard_at = kind, "", time.monotonic()

    def heard(self, event: dict[str, Any]) -> None:
        self.heard_at = time.monotonic()
        if event["event"] == "progress":
            self.phase = str(event.get("phase") or "")[:40]

    def verdict(self) -> str:
        """Why the child is to be given up; nothing while there is hope."""
        patience, silent = self.kind.patience(self.phase), time.monotonic() - self.heard_at
        if patience is None or silent <= patience:
            return ""
        doing = f" while {self.phase}" if self.phase else ""
        return f"The process said nothing for {silent:.0f} s{doing}, and {patience:.0f} s is the most it may."
