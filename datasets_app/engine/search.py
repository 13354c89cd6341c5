"""A text looked for in every row of many versions: whole, in any case, however its accents are composed."""

import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datasets_app.engine import events, index, limits
from datasets_app.engine.search_files import files_with

JSON_COLUMNS = ("messages", "chosen", "rejected", "tools", "tags", "extras", "provenance")
PLAIN_COLUMNS = ("text", "label", "source_id")
MOST_ROWS = 100_000


def search(spec: dict[str, Any]) -> dict[str, Any]:
    """{"matches": [{"version", "rows", "first"}], "files", "unread"}: only versions and files that hold the text."""
    text, found, files = spec["text"], [], spec.get("files") or []
    total = len(spec["versions"]) + len(files)
    for n, version in enumerate(spec["versions"]):
        events.emit("progress", phase="searching", done=n, total=total)
        path = Path(version["path"])
        limits.earn_time(sum(Path(one["path"]).stat().st_size for one in spec["versions"]) * 20)
        rows = rows_with(path, text)
        if len(rows):
            found.append({"version": version["id"], "rows": len(rows), "first": rows[:MOST_ROWS].tolist()})
    events.emit("progress", phase="searching", done=len(spec["versions"]), total=total)
    return {"matches": found, **files_with(files, text, Path(spec["out_dir"]).parent)}


def rows_with(path: Path, text: str) -> Any:
    """Indices of the rows that hold the text anywhere, as int64."""
    file = pq.ParquetFile(path)
    groups, found = groups_to_read(path.parent, text), list[Any]([np.zeros(0, np.int64)])
    present = set(file.schema_arrow.names)
    columns = [name for name in (*JSON_COLUMNS, *PLAIN_COLUMNS) if name in present]
    start = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        # The index counts in thousands of rows, a group of the file may be shorter.
        if groups is None or not groups.isdisjoint(range(start // index.GROUP_ROWS, (start + rows - 1) // 1000 + 1)):
            table = file.read_row_group(group, columns=columns, use_threads=False)
            found.append(np.flatnonzero(holds(table, text)) + start)
        start += rows
    return np.concatenate(found)


def groups_to_read(folder: Path, text: str) -> set[int] | None:
    """Thousands of rows that may hold the text, by its inner words: the first and the last may be parts of others."""
    inner = re.findall(r"\w+", text, flags=re.UNICODE)[1:-1]
    if not inner:
        return None
    found = index.candidates(folder, " ".join(inner) + " ")
    return None if found is None else set(found.tolist())


def holds(table: Any, text: str) -> Any:
    """Which rows of a table hold the text, as a mask. In nested columns it is looked for as JSON spells it."""
    needle = folded(text)
    spelt = orjson.dumps(needle).decode()[1:-1]
    hit: Any = np.zeros(table.num_rows, dtype=bool)
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if column.null_count == len(column):
            continue
        found = pc.match_substring(_folded_column(column), spelt if name in JSON_COLUMNS else needle)
        hit |= pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return hit


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


def _folded_column(column: Any) -> Any:
    """Lower case and composed; plain ASCII needs no composing, and most rows are."""
    if not pc.all(pc.string_is_ascii(column), min_count=0).as_py():
        column = pc.utf8_normalize(column, form="NFC")
        return pc.utf8_lower(column)
    return pc.ascii_lower(column) if not pa.types.is_dictionary(column.type) else pc.utf8_lower(column)
