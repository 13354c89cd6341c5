"""The life of a piece of background work: an upload, a run, an evaluation, a deployment."""

from enum import StrEnum

from projects.domain.machine import Machine


class JobState(StrEnum):
    DRAFT = "draft"
    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = JobState
JOB = Machine(
    "job",
    {
        S.DRAFT: frozenset({S.QUEUED, S.HELD}),
        # Waits for a person's yes, most often to its cost; a no makes it what it was before.
        S.HELD: frozenset({S.QUEUED, S.DRAFT, S.FAILED, S.CANCELLED}),
        S.QUEUED: frozenset({S.RUNNING, S.PAUSED, S.FAILED, S.CANCELLED}),
        # Back to the queue when the worker was lost: the row is the truth, not the process.
        S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED, S.PAUSED, S.QUEUED}),
        # Saved, and its slot given to others until somebody lets it go on.
        S.PAUSED: frozenset({S.QUEUED, S.CANCELLED}),
        S.SUCCEEDED: frozenset(),
        # A retry is a new attempt of the same job; what succeeded is a record and stays one.
        S.FAILED: frozenset({S.QUEUED, S.HELD}),
        S.CANCELLED: frozenset({S.QUEUED, S.HELD}),
    },
)
ACTIVE = frozenset({S.QUEUED, S.RUNNING})
WAITS_FOR_PEOPLE = frozenset({S.HELD, S.PAUSED})
OVER = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED})


class Outcome(StrEnum):
    """How one attempt ended. `INTERRUPTED`: its host was stopped in good order; `LOST`: nobody was there to say;

    `PAUSED`: a person wanted its slot for something else and lets it go on later.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"
    LOST = "lost"


# Paid for, and nothing to show for it. What was paused has its checkpoint and goes on.
WITHOUT_RESULT = frozenset(Outcome) - {Outcome.SUCCEEDED, Outcome.PAUSED}
