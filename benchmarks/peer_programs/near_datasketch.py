"""MinHash and LSH of datasketch at 0.8 on word 3-grams, 128 permutations, with a fast hash as its manual advises."""

import re
import sys
from typing import Any

import xxhash
from common import answer, measured, texts
from datasketch import MinHash, MinHashLSH

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
found: dict[str, Any] = {}
rows = texts(sys.argv[1])
flagged = []
with measured(found):
    index = MinHashLSH(threshold=0.8, num_perm=128)
    for n, text in enumerate(rows):
        words = TOKEN.findall(text.casefold())
        signature = MinHash(num_perm=128, hashfunc=xxhash.xxh32_intdigest)
        signature.update_batch([" ".join(words[k : k + 3]).encode() for k in range(max(1, len(words) - 2))])
        if index.query(signature):
            flagged.append(n)
        index.insert(n, signature)
found["flagged"] = flagged
answer(found)
