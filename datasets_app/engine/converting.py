"""One record at a time through domain.formats: a row that can be stored, or everything that is wrong with it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import orjson

from datasets_app.domain import fixes, hashing
from datasets_app.domain.codes import Code
from datasets_app.domain.formats import convert as formats
from datasets_app.domain.formats import mapping as mappings
from datasets_app.domain.formats.base import BadRecord, Format, Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.aside import Aside
from datasets_app.engine.limits import Limits
from datasets_app.engine.mending import Mender
from datasets_app.engine.readers.base import Item

SAMPLE_CHARS = 1200
TRIED_BYTES = 100_000


class Bad(NamedTuple):
    """A row that is kept aside: where it stands, what was found, what was expected, what would mend it."""

    line: int
    column: int | None  # in characters from 1, where the parser knows it
    field: str
    code: str
    found: str
    expected: str
    fix: str = ""

    @classmethod
    def of(cls, line: int, bad: BadRecord, member: str = "", fix: str = "") -> Self:
        field = f"{member}: {bad.field}".removesuffix(": ") if member else bad.field
        return cls(
            line,
            bad.column,
            fit_to_show(field)[:200],
            bad.code.value,
            fit_to_show(bad.found)[:400],
            bad.expected[:400],
            fix,
        )

    def as_dict(self) -> dict[str, Any]:
        return self._asdict()


class Taken(NamedTuple):
    row: Row
    canonical: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.canonical).digest()


class Converter:
    """Turns items into rows of one kind; the first good row decides which."""

    def __init__(
        self,
        fmt: Format,
        limits: Limits,
        mapping: dict[str, Any],
        note_bad: Callable[[Bad], None],
        ignored: Counter[str],
        aside: Aside | None = None,
        mender: Mender | None = None,
    ) -> None:
        self.format, self.limits, self.mapping = fmt, limits, mapping
        self.mender = mender or Mender((), limits)
        self.note_bad, self.ignored = note_bad, ignored
        self.kind: Kind | None = None
        self._noted, self._aside = 0, aside
        self.member = ""  # of an archive: where the rows come from now

    def row_of(self, item: Item) -> Taken | None:
        """The row of an item; None for one that is kept aside, with everything that is wrong with it noted."""
        found = self._tried(item)
        rounds = 2 if self.mender else 0  # what is JSON again may still have a role that nobody knows
        while isinstance(found, list) and rounds:
            mended = self.mender.mended(item, found)
            if mended is None:
                break
            item, found, rounds = mended, self._tried(mended), rounds - 1
        if isinstance(found, Taken):
            return found
        self.keep_aside(item, found)
        return None

    def _tried(self, item: Item) -> Taken | list[BadRecord]:
        """The row, or all its faults."""
        if item.bad or item.record is None:
            return [item.bad or BadRecord("", Code.NOT_AN_OBJECT, "nothing", "an object")]
        record = mapped(item.record, self.mapping)
        try:
            return self._taken(formats.convert(record, self.format), record)
        except BadRecord as bad:
            faults = formats.convert_all(record, self.format)  # asked only now: it is the slower of the two
            return faults if isinstance(faults, list) else [bad]

    def keep_aside(self, item: Item, faults: Sequence[BadRecord]) -> None:
        """Beyond what is told in detail nobody asks for a fix any more."""
        if self._aside is not None:
            self._aside.keep(item, self.member, faults)
        for bad in faults:
            self._noted += 1
            fix = suggested(bad, item) if self._noted <= self.limits.bad_rows_kept else ""
            self.note_bad(Bad.of(item.line, bad, self.member, fix))

    def _taken(self, row: Row, record: dict[str, Any]) -> Taken:
        if self.kind and row.kind != self.kind:
            raise BadRecord("", Code.MIXED_KINDS, f"a {row.kind.value} row", f"{self.kind.value} rows, as before")
        canonical = storable(row)
        self.kind = row.kind
        self.ignored.update(formats.ignored_fields(record, self.format)[:50])
        return Taken(row, canonical)


def mapped(record: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    """The record under our names, where a person has given them."""
    return mappings.apply(record, mapping) if mapping else record


def storable(row: Row) -> bytes:
    """The canonical form, which exists only for text that a database and a tokenizer can take."""
    try:
        canonical = hashing.canonical(row)
        orjson.dumps([row.label, row.tags, row.source_id, row.extras, row.provenance])
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        if "surrogate" in str(error) or "UTF-8" in str(error):
            raise BadRecord("", Code.LONE_SURROGATE, "half of a character pair", "whole characters") from error
        raise BadRecord("", Code.WRONG_TYPE, str(error)[:120], "texts, numbers, lists and objects") from error
    about = "".join([row.label or "", row.source_id or "", *(row.tags or [])])
    if "\x00" in about or b"\\u0000" in canonical:
        place = _nul_in(row)
        if place is not None:
            raise BadRecord(place, Code.NUL_CHARACTER, "the character U+0000", "text without it")
    return canonical


def _nul_in(row: Row) -> str | None:
    """The path of the first text with a NUL character; the canonical form only shows that there may be one."""
    parts = {"messages": row.messages, "chosen": row.chosen, "rejected": row.rejected, "tools": row.tools}
    parts |= {"text": row.text, "label": row.label, "id": row.source_id, "tags": row.tags}  # type: ignore[dict-item]
    waiting: list[tuple[str, Any]] = list(parts.items())[::-1]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and "\x00" in value:
            return path
        if isinstance(value, dict):
            if any("\x00" in str(key) for key in value):
                return path
            waiting += [(f"{path}.{key}", inner) for key, inner in list(value.items())[::-1]]
        if isinstance(value, list):
            waiting += [(f"{path}[{n}]", inner) for n, inner in enumerate(value)][::-1]
    return None


def fit_to_show(text: str) -> str:
    """A quotation that any database can store: broken characters are shown by their escape."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\0")


def suggested(bad: BadRecord, item: Item) -> str:
    """The name of the fix that would mend this row; nothing for rows too large to try."""
    if item.text is None:
        return fixes.suggest(bad.code, item.record, bad)
    if len(item.text) > TRIED_BYTES:
        return ""
    return fixes.suggest(bad.code, None, bad, item.text.decode("utf-8", "surrogateescape"))


def sample(line: int, row: Row) -> dict[str, Any]:
    """A row as the upload page shows it, long texts cut and marked as such."""

    def cut(turns: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return [{**turn, "content": _short(turn["content"])} for turn in (turns or [])[:12]]

    return {
        "line": line,
        "kind": row.kind.value,
        "messages": cut(row.messages),
        "chosen": cut(row.chosen),
        "rejected": cut(row.rejected),
        "text": _short(row.text or ""),
        "label": row.label,
        "tags": row.tags,
        "tools": len(row.tools or []),
    }


def _short(text: str) -> str:
    return text if len(text) <= SAMPLE_CHARS else text[:SAMPLE_CHARS] + " …"
