"""ZIP archives of tables: members in the order of their names, every byte counted while it is unpacked."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import mapping as mappings
from datasets_app.domain.formats.base import Format
from datasets_app.engine import sniff
from datasets_app.engine.limits import MB, Limits
from datasets_app.engine.pieces import Piece
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.streams import CHUNK, Source

TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")
BESIDES = (".md", ".txt", ".rst", ".license", ".yaml", ".yml", ".py", ".gitattributes")  # lie beside tables
INFO = "dataset_info.json"
INFO_BYTES = MB
OFFICE = "[Content_Types].xml"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Archive:
    """Refuses what is dangerous by its table of contents, and what lies about its size as it is unpacked."""

    def __init__(self, source: Source, limits: Limits, workdir: Path) -> None:
        self.size, self._limits, self._workdir = source.size, limits, workdir
        self._cap, self._produced = limits.decoded_cap(source.size), 0
        self._joined = workdir / "archive.zip"
        self._path = source.plain_file(self._joined)
        source.close()
        try:
            self._zip = zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise FileRefused(Code.ARCHIVE_DAMAGED, str(error)[:160]) from error
        try:
            self._look_through(self._zip.infolist())
        except FileRefused:
            self.close()
            raise
        self._kinds: list[str] = []

    def _look_through(self, members: list[zipfile.ZipInfo]) -> None:
        if len(members) > self._limits.members:
            raise FileRefused(Code.ARCHIVE_TOO_MANY, f"{len(members)} entries")
        self._members = [one for one in checked(members) if not one.is_dir()]
        self._info = self._read_info()
        self._tables = self._chosen()

    @property
    def consumed(self) -> int:
        """As a share of what the members say they hold; honest archives say it rightly."""
        whole = sum(one.file_size for one in self._tables) or 1
        return min(self.size, self.size * self._produced // whole)

    @property
    def type_name(self) -> str:
        kinds = sorted(set(self._kinds))
        return f"{'+'.join(kinds)}.zip" if kinds else "zip"

    def pieces(self) -> Iterator[Piece]:
        for member in self._tables:
            with self._open(member) as stream:
                yield self._piece(member, stream)

    def close(self) -> None:
        self._zip.close()
        self._joined.unlink(missing_ok=True)

    def _piece(self, member: zipfile.ZipInfo, stream: IO[bytes]) -> Piece:
        head = self._read_head(stream)
        if sniff.compression(head):
            raise FileRefused(Code.NESTED_ARCHIVE, f"“{member.filename[:120]}” is compressed once more")
        kind = sniff.file_type(head, member.filename)
        self._kinds.append(sniff.shown(kind))
        waiting = [head]

        def read(size: int = CHUNK) -> bytes:
            if waiting:
                piece = waiting.pop()
                if len(piece) > size:
                    waiting.append(piece[size:])
                return piece[:size]
            return self._take(stream, size)

        def spooled(path: Path) -> Path:
            with path.open("wb") as out:
                while piece := read():
                    out.write(piece)
            return path

        entry = self._info.get(member.filename.rpartition("/")[2], {})
        return Piece(
            read,
            kind,
            spooled,
            self._workdir,
            member=member.filename if len(self._tables) > 1 else "",
            format=_format_of(entry),
            mapping=_mapping_of(entry),
        )

    def _read_head(self, stream: IO[bytes]) -> bytes:
        head = b""
        while len(head) < sniff.HEAD and (piece := self._take(stream, sniff.HEAD - len(head))):
            head += piece
        return head

    def _open(self, member: zipfile.ZipInfo) -> IO[bytes]:
        if member.flag_bits & 1:
            raise FileRefused(Code.ARCHIVE_UNSUPPORTED, f"“{member.filename[:120]}” needs a password")
        if member.compress_type not in METHODS:
            raise FileRefused(Code.ARCHIVE_UNSUPPORTED, f"“{member.filename[:120]}” is packed in an unusual way")
        try:
            return self._zip.open(member)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise FileRefused(Code.ARCHIVE_DAMAGED, str(error)[:160]) from error

    def _take(self, stream: IO[bytes], size: int) -> bytes:
        try:
            piece = stream.read(min(size, CHUNK))
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise FileRefused(Code.ARCHIVE_DAMAGED, str(error)[:160]) from error
        self._produced += len(piece)
        if self._produced > self._cap:
            raise FileRefused(Code.ARCHIVE_TOO_LARGE, f"more than {self._cap // 1_000_000} MB from {self.size} bytes")
        return piece

    def _chosen(self) -> list[zipfile.ZipInfo]:
        """The tables by their names; where no name says so, everything that does not plainly lie beside them."""
        if any(one.filename == OFFICE or one.filename.startswith("xl/") for one in self._members):
            raise FileRefused(Code.ARCHIVE_UNSUPPORTED, "an Office file")
        plain = [one for one in self._members if not _is_hidden(one.filename) and not one.filename.endswith(INFO)]
        listed = [one for one in plain if one.filename.rpartition("/")[2] in self._info]
        tables = [one for one in plain if one.filename.lower().endswith(TABLES)]
        others = [one for one in plain if not one.filename.lower().endswith(BESIDES)]
        chosen = sorted(listed or tables or others, key=lambda one: one.filename)
        if not chosen:
            raise FileRefused(Code.EMPTY_FILE, "no table in the archive")
        if sum(one.file_size for one in chosen) > self._cap:  # before a byte of it is unpacked
            raise FileRefused(Code.ARCHIVE_TOO_LARGE, f"more than {self._cap // 1_000_000} MB from {self.size} bytes")
        return chosen

    def _read_info(self) -> dict[str, Any]:
        """LLaMA-Factory's dataset_info.json: the entry of each file by its name."""
        member = next((one for one in self._members if one.filename.rpartition("/")[2] == INFO), None)
        if member is None or member.file_size > INFO_BYTES:
            return {}
        try:
            with self._open(member) as stream:
                entries = orjson.loads(stream.read(INFO_BYTES))
        except (orjson.JSONDecodeError, zipfile.BadZipFile, zlib.error, EOFError, OSError):
            return {}
        found = entries.values() if isinstance(entries, dict) else []
        names = {one.filename.rpartition("/")[2] for one in self._members}
        listed = {str(e["file_name"]).rpartition("/")[2]: e for e in found if isinstance(e, dict) and "file_name" in e}
        return {name: entry for name, entry in listed.items() if name in names}


def checked(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """No paths that lead out, no links, no two entries over the same bytes."""
    seen: set[str] = set()
    for one in members:
        path, name = PurePosixPath(one.filename), one.orig_filename
        kind = stat.S_IFMT(one.external_attr >> 16)
        unsafe = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name
        if unsafe or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise FileRefused(Code.UNSAFE_PATH, f"“{name[:120]}”".replace("\0", "\\0"))
        if one.filename.casefold() in seen:
            raise FileRefused(Code.UNSAFE_PATH, f"“{name[:120]}” twice")
        seen.add(one.filename.casefold())
    end = 0
    for one in sorted(members, key=lambda one: one.header_offset):
        if one.header_offset < end:
            raise FileRefused(Code.ARCHIVE_TOO_LARGE, f"“{one.filename[:120]}” lies over another entry")
        end = one.header_offset + 30 + len(one.orig_filename.encode()) + one.compress_size
    return members


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def _format_of(entry: dict[str, Any]) -> Format | None:
    """What an entry says about its format; nothing where the rows themselves have to."""
    if not entry:
        return None
    if entry.get("formatting") == "sharegpt":
        return Format.SHAREGPT
    return None if entry.get("ranking") or (entry.get("columns") or {}).get("kto_tag") else Format.ALPACA


def _mapping_of(entry: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(mappings.from_dataset_info(entry)) if entry else {}
    except (mappings.BadMapping, AttributeError, TypeError):
        return {}
