"""Which waiting job a worker takes next, read from the rows of all kinds at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Min, Q, QuerySet, Value

from projects.domain import places, turns
from projects.domain.errors import Refused
from projects.domain.states import WAITS_FOR_PEOPLE, JobState
from projects.domain.turns import Priority, Waiting
from projects.transitions import JustChanged, record


def together(querysets: Iterable[QuerySet[Any, Any]]) -> Any:
    """Several queries with the same columns as one."""
    first, *rest = [queryset.order_by() for queryset in querysets]
    return first.union(*rest, all=True) if rest else first


def that_hold(models: Iterable[Any], *states: JobState) -> list[Any]:
    """Those of the models with a row in one of these states. Workers ask this all day long, and most often the answer
    is none: one plain statement spares them the building of a query per model."""
    models = tuple(models)
    if not models:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_any_rows(models, len(states)), [state.value for state in states] * len(models))
        return [models[nth] for (nth,) in cursor.fetchall()]


@cache
def _any_rows(models: tuple[Any, ...], states: int) -> str:
    tables = [connection.ops.quote_name(model._meta.db_table) for model in models]
    marks = ", ".join(["%s"] * states)
    asked = "SELECT {} WHERE EXISTS (SELECT 1 FROM {} WHERE state IN ({}))"
    return " UNION ALL ".join(asked.format(nth, table, marks) for nth, table in enumerate(tables))


@dataclass(frozen=True)
class Room:
    """What a host has for a queue: its name, its free places, how many different ones it has in all, and the names of
    the hosts that are at work, itself included."""

    name: str
    free: Sequence[str]
    most: int
    others: frozenset[str] = frozenset()


def next_job(models: Sequence[Any], host: Room | None = None) -> Any | None:
    """The waiting row whose turn it is, of those that this host could ever take; None when none waits."""
    while True:
        waiting, running = _standing(models, host)
        turn = turns.first(waiting, running)
        if turn is None:
            return None
        same = {"state": JobState.QUEUED, "project_id": turn.project, "priority": turn.priority}
        model = models[turn.job]
        row = model.objects.filter(_within(model, host), **same).order_by("queued_at", "pk").first()
        if row is not None:
            return _kept_first(models, host, row)  # else a rival took the last one of them: look again


def _within(model: Any, host: Room | None) -> Q:
    """Rows that the host may take now, or keep its places free for."""
    if host is None:
        return Q()
    if model.of_one_host:
        return Q(host__in=["", host.name])
    if not model.takes_several:
        return Q()
    # Whose host is gone, or is being drained, is kept for by nobody.
    elsewhere = Q(kept_free_by__in=host.others - {host.name}) & Q(devices__gt=len(set(host.free)))
    return Q(devices__lte=max(1, host.most)) & ~elsewhere


def _kept_first(models: Sequence[Any], host: Room | None, row: Any) -> Any:
    """Once places are kept free for a row, only what is more urgent goes before it."""
    if host is None:
        return row
    for model in models:
        if model.takes_several:
            waits = model.objects.filter(state=JobState.QUEUED, kept_free_by=host.name, devices__lte=host.most)
            kept = waits.order_by("-priority", "queued_at", "pk").first()
            if kept is not None and kept.priority >= row.priority:
                return kept
    return row


def places_for(row: Any, host: Room | None, place: str) -> list[str] | None:
    """Where the row would run here: one text for all of its places. Empty where another host keeps its places for it;
    None where this one does from now on, until it has enough."""
    if row.cards == 1 or host is None:
        return [place]
    if (chosen := places.choose(host.free, row.cards)) is not None:
        return [chosen]
    return None if keep_free(row, host) else []


def keep_free(row: Any, host: Room) -> bool:
    """Promise a row the places of this host; False when another host at work has done so before."""
    promised = Q(kept_free_by__in=host.others - {host.name})
    waits = type(row).objects.filter(pk=row.pk, state=JobState.QUEUED).exclude(promised)
    return bool(waits.update(kept_free_by=host.name))


def _standing(models: Sequence[Any], host: Room | None = None) -> tuple[list[Waiting], dict[int, int]]:
    """Of every kind, project and priority the longest waiting; and how much each project has at work."""
    waiting: list[Waiting] = []
    running: dict[int, int] = {}
    held = that_hold(models, JobState.QUEUED, JobState.RUNNING)
    if not held:
        return waiting, running
    rows = together(
        model.objects.filter(Q(state=JobState.RUNNING) | Q(_within(model, host), state=JobState.QUEUED))
        .annotate(nth_model=Value(nth))
        .values_list("nth_model", "project_id", "priority", "state")
        .annotate(how_many=Count("pk"), longest=Min("queued_at"))
        for nth, model in enumerate(models)
        if model in held
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
