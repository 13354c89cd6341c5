"""Which waiting job a worker takes next, read from the rows of all kinds at once."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, QuerySet, Value

from projects.domain import turns
from projects.domain.errors import Refused
from projects.domain.states import WAITS_FOR_PEOPLE, JobState
from projects.domain.turns import Priority, Waiting
from projects.transitions import JustChanged, record


def together(querysets: Iterable[QuerySet[Any, Any]]) -> Any:
    """Several queries with the same columns as one."""
    first, *rest = [queryset.order_by() for queryset in querysets]
    return first.union(*rest, all=True) if rest else first


def next_job(models: Sequence[Any]) -> Any | None:
    """The waiting row whose turn it is; None when none waits."""
    while True:
        waiting, running = _standing(models)
        turn = turns.first(waiting, running)
        if turn is None:
            return None
        same = {"state": JobState.QUEUED, "project_id": turn.project, "priority": turn.priority}
        row = models[turn.job].objects.filter(**same).order_by("queued_at", "pk").first()
        if row is not None:
            return row  # else a rival took the last one of them: look again


def _standing(models: Sequence[Any]) -> tuple[list[Waiting], dict[int, int]]:
    """Of every kind, project and priority the longest waiting; and how much each project has at work."""
    waiting: list[Waiting] = []
    running: dict[int, int] = {}
    rows = together(
        model.objects.filter(state__in=[JobState.QUEUED, JobState.RUNNING])
        .annotate(nth_model=Value(nth))
        .values_list("nth_model", "project_id", "priority", "state")
        .annotate(how_many=Count("pk"), longest=Min("queued_at"))
        for nth, model in enumerate(models)
    )
    for nth, project, priority, state, how_many, longest in rows:
        if state == JobState.RUNNING:
            running[project] = running.get(project, 0) + how_many
        else:
            waiting.append(Waiting(nth, project, priority, longest))
    return waiting, running


@transaction.atomic
def set_priority(job: Any, priority: Priority, *, actor: str) -> None:
    """Let a waiting job go earlier or later; what runs or is over has no turn any more."""
    job.refresh_from_db()
    if job.state not in {JobState.QUEUED, *WAITS_FOR_PEOPLE}:
        raise Refused(
            f"Only what waits has a turn to change, and {job} is {job.state}. Reload the page.", code="not_waiting"
        )
    old, same = job.priority, {"pk": job.pk, "state": job.state, "priority": job.priority}
    if not type(job).objects.filter(**same).update(priority=priority.value):
        raise JustChanged(f"{job} has just been changed or taken. Reload the page.")
    record(job, f"{job._meta.model_name}.priority_changed", actor=actor, **{"from": old, "to": priority.value})
    job.refresh_from_db()
