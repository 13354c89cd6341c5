"""Adapters that were trained on rows which somebody asked to have erased: what each of them still needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    OPEN = "open"
    WAITS = "waits"
    TRAINING = "training"
    FAILED = "failed"
    DONE = "done"
    UNKNOWN = "unknown"


WORDS = {
    Task.OPEN: "To be retrained",
    Task.WAITS: "Waits",
    Task.TRAINING: "Being retrained",
    Task.FAILED: "Retraining failed",
    Task.DONE: "Replaced",
    Task.UNKNOWN: "Recipe unknown",
}
TONES = {
    Task.OPEN: "attention",
    Task.WAITS: "waiting",
    Task.TRAINING: "running",
    Task.FAILED: "failed",
    Task.DONE: "succeeded",
    Task.UNKNOWN: "void",
}
UNDER_WAY = frozenset({"draft", "queued", "held", "running", "paused"})
UNDONE = frozenset(Task) - {Task.DONE}


@dataclass(frozen=True)
class Known:
    """What is known of one adapter. `runs` are states of the runs that are to replace it, the newest first."""

    has_recipe: bool
    has_clean_data: bool
    waits_for: str = ""  # an adapter that it went on from and that has to be replaced first
    runs: Sequence[str] = ()


def judge(known: Known) -> tuple[Task, str]:
    """Where it stands, and what has to happen, in a sentence: the first that holds."""
    begun = bool(known.runs) and known.runs[0] in UNDER_WAY
    standings = [
        ("succeeded" in known.runs, Task.DONE, "An adapter without the rows is made. Deploy that one, delete this."),
        (begun, Task.TRAINING, "A run without the rows is under way."),
        (
            not known.has_recipe,
            Task.UNKNOWN,
            "It was imported, so nobody here can train it again. Delete it, or import one without them.",
        ),
        (
            not known.has_clean_data,
            Task.WAITS,
            "No version of its data without the rows has been released yet.",
        ),
        (bool(known.waits_for), Task.WAITS, f"It went on from {known.waits_for}, which comes first."),
        (
            bool(known.runs),
            Task.FAILED,
            "The last run without the rows came to nothing. Try again, or delete the adapter.",
        ),
        (True, Task.OPEN, "Retrain it without the rows, or delete it."),
    ]
    return next((task, told) for holds, task, told in standings if holds)
