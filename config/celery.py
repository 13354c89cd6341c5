"""The Celery application: two queues, small messages, early acknowledgement, and a pulse in every worker process."""

import os
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.signals import (
    celeryd_after_setup,
    task_postrun,
    task_prerun,
    task_received,
    worker_init,
    worker_shutdown,
    worker_shutting_down,
)
from django.core import checks

if TYPE_CHECKING:
    from projects.pulse import Pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
app = Celery("luthier")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
_pulses: list["Pulse"] = []  # one in a worker process, none elsewhere


@worker_init.connect
def refuse_unfit_settings(**_: Any) -> None:
    """A worker that would lose work by its settings does not start."""
    serious = [found for found in checks.run_checks(tags=["workers"]) if found.is_serious()]
    if serious:
        raise SystemExit("\n".join(f"{found.id}: {found.msg} {found.hint}" for found in serious))


@celeryd_after_setup.connect
def begin_pulse(instance: Any, **_: Any) -> None:
    """Before the broker has answered: waiting work is taken without it."""
    from projects.pulse import Pulse

    pulse = Pulse(list(instance.app.amqp.queues.consume_from))
    _pulses.append(pulse)
    pulse.start()


@task_received.connect
def hear(**_: Any) -> None:
    for pulse in _pulses:
        pulse.heard()


@task_prerun.connect
def begin_task(**_: Any) -> None:
    for pulse in _pulses:
        pulse.begun()


@task_postrun.connect
def end_task(**_: Any) -> None:
    for pulse in _pulses:
        pulse.ended()


@worker_shutting_down.connect
def stop_pulse(**_: Any) -> None:
    for pulse in _pulses:
        pulse.stop()


@worker_shutdown.connect
def leave(**_: Any) -> None:
    while _pulses:
        _pulses.pop().leave()
