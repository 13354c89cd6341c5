"""Reading an upload: every record becomes a row of the version or a bad row with its reason, in one pass."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Any

import orjson

from datasets_app.domain import hashing
from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Format, Row
from datasets_app.domain.formats.convert import convert, ignored_fields
from datasets_app.domain.formats.detect import detect
from datasets_app.domain.purposes import Kind
from datasets_app.engine import events, sniff, stats
from datasets_app.engine.judge import Judgement
from datasets_app.engine.limits import Limits
from datasets_app.engine.profile import Profile
from datasets_app.engine.readers import document, jsonl, table
from datasets_app.engine.readers.base import Item, Items
from datasets_app.engine.readers.parquet import ParquetRows
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.sniff import FileType
from datasets_app.engine.streams import Source
from datasets_app.engine.table import ROWS_FILE, RowWriter

LOOKED_AT, LOOKED_AT_CHARS = 50, 4_000_000
BATCH = 200
SAMPLES = 3
SAMPLE_CHARS = 1200


class Upload:
    def __init__(self, spec: dict[str, Any], limits: Limits) -> None:
        self.limits = limits
        self.out = Path(spec["out_dir"])
        self.forced = Format(spec["forced_format"]) if spec.get("forced_format") else None
        self.purpose = spec.get("purpose", "training")
        self.source = Source(Path(spec["source"]), limits)
        self.name = spec["file_name"]
        self.bad: list[dict[str, Any]] = []
        self.bad_codes: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.samples: list[dict[str, Any]] = []
        self.profile = Profile()
        self.records = 0
        self._said = 0.0

    def run(self) -> dict[str, Any]:
        kind = sniff.file_type(self.source.head, self.name)
        events.emit("progress", phase="reading", done=0, total=self.source.size)
        items = self._items(kind)
        first = list(_head(items))
        fmt = self._format(first)
        events.emit("detected", format=fmt.value, file_type=self._type_name(kind))
        self.out.mkdir(parents=True, exist_ok=True)
        writer = RowWriter(self.out / ROWS_FILE)
        try:
            for item in chain(first, items):
                self._take(item, fmt, writer)
        finally:
            writer.close()
            self._flush_bad()
        if not self.profile.rows:
            raise FileRefused(Code.NO_GOOD_ROWS, f"0 of {self.bad_codes.total()} rows fit “{fmt.value}”")
        return self._result(fmt, kind)

    def _items(self, kind: FileType) -> Items:
        readers: dict[FileType, Callable[[], Items]] = {
            FileType.JSONL: lambda: jsonl.read(self.source.read, self.limits),
            FileType.JSON_LIST: lambda: document.read(self.source.read, self.limits, is_list=True),
            FileType.JSON_OBJECTS: lambda: document.read(self.source.read, self.limits, is_list=False),
            FileType.CSV: lambda: table.read(self.source.read, self.limits),
            FileType.TSV: lambda: table.read(self.source.read, self.limits, "\t"),
            FileType.PARQUET: self._parquet,
        }
        return readers[kind]()

    def _parquet(self) -> Iterator[Item]:
        unpacked = self.out.parent / "unpacked.parquet"
        try:
            path = self.source.spool(unpacked) if self.source.compression else self.source.path
            rows = ParquetRows(path, self.limits)
            self.ignored.update({name: rows.rows for name in rows.unread})
            yield from rows.items()
        finally:
            unpacked.unlink(missing_ok=True)

    def _format(self, first: list[Item]) -> Format:
        if self.forced:
            return self.forced
        found = detect(item.record for item in first if item.record is not None)
        if found.format:
            return found.format
        for item in first:
            if item.bad:
                self._note_bad(item.line, item.bad)
        self._flush_bad()
        if found.unsupported:
            raise FileRefused(Code.FORMAT_UNSUPPORTED, found.unsupported)
        if not found.looked_at:
            code = Code.NO_GOOD_ROWS if self.bad_codes else Code.EMPTY_FILE
            raise FileRefused(code, f"no record in the first {len(first)} rows can be read" if first else "no rows")
        raise FileRefused(Code.FORMAT_UNKNOWN, "the columns are " + ", ".join(found.columns)[:200])

    def _take(self, item: Item, fmt: Format, writer: RowWriter) -> None:
        self.records += 1
        if self.records > self.limits.rows:
            raise FileRefused(Code.TOO_MANY_ROWS, f"more than {self.limits.rows} rows")
        try:
            if item.bad or item.record is None:
                raise item.bad or BadRecord("", Code.NOT_AN_OBJECT, "nothing", "an object")
            self._keep(item.line, item.record, fmt, writer)
        except BadRecord as bad:
            self._note_bad(item.line, bad)
        self._progress()

    def _keep(self, line: int, record: dict[str, Any], fmt: Format, writer: RowWriter) -> None:
        row = convert(record, fmt)
        self._refuse_other_kind(row.kind)
        canonical = storable(row)
        digest, hashes = self.profile.add(row, canonical)
        writer.add(row, line=line, digest=digest, hashes=hashes, size=len(canonical))
        self.ignored.update(ignored_fields(record, fmt)[:50])
        if len(self.samples) < SAMPLES:
            self.samples.append(sample(line, row))
            if len(self.samples) == SAMPLES:
                events.emit("samples", samples=self.samples)

    def _refuse_other_kind(self, kind: Kind) -> None:
        if self.profile.kind and kind != self.profile.kind:
            raise BadRecord("", Code.MIXED_KINDS, f"a {kind.value} row", f"{self.profile.kind.value} rows, as before")

    def _note_bad(self, line: int, bad: BadRecord) -> None:
        self.bad_codes[bad.code.value] += 1
        self.bad.append(
            {
                "line": line,
                "field": bad.field[:200],
                "code": bad.code.value,
                "found": fit_to_show(bad.found)[:400],
                "expected": bad.expected[:400],
            }
        )
        if len(self.bad) >= BATCH:
            self._flush_bad()
        if self.bad_codes.total() > self.limits.bad_rows:
            raise FileRefused(Code.TOO_MANY_BAD_ROWS, f"more than {self.limits.bad_rows}")

    def _flush_bad(self) -> None:
        if self.bad:
            events.emit("bad_rows", rows=self.bad)
            self.bad = []

    def _progress(self) -> None:
        if self.records % 256 == 0 and monotonic() - self._said > 0.5:
            self._said = monotonic()
            events.emit("progress", phase="reading", done=self.source.consumed, total=self.source.size)

    def _type_name(self, kind: FileType) -> str:
        name = "json" if kind == FileType.JSON_OBJECTS else kind.value
        return f"{name}.{self.source.compression}" if self.source.compression else name

    def _result(self, fmt: Format, kind: FileType) -> dict[str, Any]:
        judgement = Judgement(self.profile, purpose=self.purpose, ignored=self.ignored)
        return {
            "rows_good": self.profile.rows,
            "rows_bad": self.bad_codes.total(),
            "bad_codes": dict(self.bad_codes),
            "samples": self.samples,
            "detected_format": fmt.value,
            "file_type": self._type_name(kind),
            "kind": self.profile.kind,
            "content_hash": self.profile.content_hash(),
            "stats": stats.summary(self.profile),
            "findings": judgement.findings(),
        }


def _head(items: Items) -> Iterator[Item]:
    """The first rows, by which the format is judged: fifty, or fewer where they are large."""
    chars = 0
    for n, item in enumerate(items, 1):
        yield item
        chars += sum(len(value) for value in (item.record or {}).values() if isinstance(value, str))
        if n >= LOOKED_AT or chars > LOOKED_AT_CHARS:
            return


def storable(row: Row) -> bytes:
    """The canonical form, which exists only for text that a database and a tokenizer can take."""
    try:
        canonical = hashing.canonical(row)
        orjson.dumps([row.label, row.tags, row.source_id])
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
