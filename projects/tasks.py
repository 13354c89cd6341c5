"""Celery entry points of the kernel: wake-ups, canaries and the reconciler. None of them holds a message for long."""

from celery import shared_task

from projects import canaries, reconciler, slots, supervision, waking


@shared_task(ignore_result=True, name=waking.TASK)
def wake_workers(*, queue: str, **_) -> None:
    """Let this worker look for queued work."""
    supervision.claim_and_start(queue)


@shared_task(ignore_result=True, name=waking.CANARY)
def canary(*, queue: str, number: int, **_) -> None:
    """A canary has come through its queue."""
    canaries.note(queue, number, by=slots.host_name())


@shared_task(ignore_result=True, name="projects.reconcile")
def reconcile(**_) -> None:
    """Requeue what lost its worker and wake whoever should be awake."""
    reconciler.sweep()
