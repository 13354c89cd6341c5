"""Rows into batches: the kernel reads plain lines, elements and records, Python those that are special or broken."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import orjson

from datasets_app.domain.formats.base import BadRecord, Format, Row
from datasets_app.domain.formats.convert import FIELDS, PROVENANCE, TAG_FIELDS
from datasets_app.domain.purposes import Kind
from datasets_app.engine import sniff, strict
from datasets_app.engine.batch import BATCH_BYTES, BATCH_ROWS, Batch
from datasets_app.engine.converting import Converter
from datasets_app.engine.limits import Limits
from datasets_app.engine.native import json as native
from datasets_app.engine.readers import document
from datasets_app.engine.readers.base import Item, checked, too_long
from datasets_app.engine.streams import CHUNK, Read

NoteRow: TypeAlias = Callable[[int, Row], None]


class Lines:
    """Numbered lines of a stream, one at a time or, from any of them on, through the kernel."""

    def __init__(self, read: Read, limits: Limits) -> None:
        self._read, self._longest, self.limits = read, limits.line_bytes, limits
        self._data, self._at, self._last = b"", 0, False
        self.number = 0

    def items(self) -> Iterator[Item]:
        """Each line that is not blank as a record, or with what is wrong with it."""
        while (line := self._line()) is not None:
            item = self._item(self.number, line)
            if item is not None:
                yield item

    def batches(self, rows: native.Rows, converter: Converter, first: int = 0) -> Iterator[Batch]:
        """What is left, in batches of a thousand rows; `rows` may hold some already."""
        while True:
            stop = rows.feed(
                self._data, self._at, last=self._last, rows=BATCH_ROWS, size=BATCH_BYTES, longest=self._longest
            )
            self._at, self.number = stop.at, stop.lines
            if stop.why == native.Why.OTHER:
                self._other(rows, converter, self._data[stop.start : stop.end])
            elif stop.why == native.Why.FULL:
                batch = rows.take(first)
                first += batch.rows
                yield batch
            elif self._last:
                break
            elif len(self._data) - self._at > self._longest:
                rows.skip_line()
                self._pass_over()
                converter.row_of(too_long(self.number, self._longest))
            else:
                self._more()
        if rows.rows:
            yield rows.take(first)

    def _other(self, rows: native.Rows, converter: Converter, line: bytes) -> None:
        item = self._item(self.number, line.removesuffix(b"\r"))
        if item is not None:
            by_python(item, rows, converter)

    def _item(self, number: int, line: bytes) -> Item | None:
        if len(line) > self._longest:
            return too_long(number, self._longest)
        text = line.removeprefix(sniff.BOM) if number == 1 else line
        if not text.strip():
            return None
        try:
            return checked(number, strict.loads(text, self.limits), text)
        except BadRecord as bad:
            return Item(number, None, bad, text)

    def _line(self) -> bytes | None:
        """The next line without its end; one beyond the limit is cut just behind it. None at the end."""
        while True:
            end = self._data.find(b"\n", self._at)
            if end < 0 and not self._last:
                if len(self._data) - self._at > self._longest:
                    line = self._data[self._at : self._at + self._longest + 1]
                    self._pass_over()
                    return line
                self._more()
                continue
            if end < 0 and self._at >= len(self._data):
                return None
            end = len(self._data) if end < 0 else end
            line, self._at = self._data[self._at : end], end + 1
            self.number += 1
            return line.removesuffix(b"\r")

    def _pass_over(self) -> None:
        """Throw away the rest of a line that is too long to be held."""
        self.number += 1
        while chunk := self._read(CHUNK):
            end = chunk.find(b"\n")
            if end >= 0:
                self._data, self._at = chunk, end + 1
                return
        self._data, self._at, self._last = b"", 0, True

    def _more(self) -> None:
        chunk = self._read(CHUNK)
        self._data, self._at, self._last = self._data[self._at :] + chunk, 0, not chunk


class Elements:
    """The elements of a JSON list in the place of lines."""

    number = 0  # lines of the file are counted by the reader

    def __init__(self, read: Read, limits: Limits) -> None:
        self._elements = document.elements(read, limits, is_list=True)
        self._limits = limits

    def items(self) -> Iterator[Item]:
        return (self._item(line, element) for line, element in self._elements)

    def batches(self, rows: native.Rows, converter: Converter, first: int = 0) -> Iterator[Batch]:
        return gathered(self._tried(rows, converter), rows, first)

    def _tried(self, rows: native.Rows, converter: Converter) -> Iterator[int]:
        for line, element in self._elements:
            if element is not None and rows.row(element, line):
                yield len(element)
            elif by_python(self._item(line, element), rows, converter):
                yield len(element or b"")

    def _item(self, line: int, element: bytes | None) -> Item:
        return document.item_of(line, element, self._limits, self._limits.line_bytes)


class Records:
    """Records of a table in the place of lines: as JSON once more, which the kernel reads faster than Python does."""

    number = 0

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items

    def items(self) -> Iterator[Item]:
        return self._items

    def batches(self, rows: native.Rows, converter: Converter, first: int = 0) -> Iterator[Batch]:
        return gathered(self._tried(rows, converter), rows, first)

    def _tried(self, rows: native.Rows, converter: Converter) -> Iterator[int]:
        for item in self._items:
            text = as_json(item.record) if item.bad is None and item.record is not None else None
            if text is not None and rows.row(text, item.line):
                yield len(text)
            elif by_python(item, rows, converter):
                yield len(text or b"")


# Values that JSON gives back as they were. NaN would become null, so what is nested must hold no null.
SAME = frozenset({str, int, bool, list, dict})
AS_IT_IS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


def as_json(record: dict[str, Any]) -> bytes | None:
    """The record as a line of JSON that means the same; None when it has values that JSON spells in its own way."""
    kinds = {type(value) for value in record.values()}
    if not kinds <= SAME:
        return None
    try:
        text = orjson.dumps(record, option=AS_IT_IS)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return None
    return None if (list in kinds or dict in kinds) and b"null" in text else text


def by_python(item: Item, rows: native.Rows, converter: Converter) -> bool:
    taken = converter.row_of(item)
    if taken is not None:
        rows.append(item.line, taken.row, taken.digest)
    return taken is not None


def gathered(sizes: Iterable[int], rows: native.Rows, first: int) -> Iterator[Batch]:
    """Batches of what is being put into `rows`, one size for each row; it may hold some already."""
    count, size = rows.rows, 0
    for one in sizes:
        count, size = count + 1, size + one
        if count >= BATCH_ROWS or size >= BATCH_BYTES:
            yield rows.take(first)
            first, count, size = first + count, 0, 0
    if count:
        yield rows.take(first)


def kernel_for(fmt: Format, kind: Kind | None, lines: int) -> native.Rows | None:
    """The kernel for the rest of a file whose rows are of this kind; None where Python has to read all of it."""
    if fmt not in native.FORMATS or kind != (Kind.TEXT if fmt == Format.TEXT else Kind.SFT):
        return None
    return native.Rows(fmt, FIELDS[fmt] | set(TAG_FIELDS) | set(PROVENANCE), lines=lines)
