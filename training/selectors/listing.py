"""Lists of runs, of ten thousand as of ten: filtered, sorted and shown from one index that holds all of it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower

from datasets_app.models import DatasetVersion
from projects.models import Project, User
from projects.selectors import queue
from training.domain.listing import Listing
from training.models import METHODS, BaseModelVersion, Run

# By the name in the address, what of the row it means.
COLUMNS: dict[str, Any] = {
    "created": F("pk"),
    "name": Lower("name"),
    "state": F("state"),
    "method": F("method"),
    "data": F("dataset_version"),
    "base": F("base__name"),
    "creator": F("created_by__email"),
    "loss": F("last_loss"),
    "rate": F("tokens_per_second"),
    "duration": F("seconds"),
    "cost": F("cost"),
    "started": F("started_at"),
    "step": F("step"),
}
SHOWN = (
    "pk", "name", "state", "method", "base__name", "dataset_version__dataset__name", "dataset_version__number",
    "created_by__name", "created_by__email", "last_loss", "tokens_per_second", "seconds", "cost", "step",
    "total_steps", "started_at",
)  # fmt: skip
MOST_CHOICES = 200  # versions and sweeps, the newest; others are reached from their own pages
WAITS = {"queued", "held", "paused"}
METHOD_NAMES = dict(METHODS)


@dataclass
class Listed:
    """One run as a list shows it."""

    pk: int
    name: str
    state: str
    method: str
    base: str
    dataset: str
    version: int
    by_name: str
    by_email: str
    last_loss: float | None
    tokens_per_second: float | None
    seconds: float | None
    cost: Decimal | None
    step: int
    total_steps: int
    started_at: datetime | None
    waiting: Any = None

    @property
    def data(self) -> str:
        return f"{self.dataset} v{self.version}"

    @property
    def by(self) -> str:
        return self.by_name or self.by_email


@dataclass(frozen=True)
class Choices:
    """What a list of the project's runs can be filtered by."""

    bases: list[tuple[int, str]] = field(default_factory=list)
    versions: list[tuple[int, str]] = field(default_factory=list)
    people: list[tuple[int, str]] = field(default_factory=list)
    sweeps: list[tuple[int, str]] = field(default_factory=list)


def matching(project: Project, listing: Listing) -> QuerySet[Run]:
    """Runs that a list is asked for, in no order."""
    wanted = Q(project=project)
    for word in listing.words:
        wanted &= Q(name__icontains=word)
    for name in ("state", "method"):
        wanted &= Q(**{name: getattr(listing, name)}) if getattr(listing, name) else Q()
    for name, column in (
        ("base", "base"),
        ("dataset_version", "dataset_version"),
        ("creator", "created_by"),
        ("sweep", "sweep"),
    ):
        wanted &= Q(**{column: getattr(listing, name)}) if getattr(listing, name) else Q()
    if listing.begin:
        wanted &= Q(created_at__gte=listing.begin)
    if listing.end:
        wanted &= Q(created_at__lt=listing.end)
    return Run.objects.filter(wanted)


def sorted_by(runs: QuerySet[Run], listing: Listing) -> QuerySet[Run]:
    """In the order of the listing; what has no value comes last, whichever way it is turned."""
    column, turn = COLUMNS[listing.column], "desc" if listing.descending else "asc"
    if listing.column == "created":
        return runs.order_by(getattr(column, turn)())
    return runs.order_by(getattr(column, turn)(nulls_last=True), getattr(F("pk"), turn)())


def listed(project: Project, listing: Listing, start: int, stop: int) -> list[Listed]:
    """Rows of one page. Their numbers come from the index alone, so that only these rows are read."""
    pks = list(sorted_by(matching(project, listing), listing).values_list("pk", flat=True)[start:stop])
    found = {row[0]: Listed(*row) for row in Run.objects.filter(pk__in=pks).values_list(*SHOWN)}
    rows = [found[pk] for pk in pks if pk in found]
    _tell_reasons(rows)
    return rows


def _people(rows: QuerySet[User]) -> dict[int, str]:
    return {pk: name or email for pk, name, email in rows.values_list("pk", "name", "email")}


def _versions(rows: QuerySet[DatasetVersion]) -> dict[int, str]:
    named = rows.values_list("pk", "dataset__name", "number")
    return {pk: f"{name} v{number}" for pk, name, number in named}


def _tell_reasons(rows: list[Listed]) -> None:
    waiting = [row.pk for row in rows if row.state in WAITS]
    if not waiting:
        return
    runs = Run.objects.filter(pk__in=waiting).only("state", "project_id", "priority", "queued_at")
    reasons = queue.reasons(runs)
    for row in rows:
        row.waiting = reasons.get(("training.run", row.pk))


def choices(project: Project) -> Choices:
    """Bases, training data, members and sweeps of the project; whether any run has them is not looked for, since that

    would read all of them.
    """
    bases = BaseModelVersion.objects.filter(project=project).order_by("name", "pk")
    people = User.objects.filter(memberships__project=project).order_by("email")
    versions = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose="training").order_by("-pk")
    sweeps = project.sweeps.exclude(state="draft").order_by("-pk").values_list("pk", "name")
    return Choices(
        list(bases.values_list("pk", "name")),
        list(_versions(versions[:MOST_CHOICES]).items()),
        list(_people(people).items()),
        list(sweeps[:MOST_CHOICES]),
    )
