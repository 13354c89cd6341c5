"""distinct-1, -2 and -3 by polars' hashes of word n-grams, and the compression ratio by zstd 3."""

import re
import sys
from typing import Any

import polars as pl
import zstandard
from common import answer, measured, texts

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
found: dict[str, Any] = {}
rows = texts(sys.argv[1])
with measured(found):
    words = pl.Series("word", [TOKEN.findall(text.casefold()) for text in rows])
    frame = pl.DataFrame({"row": range(len(rows)), "word": words}).explode("word", empty_as_null=True)
    frame = frame.select("row", one=pl.col("word").hash())
    frame = frame.with_columns(
        two=pl.when(pl.col("row") == pl.col("row").shift(1)).then(pl.col("one") * 31 + pl.col("one").shift(1).hash()),
    )
    frame = frame.with_columns(
        three=pl.when(pl.col("row") == pl.col("row").shift(2)).then(pl.col("two") * 31 + pl.col("one").shift(2).hash()),
    )
    for name in ("one", "two", "three"):
        column = frame[name].drop_nulls()
        found[f"distinct_{name}"] = round(column.n_unique() / max(1, len(column)), 4)
    whole = "\n".join(rows).encode()
    found["compression"] = round(len(whole) / len(zstandard.ZstdCompressor(level=3).compress(whole)), 3)
answer(found)
