"""API tokens and invitation links: how a secret is made, recognised and stored.

A token is 256 random bits, so a plain SHA-256 is enough to store it: there is nothing to guess. The checksum
lets a client or a scanner tell a mistyped or unrelated string from a token without asking the server.
"""

import hashlib
import secrets
import string
import zlib
from enum import StrEnum

ALPHABET = string.digits + string.ascii_letters
PREFIX = "lut_"


class Scope(StrEnum):
    READ = "read"
    WRITE = "write"


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits = ALPHABET[rest] + digits
    return digits


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), 6)


def new_token() -> str:
    """`lut_` + 43 base62 characters (256 bits) + a 6-character CRC-32."""
    body = PREFIX + _base62(int.from_bytes(secrets.token_bytes(32)), 43)
    return body + _checksum(body)


def looks_like_token(text: str) -> bool:
    return text.startswith(PREFIX) and len(text) == 53 and text[-6:] == _checksum(text[:-6])


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
