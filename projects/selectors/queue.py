"""The queues: who waits in which order and for what, who runs where, and which hosts could take more."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Value

from projects import jobs, leases, slots
from projects.domain import turns, waiting
from projects.domain.places import parts
from projects.domain.states import ACTIVE, WAITS_FOR_PEOPLE, JobState
from projects.domain.turns import Waiting
from projects.domain.waiting import Needs, Scene, Why
from projects.jobs import JobKind
from projects.models import AuditEvent, LeasedJob, User, WorkerProcess
from projects.turns import together

Key = tuple[str, int]  # label of the kind, number of the row


@dataclass(frozen=True)
class AtWork:
    """One running job, where it runs, and in how many seconds it is expected to end."""

    job: Any
    remaining: float | None

    @property
    def host(self) -> str:
        return self.job.owner.partition("/")[0]


@dataclass
class Standing:
    """One queue at one moment."""

    queue: str
    now: datetime
    line: list[Waiting]
    running: list[AtWork]
    processes: list[WorkerProcess] = field(default_factory=list)

    @cached_property
    def places_in_line(self) -> dict[Key, int]:
        return {one.job: place for place, one in enumerate(self.line)}

    @cached_property
    def alive(self) -> list[WorkerProcess]:
        limit = slots.stale_before(self.now)
        return [one for one in self.processes if one.beat_at >= limit]

    @cached_property
    def slots(self) -> dict[str, list[str]]:
        """Places by name of host, of the hosts that would take something."""
        found: dict[str, list[str]] = {}
        for process in self.alive:
            if process.host.draining_at is None:
                found[process.host.name] = merged(found.get(process.host.name, []), process.places.get(self.queue, []))
        return found

    @cached_property
    def kept(self) -> dict[str, Any]:
        """By name of host the waiting job that it keeps its places free for; a query for each kind that may ask."""
        models: list[Any] = [kind.model for kind in jobs.kinds(self.queue) if kind.model.takes_several]
        waiting = [
            job
            for model in models
            for job in model.objects.filter(state=JobState.QUEUED).exclude(kept_free_by="").select_related("project")
        ]
        first = sorted(waiting, key=lambda job: (-job.priority, job.queued_at), reverse=True)
        return {job.kept_free_by: job for job in first if job.kept_free_by in self.slots}

    @cached_property
    def first_free(self) -> float | None:
        """Seconds until the first of the running jobs on these hosts is expected to end."""
        known = [one.remaining for one in self.running if one.remaining is not None and one.host in self.slots]
        return min(known, default=None)

    def needs(self, job: LeasedJob) -> Needs | None:
        """What a job that takes several places finds on the hosts; None where one is enough."""
        if job.cards == 1:
            return None
        most = {name: set(places) for name, places in self.slots.items()}
        left = {name: list(places) for name, places in self.slots.items()}
        for one in self.running:
            for place in parts(one.job.place):
                if place in left.get(one.host, []):
                    left[one.host].remove(place)
        kept = getattr(job, "kept_free_by", "")
        return Needs(
            cards=job.cards,
            most=max(map(len, most.values()), default=0),
            free=max((len(set(places)) for places in left.values()), default=0),
            kept_by=kept if kept in self.slots else "",
        )

    def scene(self, sees: set[int]) -> Scene:
        """What may be told to somebody who sees these projects."""
        hosts = {process.host.name for process in self.alive}
        last = max((process.beat_at for process in self.processes), default=None)
        mine = [one for one in self.running if one.host in self.slots]
        count = sum(len(places) for places in self.slots.values())
        taken = sum(len(parts(one.job.place)) for one in mine)
        named = [str(one.job) for one in mine if one.job.project_id in sees]
        return Scene(
            queue=self.queue,
            heard=len(hosts),
            open=len(self.slots),
            silent_for=(self.now - last).total_seconds() if last else None,
            slots=count,
            free=max(0, count - taken),
            on_cards=any(
                place.startswith("gpu:") for process in self.alive for place in process.places.get(self.queue, [])
            ),
            taken_by=named,
            others=len(mine) - len(named),
            free_in=self.first_free,
        )


def merged(places: list[str], more: list[str]) -> list[str]:
    """Places of a host as its processes tell them: several may fill the same ones."""
    left = list(places)
    extra = []
    for place in more:
        if place in left:
            left.remove(place)
        else:
            extra.append(place)
    return places + extra


def standing(queue: str, *, now: datetime | None = None) -> Standing:
    """Two queries, and one for every kind that has something at work."""
    now = now or leases.database_time()
    kinds = jobs.kinds(queue)
    queued: list[Waiting] = []
    running: dict[int, int] = {}
    busy: set[int] = set()
    for nth, pk, project, priority, state, since in _active(kinds):
        if state == JobState.RUNNING:
            running[project] = running.get(project, 0) + 1
            busy.add(nth)
        else:
            queued.append(Waiting((kinds[nth].label, pk), project, priority, since))
    heard = WorkerProcess.objects.select_related("host").order_by("host__name", "pk")
    # A list inside JSON is searched differently by every database; there are few processes.
    processes = [process for process in heard if queue in process.queues]
    at_work = [one for nth in sorted(busy) for one in _at_work(kinds[nth], now)]
    return Standing(queue, now, turns.line_up(queued, running), at_work, processes)


def largest(queue: str) -> int | None:
    """How many different places the host has that has most of them; None while no host takes anything."""
    return max((len(set(places)) for places in standing(queue).slots.values()), default=None)


def _active(kinds: list[JobKind]) -> Any:
    columns = ("nth_kind", "pk", "project_id", "priority", "state", "queued_at")
    models: list[Any] = [kind.model for kind in kinds]
    return together(
        model.objects.filter(state__in=ACTIVE).annotate(nth_kind=Value(nth)).values_list(*columns)
        for nth, model in enumerate(models)
    )


def _at_work(kind: JobKind, now: datetime) -> list[AtWork]:
    model: Any = kind.model
    rows = model.objects.filter(state=JobState.RUNNING).select_related("project").order_by("started_at")
    return [AtWork(job, kind.remaining(job, now)) for job in rows]


def reasons(jobs_shown: Iterable[LeasedJob], *, user: User | None = None) -> dict[Key, Why]:
    """Why each of these jobs does not run, of those that wait; every queue is looked at once.

    Names of running jobs are told of the projects of the jobs themselves, and of those that `user` is a member of.
    """
    shown = list(jobs_shown)
    sees = visible_projects(user) | {job.project_id for job in shown}  # type: ignore[attr-defined]
    found: dict[Key, Why] = {}
    queued = [job for job in shown if job.state == JobState.QUEUED]
    for queue in {jobs.kind_of(job).queue for job in queued}:
        now = standing(queue)
        scene = now.scene(sees)
        for job in queued:
            ahead = now.places_in_line.get((job.job_label, job.pk))
            if ahead is not None and jobs.kind_of(job).queue == queue:
                found[job.job_label, job.pk] = waiting.queued(scene, ahead, now.needs(job))
    resting = [job for job in shown if job.state in WAITS_FOR_PEOPLE]
    pausers = _pausers([job for job in resting if job.state == JobState.PAUSED])
    for job in resting:
        by = pausers.get((job.job_label, job.pk), "")
        found[job.job_label, job.pk] = waiting.held() if job.state == JobState.HELD else waiting.paused(by)
    return found


def reason(job: LeasedJob) -> Why | None:
    """Why one job does not run; None when it does not wait, or has just been taken."""
    return reasons([job]).get((job.job_label, job.pk))


def visible_projects(user: User | None) -> set[int]:
    return set() if user is None else set(user.memberships.values_list("project_id", flat=True))


def _pausers(paused: list[LeasedJob]) -> dict[Key, str]:
    """Who last asked each of these jobs to rest, as the audit log has it."""
    keys = {f"{job._meta.label_lower}:{job.pk}": (job.job_label, job.pk) for job in paused}
    if not keys:
        return {}
    events = AuditEvent.objects.filter(target__in=keys, action__regex=r"\.(pause_requested|paused)$").order_by("pk")
    pairs = events.exclude(actor="worker").values_list("target", "actor")
    return {keys[target]: actor for target, actor in pairs}
