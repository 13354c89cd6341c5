"""Rows of a version, page by page, straight from its file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from datasets_app.models import DatasetVersion
from projects import artefacts

ROWS_FILE = "rows.parquet"
TEXT_COLUMNS = ("messages", "chosen", "rejected", "text", "label", "tags", "source_id")
JSON_COLUMNS = ("messages", "chosen", "rejected", "tools", "tags")
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


def read_rows(
    version: DatasetVersion, offset: int = 0, limit: int = 50, query: str = ""
) -> tuple[list[dict[str, Any]], int]:
    """Rows from `offset` on and how many there are in all; with a query, of those that hold its text."""
    if not query:
        wanted = range(offset, min(offset + limit, version.rows))
        return read_rows_at(version, wanted), version.rows
    rows: list[dict[str, Any]] = []
    total = 0
    for table in _groups(version):
        hits = table.filter(_holds(table, query))
        start = max(0, offset - total)
        if len(rows) < limit and start < hits.num_rows:
            rows += hits.slice(start, limit - len(rows)).to_pylist()
        total += hits.num_rows
    return [_unpacked(row) for row in rows], total


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


def _groups(version: DatasetVersion) -> Iterator[Any]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(version_path(version))
    for group in range(file.num_row_groups):
        yield file.read_row_group(group, use_threads=False)


def _holds(table: Any, query: str) -> Any:
    """Which rows hold the text in any column. Turns are stored as JSON, so the text is looked for as JSON spells it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spelt = orjson.dumps(query).decode()[1:-1]
    hit = pa.array([False] * table.num_rows)
    for name in TEXT_COLUMNS:
        needle = spelt if name in JSON_COLUMNS else query
        found = pc.match_substring(table.column(name).combine_chunks(), needle, ignore_case=True)
        hit = pc.or_(hit, pc.fill_null(found, False))
    return hit


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    for name in JSON_COLUMNS:
        row[name] = orjson.loads(row[name]) if row[name] else None
    return row
