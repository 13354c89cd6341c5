"""Parquet in small steps: its own numbers about sizes are not believed, decoded bytes are counted instead."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.domain.formats.convert import FIELDS, TAG_FIELDS
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers import cells
from datasets_app.engine.readers.base import Item, Items
from datasets_app.engine.refusal import FileRefused

WANTED = frozenset().union(*FIELDS.values()) | set(TAG_FIELDS)
MOST_COLUMNS = 50
PROBE = 16  # rows read one by one before larger steps are dared
STEP_BYTES = 2_000_000
LARGEST_STEP = 256


class ParquetRows:
    def __init__(self, path: Path, limits: Limits, renamed: frozenset[str] = frozenset()) -> None:
        """`renamed`: columns that a person has given a meaning."""
        self.limits = limits
        self.cap = limits.decoded_cap(path.stat().st_size)
        self.file = self._open(path)
        try:
            names = list(self.file.schema_arrow.names)
        except ValueError as error:  # of names that are not UTF-8
            raise FileRefused(Code.PARQUET_DAMAGED, str(error)[:160]) from error
        self.columns, self.unread = chosen(names, renamed)
        self.rows = self.file.metadata.num_rows

    def items(self) -> Items:
        decoded, number = 0, 0
        for batch in self._batches():
            decoded += batch.nbytes
            if decoded > self.cap:
                raise FileRefused(Code.DECODED_TOO_LARGE, f"more than {self.cap // 1_000_000} MB decoded")
            for record in records(batch):
                number += 1
                yield item_of(number, record, self.limits)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Steps whose size follows from rows already seen, one row at a time where they are large."""
        try:
            largest = max((b.nbytes for b in self._first(PROBE)), default=1)
            step = max(1, min(LARGEST_STEP, STEP_BYTES // max(1, largest)))
            yield from self.file.iter_batches(batch_size=step, columns=self.columns, use_threads=False)
        except (MemoryError, pa.ArrowMemoryError) as error:
            raise FileRefused(Code.DECODED_TOO_LARGE, "a page that needs more memory than the limit") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileRefused(Code.PARQUET_DAMAGED, str(error)[:160]) from error

    def _first(self, rows: int) -> Iterator[pa.RecordBatch]:
        batches = self.file.iter_batches(batch_size=1, columns=self.columns, use_threads=False)
        for _, batch in zip(range(rows), batches, strict=False):
            yield batch

    def _open(self, path: Path) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1024 * 1024)
        except (MemoryError, pa.ArrowMemoryError) as error:
            raise FileRefused(Code.DECODED_TOO_LARGE, "a footer that needs more memory than the limit") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileRefused(Code.PARQUET_DAMAGED, str(error)[:160]) from error


def chosen(names: list[str], renamed: frozenset[str]) -> tuple[list[str], list[str]]:
    """The columns to read, and those that no format knows."""
    wanted = WANTED | renamed
    return [name for name in names if name in wanted] or names[:MOST_COLUMNS], [n for n in names if n not in wanted]


def item_of(number: int, record: dict[str, Any] | BadRecord, limits: Limits) -> Item:
    if isinstance(record, BadRecord):
        return Item(number, None, record)
    try:
        return Item(number, cells.unpacked(cells.without_nulls(record), limits), None)
    except BadRecord as bad:
        return Item(number, None, bad)


def records(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | BadRecord]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for n in range(batch.num_rows):
            yield _record(batch.slice(n, 1))


def _record(row: pa.RecordBatch) -> dict[str, Any] | BadRecord:
    try:
        return row.to_pylist()[0]
    except UnicodeDecodeError as broken:
        found = f"byte 0x{broken.object[broken.start]:02x} at byte {broken.start + 1} of a cell"
        return BadRecord("", Code.INVALID_UTF8, found, "UTF-8")
