"""What the reading child says is JSON, whatever stood in the file."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from datasets_app.engine import events


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xff\x00", "\ufffd\x00"),
        (Decimal("1.50"), "1.50"),
        (timedelta(minutes=3), "0:03:00"),
        ("half \ud83d of a sign", "half ? of a sign"),
        ([{"half \ud83d": b"\x80"}], [{"half ?": "\ufffd"}]),
    ],
)
def test_what_json_does_not_know_is_said_as_text(capfdbinary, value, said):
    events.emit("first", rows=value)
    assert json.loads(capfdbinary.readouterr().out) == {"event": "first", "rows": said}
