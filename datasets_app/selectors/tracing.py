"""Where a row has gone: the versions that hold the same content, among those that share a history with its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from datasets_app.models import DatasetVersion
from datasets_app.selectors.rows import pq_file, version_path
from projects import lineage
from projects.artefacts import ArtefactDamaged
from projects.lineage import Whole

SECONDS = 3.0


@dataclass(frozen=True)
class Holding:
    version: DatasetVersion
    rows: Sequence[int]


@dataclass(frozen=True)
class Trace:
    """`free` do not hold it. `unread` could not be looked through, or not in time: nothing is said of them."""

    holding: Sequence[Holding]
    free: Sequence[DatasetVersion]
    unread: Sequence[DatasetVersion]

    @property
    def starts(self) -> list[str]:
        return [f"version:{one.version.pk}" for one in self.holding]

    @property
    def stops(self) -> frozenset[str]:
        return frozenset(f"version:{version.pk}" for version in self.free)


def trace_row(known: Whole, version: DatasetVersion, index: int, seconds: float = SECONDS) -> Trace | None:
    """None where there is no such row. A row whose words were edited is another row from there on."""
    wanted = row_hash(version, index)
    if wanted is None:
        return None
    family = lineage.numbers(known.graph.family(f"version:{version.pk}"), "version")
    versions = DatasetVersion.objects.filter(dataset__project=known.project, pk__in=family).select_related(
        "dataset__project"
    )
    holding: list[Holding] = []
    free: list[DatasetVersion] = []
    unread: list[DatasetVersion] = []
    until = monotonic() + seconds
    for one in versions.order_by("pk"):
        rows = _rows_with(one, wanted) if monotonic() < until else None
        if rows is None:
            unread.append(one)
        elif rows:
            holding.append(Holding(one, rows))
        else:
            free.append(one)
    return Trace(holding, free, unread)


def row_hash(version: DatasetVersion, index: int) -> int | None:
    """The fingerprint of the row's content; its bytes are gone when that raises ArtefactDamaged."""
    if not 0 <= index < version.rows:
        return None
    file, start = pq_file(version_path(version)), 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if index < start + size:
            column = file.read_row_group(group, columns=["row_hash"], use_threads=False).column(0)
            return column[index - start].as_py()
        start += size
    return None


def _rows_with(version: DatasetVersion, wanted: int) -> list[int] | None:
    """Numbers of rows with this fingerprint, from eight bytes a row; None when they cannot be read."""
    import numpy as np

    try:
        table = pq_file(version_path(version)).read(columns=["row_hash"], use_threads=False)
    except (ArtefactDamaged, OSError):
        return None
    return [int(row) for row in np.flatnonzero(table.column(0).to_numpy() == wanted)]
