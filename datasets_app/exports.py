"""Bad rows as files: JSONL as they are, CSV safe against being taken for formulas."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from projects.domain.spreadsheets import safe_cell

FIELDS = ("line", "field", "code", "found", "expected")
TYPES = {"jsonl": "application/octet-stream", "csv": "text/csv; charset=utf-8"}


class _Echo:
    """A file that hands back what is written to it, so that rows can be streamed."""

    def write(self, text: str) -> str:
        return text


def as_jsonl(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield orjson.dumps(row) + b"\n"


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(FIELDS)
    for row in rows:
        yield writer.writerow([row["line"], *[safe_cell(str(row[name])) for name in FIELDS[1:]]])


WRITERS = {"jsonl": as_jsonl, "csv": as_csv}
