"""Rows of a version, page by page, straight from its file."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson

from datasets_app.models import DatasetVersion
from datasets_app.selectors import searching
from projects import artefacts

if TYPE_CHECKING:
    from numpy import bool_
    from numpy.typing import NDArray

ROWS_FILE = "rows.parquet"
TEXT_COLUMNS = ("messages", "chosen", "rejected", "text", "label", "tags", "source_id")
JSON_COLUMNS = ("messages", "chosen", "rejected", "tools", "tags", "extras", "provenance")
ABOUT_COLUMNS = ("label", "tags", "source_id")
PATIENCE = 1.5  # seconds more for the first row
_checked: set[tuple[str, int, int]] = set()


def version_path(version: DatasetVersion) -> Path:
    """The version's Parquet file on this machine, checked against its manifest once per process and file."""
    path = artefacts.fetch_directory(version.key, verify=False) / ROWS_FILE
    if not path.is_file():
        raise artefacts.ArtefactDamaged(f"The rows of {version} are missing from the store.")
    found = path.stat()
    mark = (str(path), found.st_mtime_ns, found.st_size)
    if mark not in _checked:
        artefacts.fetch_directory(version.key, verify=True)
        _checked.add(mark)
    return path


def read_rows(version: DatasetVersion, offset: int = 0, limit: int = 50) -> tuple[list[dict[str, Any]], int]:
    """Rows from `offset` on and how many there are in all."""
    return read_rows_at(version, range(offset, min(offset + limit, version.rows))), version.rows


@dataclass(frozen=True)
class Hits:
    """Rows that hold what was looked for. `after` is where to go on; None when everything was looked through."""

    rows: list[dict[str, Any]]
    after: int | None

    @property
    def done(self) -> bool:
        return self.after is None


def search_rows(version: DatasetVersion, query: str, start: int = 0, limit: int = 50, seconds: float = 0.15) -> Hits:
    """The next rows from index `start` on with all words of the query, whole and in any case; "in quotes" as it stands.

    Only groups that the index names are read. It stops at `limit` rows, or after `seconds`, a little later
    when nothing was found by then.
    """
    terms = searching.terms(query)
    path = version_path(version)
    file = pq_file(path)
    wanted = _groups_with(path, terms)
    found: list[dict[str, Any]] = []
    until, first = monotonic() + seconds, 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        last, first = first + size, first + size
        thousands = range((last - size) // 1000, (last - 1) // 1000 + 1)
        if last <= start or (wanted is not None and wanted.isdisjoint(thousands)):
            continue
        if monotonic() > until + (0 if found else PATIENCE):
            return Hits(found, last - size)
        table = file.read_row_group(group, use_threads=False)
        hits = table.filter(searching.holds(table, terms, TEXT_COLUMNS, JSON_COLUMNS)).to_pylist()
        for row in hits:
            if row["index"] >= start:
                if len(found) == limit:
                    return Hits(found, row["index"])
                found.append(_unpacked(row))
    return Hits(found, None)


def _groups_with(path: Path, terms: list[searching.Term]) -> set[int] | None:
    """Thousands of rows that may hold every term, in their text or in what is said about them; None: anywhere."""
    import numpy as np

    from datasets_app.engine import index

    asked = [(term, searching.words_of([term])) for term in terms]
    known = [(term, index.candidates(path.parent, words) if words else None) for term, words in asked]
    named = [(term, groups) for term, groups in known if groups is not None]
    if not named:
        return None
    told = _told(path, [term for term, _ in named])
    for (_, groups), hits in zip(named, told, strict=True):
        hits[groups] = True
    return set(np.flatnonzero(np.logical_and.reduce(told)).tolist())


def _told(path: Path, terms: list[searching.Term]) -> "list[NDArray[bool_]]":
    """For each term, in which thousands of rows it may be said of a row; versions from before the file are scanned."""
    import numpy as np
    import pyarrow.parquet as pq

    from datasets_app.engine import about

    found = about.holding(path.parent, [about.spellings(term.text) for term in terms])
    if found is not None:
        return found
    table = pq.read_table(path, columns=list(ABOUT_COLUMNS), use_threads=False)
    found = [np.zeros(-(-table.num_rows // 1000), dtype=bool) for _ in terms]
    for hits, term in zip(found, terms, strict=True):
        hits[np.flatnonzero(searching.holds(table, [term], ABOUT_COLUMNS, JSON_COLUMNS)) // 1000] = True
    return found


def read_rows_at(version: DatasetVersion, indices: Iterable[int]) -> list[dict[str, Any]]:
    """The rows with these indices, in that order; only the groups that hold them are read."""
    import pyarrow.parquet as pq

    wanted = list(indices)
    if not wanted:
        return []
    file = pq.ParquetFile(version_path(version))
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        inside = [n - start for n in wanted if start <= n < end]
        if inside:
            for row in file.read_row_group(group, use_threads=False).take(inside).to_pylist():
                found[row["index"]] = _unpacked(row)
        start = end
    return [found[n] for n in wanted if n in found]


def pq_file(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    for name in JSON_COLUMNS:
        row[name] = orjson.loads(row[name]) if row.get(name) else None
    return row
