"""From the bytes of an upload to batches: type, format, records, rows; what does not fit goes to `note_bad`."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import detect as detection
from datasets_app.domain.formats import grouping
from datasets_app.domain.formats import mapping as mappings
from datasets_app.domain.formats.base import BadRecord, Format
from datasets_app.engine import events, pieces
from datasets_app.engine.aside import Aside
from datasets_app.engine.batch import BATCH_BYTES, BATCH_ROWS, Batch, batch_of_rows
from datasets_app.engine.converting import Bad, Converter, Taken, mapped, sample, suggested
from datasets_app.engine.limits import Limits
from datasets_app.engine.lines import Elements, Lines, Records, kernel_for
from datasets_app.engine.mending import Mender
from datasets_app.engine.pieces import Piece
from datasets_app.engine.readers.base import Item, Items
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.sniff import FileType

__all__ = ["Bad", "Reading"]

LOOKED_AT, LOOKED_AT_CHARS = 50, 4_000_000
SAMPLES = 3
Fast: TypeAlias = Lines | Elements | Records
NoteBad: TypeAlias = Callable[[Bad], None]
NoteSamples: TypeAlias = Callable[[Iterator[dict[str, Any]]], None]


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
        aside: Aside | None = None,
        mender: Mender | None = None,
    ) -> None:
        self.limits, self.forced, self.mapping = limits, forced, mapping or {}
        self.mender = mender or Mender((), limits)
        self.upload = pieces.opened(paths, name, limits, workdir)
        self.size = self.upload.size
        self.aside, self.format_name = aside, ""
        self.ignored: Counter[str] = Counter()
        self.first, self.digesting = 0, 0.0
        self._samples: list[tuple[int, Any]] | None = []

    @property
    def consumed(self) -> int:
        """Bytes of the upload that have been read: what progress is measured in."""
        return self.upload.consumed

    @property
    def type_name(self) -> str:
        return self.upload.type_name

    def close(self) -> None:
        self.upload.close()

    def batches(self, note_bad: NoteBad, note_samples: NoteSamples) -> Generator[Batch, None, None]:
        converter: Converter | None = None
        for piece in self.upload.pieces():
            said = piece.mapping or self.mapping
            lines = self._fast(piece)
            items = lines.items()
            head = _head(items)
            if converter is None:
                seen = [item if item.bad is None else self._mended(item, item.bad) for item in head]
                events.emit("head", **mappings.head_of(item.record for item in seen if item.record is not None))
                fmt = self._format(piece, seen, said, note_bad)
                converter = Converter(fmt, self.limits, said, note_bad, self.ignored, self.aside, self.mender)
                self.format_name = fmt.value
                events.emit("detected", format=fmt.value, file_type=self.type_name)
            elif piece.format:
                converter.format = piece.format
            converter.mapping, converter.member = said, piece.member
            for batch in self._piece(converter, head, items, lines, note_samples):
                self.first += batch.rows
                yield batch

    def _fast(self, piece: Piece) -> Fast:
        if piece.kind == FileType.JSONL:
            return Lines(piece.read, self.limits)
        if piece.kind == FileType.JSON_LIST:
            return Elements(piece.read, self.limits)
        return Records(piece.items(self.limits, self.ignored))

    def _mended(self, item: Item, bad: BadRecord) -> Item:
        """What the format is judged by: the row as the agreed fixes leave it."""
        return self.mender.mended(item, [bad]) or item

    def _piece(
        self,
        converter: Converter,
        head: list[Item],
        items: Items,
        lines: Fast,
        note_samples: NoteSamples,
    ) -> Iterator[Batch]:
        grouper = grouping.grouper_of(converter.format)
        if grouper is not None:
            said, converter.mapping = converter.mapping, {}  # what is put together has been renamed before
            rows = self._told(_taken(converter, _grouped(chain(head, items), grouper, said)), note_samples)
            yield from _batched(rows, self.first)
            return
        taken = list(self._told(_taken(converter, head), note_samples))
        head.clear()
        kernel = None if converter.mapping else kernel_for(converter.format, converter.kind, lines.number)
        if kernel is None:
            yield from _batched(chain(taken, self._told(_taken(converter, items), note_samples)), self.first)
            return
        for line, one in taken:
            kernel.append(line, one.row, one.digest)
        yield from lines.batches(kernel, converter, self.first)
        self.digesting += kernel.digesting
        for name, count in kernel.unknown().items():
            self.ignored[name] += count

    def _told(self, rows: Iterable[tuple[int, Taken]], note_samples: NoteSamples) -> Iterator[tuple[int, Taken]]:
        """The rows as they come; the first of them are shown as soon as there are enough, or no more."""
        for line, taken in rows:
            if self._samples is not None:
                self._samples.append((line, taken.row))
                if len(self._samples) == SAMPLES:
                    self._show(note_samples)
            yield line, taken
        if self._samples:
            self._show(note_samples)

    def _show(self, note_samples: NoteSamples) -> None:
        note_samples(sample(line, row) for line, row in self._samples or ())
        self._samples = None

    def _format(self, piece: Piece, first: list[Item], mapping: dict[str, Any], note_bad: NoteBad) -> Format:
        known = self.forced or piece.format
        if known:
            return known
        records = (item.record for item in first if item.record is not None)
        found = detection.detect(mapped(record, mapping) for record in records)
        if found.format:
            return found.format
        for item in first:
            if item.bad:
                if self.aside is not None:
                    self.aside.keep(item, piece.member, [item.bad])
                note_bad(Bad.of(item.line, item.bad, piece.member, suggested(item.bad, item)))
        if found.unsupported:
            raise FileRefused(found.code, found.unsupported)
        if not found.looked_at:
            code = Code.NO_GOOD_ROWS if first else Code.EMPTY_FILE
            raise FileRefused(code, f"no record in the first {len(first)} rows can be read" if first else "no rows")
        raise FileRefused(Code.FORMAT_UNKNOWN, "the columns are " + ", ".join(found.columns)[:200])


def _head(items: Items) -> list[Item]:
    """The first rows, by which the format is judged: fifty, or fewer where they are large."""
    first, chars = [], 0
    for item in islice(items, LOOKED_AT):
        first.append(item)
        chars += sum(len(value) for value in (item.record or {}).values() if isinstance(value, str))
        if chars > LOOKED_AT_CHARS:
            break
    return first


def _grouped(items: Iterable[Item], grouper: grouping.Grouper, mapping: dict[str, Any]) -> Items:
    """Records made of several, where the format has rows that belong together."""
    try:
        for item in items:
            if item.record is None:
                yield item
            else:
                yield from (Item(*one) for one in grouper.take(item.line, mapped(item.record, mapping)))
        yield from (Item(*one) for one in grouper.finish())
    except grouping.TooMuchHeld as held:
        raise FileRefused(Code.CHAINS_TOO_LARGE, str(held)) from held


def _taken(converter: Converter, items: Iterable[Item]) -> Iterator[tuple[int, Taken]]:
    for item in items:
        taken = converter.row_of(item)
        if taken is not None:
            yield item.line, taken


def _batched(rows: Iterable[tuple[int, Taken]], first: int) -> Iterator[Batch]:
    waiting, size = [], 0
    for line, taken in rows:
        waiting.append((line, taken.row))
        size += len(taken.canonical)
        if len(waiting) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch_of_rows(waiting, first)
            first += len(waiting)
            waiting, size = [], 0
    if waiting:
        yield batch_of_rows(waiting, first)
