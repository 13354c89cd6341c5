"""One record at a time through domain.formats: a row that can be stored, or everything that is wrong with it."""

import importlib
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import orjson

from datasets_app.domain import hashing
from datasets_app.domain.codes import Code
from datasets_app.domain.formats import convert as formats
from datasets_app.domain.formats.base import BadRecord, Format, Record, Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Item

SAMPLE_CHARS = 1200


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
    def of(cls, line: int, bad: BadRecord, record: Record | None = None, member: str = "") -> Self:
        field = f"{member}: {bad.field}".removesuffix(": ") if member else bad.field
        return cls(
            line,
            getattr(bad, "column", None),
            fit_to_show(field)[:200],
            bad.code.value,
            fit_to_show(bad.found)[:400],
            bad.expected[:400],
            _suggested(bad, record),
        )

    def as_dict(self) -> dict[str, Any]:
        return self._asdict()


class Taken(NamedTuple):
    row: Row
    size: int  # bytes of its canonical form


class Converter:
    """Turns items into rows of one kind; the first good row decides which."""

    def __init__(
        self,
        fmt: Format,
        limits: Limits,
        mapping: dict[str, Any],
        note_bad: Callable[[Bad], None],
        ignored: Counter[str],
    ) -> None:
        self.format, self.limits, self.mapping = fmt, limits, mapping
        self.note_bad, self.ignored = note_bad, ignored
        self.kind: Kind | None = None

    def row_of(self, item: Item) -> Taken | None:
        record = item.record
        try:
            if item.bad or record is None:
                raise item.bad or BadRecord("", Code.NOT_AN_OBJECT, "nothing", "an object")
            record = mapped(record, self.mapping)
            row, faults = converted(record, self.format)
            for fault in faults:
                self._note(item, fault, record)
            return self._taken(row, record) if row is not None else None
        except BadRecord as bad:
            self._note(item, bad, record)
            return None

    def _taken(self, row: Row, record: dict[str, Any]) -> Taken:
        if self.kind and row.kind != self.kind:
            raise BadRecord("", Code.MIXED_KINDS, f"a {row.kind.value} row", f"{self.kind.value} rows, as before")
        size = len(storable(row))
        self.kind = row.kind
        self.ignored.update(formats.ignored_fields(record, self.format)[:50])
        return Taken(row, size)

    def _note(self, item: Item, bad: BadRecord, record: Record | None) -> None:
        self.note_bad(Bad.of(item.line, bad, record, getattr(item, "member", "")))


def converted(record: dict[str, Any], fmt: Format) -> tuple[Row | None, list[BadRecord]]:
    """The row, or all its faults where the format can name more than the first."""
    collect = getattr(formats, "convert_all", None)
    if collect is None:
        return formats.convert(record, fmt), []
    found = collect(record, fmt)
    return (None, found) if isinstance(found, list) else (found, [])


def mapped(record: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    """The record with columns and roles under the names a person has given them."""
    if not mapping:
        return record
    columns, roles = mapping.get("columns") or {}, mapping.get("roles") or {}
    renamed = {name: value for name, value in record.items() if name not in columns.values() or name in columns}
    renamed = {columns.get(name, name): value for name, value in renamed.items()}
    if roles:
        for value in renamed.values():
            if isinstance(value, list):
                _rename_roles(value, roles)
    return renamed


def _rename_roles(turns: list[Any], roles: dict[str, str]) -> None:
    for turn in turns:
        if isinstance(turn, dict):
            for key in ("role", "from"):
                if isinstance(turn.get(key), str):
                    turn[key] = roles.get(turn[key], turn[key])


def storable(row: Row) -> bytes:
    """The canonical form, which exists only for text that a database and a tokenizer can take."""
    try:
        canonical = hashing.canonical(row)
        orjson.dumps([row.label, row.tags, row.source_id, row.extras, row.provenance])
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        if "surrogate" in str(error) or "UTF-8" in str(error):
            raise BadRecord("", Code.LONE_SURROGATE, "half of a character pair", "whole characters") from error
        raise BadRecord("", Code.WRONG_TYPE, str(error)[:120], "texts, numbers, lists and objects") from error
    extras = "".join([row.label or "", row.source_id or "", *(row.tags or [])])
    if "\x00" in extras or (b"\\u0000" in canonical and _holds_nul(orjson.loads(canonical))):
        raise BadRecord("", Code.NUL_CHARACTER, "the character U+0000", "text without it")
    return canonical


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


def fit_to_show(text: str) -> str:
    """A quotation that any database can store: broken characters are shown by their escape."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\0")


def _suggested(bad: BadRecord, record: Record | None) -> str:
    """The name of the fix that would mend this row, where domain.fixes knows one."""
    try:
        fixes = importlib.import_module("datasets_app.domain.fixes")
    except ModuleNotFoundError:
        return ""
    return fixes.suggest(bad.code, record, bad) or ""


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
