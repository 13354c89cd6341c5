"""Rows stored as a version stores them, without a database: for tests of recipes, differences and searches."""

from pathlib import Path
from typing import Any

import numpy as np

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.build import Build
from datasets_app.engine.pipeline import identities
from datasets_app.engine.table import ROWS_FILE, RowWriter, as_row


def chat_row(question: str, answer: str = "Yes.", **fields: Any) -> Row:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return Row(Kind.SFT, fields.pop("messages", turns), **fields)


def store(folder: Path, rows: list[Row], found: dict[str, list[int]] | None = None) -> Path:
    """rows.parquet in the folder, with the rows of findings beside it."""
    (folder / "found").mkdir(parents=True, exist_ok=True)
    for code, indices in (found or {}).items():
        np.save(folder / "found" / f"{code}.npy", np.array(indices, dtype=np.int64))
    writer = RowWriter(folder / ROWS_FILE)
    batch = batch_of_rows([(n + 1, row) for n, row in enumerate(rows)])
    writer.write(batch, identities(batch))
    writer.close()
    return folder / ROWS_FILE


def recipe(path: Path | list[Path], *steps: dict[str, Any], **more: Any) -> Build:
    paths = path if isinstance(path, list) else [path]
    spec = {"out_dir": str(paths[0].parent / "out"), "sources": [{"path": str(p)} for p in paths], "steps": list(steps)}
    return Build(spec | more)


def followed(path: Path | list[Path], *steps: dict[str, Any], **more: Any) -> list[Row]:
    """The rows that a recipe leaves, without writing them."""
    build = recipe(path, *steps, **more)
    build._prepare()
    return [item.row for item in build._passed(build.works)]


def rows_of(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    return [as_row(record) for record in pq.read_table(path).to_pylist()]
