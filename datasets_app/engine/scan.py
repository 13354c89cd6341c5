"""Batches out of files: the rows of a stored version, a thousand at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from datasets_app.domain.formats.base import Row
from datasets_app.engine.batch import BATCH_ROWS, Batch, batch_of_rows
from datasets_app.engine.table import as_row


def batches_of(path: Path) -> Iterator[Batch]:
    """The rows of rows.parquet as they were when they were written."""
    file, first = pq.ParquetFile(path), 0
    for group in range(file.num_row_groups):
        records = file.read_row_group(group, use_threads=False).to_pylist()
        for start in range(0, len(records), BATCH_ROWS):
            rows = [(record["line"], as_row(record)) for record in records[start : start + BATCH_ROWS]]
            yield batch_of_rows(rows, first)
            first += len(rows)


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
