"""JSON documents: a list of rows, rows one after another over several lines, or an object of columns."""

from collections.abc import Iterator
from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import sniff, strict
from datasets_app.engine.limits import Limits
from datasets_app.engine.native import json as native
from datasets_app.engine.readers.base import Item, Items, checked, too_long
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.streams import CHUNK, Read

_SPACE = b" \t\r\n"


class Scanner:
    """Cuts a document into its elements without parsing it, holding one element at a time.

    `level` 1 yields the elements of the outermost list, `level` 0 the values that follow one another.
    """

    def __init__(self, read: Read, level: int, longest: int) -> None:
        self.read, self.level, self.longest = read, level, longest
        self.buffer, self.begin = b"", 0  # where the element begins
        self.walk = native.Walk(level)
        self.position = 0  # of the walk; an escape may point one byte past the end
        self.line, self.overlong, self.closed = 1, False, False

    def elements(self) -> Iterator[tuple[int, bytes | None]]:
        """(line of its first byte, bytes or None when it was too long)."""
        while True:
            self.position = self.walk.next_sign(self.buffer, self.position)
            if self.position < len(self.buffer):
                yield from self._follow(self.position)
            elif not self._more():
                break
        yield from self._rest()

    def _follow(self, at: int) -> Iterator[tuple[int, bytes | None]]:
        """A sign at which an element begins or ends."""
        sign = self.buffer[at : at + 1]
        self.position = at + 1
        if sign in b"{[":
            self._drop(at + 1)
        elif sign == b",":
            yield from self._cut(at)
        else:
            self.closed = True
            self.walk.begin_anew()
            yield from self._cut(at + 1 if self.level == 0 else at)

    def _cut(self, end: int) -> Iterator[tuple[int, bytes | None]]:
        element, overlong = self.buffer[self.begin : end], self.overlong
        first = len(element) - len(element.lstrip(_SPACE))
        line = self.line + element.count(b"\n", 0, first)
        self._drop(self.position)
        self.overlong = False
        if overlong or len(element) > self.longest:
            yield line, None
        elif element.strip(_SPACE + b","):
            yield line, element.strip(_SPACE)

    def _drop(self, end: int) -> None:
        self.line += self.buffer.count(b"\n", self.begin, end)
        self.begin = end

    def _more(self) -> bool:
        """Read on; an element beyond the limit is thrown away as it comes."""
        if self.overlong or len(self.buffer) - self.begin > self.longest:
            self._drop(len(self.buffer))
            self.overlong = True
        self.buffer, self.position = self.buffer[self.begin :], self.position - self.begin
        self.begin = 0
        chunk = self.read(CHUNK)
        self.buffer += chunk
        return bool(chunk)

    def _rest(self) -> Iterator[tuple[int, bytes | None]]:
        tail = self.buffer[self.begin :].strip(_SPACE + b",")
        if self.overlong:
            yield self.line, None
        elif tail:
            yield self.line, tail
        elif self.level == 1 and not self.closed:
            raise FileRefused(Code.JSON_NOT_ROWS, "a list that is never closed")


def read(source: Read, limits: Limits, *, is_list: bool) -> Items:
    """Rows of a list, or of objects that follow one another; a lone object may hold columns or a list of rows."""
    longest = limits.line_bytes if is_list else limits.document_bytes
    first = True
    for line, element in elements(source, limits, is_list=is_list):
        item = item_of(line, element, limits, longest)
        rows = _rows_inside(item.record) if first and not is_list and item.bad is None else None
        first = first and item.bad is not None
        yield from [item] if rows is None else (checked(line, row) for row in rows)


def elements(source: Read, limits: Limits, *, is_list: bool) -> Iterator[tuple[int, bytes | None]]:
    """(line, bytes) of each element of a document; None for one that is too long to be held."""
    longest = limits.line_bytes if is_list else limits.document_bytes
    return Scanner(_without_bom(source), 1 if is_list else 0, longest).elements()


def item_of(line: int, element: bytes | None, limits: Limits, longest: int) -> Item:
    if element is None:
        return too_long(line, longest)
    try:
        return checked(line, strict.loads(element, limits), element)
    except BadRecord as bad:
        return Item(line, None, bad, element)


def _without_bom(source: Read) -> Read:
    started = False

    def read_on(size: int) -> bytes:
        nonlocal started
        chunk = source(size)
        if not started:
            started, chunk = True, chunk.removeprefix(sniff.BOM)
        return chunk

    return read_on


def _rows_inside(value: Any) -> list[Any] | None:
    """Rows held by one object: as columns, under one key, or under numbered keys; None if it is itself a row."""
    if not isinstance(value, dict) or not value:
        return None
    if all(isinstance(v, list) for v in value.values()) and not any(
        isinstance(first, dict) for v in value.values() for first in v[:1]
    ):
        return _transposed(value)
    if all(key.isdigit() and isinstance(v, dict) for key, v in value.items()):
        return list(value.values())
    for key in ("data", "rows", "train", "examples", "instances"):
        if isinstance(value.get(key), list) and all(isinstance(v, dict) for v in value[key]):
            return list(value[key])
    return None


def _transposed(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise FileRefused(
            Code.JSON_NOT_ROWS,
            "columns of different length: " + ", ".join(f"{k} {n}" for k, n in lengths.items())[:200],
        )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
