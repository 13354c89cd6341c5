"""What a host must promise before it may work."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register("workers")
def check_grace(**_: Any) -> list[CheckMessage]:
    """What is stopped must be given the time to save; a host with less would lose work each time it is restarted."""
    given, least = settings.STOP_GRACE_SECONDS, settings.MIN_STOP_GRACE_SECONDS
    if given >= least:
        return []
    return [
        Error(
            f"A run that is stopped is given {given:g} s to save, and {least:g} s is the least.",
            hint="Raise LUTHIER_STOP_GRACE_SECONDS, or lower LUTHIER_MIN_STOP_GRACE_SECONDS if runs here are tiny.",
            id="projects.E001",
        )
    ]


@register("workers")
def check_unacknowledged(**_: Any) -> list[CheckMessage]:
    """A message is acknowledged before its task begins, so at most one waits, unacknowledged, behind a running task.

    It must be given up neither by the broker nor by us before that task is ended: by Celery's hard limit, or by the
    process that starts afresh when a task holds it.
    """
    longest = max(settings.CELERY_TASK_TIME_LIMIT, settings.CANARY_LIMIT_SECONDS + 2 * settings.WORKER_BEAT_SECONDS)
    if settings.BROKER.is_amqp:
        patience, name = settings.CONSUMER_TIMEOUT_SECONDS, "RabbitMQ's consumer_timeout"
    else:
        patience, name = settings.BROKER.options["visibility_timeout"], "the visibility timeout"
    if longest < patience:
        return []
    return [
        Error(
            f"A task may hold its worker for {longest:g} s, but {name} is {patience:g} s: messages would come twice.",
            hint="Raise it there and in LUTHIER_CONSUMER_TIMEOUT_SECONDS, or lower LUTHIER_CANARY_LIMIT_SECONDS.",
            id="projects.E002",
        )
    ]


@register
def check_links(**_: Any) -> list[CheckMessage]:
    """Letters that leave this machine need links that lead back to it from elsewhere."""
    here = urlsplit(settings.BASE_URL).hostname in {"127.0.0.1", "localhost", "::1", None}
    if not here or "smtp" not in settings.EMAIL_BACKEND:
        return []
    hint = "Set LUTHIER_URL to the address under which people reach Luthier."
    return [Warning(f"Links in e-mail lead to {settings.BASE_URL}.", hint=hint, id="projects.W001")]
