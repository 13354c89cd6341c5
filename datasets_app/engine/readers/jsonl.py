"""One JSON object a line."""

from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import sniff, strict
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Item, Items, checked, too_long
from datasets_app.engine.streams import Read, lines


def read(source: Read, limits: Limits) -> Items:
    for number, line in lines(source, limits.line_bytes):
        if line is None:
            yield too_long(number, limits.line_bytes)
            continue
        text = line.removeprefix(sniff.BOM) if number == 1 else line
        if not text.strip():
            continue
        try:
            yield checked(number, strict.loads(text, limits), text)
        except BadRecord as bad:
            yield Item(number, None, bad, text)
