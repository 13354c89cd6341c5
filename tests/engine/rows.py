"""Rows written as a dataset version stores them, for tests that run the engine without the web side."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.domain.spec import DataRef, RunSpec

SCHEMA = pa.schema(
    [("index", pa.int64())]
    + [(name, pa.string()) for name in ("id", "kind", "messages", "chosen", "rejected", "tools", "text")]
)


def write_rows(path: Path, rows: list[dict]) -> Path:
    """Chat rows, preference rows and plain texts, told apart by their keys."""
    table = [
        {
            "index": index,
            "id": f"{index:016x}",
            "kind": "preference" if "chosen" in row else "text" if "text" in row else "sft",
            "messages": json.dumps(row.get("messages") or row.get("prompt") or []),
            "chosen": json.dumps(row["chosen"]) if "chosen" in row else None,
            "rejected": json.dumps(row["rejected"]) if "rejected" in row else None,
            "tools": json.dumps(row["tools"]) if "tools" in row else None,
            "text": row.get("text"),
        }
        for index, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(table, schema=SCHEMA), path, row_group_size=1000)
    return path


def looked_at_with(spec: RunSpec, rows: list[dict]) -> RunSpec:
    """The run with these rows as its validation data."""
    path = write_rows(Path(spec.data.path).parent / "validation.parquet", rows)
    kind = "preference" if "chosen" in rows[0] else "sft"
    return replace(spec, validation=DataRef("validation v1", "1" * 64, len(rows), kind, path=str(path)))
