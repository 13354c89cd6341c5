"""Fields that hold either one text or a list of messages."""

from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Message
from datasets_app.domain.formats.messages import read_messages

EITHER = "a text or a list of messages"


def turns_of(value: Any, field: str, role: str) -> list[Message]:
    """A text becomes one turn of the role; a list is read as messages."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if not isinstance(value, list):
        raise BadRecord(field, Code.WRONG_TYPE, value, EITHER)
    return read_messages(value, field)
