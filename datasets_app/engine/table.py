"""rows.parquet: the stored form of a version, written in small groups and read back as rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind

ROWS_FILE = "rows.parquet"
GROUP_ROWS, GROUP_BYTES = 1000, 16 * 1024 * 1024

SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("id", pa.string()),
        ("kind", pa.string()),
        ("messages", pa.string()),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("tools", pa.string()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("tags", pa.string()),
        ("source_id", pa.string()),
        ("line", pa.int64()),
        ("row_hash", pa.int64()),
        ("prompt_hash", pa.int64()),
        ("prompt_norm_hash", pa.int64()),
    ]
)


class RowWriter:
    """Collects rows and writes them a group at a time; a group is closed early when its rows are large."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd", store_schema=False)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self.written = 0

    def add(self, row: Row, *, line: int, digest: bytes, hashes: tuple[int, int, int], size: int) -> None:
        row_hash, prompt_hash, prompt_norm_hash = hashes
        self._rows.append(
            {
                "index": self.written,
                "id": digest.hex()[:16],
                "kind": row.kind.value,
                "messages": dumped(row.messages),
                "chosen": dumped(row.chosen),
                "rejected": dumped(row.rejected),
                "tools": dumped(row.tools),
                "text": row.text,
                "label": row.label,
                "tags": dumped(row.tags),
                "source_id": row.source_id,
                "line": line,
                "row_hash": row_hash,
                "prompt_hash": prompt_hash,
                "prompt_norm_hash": prompt_norm_hash,
            }
        )
        self.written += 1
        self._bytes += size
        if len(self._rows) >= GROUP_ROWS or self._bytes > GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, SCHEMA), row_group_size=GROUP_ROWS)
        self._rows, self._bytes = [], 0


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
    )


def dumped(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def loaded(value: str | None) -> Any:
    return None if value is None else orjson.loads(value)
