"""Wake-ups: messages that tell a worker to look. Losing one costs seconds, never work."""

import logging
import time
from typing import Any

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from projects import faults

logger = logging.getLogger(__name__)
TASK = "projects.wake_workers"
CANARY = "projects.canary"
COURIER, COURIER_QUEUE = "projects.send_due", "cpu"
RECONCILE = "projects.reconcile"
EXPIRES_SECONDS = 60
ANSWER_SECONDS = 5
SILENT_SECONDS = 15
AWAY = (OperationalError, AMQPError, OSError)
_silent_until = 0.0


def wake(queue: str) -> None:
    """Send a wake-up. The queued row is the outbox: whatever becomes of this message, workers look by themselves

    and the reconciler sends another.
    """
    if not settings.SEND_WAKE_UPS:
        return
    faults.point("waking.before_send")
    _send(TASK, queue, queue=queue)
    faults.point("waking.after_send")


def wake_courier() -> None:
    """Something is to be sent. The rows are the outbox here, too; a broker that is away is not waited for each time."""
    global _silent_until  # noqa: PLW0603 - of this process
    if settings.SEND_WAKE_UPS and time.monotonic() >= _silent_until and not _send(COURIER, COURIER_QUEUE):
        _silent_until = time.monotonic() + SILENT_SECONDS


def call_reconciler() -> None:
    """Have the reconciler look now instead of at its next turn: something waits that it moves on."""
    if settings.SEND_WAKE_UPS:
        _send(RECONCILE, "cpu")


def send_canary(queue: str, number: int) -> None:
    if settings.SEND_WAKE_UPS:
        _send(CANARY, queue, queue=queue, number=number)


def _send(task: str, to: str, **words: Any) -> bool:
    try:
        current_app.send_task(task, kwargs=words, queue=to, expires=EXPIRES_SECONDS, retry=False)
    except AWAY as error:
        logger.warning("no message sent to %s: %s", to, error)
        return False
    return True


def broker_answers() -> bool:
    """Whether a new connection to the broker can be made now."""
    try:
        with current_app.connection_for_write(connect_timeout=ANSWER_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, timeout=ANSWER_SECONDS)
    except AWAY:
        return False
    return True
