"""MinHash and LSH of rensa at 0.8 on word 3-grams, 128 permutations; prints the places of rows seen before."""

import re
import sys
from typing import Any

from common import answer, measured, texts
from rensa import RMinHash, RMinHashLSH

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
found: dict[str, Any] = {}
rows = texts(sys.argv[1])
flagged = []
with measured(found):
    index = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16)
    signatures = []
    for n, text in enumerate(rows):
        words = TOKEN.findall(text.casefold())
        signature = RMinHash(num_perm=128, seed=1)
        signature.update([" ".join(words[k : k + 3]) for k in range(max(1, len(words) - 2))])
        if any(signature.jaccard(signatures[k]) >= 0.8 for k in index.query(signature)):
            flagged.append(n)
        index.insert(n, signature)
        signatures.append(signature)
found["flagged"] = flagged
answer(found)
