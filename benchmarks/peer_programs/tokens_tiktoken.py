"""tiktoken with the same ranks as the tokenizer file, two threads."""

import json
import sys
from pathlib import Path
from typing import Any

import tiktoken
from common import answer, measured, texts

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def byte_of_sign() -> dict[str, int]:
    """The printable sign that stands for each byte in byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = {chr(byte): byte for byte in plain}
    others = [byte for byte in range(256) if byte not in plain]
    return signs | {chr(256 + n): byte for n, byte in enumerate(others)}


model = json.loads(Path(sys.argv[2]).read_text())["model"]
table = byte_of_sign()
ordered = [a + b for a, b in (m if isinstance(m, list) else m.split(" ") for m in model["merges"])]
ranks = {bytes([byte]): byte for byte in range(256)}
for word in ordered:
    ranks.setdefault(bytes(table[sign] for sign in word), len(ranks))
encoding = tiktoken.Encoding("same", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
found: dict[str, Any] = {}
rows = texts(sys.argv[1])
total = 0
with measured(found):
    for start in range(0, len(rows), 1000):
        total += sum(map(len, encoding.encode_ordinary_batch(rows[start : start + 1000], num_threads=2)))
found["tokens"] = total
answer(found)
