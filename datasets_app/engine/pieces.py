"""What an upload consists of: one file, or the members of an archive, each with its type and its stream of bytes."""

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from datasets_app.domain.formats.base import Format
from datasets_app.engine import sniff
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers import document, jsonl, table
from datasets_app.engine.readers.base import Items
from datasets_app.engine.sniff import FileType
from datasets_app.engine.streams import Read, Source


class Upload(Protocol):
    """One file or an archive of several."""

    size: int

    @property
    def consumed(self) -> int: ...

    @property
    def type_name(self) -> str: ...

    def pieces(self) -> Iterator["Piece"]: ...

    def close(self) -> None: ...


class Piece:
    """One table of rows: where its bytes come from, its name inside an archive, what is said about it there."""

    def __init__(
        self,
        read: Read,
        kind: FileType,
        plain_file: Callable[[Path], Path],
        workdir: Path,
        *,
        member: str = "",
        format: Format | None = None,
        mapping: dict[str, Any] | None = None,
    ) -> None:
        self.read, self.kind, self.member = read, kind, member
        self.format, self.mapping = format, mapping or {}
        self._plain_file, self._workdir = plain_file, workdir

    def items(self, limits: Limits, ignored: Counter[str]) -> Items:
        readers: dict[FileType, Callable[[], Items]] = {
            FileType.JSONL: lambda: jsonl.read(self.read, limits),
            FileType.JSON_LIST: lambda: document.read(self.read, limits, is_list=True),
            FileType.JSON_OBJECTS: lambda: document.read(self.read, limits, is_list=False),
            FileType.CSV: lambda: table.read(self.read, limits),
            FileType.TSV: lambda: table.read(self.read, limits, "\t"),
            FileType.PARQUET: lambda: self._in_file("parquet", "ParquetRows", limits, ignored),
            FileType.ARROW: lambda: self._in_file("arrow", "ArrowRows", limits, ignored),
        }
        return readers[self.kind]()

    def _in_file(self, module: str, name: str, limits: Limits, ignored: Counter[str]) -> Items:
        """For readers that must seek: the upload itself, or an unpacked copy for as long as it is read.

        They are loaded when they are needed: most files are read without."""
        reader = getattr(importlib.import_module(f"datasets_app.engine.readers.{module}"), name)
        unpacked = self._workdir / "unpacked.table"
        try:
            rows = reader(self._plain_file(unpacked), limits, frozenset(self.mapping.get("columns") or ()))
            yield from rows.items()
            ignored.update({name: rows.rows for name in rows.unread})
        finally:
            unpacked.unlink(missing_ok=True)


class Single:
    """A file by itself, plain or compressed."""

    def __init__(self, source: Source, name: str, workdir: Path) -> None:
        self._source, self._workdir = source, workdir
        self.kind = sniff.file_type(source.head, name)
        self.size = source.size

    @property
    def consumed(self) -> int:
        return self._source.consumed

    @property
    def type_name(self) -> str:
        name = sniff.shown(self.kind)
        return f"{name}.{self._source.compression}" if self._source.compression else name

    def pieces(self) -> Iterator[Piece]:
        yield Piece(self._source.read, self.kind, self._source.plain_file, self._workdir)

    def close(self) -> None:
        self._source.close()


def opened(paths: list[Path], name: str, limits: Limits, workdir: Path) -> Upload:
    source = Source(paths, limits)
    try:
        if source.is_archive:
            from datasets_app.engine.archive import Archive

            return Archive(source, limits, workdir)
        return Single(source, name, workdir)
    except BaseException:
        source.close()
        raise
