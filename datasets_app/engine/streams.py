"""Bytes of an upload, unpacked on the way, never more of them than the limits allow."""

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from datasets_app.domain.codes import Code
from datasets_app.engine import sniff
from datasets_app.engine.limits import Limits
from datasets_app.engine.refusal import FileRefused

CHUNK = 1024 * 1024
Read = Callable[[int], bytes]


class Parts(io.RawIOBase):
    """Files one after another as one stream."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._waiting = list(reversed(paths))
        self._file: BinaryIO | None = None
        self.position = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while True:
            if self._file is None:
                if not self._waiting:
                    return b""
                self._file = self._waiting.pop().open("rb", buffering=0)
            piece = self._file.read(size)
            if piece or size == 0:
                self.position += len(piece)
                return piece
            self._file.close()
            self._file = None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


class Source:
    """One upload as a stream of plain bytes, with a first look at its head and a running count."""

    def __init__(self, paths: Path | Sequence[Path], limits: Limits) -> None:
        self.paths = [paths] if isinstance(paths, Path) else list(paths)
        self.size = sum(path.stat().st_size for path in self.paths)
        start = _start_of(self.paths)
        self._file = Parts(self.paths)
        self._cap = limits.decoded_cap(self.size)
        self.compression = sniff.compression(start)
        self.is_archive = sniff.is_zip(start)
        self._read = self._reader()
        self.produced = 0
        try:
            self.head = self._fill(sniff.HEAD)
        except BaseException:
            self.close()
            raise
        self._pending = self.head
        if self.compression and sniff.compression(self.head):
            raise FileRefused(Code.NESTED_ARCHIVE, "a compressed file inside the compressed file")

    @property
    def consumed(self) -> int:
        """Bytes read of the file as uploaded: what progress is measured in."""
        return self._file.position

    def read(self, size: int = CHUNK) -> bytes:
        if self._pending:
            piece, self._pending = self._pending[:size], self._pending[size:]
            return piece
        return self._take(size)

    def plain_file(self, path: Path) -> Path:
        """A file with the plain bytes, for readers that must seek: the upload itself, or `path` written for them."""
        if len(self.paths) == 1 and not self.compression:
            return self.paths[0]
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


def _start_of(paths: Sequence[Path]) -> bytes:
    file = Parts(paths)
    try:
        return file.read(8)
    finally:
        file.close()


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


def _gunzip(file: Parts) -> Iterator[bytes]:
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


def _unzstd(file: Parts) -> Read:
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
