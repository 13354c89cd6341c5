"""Batches out of files: the rows of a stored version, a thousand at a time."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets_app.domain import hashing
from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import BATCH_ROWS, COLUMNS, Batch, batch_of_rows
from datasets_app.engine.native import json as native
from datasets_app.engine.table import as_row


def batches_of(path: Path, groups: Iterable[int] | None = None) -> Iterator[Batch]:
    """The rows of rows.parquet as they were when they were written; of these row groups only, if they are named.

    `first` of a batch is the index of its first row in the version.
    """
    with pq.ParquetFile(path) as file:
        wanted = range(file.num_row_groups) if groups is None else sorted(groups)
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        names = [name for name in COLUMNS.names if name in file.schema_arrow.names]
        for group in wanted:
            table = file.read_row_group(group, columns=[*names, "line"], use_threads=False)
            yield from batches_of_table(table, sum(sizes[:group]))


def batches_of_table(table: pa.Table, first: int = 0) -> Iterator[Batch]:
    """Rows as they are stored, with their lines; columns that an older version has not are empty."""
    whole = stored_columns(table)
    lines = table.column("line").to_numpy() if "line" in table.column_names else np.arange(1, table.num_rows + 1)
    kernel = native.Stored()
    for start in range(0, table.num_rows, BATCH_ROWS):
        part = whole.slice(start, BATCH_ROWS)
        kinds = part.column("kind").unique().to_pylist()
        some = lines[start : start + BATCH_ROWS]
        if len(kinds) > 1:
            rows = [as_row(record) for record in part.to_pylist()]
            yield batch_of_rows(list(zip(some.tolist(), rows, strict=True)), first + start)
            continue
        batch, special = kernel.batch(part, some, Kind(kinds[0]), first + start)
        if special.any():
            batch.digest = batch.digest.copy()
            for n in np.flatnonzero(special).tolist():
                canonical = hashing.canonical(as_row(part.slice(n, 1).to_pylist()[0]))
                batch.digest[n] = np.frombuffer(hashlib.sha256(canonical).digest(), dtype=np.uint8)
        yield batch


def stored_columns(table: pa.Table) -> pa.Table:
    """A table read from rows.parquet in the schema of batches."""
    columns = []
    for field in COLUMNS:
        if field.name in table.column_names:
            columns.append(table.column(field.name).cast(field.type))
        else:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
    return pa.Table.from_arrays(columns, schema=COLUMNS)


def batched(rows: Iterable[tuple[int, Row]], first: int = 0) -> Iterator[Batch]:
    """Rows given as (line, row), as batches."""
    waiting: list[tuple[int, Row]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == BATCH_ROWS:
            yield batch_of_rows(waiting, first)
            first += len(waiting)
            waiting = []
    if waiting:
        yield batch_of_rows(waiting, first)
