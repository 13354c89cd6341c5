"""Celery entry points of the kernel: wake-ups, canaries, reconciler, invariants. None holds a message for long."""

from celery import shared_task

from projects import canaries, courier, invariants, reconciler, slots, supervision, waking


@shared_task(ignore_result=True, name=waking.TASK)
def wake_workers(*, queue: str, **_) -> None:
    """Let this worker look for queued work."""
    supervision.claim_and_start(queue)


@shared_task(ignore_result=True, name=waking.CANARY)
def canary(*, queue: str, number: int, **_) -> None:
    """A canary has come through its queue."""
    canaries.note(queue, number, by=slots.host_name())


@shared_task(ignore_result=True, name=waking.COURIER)
def send_due(**_) -> None:
    """Let this host send what is due."""
    courier.start_if_due()


@shared_task(ignore_result=True, name=waking.RECONCILE)
def reconcile(**_) -> None:
    """Requeue what lost its worker and wake whoever should be awake."""
    reconciler.sweep()


@shared_task(ignore_result=True, name="projects.check_invariants")
def check_invariants(**_) -> None:
    """Look whether everything that must be true still is, and keep the answer."""
    invariants.check_and_keep()
