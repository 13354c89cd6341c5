"""A directory as one file to download, and one file of it in the ranges that a client asks for."""

import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

IN_MEMORY = 8 * 1024 * 1024
CHUNK = 1024 * 1024
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def zipped(folder: Path, name: str) -> IO[bytes]:
    """All files of a folder under one directory; stored as they are, since weights do not shrink."""
    out: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the response closes it
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"{name}/{path.name}")
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out


class _Pipe(io.RawIOBase):
    """Where an archive is written to and taken from again, piece by piece."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self.parts.append(piece)
        return len(piece)

    def take(self) -> bytes:
        found, self.parts = b"".join(self.parts), []
        return found


def streamed(folder: Path, name: str) -> Iterator[bytes]:
    """The same archive while it is being made: a model of many gigabytes takes neither memory nor a second disk."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo.from_file(path, f"{name}/{path.name}")
            with archive.open(entry, "w", force_zip64=True) as out, path.open("rb") as file:
                while piece := file.read(CHUNK):
                    out.write(piece)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


def span(header: str, size: int) -> tuple[int, int] | None:
    """First byte and length of a single range; None for a header that asks for the whole or says nothing clear.

    Raises ValueError for a range that the file does not have.
    """
    match = RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        start, end = size - length, size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or end <= start:
        raise ValueError(header)
    return start, end - start


def pieces(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0 and (piece := file.read(min(CHUNK, length))):
            length -= len(piece)
            yield piece
