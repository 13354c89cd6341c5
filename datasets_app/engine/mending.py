"""Fixes that somebody has agreed to, applied to bad rows while a file is read."""

from collections.abc import Sequence
from typing import Any

import orjson

from datasets_app.domain import fixes, provenance
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import strict
from datasets_app.engine.aside import text_of
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Item, checked

MOST_BYTES = 1_000_000  # of a row; what is longer is left as it is


class Mender:
    """Tries the fixes that are for a row's faults. What it changes says so in its provenance."""

    def __init__(self, names: Sequence[str], limits: Limits, *, by: str = "", at: str = "") -> None:
        self._fixes, self._limits = fixes.known(names), limits
        self._by, self._at = by, at

    def __bool__(self) -> bool:
        return bool(self._fixes)

    def mended(self, item: Item, faults: Sequence[BadRecord]) -> Item | None:
        """The row as the fixes leave it; None when they change nothing, or leave no JSON object."""
        codes = {fault.code for fault in faults}
        wanted = [fix for fix in self._fixes if codes & fix.codes]
        text = text_of(item) if wanted else None
        if not text or len(text) > MOST_BYTES:
            return None
        text, applied = fixes.mend(text, wanted)
        if not applied:
            return None
        try:
            found = checked(item.line, strict.loads(text.encode("utf-8", "surrogateescape"), self._limits))
        except (BadRecord, UnicodeEncodeError):
            return None
        return None if found.record is None else self._noted(item.line, found.record, applied)

    def _noted(self, line: int, record: dict[str, Any], applied: list[str]) -> Item:
        record = {**record, "provenance": edited(record, self._by, self._at, "fixed: " + ", ".join(applied))}
        return Item(line, record, None, orjson.dumps(record))


def edited(record: dict[str, Any], by: str, at: str, what: str) -> dict[str, Any]:
    """What a record says of its origin, and who changed it how."""
    own = record.get("provenance")
    return provenance.edited(own if isinstance(own, dict) else None, by=by, at=at, what=what)
