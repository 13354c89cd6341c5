"""read_ndjson and is_first_distinct of polars; needs the twin without malformed lines."""

import sys
from typing import Any

import polars as pl
from common import answer, measured

found: dict[str, Any] = {}
with measured(found):
    turns = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    rows = pl.read_ndjson(sys.argv[1], schema={"messages": turns})
    said = rows.select(
        said=pl.col("messages")
        .list.eval(pl.element().struct.field("role") + ":" + pl.element().struct.field("content"))
        .list.join("\n")
    )
    found["duplicates"] = rows.height - int(said["said"].is_first_distinct().sum())
answer(found)
