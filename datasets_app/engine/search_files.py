"""A text looked for in files as they were brought: plain or compressed, in archives, in tables, broken rows and all."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from datasets_app.engine import limits, pieces
from datasets_app.engine.limits import Limits
from datasets_app.engine.pieces import Piece
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.sniff import FileType
from datasets_app.engine.streams import CHUNK, Parts, Read

TABLES = (FileType.PARQUET, FileType.ARROW)
# One character of a text may take twelve bytes in a file: two escapes of JSON for what lies beyond the first plane.
LONGEST_SIGN, AROUND = 12, 64
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def files_with(files: list[dict[str, Any]], text: str, workdir: Path) -> dict[str, list[int]]:
    """{"files", "unread"}: ids of the files that hold the text, and of those that could not be read to their end."""
    found: dict[str, list[int]] = {"files": [], "unread": []}
    for one in files:
        answer = _answer(one, text, workdir)
        if answer:
            found[answer].append(one["id"])
    return found


def _answer(one: dict[str, Any], text: str, workdir: Path) -> str:
    """Where a file belongs: files, unread, or nowhere. What no reader takes is looked through byte by byte."""
    try:
        if one["paths"]:
            return "files" if holds(one, text, workdir) else ""
    except FileRefused:
        with closing(Parts([Path(path) for path in one["paths"]])) as file:
            if any(
                _in_text(part.decode("utf-8", "replace"), spellings(text)) for part in windows(file.read, len(text))
            ):
                return "files"
    except OSError:
        return "unread"
    return "unread"


def holds(one: dict[str, Any], text: str, workdir: Path) -> bool:
    paths = [Path(path) for path in one["paths"]]
    limits.earn_time(sum(path.stat().st_size for path in paths) * LONGEST_SIGN)
    bounds = Limits()
    upload = pieces.opened(paths, one["name"], bounds, workdir)
    wanted = spellings(text)
    try:
        return any(_in_piece(piece, wanted, text, bounds) for piece in upload.pieces())
    finally:
        upload.close()


def _in_piece(piece: Piece, wanted: frozenset[str], text: str, bounds: Limits) -> bool:
    if piece.kind in TABLES:
        return any(_in_text(part, wanted) for part in _records(piece, bounds))
    return _in_stream(piece.read, wanted, len(text))


def _in_stream(read: Read, wanted: frozenset[str], signs: int) -> bool:
    return any(_in_text(part.decode("utf-8", "replace"), wanted) for part in windows(read, signs))


def _records(piece: Piece, bounds: Limits) -> Iterator[str]:
    for item in piece.items(bounds, Counter()):
        if item.record is not None:
            yield json.dumps(item.record, ensure_ascii=False, default=str)


def windows(read: Read, signs: int) -> Iterator[bytes]:
    """The stream in stretches that overlap by as much as the text may take, so that it stands whole in one of them."""
    rest, overlap = b"", signs * LONGEST_SIGN + AROUND
    while chunk := read(CHUNK):
        yield rest + chunk
        rest = (rest + chunk)[-overlap:]
        limits.earn_time(len(chunk))


def _in_text(text: str, wanted: frozenset[str]) -> bool:
    plain = folded(unescaped(text))
    return any(one in plain for one in wanted)


def spellings(text: str) -> frozenset[str]:
    """How files may spell it: as it is, inside a JSON text, inside a quoted cell."""
    spelt = unescaped(json.dumps(text, ensure_ascii=False)[1:-1])  # what is looked through is unescaped as well
    return frozenset(folded(one) for one in (text, spelt, text.replace('"', '""')))


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


def unescaped(text: str) -> str:
    r"""With \u00fc and \/ read as what they stand for; other escapes are spelt in one way only."""
    text = text.replace("\\/", "/") if "\\/" in text else text
    if "\\u" not in text:
        return text
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
