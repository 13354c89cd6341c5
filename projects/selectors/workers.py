"""The page of the workers: hosts with their cards, slots and versions, and the canaries of the queues."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet

from projects import jobs, leases, slots
from projects.domain import waiting
from projects.domain.places import parts
from projects.domain.waiting import Scene, Why
from projects.models import Canary, Card, Host, LeasedJob, WorkerProcess
from projects.selectors import queue as queues
from projects.selectors.queue import AtWork, Standing

SHOWN_IN_LINE = 50
ITS_OWN = frozenset({"needs_cards", "no_such_host"})  # reasons that say nothing of others in the line
HOT = 85  # °C: most data centre cards slow themselves down a little above


@dataclass(frozen=True)
class Slot:
    """One place of a host and what is in it; `name` is empty when it belongs to a project of others."""

    queue: str
    place: str
    work: AtWork | None = None
    is_mine: bool = False
    card: Card | None = None
    kept_for: LeasedJob | None = None  # waits for several cards of this host, which gives this one to nobody else
    kept_is_mine: bool = False

    @property
    def label(self) -> str:
        kind, _, number = self.place.partition(":")
        return f"{'GPU' if kind == 'gpu' else 'Slot'} {number}" if number else "Slot"

    @property
    def temperature_tone(self) -> str:
        hot = self.card is not None and self.card.temperature is not None and self.card.temperature >= HOT
        return "attention" if hot else ""


@dataclass(frozen=True)
class Version:
    name: str
    value: str
    differs: bool


@dataclass(frozen=True)
class HostView:
    """One host as everybody may see it."""

    host: Host
    is_alive: bool
    silent_for: float
    processes: list[WorkerProcess]
    cards: list[Card]
    slots: list[Slot]
    versions: list[Version] = field(default_factory=list)

    @property
    def state(self) -> str:
        if not self.is_alive:
            return "stale"
        return "draining" if self.host.draining_at else "up"

    def rank(self) -> int:
        """Those that work first, those that are gone last; sorting keeps the order of their names."""
        return ("up", "draining", "stale").index(self.state)

    @property
    def busy(self) -> int:
        return sum(slot.work is not None for slot in self.slots)

    @property
    def differs(self) -> list[str]:
        return [version.name for version in self.versions if version.differs]

    @property
    def idle_cards(self) -> list[Card]:
        """Cards that no worker process of the host has a place on."""
        used = {slot.place for slot in self.slots}
        return [card for card in self.cards if f"gpu:{card.index}" not in used]

    @property
    def queues(self) -> list[str]:
        heard = {queue for process in self.processes for queue in process.queues}
        return [queue for queue in settings.SLOTS if queue in heard]


@dataclass(frozen=True)
class InLine:
    """One waiting job; nothing but its place and urgency when it belongs to a project of others."""

    position: int
    priority: int
    since: datetime
    why: Why
    job: Any = None
    kind: str = ""


@dataclass(frozen=True)
class QueueView:
    queue: str
    length: int
    line: list[InLine]
    canary: Canary | None
    canary_age: float | None
    canary_is_late: bool
    scene: Scene

    @property
    def busy(self) -> int:
        return self.scene.slots - self.scene.free

    @property
    def why(self) -> str:
        """What all of them wait for; of those in front a worker may take some this moment. What one alone needs, as so
        many cards of one host, stands with it."""
        common = [one.why.text for one in self.line if one.why.code not in ITS_OWN]
        return common[-1] if common else ""

    @property
    def more(self) -> int:
        return self.length - len(self.line)


@dataclass(frozen=True)
class Floor:
    """Everything on the page at one moment."""

    now: datetime
    hosts: list[HostView]
    queues: list[QueueView]
    differing: list[str]

    @property
    def up(self) -> int:
        return sum(view.state == "up" for view in self.hosts)

    @property
    def draining(self) -> int:
        return sum(view.state == "draining" for view in self.hosts)

    @property
    def stale(self) -> int:
        return sum(view.state == "stale" for view in self.hosts)

    @property
    def late(self) -> bool:
        """Whether a canary of a queue that somebody hears is late."""
        return any(queue.canary_is_late and queue.scene.heard for queue in self.queues)


def hosts() -> QuerySet[Host]:
    return Host.objects.select_related("drained_by").order_by("name")


def floor(sees: set[int]) -> Floor:
    """All hosts and the whole order of the queues, with the names of jobs of the projects in `sees` only."""
    now = leases.database_time()
    standings = {queue: queues.standing(queue, now=now) for queue in settings.SLOTS}
    limit = slots.stale_before(now)
    found = list(hosts().prefetch_related("processes", "cards"))
    versions = _versions(host for host in found if host.beat_at >= limit)
    views = sorted((_host(host, standings, sees, versions, now) for host in found), key=HostView.rank)
    canaries = {canary.queue: canary for canary in Canary.objects.all()}
    lines = [_queue(standing, sees, canaries.get(queue)) for queue, standing in reversed(standings.items())]
    return Floor(now, views, lines, sorted(name for name, values in versions.items() if len(values) > 1))


def most_cards() -> int:
    """How many cards the host has that has most of them, heard of lately or not."""
    return max(Card.objects.values("host").annotate(count=Count("pk")).values_list("count", flat=True), default=0)


def canary_ages() -> dict[str, float | None]:
    """Seconds since each queue's last canary arrived; None when none ever did. One query, for readiness."""
    now = leases.database_time()
    seen = dict(Canary.objects.values_list("queue", "seen_at"))
    found = {queue: seen.get(queue) for queue in settings.SLOTS}
    return {queue: round((now - at).total_seconds(), 1) if at else None for queue, at in found.items()}


def _versions(alive: Iterable[Host]) -> dict[str, set[str]]:
    """The values that living hosts give for every name."""
    found: dict[str, set[str]] = defaultdict(set)
    for host in alive:
        for process in host.processes.all():
            for name, value in process.versions.items():
                found[name].add(value)
    return found


def _host(
    host: Host, standings: dict[str, Standing], sees: set[int], versions: dict[str, set[str]], now: datetime
) -> HostView:
    processes = sorted(host.processes.all(), key=lambda one: one.started_at)
    own = {name: value for process in processes for name, value in process.versions.items()}
    is_alive = host.beat_at >= slots.stale_before(now)
    cards = list(host.cards.all())
    return HostView(
        host=host,
        is_alive=is_alive,
        silent_for=(now - host.beat_at).total_seconds(),
        processes=processes,
        cards=cards,
        slots=[
            slot for standing in reversed(standings.values()) for slot in _slots(host, standing, sees, processes, cards)
        ],
        versions=[Version(name, value, is_alive and len(versions[name]) > 1) for name, value in own.items()],
    )


def _slots(
    host: Host, standing: Standing, sees: set[int], processes: list[WorkerProcess], cards: list[Card]
) -> list[Slot]:
    """Every place with its job, then jobs in places that nobody tells of any more."""
    places: list[str] = []
    for process in processes:
        places = queues.merged(places, process.places.get(standing.queue, []))
    held = [(place, one) for one in standing.running if one.host == host.name for place in parts(one.job.place)]
    kept = standing.kept.get(host.name)
    by_card = {f"gpu:{card.index}": card for card in cards}
    found: list[tuple[str, AtWork | None]] = []
    for place in sorted(places):
        taken = next((pair for pair in held if pair[0] == place), None)
        if taken is not None:
            held.remove(taken)
        found.append((place, taken[1] if taken else None))
    found += held
    return [
        Slot(
            standing.queue,
            place,
            work,
            work is not None and work.job.project_id in sees,
            by_card.get(place),
            None if work else kept,
            kept is not None and kept.project_id in sees,
        )
        for place, work in found
    ]


def _queue(standing: Standing, sees: set[int], canary: Canary | None) -> QueueView:
    scene = standing.scene(sees)
    shown = standing.line[:SHOWN_IN_LINE]
    named = _named([one.job for one in shown if one.project in sees])
    late = standing.now.timestamp() - settings.CANARY_LIMIT_SECONDS
    seen = canary.seen_at if canary else None
    return QueueView(
        queue=standing.queue,
        length=len(standing.line),
        line=[
            InLine(
                place + 1,
                one.priority,
                one.since,
                waiting.queued(scene, place, standing.needs(named[one.job]) if one.job in named else None),
                named.get(one.job),
                str(jobs.kind(one.job[0]).model._meta.verbose_name or ""),
            )
            for place, one in enumerate(shown)
        ],
        canary=canary,
        canary_age=(standing.now - seen).total_seconds() if seen else None,
        canary_is_late=seen is None or seen.timestamp() < late,
        scene=scene,
    )


def _named(keys: list[queues.Key]) -> dict[queues.Key, Any]:
    """The jobs themselves, a query a kind."""
    found: dict[queues.Key, Any] = {}
    for label in {label for label, _ in keys}:
        model: Any = jobs.kind(label).model
        for job in model.objects.select_related("project").filter(pk__in=[pk for one, pk in keys if one == label]):
            found[label, job.pk] = job
    return found
