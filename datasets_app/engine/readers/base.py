"""What every reader yields: where a record stood, and the record or what is wrong with it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, shown


class Item(NamedTuple):
    line: int
    record: dict[str, Any] | None
    bad: BadRecord | None
    text: bytes | None = None  # as it stands in the file, for those who would mend it


Items = Iterator[Item]


def checked(line: int, value: Any, text: bytes | None = None) -> Item:
    """A parsed value as an item: only objects are records."""
    if isinstance(value, dict):
        return Item(line, value, None, text)
    return Item(line, None, BadRecord("", Code.NOT_AN_OBJECT, shown(value), "an object with named fields"), text)


def too_long(line: int, longest: int) -> Item:
    found = f"more than {longest // 1_000_000} MB in one row"
    return Item(line, None, BadRecord("", Code.LINE_TOO_LONG, found, f"at most {longest // 1_000_000} MB"))
