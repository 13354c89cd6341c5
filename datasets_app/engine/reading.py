"""From the bytes of an upload to batches: type, format, records, rows; what does not fit goes to `note_bad`."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Format
from datasets_app.domain.formats.detect import detect
from datasets_app.engine import events, sniff
from datasets_app.engine.batch import BATCH_BYTES, BATCH_ROWS, Batch, batch_of_rows
from datasets_app.engine.converting import Bad, Converter, sample
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers import document, jsonl, table
from datasets_app.engine.readers.base import Item, Items
from datasets_app.engine.readers.parquet import ParquetRows
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.sniff import FileType
from datasets_app.engine.streams import Source

__all__ = ["Bad", "Reading"]

LOOKED_AT, LOOKED_AT_CHARS = 50, 4_000_000
SAMPLES = 3
NoteBad: TypeAlias = Callable[[Bad], None]
NoteSamples: TypeAlias = Callable[[Iterator[dict[str, Any]]], None]


class Head(NamedTuple):
    """The first records, by which the format is judged, and what follows them."""

    items: list[Item]
    rest: Items


class Reading:
    """One upload on its way into batches."""

    def __init__(
        self,
        paths: list[Path],
        name: str,
        limits: Limits,
        *,
        forced: Format | None = None,
        mapping: dict[str, Any] | None = None,
        workdir: Path,
    ) -> None:
        self.limits, self.forced, self.workdir = limits, forced, workdir
        self.mapping = mapping or {}
        self.source = Source(paths, limits)
        self.kind = sniff.file_type(self.source.head, name)
        self.format_name = ""
        self.ignored: Counter[str] = Counter()

    @property
    def size(self) -> int:
        return self.source.size

    @property
    def consumed(self) -> int:
        return self.source.consumed

    @property
    def type_name(self) -> str:
        name = "json" if self.kind == FileType.JSON_OBJECTS else self.kind.value
        return f"{name}.{self.source.compression}" if self.source.compression else name

    def close(self) -> None:
        self.source.close()

    def batches(self, note_bad: NoteBad, note_samples: NoteSamples) -> Iterator[Batch]:
        head = _head(self._items())
        fmt = self._format(head.items, note_bad)
        self.format_name = fmt.value
        events.emit("detected", format=fmt.value, file_type=self.type_name)
        converter = Converter(fmt, self.limits, self.mapping, note_bad, self.ignored)
        yield from _batched(converter, chain(head.items, head.rest), note_samples)

    def _items(self) -> Items:
        readers: dict[FileType, Callable[[], Items]] = {
            FileType.JSONL: lambda: jsonl.read(self.source.read, self.limits),
            FileType.JSON_LIST: lambda: document.read(self.source.read, self.limits, is_list=True),
            FileType.JSON_OBJECTS: lambda: document.read(self.source.read, self.limits, is_list=False),
            FileType.CSV: lambda: table.read(self.source.read, self.limits),
            FileType.TSV: lambda: table.read(self.source.read, self.limits, "\t"),
            FileType.PARQUET: self._parquet,
        }
        return readers[self.kind]()

    def _parquet(self) -> Iterator[Item]:
        unpacked = self.workdir / "unpacked.parquet"
        try:
            path = self.source.plain_file(unpacked)
            rows = ParquetRows(path, self.limits)
            self.ignored.update({name: rows.rows for name in rows.unread})
            yield from rows.items()
        finally:
            unpacked.unlink(missing_ok=True)

    def _format(self, first: list[Item], note_bad: NoteBad) -> Format:
        if self.forced:
            return self.forced
        found = detect(self._mapped(item.record) for item in first if item.record is not None)
        if found.format:
            return found.format
        for item in first:
            if item.bad:
                note_bad(Bad.of(item.line, item.bad))
        if found.unsupported:
            raise FileRefused(Code.FORMAT_UNSUPPORTED, found.unsupported)
        if not found.looked_at:
            code = Code.NO_GOOD_ROWS if first else Code.EMPTY_FILE
            raise FileRefused(code, f"no record in the first {len(first)} rows can be read" if first else "no rows")
        raise FileRefused(Code.FORMAT_UNKNOWN, "the columns are " + ", ".join(found.columns)[:200])

    def _mapped(self, record: dict[str, Any]) -> dict[str, Any]:
        from datasets_app.engine.converting import mapped

        try:
            return mapped(record, self.mapping)
        except BadRecord:
            return record


def _head(items: Items) -> Head:
    """The first fifty rows, or fewer where they are large."""
    first, chars = [], 0
    for item in items:
        first.append(item)
        chars += sum(len(value) for value in (item.record or {}).values() if isinstance(value, str))
        if len(first) >= LOOKED_AT or chars > LOOKED_AT_CHARS:
            break
    return Head(first, items)


def _batched(converter: Converter, items: Items, note_samples: NoteSamples) -> Iterator[Batch]:
    """A small first batch, so that samples are seen at once; then a thousand rows at a time."""
    rows, size, first, told = [], 0, 0, False
    for item in items:
        row = converter.row_of(item)
        if row is None:
            continue
        rows.append((item.line, row.row))
        size += row.size
        if not told and len(rows) == SAMPLES:
            note_samples(sample(line, one) for line, one in rows)
            told = True
        if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch_of_rows(rows, first)
            first += len(rows)
            rows, size = [], 0
    if rows and not told and not first:
        note_samples(sample(line, one) for line, one in rows)
    if rows:
        yield batch_of_rows(rows, first)
