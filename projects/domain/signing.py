"""Signatures of webhooks by the Standard Webhooks scheme, and the secrets that they are made with.

A secret is not stored: it is derived from a key of the installation and a salt that stands in the row. So it can be
shown once and used for ever, and a copy of the database alone signs nothing.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

PREFIX = "whsec_"
PURPOSE = b"luthier webhook secret\n"
TOLERANCE_SECONDS = 300


class NoSuchKey(Exception):
    """The key of the installation that a secret was derived from is not known any more."""


def new_salt() -> str:
    return secrets.token_hex(16)


def key_id(key: str) -> str:
    """Tells keys apart without telling anything about them."""
    return hmac.new(key.encode(), b"luthier key id", hashlib.sha256).hexdigest()[:8]


def secret_of(salt: str, wanted: str, keys: Iterable[str]) -> str:
    """`whsec_` and 256 bits in base64, of the key with the id `wanted` among those that are known."""
    for key in keys:
        if hmac.compare_digest(key_id(key), wanted):
            made = hmac.new(key.encode(), PURPOSE + salt.encode(), hashlib.sha256).digest()
            return PREFIX + base64.b64encode(made).decode()
    raise NoSuchKey(wanted)


def body_of(name: str, at: datetime, data: dict[str, Any]) -> bytes:
    """What is sent, the same bytes at every attempt."""
    message = {"type": name, "timestamp": at.isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(message, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over "id.timestamp.body"."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers_of(valid: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. While a secret is being replaced there is one signature for each of the two."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in valid),
    }
