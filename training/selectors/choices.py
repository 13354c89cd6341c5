"""What runs are told apart by: bases, training data, people and sweeps, each under the name that people know.

Plain SQL, since the list of runs stands or falls with it: as four queries of the ORM this took a sixth of the page's
time, most of it to put them together and to send them. Both databases read the same statement.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db import connection

from datasets_app.models import Dataset, DatasetVersion
from projects.models import Membership, Project, User
from training.models import BaseModelVersion, Sweep

MOST_CHOICES = 200  # versions and sweeps, the newest; others are reached from their own pages

Named = dict[int, str]

_VERSIONS = (
    f"SELECT v.id, d.name, v.number FROM {DatasetVersion._meta.db_table} v "
    f"JOIN {Dataset._meta.db_table} d ON d.id = v.dataset_id"
)
# Each part in parentheses of its own: only so SQLite lets a part of a union have an order and an end.
_CHOICES = f"""
SELECT 'bases', id, name, 0 FROM {BaseModelVersion._meta.db_table} WHERE project_id = %(project)s
UNION ALL SELECT 'versions', id, name, number FROM (
    {_VERSIONS} WHERE d.project_id = %(project)s AND d.purpose = 'training' ORDER BY v.id DESC LIMIT {MOST_CHOICES}
) AS newest
UNION ALL SELECT 'people', u.id, CASE WHEN u.name = '' THEN u.email ELSE u.name END, 0
    FROM {User._meta.db_table} u JOIN {Membership._meta.db_table} m ON m.user_id = u.id
    WHERE m.project_id = %(project)s
UNION ALL SELECT 'sweeps', id, name, 0 FROM (
    SELECT id, name FROM {Sweep._meta.db_table} WHERE project_id = %(project)s AND state <> 'draft'
    ORDER BY id DESC LIMIT {MOST_CHOICES}
) AS latest
"""
_BY_NUMBER = {
    "bases": f"SELECT 'bases', id, name, 0 FROM {BaseModelVersion._meta.db_table} WHERE id IN",
    "versions": f"SELECT 'versions', v.id, v.name, v.number FROM ({_VERSIONS}) AS v WHERE v.id IN",
    "people": (
        f"SELECT 'people', id, CASE WHEN name = '' THEN email ELSE name END, 0 FROM {User._meta.db_table} WHERE id IN"
    ),
}


@dataclass(frozen=True)
class Choices:
    """Names by number, in the order in which they are offered."""

    bases: Named = field(default_factory=dict)
    versions: Named = field(default_factory=dict)
    people: Named = field(default_factory=dict)
    sweeps: Named = field(default_factory=dict)


def choices(project: Project) -> Choices:
    """What a list of the project's runs can be filtered by: bases, training data, members and sweeps.

    Whether any run has them is not looked for, since that would read all of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CHOICES, {"project": project.pk})
        found = _named(cursor.fetchall())
    return Choices(
        bases=_by_name(found["bases"]),
        versions=_newest_first(found["versions"]),
        people=_by_name(found["people"]),
        sweeps=_newest_first(found["sweeps"]),
    )


def names(known: Choices, **wanted: Collection[int]) -> Choices:
    """Names of just these bases, versions and people; what `known` has is not read again.

    Runs name more than can be chosen: people who left, data that is no longer for training, versions beyond the newest.
    """
    missing = {kind: set(numbers) - getattr(known, kind).keys() for kind, numbers in wanted.items()}
    parts = [(_BY_NUMBER[kind], sorted(numbers)) for kind, numbers in missing.items() if numbers]
    if not parts:
        return known
    asked = " UNION ALL ".join(f"{text} ({', '.join(['%s'] * len(numbers))})" for text, numbers in parts)
    with connection.cursor() as cursor:
        cursor.execute(asked, [number for _, numbers in parts for number in numbers])
        found = _named(cursor.fetchall())
    return Choices(**{kind: getattr(known, kind) | found[kind] for kind in ("bases", "versions", "people")})


def _named(rows: Iterable[tuple[str, int, str, int]]) -> dict[str, Named]:
    found: dict[str, Named] = defaultdict(dict)
    for kind, pk, name, number in rows:
        found[kind][pk] = f"{name} v{number}" if number else name
    return found


def _by_name(named: Named) -> Named:
    return dict(sorted(named.items(), key=lambda item: (item[1].casefold(), item[0])))


def _newest_first(named: Named) -> Named:
    return dict(sorted(named.items(), reverse=True))
