"""CSV and TSV, as RFC 4180 has them: a header, quoted cells, one record that may span lines."""

import csv
import re
from collections.abc import Iterator

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.domain.formats.detect import KNOWN_COLUMNS
from datasets_app.engine import sniff
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers import cells
from datasets_app.engine.readers.base import Item, Items, too_long
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.streams import Read, lines

_BROKEN = re.compile("[\udc80-\udcff]")


def read(source: Read, limits: Limits, delimiter: str = "") -> Items:
    csv.field_size_limit(limits.line_bytes)
    skipped: list[int] = []
    text = _text_lines(source, limits, skipped)
    first = next(text, "")
    delimiter = delimiter or sniff.delimiter_of(first) or ","
    header = _header(first, delimiter)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 2
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Item(start, None, BadRecord("", Code.CSV_MALFORMED, str(error)[:160], "quoted cells as in RFC 4180"))
            continue
        yield from (too_long(line, limits.line_bytes) for line in skipped)
        skipped.clear()
        if row is None:
            return
        if row:
            yield _item(start, header, row, limits)


def _item(line: int, header: list[str], row: list[str], limits: Limits) -> Item:
    try:
        if len(row) != len(header):
            raise BadRecord(
                "", Code.CSV_COLUMNS, f"{len(row)} cells", f"{len(header)} cells: " + ", ".join(header)[:160]
            )
        record = dict(zip(header, row, strict=True))
        for name, value in record.items():
            _refuse_broken(name, value)
        return Item(line, cells.unpacked(dict(record), limits), None)
    except BadRecord as bad:
        return Item(line, None, bad)


def _refuse_broken(name: str, value: str) -> None:
    broken = None if value.isascii() else _BROKEN.search(value)
    if broken is not None:
        found = f"byte 0x{ord(broken[0]) - 0xDC00:02x} at character {broken.start() + 1} of the cell"
        raise BadRecord(name, Code.INVALID_UTF8, found, "UTF-8")


def _text_lines(source: Read, limits: Limits, skipped: list[int]) -> Iterator[str]:
    """Lines as text; bytes that are not UTF-8 survive as marks, so that only their row is refused."""
    for number, line in lines(source, limits.line_bytes):
        if line is None:
            skipped.append(number)
            yield "\n"  # keeps the reader's line numbers right
            continue
        data = line.removeprefix(sniff.BOM) if number == 1 else line
        yield data.decode("utf-8", "surrogateescape") + "\n"


def _header(line: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise FileRefused(Code.FORMAT_UNKNOWN, f"a header that cannot be read ({error})") from error
    names = [name.strip() for name in names]
    names = [name.lower() if name.lower() in KNOWN_COLUMNS else name for name in names]
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise FileRefused(Code.FORMAT_UNKNOWN, "two columns with the name " + ", ".join(twice)[:120])
    return [name or f"column {n}" for n, name in enumerate(names, 1)]
