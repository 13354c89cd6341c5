"""When something that could not be delivered is tried again, when it is given up, and when an endpoint is."""

import random
from datetime import datetime, timedelta

from projects.domain.machine import Machine
from projects.domain.sendstates import EndpointState, SendState

FIRST_SECONDS = 10.0
FACTOR = 3.0
LONGEST_SECONDS = 6 * 3600.0
JITTER = 0.2
MAX_ATTEMPTS = 11  # the last one about a day after the first
REST_AFTER, LONGEST_REST_SECONDS = 3, 300.0
DISABLE_AFTER, DISABLE_FAILURES = timedelta(days=2), 15
GONE = 410

SENDING = Machine(
    "delivery",
    {
        SendState.WAITING: frozenset({SendState.SENDING, SendState.GIVEN_UP}),
        # Back to waiting after a failure, or when whoever was sending is lost.
        SendState.SENDING: frozenset({SendState.DELIVERED, SendState.WAITING, SendState.GIVEN_UP}),
        # Sent again, it is a delivery of its own: what has become of this one stays.
        SendState.DELIVERED: frozenset(),
        SendState.GIVEN_UP: frozenset(),
    },
)
ENDPOINT = Machine(
    "webhook endpoint",
    {
        EndpointState.ACTIVE: frozenset({EndpointState.PAUSED, EndpointState.DISABLED, EndpointState.DELETED}),
        EndpointState.PAUSED: frozenset({EndpointState.ACTIVE, EndpointState.DELETED}),
        EndpointState.DISABLED: frozenset({EndpointState.ACTIVE, EndpointState.DELETED}),
        EndpointState.DELETED: frozenset(),
    },
)


def delay(attempts: int, chance: random.Random, *, at_least: float = 0) -> float:
    """Seconds until the next attempt, after so many have failed; `at_least` is what the receiver asked for."""
    planned = min(FIRST_SECONDS * FACTOR ** (attempts - 1), LONGEST_SECONDS)
    spread = planned * (1 + chance.uniform(-JITTER, JITTER))
    return max(spread, min(at_least, LONGEST_SECONDS))


def is_given_up(attempts: int) -> bool:
    return attempts >= MAX_ATTEMPTS


def rest(failures: int) -> float:
    """Seconds for which an endpoint is left alone after so many failures in a row, whatever waits for it."""
    if failures < REST_AFTER:
        return 0.0
    return min(FIRST_SECONDS * 2 ** (failures - REST_AFTER), LONGEST_REST_SECONDS)


def is_hopeless(failures: int, failing_since: datetime | None, now: datetime, status: int | None) -> bool:
    """Whether an endpoint is switched off: it says that it is gone, or has failed for days and many times in a row."""
    if status == GONE:
        return True
    return failing_since is not None and failures >= DISABLE_FAILURES and now - failing_since >= DISABLE_AFTER
