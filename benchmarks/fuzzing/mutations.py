"""Ways to break a file: in its bytes, in its JSON, in the structure of its container."""

import random
import re
import struct
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]

NASTY = [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\\ud800",
    b"\\u0000",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9" * 400,
    b"0." + b"3" * 400,
    b"\r",
    b"\r\n",
    b"\n\n",
    "\u2028".encode(),
    "\u202e".encode(),
    b'"',
    b'""',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'{"role":"user"}',
    b"\t",
    b";",
    b"PK\x03\x04",
    b"PAR1",
    b"ARROW1",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
]
NUMBERS = (0, 1, -1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62, 2**63 - 1, 2**64 - 1)


def flip(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def flip_near_the_end(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Where Parquet, Arrow files and ZIP keep their tables of contents."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 8))):
        out[-1 - rng.randrange(min(len(out), 400))] = rng.randrange(256)
    return bytes(out)


def number(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A little-endian number of some width put over what stands there: lengths, counts, offsets."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 3))):
        width, shape = rng.choice(((2, "<H"), (4, "<I"), (8, "<Q")))
        if len(out) > width:
            at = rng.randrange(len(out) - width)
            out[at : at + width] = struct.pack(shape, rng.choice(NUMBERS) & (2 ** (8 * width) - 1))
    return bytes(out)


def truncate(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def behead(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return data[rng.randrange(len(data)) :]


def drop(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randint(1, 64) :]


def repeat(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    at = rng.randrange(len(data))
    piece = data[at : at + rng.randint(1, 300)]
    return data[:at] + piece * rng.choice((2, 3, 50, 2000)) + data[at:]


def splice(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def join(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return data + rng.choice(others)


def insert(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 6))):
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice(NASTY) + data[at:]
    return data


def noise(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice((1, 16, 500))) + data[at + rng.randint(0, 64) :]


def _value(data: bytes, rng: random.Random, new: bytes) -> bytes:
    """Something in the place of a JSON value."""
    places = [match.end() for match in re.finditer(rb'":\s*', data[:200_000])]
    if not places:
        return insert(data, rng, [])
    start = rng.choice(places)
    end = start
    while end < len(data) and data[end : end + 1] not in (b",", b"}", b"\n"):
        end += 1
    return data[:start] + new + data[end:]


def deep(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    levels = rng.choice((63, 64, 65, 129, 1025, 5000, 200_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inner = b"1" if rng.random() < 0.8 else b""
    return _value(data, rng, opening * levels + inner + closing * (levels - (rng.random() < 0.2)))


def huge(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return _value(
        data, rng, rng.choice((b"9" * 5000, b"1e400", b"-" + b"8" * 30, b'"' + b"x" * 2_000_000 + b'"', b"0" * 50))
    )


def wrong_value(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return _value(
        data, rng, rng.choice((b"null", b"17", b"[]", b"{}", b'""', b"[null]", b'[{"role":5}]', b"NaN", b"tru", b""))
    )


def twice(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """The same key twice in one object."""
    keys = list(re.finditer(rb'"(\w+)":', data[:200_000]))
    if not keys:
        return repeat(data, rng, others)
    key = rng.choice(keys)
    return data[: key.start()] + b'"' + key[1] + b'": null, ' + data[key.start() :]


def encode(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1251", "shift_jis"))
    return data.decode("utf-8", "replace").encode(encoding, "replace")


def line_ends(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\x0b", "\u2029".encode(), b"")))


def swap(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    old, new = rng.sample((b'"', b",", b":", b"{", b"}", b"[", b"]", b"\\", b"'", b"\t", b"role", b"user"), 2)
    return data.replace(old, new, rng.choice((1, 1, 3, -1)))


ON_BYTES: tuple[Mutation, ...] = (
    flip,
    flip,
    flip_near_the_end,
    number,
    number,
    truncate,
    behead,
    drop,
    repeat,
    splice,
    join,
    insert,
    noise,
)
ON_TEXT: tuple[Mutation, ...] = (deep, huge, wrong_value, wrong_value, twice, encode, line_ends, swap, insert, flip)


def mutate(data: bytes, rng: random.Random, others: list[bytes], *, is_text: bool) -> bytes:
    """One to three mutations; an empty file has nothing left to break."""
    kinds = ON_TEXT + ON_BYTES if is_text else ON_BYTES
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not data:
            break
        data = rng.choice(kinds)(data, rng, others)
    return data[:8_000_000]
