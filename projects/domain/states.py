"""The life of a piece of background work: an upload, a run, an evaluation, a deployment."""

from enum import StrEnum

from projects.domain.machine import Machine


class JobState(StrEnum):
    DRAFT = "draft"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = JobState
JOB = Machine(
    "job",
    {
        S.DRAFT: frozenset({S.QUEUED}),
        S.QUEUED: frozenset({S.RUNNING, S.FAILED, S.CANCELLED}),
        # Back to the queue when the worker was lost: the row is the truth, not the process.
        S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED, S.QUEUED}),
        S.SUCCEEDED: frozenset(),
        # A retry is a new attempt of the same job; what succeeded is a record and stays one.
        S.FAILED: frozenset({S.QUEUED}),
        S.CANCELLED: frozenset({S.QUEUED}),
    },
)
ACTIVE = frozenset({S.QUEUED, S.RUNNING})
OVER = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED})


class Outcome(StrEnum):
    """How one attempt ended. `INTERRUPTED`: its host was stopped in good order; `LOST`: nobody was there to say."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LOST = "lost"


# Paid for, and nothing to show for it.
WITHOUT_RESULT = frozenset(Outcome) - {Outcome.SUCCEEDED}
