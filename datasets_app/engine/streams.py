"""Bytes of an upload, unpacked on the way, never more of them than the limits allow."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from datasets_app.domain.codes import Code
from datasets_app.engine import sniff
from datasets_app.engine.limits import Limits
from datasets_app.engine.refusal import FileRefused

CHUNK = 1024 * 1024
Read = Callable[[int], bytes]


class Source:
    """One upload as a stream of plain bytes, with a first look at its head and a running count."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.size = path, path.stat().st_size
        self._file: BinaryIO = path.open("rb")
        self._cap = limits.decoded_cap(self.size)
        self.compression = sniff.compression(self._file.read(8))
        self._file.seek(0)
        self._read = self._reader()
        self.produced = 0
        self.head = self._fill(sniff.HEAD)
        self._pending = self.head
        if self.compression and sniff.compression(self.head):
            raise FileRefused(Code.NESTED_ARCHIVE, "a compressed file inside the compressed file")

    @property
    def consumed(self) -> int:
        """Bytes read of the file as uploaded: what progress is measured in."""
        return self._file.tell()

    def read(self, size: int = CHUNK) -> bytes:
        if self._pending:
            piece, self._pending = self._pending[:size], self._pending[size:]
            return piece
        return self._take(size)

    def spool(self, path: Path) -> Path:
        """Write the plain bytes to a file, for readers that must seek."""
        with path.open("wb") as out:
            while piece := self.read(CHUNK):
                out.write(piece)
        return path

    def close(self) -> None:
        self._file.close()

    def _fill(self, size: int) -> bytes:
        pieces, missing = [], size
        while missing and (piece := self._take(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        piece = self._read(size)
        self.produced += len(piece)
        if self.compression and self.produced > self._cap:
            raise FileRefused(Code.ARCHIVE_TOO_LARGE, f"more than {self._cap // 1_000_000} MB from {self.size} bytes")
        return piece

    def _reader(self) -> Read:
        if self.compression == "gz":
            return _pieces(_gunzip(self._file))
        if self.compression == "zst":
            return _unzstd(self._file)
        return self._file.read


def _pieces(stream: Iterator[bytes]) -> Read:
    """A read function over a stream whose pieces are small by construction."""
    rest = b""

    def read(size: int) -> bytes:
        nonlocal rest
        if not rest:
            rest = next(stream, b"")
        piece, rest = rest[:size], rest[size:]
        return piece

    return read


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """Members of a gzip file one after another, at most one chunk of output held at a time."""
    inflater = zlib.decompressobj(wbits=31)
    data = file.read(CHUNK)
    while data:
        try:
            piece = inflater.decompress(data, CHUNK)
        except zlib.error as error:
            raise FileRefused(Code.ARCHIVE_DAMAGED, str(error)) from error
        if piece:
            yield piece
        if inflater.eof:
            data = inflater.unused_data.lstrip(b"\x00") or file.read(CHUNK).lstrip(b"\x00")
            if data:
                inflater = zlib.decompressobj(wbits=31)
            continue
        data = inflater.unconsumed_tail or file.read(CHUNK)
        if not data and not inflater.eof:
            yield from _tail(inflater)


def _tail(inflater: "zlib._Decompress") -> Iterator[bytes]:
    """What a stream still holds when the file ends; a stream without its end is a cut file."""
    while piece := inflater.decompress(b"", CHUNK):
        yield piece
    if not inflater.eof:
        raise FileRefused(Code.ARCHIVE_DAMAGED, "the gzip stream ends too early")


def _unzstd(file: BinaryIO) -> Read:
    stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")

    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except (OSError, pa.ArrowException) as error:
            raise FileRefused(Code.ARCHIVE_DAMAGED, str(error)[:160]) from error

    return read


def lines(read: Read, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their end; None stands for a line that was too long to be held."""
    number, rest, skipping = 0, b"", False
    while chunk := read(CHUNK):
        pieces = (rest + chunk).split(b"\n")
        rest = pieces.pop()
        for piece in pieces:
            number += 1
            yield number, None if skipping or len(piece) > longest else piece.removesuffix(b"\r")
            skipping = False
        if skipping or len(rest) > longest:
            rest, skipping = b"", True
    if rest or skipping:
        yield number + 1, None if skipping else rest.removesuffix(b"\r")
