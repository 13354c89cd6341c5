"""rows.parquet: the stored form of a version, written a group at a time and read back as rows."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import COLUMNS, Batch, dumped

__all__ = ["ROWS_FILE", "SCHEMA", "RowWriter", "as_row", "dumped", "loaded", "read_column", "read_rows"]

ROWS_FILE = "rows.parquet"
GROUP_ROWS, GROUP_BYTES = 1000, 16 * 1024 * 1024
Identities: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

HASHES = ("row_hash", "prompt_hash", "prompt_norm_hash")
SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("id", pa.string()),
        *COLUMNS,
        ("line", pa.int64()),
        *((name, pa.int64()) for name in HASHES),
    ]
)
# Few different values: worth a dictionary. The rest is text, which zstd does better without one.
REPEATING = ["kind", "label", "tags", "tools", "extras", "provenance"]


class RowWriter:
    """Takes batches and writes them in groups of 1,000 rows; a group is closed early when its rows are large."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(
            path,
            SCHEMA,
            compression="zstd",
            store_schema=False,
            use_dictionary=REPEATING,
            write_statistics=["index", "row_hash", "prompt_hash"],
        )
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self.written = 0

    def write(self, batch: Batch, identities: Identities) -> None:
        """Takes the arrays over as they are; rows are numbered as they come."""
        columns = [
            pa.array(np.arange(self.written, self.written + batch.rows)),
            ids_of(batch),
            *batch.table.columns,
            pa.array(batch.line),
            *map(pa.array, identities),
        ]
        table = pa.Table.from_arrays(columns, schema=SCHEMA)
        self.written += batch.rows
        self._waiting.append(table)
        self._rows += batch.rows
        while self._rows >= GROUP_ROWS:
            self._flush(GROUP_ROWS)
        if sum(table.nbytes for table in self._waiting) > GROUP_BYTES:
            self._flush(self._rows)

    def close(self) -> None:
        if self._rows:
            self._flush(self._rows)
        self._writer.close()

    def abandon(self) -> None:
        """Let go of a file that nobody will read; what went wrong before must not be hidden by what goes wrong now."""
        self._waiting, self._rows = [], 0
        with suppress(pa.ArrowException, OSError):
            self._writer.close()

    def _flush(self, rows: int) -> None:
        whole = self._waiting[0] if len(self._waiting) == 1 else pa.concat_tables(self._waiting)
        self._writer.write_table(whole.slice(0, rows), row_group_size=GROUP_ROWS)
        self._rows -= rows
        self._waiting = [whole.slice(rows)] if self._rows else []


def ids_of(batch: Batch) -> pa.Array:
    """The first eight bytes of each digest in hex, as the ids of rows."""
    halves = np.ascontiguousarray(batch.digest[:, :8])
    signs = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    letters: NDArray[np.uint8] = np.empty((batch.rows, 16), dtype=np.uint8)
    letters[:, 0::2], letters[:, 1::2] = signs[halves >> 4], signs[halves & 15]
    offsets: NDArray[np.int32] = np.arange(0, 16 * batch.rows + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(batch.rows, pa.py_buffer(offsets), pa.py_buffer(letters))


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(line in the original file, row) of every row, a group at a time."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        for record in file.read_row_group(group, use_threads=False).to_pylist():
            yield record["line"], as_row(record)


def read_column(path: Path, name: str) -> list[int]:
    return pq.read_table(path, columns=[name], use_threads=False).column(name).to_pylist()


def as_row(record: dict[str, Any]) -> Row:
    return Row(
        Kind(record["kind"]),
        loaded(record["messages"]) or [],
        loaded(record["chosen"]),
        loaded(record["rejected"]),
        loaded(record["tools"]),
        record["text"],
        record["label"],
        loaded(record["tags"]),
        record["source_id"],
        loaded(record.get("extras")),
        loaded(record.get("provenance")),
    )


def loaded(value: str | None) -> Any:
    return None if value is None else orjson.loads(value)
