"""encode_batch of tokenizers over every text, in batches of a thousand."""

import sys
from typing import Any

from common import answer, measured, texts
from tokenizers import Tokenizer

found: dict[str, Any] = {}
tokenizer = Tokenizer.from_file(sys.argv[2])
rows = texts(sys.argv[1])
total = 0
with measured(found):
    for start in range(0, len(rows), 1000):
        batch = tokenizer.encode_batch(rows[start : start + 1000], add_special_tokens=False)
        total += sum(len(encoded) for encoded in batch)
found["tokens"] = total
answer(found)
