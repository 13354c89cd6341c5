"""Lists of runs, of ten thousand as of ten: filtered, sorted and shown from one index that holds all of it.

Plain SQL, since the ORM took longer to put these statements together than the database to answer them. Both databases
read the same.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from projects.models import Project, User
from projects.selectors import queue
from training.domain.listing import Listing
from training.models import METHODS, BaseModelVersion, Run
from training.selectors.choices import Choices, names

# By the name in the address, what of a run it is sorted by.
COLUMNS = {
    "created": "run.id",
    "name": "LOWER(run.name)",
    "state": "run.state",
    "method": "run.method",
    "data": "run.dataset_version_id",
    "base": "base.name",
    "creator": "person.email",
    "loss": "run.last_loss",
    "rate": "run.tokens_per_second",
    "duration": "run.seconds",
    "cost": "run.cost",
    "started": "run.started_at",
    "step": "run.step",
}
RUNS = f"{Run._meta.db_table} run"
JOINED = {
    "base": f"{RUNS} JOIN {BaseModelVersion._meta.db_table} base ON base.id = run.base_id",
    "creator": f"{RUNS} JOIN {User._meta.db_table} person ON person.id = run.created_by_id",
}
# By the name in the address, which column has to have just that value.
FILTERED = {
    "state": "state",
    "method": "method",
    "base": "base_id",
    "dataset_version": "dataset_version_id",
    "creator": "created_by_id",
    "sweep": "sweep_id",
}
SHOWN = (
    "id", "name", "state", "method", "base_id", "dataset_version_id", "created_by_id", "last_loss",
    "tokens_per_second", "seconds", "cost", "step", "total_steps", "started_at",
)  # fmt: skip
_SHOWN = ", ".join(f"run.{name}" for name in SHOWN)
_OF_COLUMN = {field.column: field.get_col(Run._meta.db_table) for field in Run._meta.concrete_fields}
# As the ORM compares: letters of any alphabet alike in PostgreSQL, those of English in SQLite.
CONTAINS = {
    "postgresql": "UPPER(run.name::text) LIKE UPPER(%s)",
    "sqlite": "run.name LIKE %s ESCAPE '\\'",
}
WAITS = {"queued", "held", "paused"}
METHOD_NAMES = dict(METHODS)
GONE = "deleted"  # between the moment in which a run was read and that in which its names were


@dataclass(slots=True)
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
    """Runs that a list is asked for, in no order, for whoever goes on with them in the ORM."""
    condition, values = _wanted(project, listing)
    return Run.objects.filter(pk__in=RawSQL(f"SELECT run.id FROM {RUNS} WHERE {condition}", values))


def count_listed(project: Project, listing: Listing) -> int:
    """How many runs a list is asked for."""
    condition, values = _wanted(project, listing)
    return _asked(f"SELECT COUNT(*) FROM {RUNS} WHERE {condition}", values)[0][0]


def listed(project: Project, listing: Listing, start: int, stop: int, known: Choices | None = None) -> list[Listed]:
    """Rows `start` to `stop` of a listing, under the names that `known` has or that are read for them.

    Which rows these are comes from the index alone, inside of the same statement, so that only these are read whole.
    """
    condition, values = _wanted(project, listing)
    source, order = JOINED.get(listing.column, RUNS), _order(listing)
    page = f"SELECT run.id FROM {source} WHERE {condition} ORDER BY {order} LIMIT {stop - start} OFFSET {start}"
    found = _asked(f"SELECT {_SHOWN} FROM {source} WHERE run.id IN ({page}) ORDER BY {order}", values)
    found = _as_in_python(found)
    bases, versions, people = ({row[place] for row in found} for place in (4, 5, 6))
    named = names(known or Choices(), bases=bases, versions=versions, people=people)
    rows = [
        Listed(
            pk, name, state, method,
            named.bases.get(base, GONE), named.versions.get(version, GONE), named.people.get(person, GONE),
            *figures,
        )
        for pk, name, state, method, base, version, person, *figures in found
    ]  # fmt: skip
    _tell_reasons(rows)
    return rows


def _wanted(project: Project, listing: Listing) -> tuple[str, list[Any]]:
    """The condition that a listed run meets, and the values of its places."""
    parts: list[str] = ["run.project_id = %s"]
    values: list[Any] = [project.pk]
    for word in listing.words:
        parts.append(CONTAINS[connection.vendor])
        values.append(f"%{connection.ops.prep_for_like_query(word)}%")
    for name, column in FILTERED.items():
        if getattr(listing, name):
            parts.append(f"run.{column} = %s")
            values.append(getattr(listing, name))
    for moment, compared in ((listing.begin, ">="), (listing.end, "<")):
        if moment:
            parts.append(f"run.created_at {compared} %s")
            values.append(connection.ops.adapt_datetimefield_value(moment))
    return " AND ".join(parts), values


def _order(listing: Listing) -> str:
    """What has no value comes last, whichever way it is turned."""
    column, turn = COLUMNS[listing.column], "DESC" if listing.descending else "ASC"
    return f"{column} {turn}" if listing.column == "created" else f"{column} {turn} NULLS LAST, run.id {turn}"


def _asked(text: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall()


def _as_in_python(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Amounts and moments as the ORM would give them; PostgreSQL gives them so, and nothing is done."""
    change = [
        (place, field, [*connection.ops.get_db_converters(field), *field.get_db_converters(connection)])
        for place, field in enumerate(_OF_COLUMN[name] for name in SHOWN)
    ]
    change = [one for one in change if one[2]]
    if not change:
        return rows
    found = []
    for row in rows:
        cells = list(row)
        for place, field, converters in change:
            for convert in converters:
                cells[place] = convert(cells[place], field, connection)
        found.append(tuple(cells))
    return found


def _tell_reasons(rows: list[Listed]) -> None:
    waiting = [row.pk for row in rows if row.state in WAITS]
    if not waiting:
        return
    runs = Run.objects.filter(pk__in=waiting).only("state", "project_id", "priority", "queued_at")
    reasons = queue.reasons(runs)
    for row in rows:
        row.waiting = reasons.get(("training.run", row.pk))
