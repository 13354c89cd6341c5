"""JSON documents: a list of rows, rows one after another over several lines, or an object of columns."""

import re
from collections.abc import Iterator
from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import sniff, strict
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Item, Items, checked, too_long
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.streams import CHUNK, Read

_STRUCTURE = re.compile(rb'["{}\[\]]')
_STRUCTURE_AND_COMMA = re.compile(rb'["{}\[\],]')
_IN_STRING = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"


class Scanner:
    """Cuts a document into its elements without parsing it, holding one element at a time.

    `level` 1 yields the elements of the outermost list, `level` 0 the values that follow one another.
    """

    def __init__(self, read: Read, level: int, longest: int) -> None:
        self.read, self.level, self.longest = read, level, longest
        self.buffer, self.position = b"", 0
        self.depth, self.in_string = 0, False
        self.line, self.overlong, self.closed = 1, False, False

    def elements(self) -> Iterator[tuple[int, bytes | None]]:
        """(line of its first byte, bytes or None when it was too long)."""
        while True:
            match = self._next_sign()
            if match is None:
                if not self._more():
                    break
                continue
            element = self._step(match)
            if element is not None:
                yield from self._cut(element)
        yield from self._rest()

    def _next_sign(self) -> re.Match[bytes] | None:
        at_commas = self.depth == self.level == 1
        pattern = _IN_STRING if self.in_string else _STRUCTURE_AND_COMMA if at_commas else _STRUCTURE
        return pattern.search(self.buffer, self.position)

    def _step(self, match: re.Match[bytes]) -> int | None:
        """Follow one sign; returns where the element ends if it ends here."""
        sign = match.group()
        self.position = match.end()
        if self.in_string:
            self.position += sign == b"\\"
            self.in_string = sign != b'"'
        elif sign == b'"':
            self.in_string = True
        elif sign in b"{[":
            self._open(match.end())
        elif sign == b",":
            return match.start()
        else:
            return self._close(match)
        return None

    def _open(self, end: int) -> None:
        self.depth += 1
        if self.depth == self.level == 1:
            self._drop(end)

    def _close(self, match: re.Match[bytes]) -> int | None:
        self.depth -= 1
        if self.level == 0 and self.depth <= 0:
            self.depth = 0
            return match.end()
        if self.level == 1 and self.depth <= 0:
            self.closed, self.depth = True, 0
            return match.start()
        return None

    def _cut(self, end: int) -> Iterator[tuple[int, bytes | None]]:
        element, overlong = self.buffer[:end], self.overlong
        first = len(element) - len(element.lstrip(_SPACE))
        line = self.line + element.count(b"\n", 0, first)
        self._drop(self.position)
        self.overlong = False
        if overlong or len(element) > self.longest:
            yield line, None
        elif element.strip(_SPACE + b","):
            yield line, element.strip(_SPACE)

    def _drop(self, end: int) -> None:
        self.line += self.buffer.count(b"\n", 0, end)
        self.buffer = self.buffer[end:]
        self.position = max(0, self.position - end)

    def _more(self) -> bool:
        """Read on; an element beyond the limit is thrown away as it comes."""
        if self.overlong or len(self.buffer) > self.longest:
            skipped = self.position - len(self.buffer)  # an escape may point one byte past the end
            self._drop(len(self.buffer))
            self.position, self.overlong = max(0, skipped), True
        else:
            self.position = max(self.position, len(self.buffer))
        chunk = self.read(CHUNK)
        self.buffer += chunk
        return bool(chunk)

    def _rest(self) -> Iterator[tuple[int, bytes | None]]:
        tail = self.buffer.strip(_SPACE + b",")
        if self.overlong:
            yield self.line, None
        elif tail:
            yield self.line, tail
        elif self.level == 1 and not self.closed:
            raise FileRefused(Code.JSON_NOT_ROWS, "a list that is never closed")


def read(source: Read, limits: Limits, *, is_list: bool) -> Items:
    """Rows of a list, or of objects that follow one another; a lone object may hold columns or a list of rows."""
    longest = limits.line_bytes if is_list else limits.document_bytes
    scanner = Scanner(_without_bom(source), 1 if is_list else 0, longest)
    first = True
    for line, element in scanner.elements():
        if element is None:
            yield too_long(line, longest)
            continue
        try:
            value = strict.loads(element, limits)
        except BadRecord as bad:
            yield Item(line, None, bad, element)
            continue
        rows = _rows_inside(value) if first and not is_list else None
        first = False
        yield from [checked(line, value, element)] if rows is None else (checked(line, row) for row in rows)


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
