"""Wake-ups: messages that tell a worker to look. Losing one costs seconds, never work."""

import logging

from amqp.exceptions import AMQPError
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from projects import faults

logger = logging.getLogger(__name__)
TASK = "projects.wake_workers"


def wake(queue: str) -> None:
    """Send a wake-up. When the broker is down the reconciler sends one later: the row is the truth."""
    if not settings.SEND_WAKE_UPS:
        return
    faults.point("waking.before_send")
    try:
        current_app.send_task(TASK, kwargs={"queue": queue}, queue=queue, expires=60, retry=False)
    except (OperationalError, AMQPError, OSError) as error:
        logger.warning("no wake-up sent to %s: %s", queue, error)
    faults.point("waking.after_send")
