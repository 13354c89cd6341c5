"""The floor of looking at every byte of the text once: a checksum in C."""

import sys
import zlib
from typing import Any

from common import answer, measured, texts

found: dict[str, Any] = {}
encoded = [text.encode() for text in texts(sys.argv[1])]
with measured(found):
    for text in encoded:
        zlib.crc32(text)
found["rows"] = len(encoded)
answer(found)
