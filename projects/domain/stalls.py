"""When a worker process has stopped hearing its queues and should start afresh.

Counted in beats of the process itself, not in seconds: a process that was stopped and goes on has missed no beat.
"""

import math
from dataclasses import dataclass

# With several workers on a queue each gets about its share of the canaries. After eight times that without one,
# chance explains it in one case of 3,000: (1 - 1/n)^(8n) < e^-8.
SHARES = 8


@dataclass
class Hearing:
    """What one beat found."""

    heard: bool
    running: bool
    overdue: bool
    rivals: int = 1


class Judge:
    """Counts beats in a row without a sign of life from the queues."""

    def __init__(self, beat_seconds: float, canary_seconds: float, limit_seconds: float) -> None:
        self.limit = max(2, math.ceil(limit_seconds / beat_seconds))
        self.share = canary_seconds * SHARES / beat_seconds
        self.quiet = self.busy = self.overdue = 0

    def beat(self, now: Hearing) -> str:
        """Why the process should start afresh; empty while it should not."""
        self.quiet = 0 if now.heard else self.quiet + 1
        self.busy = self.busy + 1 if now.running and not now.heard else 0
        self.overdue = self.overdue + 1 if now.overdue else 0
        if self.busy >= self.limit:
            return "one task has held it for too long"
        if self.overdue >= 2:
            return "nobody took the last canaries of its queue"
        if now.rivals > 1 and self.quiet >= max(self.limit, math.ceil(self.share * now.rivals)):
            return "others get messages of its queue and it gets none"
        return ""
