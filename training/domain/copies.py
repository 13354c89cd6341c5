"""Copies of a base on hosts: is what lies there what was registered?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from training.domain.findings import some


class CopyState(StrEnum):
    WHOLE = "whole"
    UNREAD = "unread"
    CHANGED = "changed"
    MISSING = "missing"


WORDS: Mapping[str, str] = {
    CopyState.WHOLE: "Whole",
    CopyState.UNREAD: "Not read yet",
    CopyState.CHANGED: "Changed on disk",
    CopyState.MISSING: "Files missing",
}
TONES: Mapping[str, str] = {
    CopyState.WHOLE: "succeeded",
    CopyState.UNREAD: "waiting",
    CopyState.CHANGED: "failed",
    CopyState.MISSING: "failed",
}
CHOICES = [(state.value, WORDS[state]) for state in CopyState]
UNUSABLE = (CopyState.CHANGED, CopyState.MISSING)


@dataclass(frozen=True)
class Seen:
    """What a look at the folder found, without reading the weights. `untold` is the moment, in seconds, at which the
    newest file was touched whose bytes nobody on this host is known to have read; 0 where all are known."""

    missing: Sequence[str] = ()
    changed: Sequence[str] = ()
    untold: float = 0.0


def judge(seen: Seen, verified: float) -> tuple[CopyState, list[str]]:
    """State of a copy and the files that are wrong. `verified` is when all bytes were last found right, in seconds."""
    if seen.missing:
        return CopyState.MISSING, [*seen.missing, *seen.changed]
    if seen.changed:
        return CopyState.CHANGED, list(seen.changed)
    return (CopyState.UNREAD if seen.untold > verified else CopyState.WHOLE), []


def advice(state: str, wrong: Sequence[str], path: str) -> str:
    """What is wrong, and what to do, in sentences."""
    named = some(list(wrong), 3)
    are = "is" if len(wrong) == 1 else "are"
    match state:
        case CopyState.CHANGED:
            return (
                f"{named} {are} not what was registered. Put the old files back into {path} and check again, or "
                "register the folder as a new version. Until then no work on this host uses it."
            )
        case CopyState.MISSING:
            return (
                f"{named} {are} not there. Put {'it' if len(wrong) == 1 else 'them'} back into {path} and check again."
            )
        case CopyState.UNREAD:
            return "Names and sizes are right; the bytes are compared before the next work here, or when you check."
    return ""
