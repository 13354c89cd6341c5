"""What a file really is, judged by its first bytes; the name only decides between equals."""

import csv
import re
from enum import StrEnum

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.detect import KNOWN_COLUMNS
from datasets_app.engine.refusal import FileRefused

HEAD = 64 * 1024
BOM = b"\xef\xbb\xbf"


class FileType(StrEnum):
    JSONL = "jsonl"
    JSON_LIST = "json"
    JSON_OBJECTS = "json_objects"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    ARROW = "arrow"


ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
}
FOREIGN = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program (ELF)",
    b"MZ": "a program (Windows)",
    b"SQLite format 3": "an SQLite database",
    b"<!DOCTYPE": "an HTML page",
    b"<!doctype": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "an XML document",
    b"<svg": "an SVG image",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
}
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
ARROW = (b"ARROW1", b"\xff\xff\xff\xff")  # a file, a stream
COMPRESSED = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}


def compression(head: bytes) -> str:
    return next((name for magic, name in COMPRESSED.items() if head.startswith(magic)), "")


def is_zip(head: bytes) -> bool:
    return head.startswith(ZIP)


def shown(kind: FileType) -> str:
    """The name of a type as people know it."""
    return "json" if kind == FileType.JSON_OBJECTS else kind.value


def file_type(head: bytes, name: str) -> FileType:
    """The type of the (unpacked) file; refuses what is no table of rows."""
    if not head:
        raise FileRefused(Code.EMPTY_FILE, "0 bytes")
    if head.startswith(b"PAR1"):
        return FileType.PARQUET
    if head.startswith(ARROW):
        return FileType.ARROW
    _refuse_foreign(head)
    text = head.removeprefix(BOM)
    if not text.strip():
        raise FileRefused(Code.EMPTY_FILE, "only spaces and line breaks")
    if b"\x00" in text:
        raise FileRefused(Code.TYPE_MISMATCH, "binary data")
    if b"\n" not in text and text.count(b"\r") > 1:
        raise FileRefused(Code.LINE_ENDS_CR, "no line feed in the first 64 kB")
    return _text_type(text, name.lower())


def _refuse_foreign(head: bytes) -> None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _alternates_with_zero(head[:4]):
        raise FileRefused(Code.ENCODING_UTF16, "a UTF-16 byte order mark or zero bytes between the letters")
    if is_zip(head):
        raise FileRefused(Code.NESTED_ARCHIVE, "an archive inside the compressed file")
    for magic, name in ARCHIVES.items():
        if head.startswith(magic):
            raise FileRefused(Code.ARCHIVE_UNSUPPORTED, name)
    for magic, name in FOREIGN.items():
        if head.lstrip().startswith(magic):
            raise FileRefused(Code.TYPE_MISMATCH, name)


def _alternates_with_zero(start: bytes) -> bool:
    """UTF-16 without its mark: every other byte of Latin text is zero."""
    odd, even = start[1::2], start[0::2]
    return len(start) == 4 and ((not any(odd) and all(even)) or (not any(even) and all(odd)))


def _text_type(text: bytes, name: str) -> FileType:
    if re.match(rb"\s*\[\s*[{\]]", text):
        return FileType.JSON_LIST
    lines = text.split(b"\n")
    whole = lines if len(text) < HEAD - len(BOM) else lines[:-1]
    if any(_is_object(line) for line in whole[:50]):
        # One line only may also be an object of columns; the document reader can tell.
        return FileType.JSONL if len([x for x in whole if x.strip()]) > 1 else FileType.JSON_OBJECTS
    if text.lstrip().startswith(b"["):
        return FileType.JSONL if ".jsonl" in name else FileType.JSON_LIST
    if text.lstrip().startswith(b"{"):
        return FileType.JSONL if ".jsonl" in name else FileType.JSON_OBJECTS
    delimiter = delimiter_of(lines[0].decode("utf-8", "replace"))
    if delimiter:
        return FileType.TSV if delimiter == "\t" else FileType.CSV
    if ".jsonl" in name or ".ndjson" in name:
        raise FileRefused(Code.TYPE_MISMATCH, "text without one JSON object in its first 50 lines")
    return _table_by_name(lines[0], name)


def _table_by_name(header: bytes, name: str) -> FileType:
    """A table whose columns we do not know: detection will list them and ask."""
    if ".csv" in name and any(d in header for d in (b",", b";", b"|")):
        return FileType.CSV
    if ".tsv" in name and b"\t" in header:
        return FileType.TSV
    raise FileRefused(Code.TYPE_MISMATCH, "text that is neither JSON nor a table with known columns")


def _is_object(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def delimiter_of(header: str) -> str:
    """The sign that splits a header line into the most known columns; empty if none is known."""

    def known(delimiter: str) -> int:
        try:
            cells = next(csv.reader([header.strip()], delimiter=delimiter), [])
        except csv.Error:
            return 0
        return len({cell.strip().lower() for cell in cells} & KNOWN_COLUMNS)

    best = max((",", "\t", ";", "|"), key=known)
    return best if known(best) else ""
