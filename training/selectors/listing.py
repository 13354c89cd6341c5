"""Lists of runs, of ten thousand as of ten: filtered, sorted and shown from one index that holds all of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower

from projects.models import Project
from projects.selectors import queue
from training.domain.listing import Listing
from training.models import METHODS, Run
from training.selectors.choices import Choices, names

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
    "pk", "name", "state", "method", "base_id", "dataset_version_id", "created_by_id", "last_loss",
    "tokens_per_second", "seconds", "cost", "step", "total_steps", "started_at",
)  # fmt: skip
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
    data: str
    by: str
    last_loss: float | None
    tokens_per_second: float | None
    seconds: float | None
    cost: Decimal | None
    step: int
    total_steps: int
    started_at: datetime | None
    waiting: Any = None


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


def listed(project: Project, listing: Listing, start: int, stop: int, known: Choices | None = None) -> list[Listed]:
    """Rows `start` to `stop` of a listing, under the names that `known` has or that are read for them.

    Which rows these are comes from the index alone, inside of the same statement, so that only these are read whole.
    """
    page = sorted_by(matching(project, listing), listing).values("pk")[start:stop]
    found = list(sorted_by(Run.objects.filter(pk__in=page), listing).values_list(*SHOWN))
    bases, versions, people = ({row[place] for row in found} for place in (4, 5, 6))
    named = names(known or Choices(), bases=bases, versions=versions, people=people)
    rows = [
        Listed(pk, name, state, method, named.bases[base], named.versions[version], named.people[person], *figures)
        for pk, name, state, method, base, version, person, *figures in found
    ]
    _tell_reasons(rows)
    return rows


def _tell_reasons(rows: list[Listed]) -> None:
    waiting = [row.pk for row in rows if row.state in WAITS]
    if not waiting:
        return
    runs = Run.objects.filter(pk__in=waiting).only("state", "project_id", "priority", "queued_at")
    reasons = queue.reasons(runs)
    for row in rows:
        row.waiting = reasons.get(("training.run", row.pk))
