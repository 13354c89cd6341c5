"""Which adapters survived, and what was tried on the way to each."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from projects.contributions import Product
from projects.domain.states import OVER
from projects.models import Project
from training.models import Adapter
from training.selectors.runs import LABEL

REHEARSAL = "training.rehearsal"
LINE = ("dataset_version__dataset", "base__fingerprint", "method")


class Try(NamedTuple):
    """A run or a rehearsal that is over, and the line of work that it belongs to."""

    ended_at: Any
    kind: str
    pk: int
    line: tuple[Any, ...]


def products(project: Project) -> list[Product]:
    """Adapters with the tries on the same dataset, base and method that ended without one since the last that did.

    What was tried after the newest adapter is on its way to one that does not exist yet.
    """
    made = Adapter.objects.filter(project=project, run__isnull=False).select_related("project")
    adapters = {row.run_id: row for row in made}
    waiting: dict[tuple[Any, ...], list[tuple[str, int]]] = {}
    found = []
    for one in sorted(_tries(project)) if adapters else ():
        before = waiting.setdefault(one.line, [])
        adapter = adapters.get(one.pk) if one.kind == LABEL else None
        if adapter is None:
            before.append((one.kind, one.pk))
            continue
        address = adapter.get_absolute_url()
        found.append(Product(adapter.name, address, adapter.created_at, (LABEL, one.pk), tuple(before)))
        before.clear()
    return found


def _tries(project: Project) -> Iterator[Try]:
    over = {"state__in": [state.value for state in OVER], "finished_at__isnull": False}
    for kind, rows in ((LABEL, project.runs), (REHEARSAL, project.rehearsals)):
        for ended_at, pk, *line in rows.filter(**over).values_list("finished_at", "pk", *LINE):
            yield Try(ended_at, kind, pk, tuple(line))
