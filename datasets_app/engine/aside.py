"""bad.jsonl: the text of every row that is kept aside, as it stood in the file."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine.readers.base import Item

BAD_FILE = "bad.jsonl"
EXAMPLES, MOST_EXAMPLES = "examples", 200


class Aside:
    """{"line", "member", "codes", "text"} a line. Bytes that are not UTF-8 stand in the text as halves of pairs,
    \\udc93 for 0x93, which Python's own reader takes back; rows without a text were too long to be held."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / BAD_FILE
        self._file: BinaryIO | None = None
        self.kept = 0  # rows; one of them may have several faults

    def keep(self, item: Item, member: str, faults: Sequence[BadRecord]) -> None:
        self.kept += 1
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        codes = list(dict.fromkeys(fault.code.value for fault in faults))
        entry = {"line": item.line, "member": member, "codes": codes, "text": text_of(item)}
        self._file.write(json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def keep_examples(self, folder: Path) -> None:
        """The first rows in a folder of their own: of a file that is refused, what shows how it could be mended."""
        self.close()
        if not self._path.is_file():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("rb") as all_of_them, (folder / BAD_FILE).open("wb") as some:
            some.writelines(islice(all_of_them, MOST_EXAMPLES))


def text_of(item: Item) -> str | None:
    """The row as it stood in the file, or the record of a table as JSON."""
    if item.text is not None:
        return item.text.decode("utf-8", "surrogateescape")
    return None if item.record is None else _as_json(item.record)


def _as_json(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, default=str)
