"""Where the time of an attempt went, from the moments at which its phase changed."""

from collections.abc import Collection, Sequence
from typing import Any

STARTING = "starting"  # before it said anything
WORKING = "working"  # the device is loaded; what it does has no other name yet
WAITING = "waiting"  # its worker was gone and nobody had found out
MAX_MARKS = 200

Marks = Sequence[Sequence[Any]]


def split(marks: Marks, seconds: float, waited: float = 0.0) -> dict[str, float]:
    """Seconds by phase, in the order in which each first came. `marks` are (phase, seconds since the start).

    `seconds` is the time until the attempt's end, `waited` what passed after it until somebody found out.
    """
    parts: dict[str, float] = {}
    phase, since = STARTING, 0.0
    for name, at in [*((str(name), float(at)) for name, at in marks), ("", seconds)]:
        until = min(max(at, since), seconds)
        if until > since:
            parts[phase] = parts.get(phase, 0.0) + until - since
        phase, since = name, until
    return parts | ({WAITING: waited} if waited > 0 else {})


def idle(parts: dict[str, float], working: Collection[str] | None) -> float:
    """Seconds in which the device was held and did not do what it was held for. `working` None: all phases count."""
    if working is None:
        return parts.get(WAITING, 0.0)
    return sum(seconds for phase, seconds in parts.items() if phase != WORKING and phase not in working)
