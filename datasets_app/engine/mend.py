"""Rows that were kept aside, mended by fixes or by hand, read as the upload they belong to was read."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq

from datasets_app.domain import fixes
from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import limits, mending
from datasets_app.engine.aside import Aside
from datasets_app.engine.batch import Batch
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Item
from datasets_app.engine.reading import Bad, Reading
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.table import ROWS_FILE
from datasets_app.engine.upload import Upload

Entry = dict[str, Any]  # {"line", "text", …}: a row as it was kept aside, or as a person has mended it
BY_HAND = "mended by hand"


class Mend(Upload):
    """Gives every row the line at which it stood in the first file, so that it finds its place again."""

    def __init__(self, spec: dict[str, Any], bounds: Limits) -> None:
        super().__init__(spec, bounds)
        self.still_bad: list[int] = orjson.loads(Path(spec["lines"]).read_bytes())
        self.line_of: dict[int, int] = {}
        self.after = max(max(self.still_bad, default=0), _last_line(Path(spec["bad"]).with_name(ROWS_FILE)))
        self.aside = _Relined(self.out, self)
        self.workdir = self.out.parent

    def run(self) -> dict[str, Any]:
        wanted = fixes.known(self.spec.get("fixes") or [])
        if wanted:
            entries = _fixed(Path(self.spec["bad"]), set(self.still_bad), wanted)
            self._read_instead(entries)
        else:
            self._by_hand()
        return super().run()

    def batches(self, reading: Reading) -> Iterator[Batch]:
        for batch in super().batches(reading):
            batch.line = np.array([self.original(int(line)) for line in batch.line], dtype=np.int64)
            yield batch

    def original(self, line: int) -> int:
        """Where this row stood; one that nobody can place comes after all others."""
        return self.line_of.get(line, self.after + line)

    def _note_bad(self, bad: Bad) -> None:
        super()._note_bad(bad._replace(line=self.original(bad.line)))

    def _by_hand(self) -> None:
        """Our own download with its lines; or plain rows, which are in their old order if there are as many of them."""
        paths = [Path(path) for path in self.spec["source"]]
        with paths[0].open("rb") as file:
            if file.read(1) != b"{":
                return  # no JSON lines: where its rows stood is not known
        limits.earn_time(sum(path.stat().st_size for path in paths))
        if _entry(next(_lines(paths), b"")) is not None:
            entries = (_entry(line) or {"text": line.decode("utf-8", "replace")} for line in _lines(paths))
            self._read_instead((entry, BY_HAND) for entry in entries)
            return
        places = [number for number, line in enumerate(_lines(paths, blank=True), 1) if line.strip()]
        if len(places) == len(self.still_bad):
            self.line_of = dict(zip(places, self.still_bad, strict=True))

    def _read_instead(self, entries: Iterator[tuple[Entry, str]]) -> None:
        """The texts of these entries, by their lines, as a file of their own; it is read in the place of the other."""
        scratch, path = self.workdir / "mending.jsonl", self.workdir / "mended.jsonl"
        places: list[tuple[int, int, int]] = []  # line, start and end in the scratch file
        with scratch.open("wb") as out:
            for entry, what in entries:
                start = out.tell()
                out.write(self._mended(entry, what).encode("utf-8", "surrogateescape") + b"\n")
                places.append((entry.get("line") or self.after + len(places) + 1, start, out.tell()))
        if not places:
            raise FileRefused(Code.NO_GOOD_ROWS, "no row is changed by it")
        places.sort()
        with scratch.open("rb") as source, path.open("wb") as out:
            for _, start, end in places:
                source.seek(start)
                out.write(source.read(end - start))
        scratch.unlink()
        self.line_of = {number: line for number, (line, _, _) in enumerate(places, 1)}
        self.spec = {**self.spec, "source": str(path), "file_name": path.name}

    def _mended(self, entry: Entry, what: str) -> str:
        """The text, on one line, with a note of who mended it."""
        record = fixes.loads(entry["text"])
        if not isinstance(record, dict):
            return " ".join(entry["text"].splitlines())
        by, at = self.spec.get("by", ""), self.spec.get("at", "")
        return fixes.dumps({**record, "provenance": mending.edited(record, by, at, what)})


class _Relined(Aside):
    def __init__(self, folder: Path, mend: Mend) -> None:
        super().__init__(folder)
        self._mend = mend

    def keep(self, item: Item, member: str, faults: Sequence[BadRecord]) -> None:
        super().keep(item._replace(line=self._mend.original(item.line)), member, faults)


def _last_line(path: Path) -> int:
    """The line of the last good row."""
    return max(pq.read_table(path, columns=["line"], use_threads=False).column("line").to_pylist(), default=0)


def _fixed(path: Path, still_bad: set[int], wanted: list[fixes.Fix]) -> Iterator[tuple[Entry, str]]:
    """Rows kept aside that the fixes change, and which did."""
    limits.earn_time(path.stat().st_size)
    with path.open("rb") as file:
        for line in file:
            entry = json.loads(line)
            if entry["line"] not in still_bad or not entry.get("text"):
                continue
            codes = set(entry.get("codes") or [])
            text, applied = fixes.mend(entry["text"], [fix for fix in wanted if codes & fix.codes])
            if applied:
                yield {**entry, "text": text}, "fixed: " + ", ".join(applied)


def _lines(paths: Sequence[Path], *, blank: bool = False) -> Iterator[bytes]:
    """Lines of plain files one after another; a line may go on in the next part."""
    rest = b""
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1024 * 1024):
                pieces = (rest + chunk).split(b"\n")
                rest = pieces.pop()
                yield from (piece for piece in pieces if blank or piece.strip())
                if len(rest) > 64 * limits.MB:
                    raise FileRefused(Code.TYPE_MISMATCH, "one line of more than 64 MB")
    if rest.strip():
        yield rest


def _entry(line: bytes) -> Entry | None:
    """A line of our own download: {"line", "text", …}."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not {"line", "text", "codes"} <= value.keys():
        return None
    is_ours = isinstance(value["line"], int) and isinstance(value["text"], str)
    return value if is_ours and 0 < value["line"] < 2**40 else None
