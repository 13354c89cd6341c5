"""Lexical diversity: different n-grams for the amount of text, and how well the text compresses."""

import ctypes
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets_app.domain.findings import Found
from datasets_app.engine.batch import Bytes
from datasets_app.engine.facts import Facts
from datasets_app.engine.words_native import View, address, copied, kernels

if TYPE_CHECKING:
    from datasets_app.engine.words import Words

BLOCK = 1 << 20  # bytes compressed at a time, and so the window in which repetition is seen
ALL_BLOCKS, EVERY = 64, 8  # the first so many blocks, then every so many-th
LEVEL = 1
FIRST_POINT = 4096  # words; versions smaller than that are not compared
DROP, SQUEEZE = 0.10, 0.15  # relative to a parent: fewer different n-grams, better compression
HLL_ERROR = 0.0081


class Diversity:
    """Compresses batches as they come; different n-grams are counted by the kernel.

    Different n-grams grow more slowly than text, so versions of unlike size are compared at the same number of words:
    the kernel notes the counts at every doubling.
    """

    def __init__(self) -> None:
        import pyarrow as pa

        self.read = self.packed = self.whole = 0
        self._codec = pa.Codec("zstd", compression_level=LEVEL)
        self._buffer: Bytes = np.zeros(0, np.uint8)
        self._blocks = 0

    def take(self, view: View) -> None:
        size = view.batch.text.nbytes
        if len(self._buffer) < size:
            self._buffer = np.empty(size + size // 2, np.uint8)
        filled = kernels().words_plain_text(view.pointer, address(self._buffer))
        self.whole += filled
        for at in range(0, filled, BLOCK):
            block = self._buffer[at : min(at + BLOCK, filled)]
            if at and len(block) < BLOCK // 16:
                continue  # the crumbs of a batch
            if self._blocks < ALL_BLOCKS or self._blocks % EVERY == 0:
                self.read += len(block)
                self.packed += self._codec.compress(block).size
            self._blocks += 1

    def finish(self, words: "Words", facts: Facts, parents: Sequence[dict[str, Any]]) -> None:
        counts = [distinct(words, n) for n in (1, 2, 3)]
        totals = [total(words, n) for n in (1, 2, 3)]
        facts.stats["diversity"] = {
            "words": totals[0],
            "vocabulary": round(counts[0][0]),
            "distinct": [round(c / t, 6) if t else 0.0 for (c, _), t in zip(counts, totals, strict=True)],
            "different": [round(c) for c, _ in counts],
            "exact": all(exact for _, exact in counts),
            "error": 0.0 if all(exact for _, exact in counts) else HLL_ERROR,
            "compression": {
                "codec": f"zstd-{LEVEL}",
                "window": BLOCK,
                "read": self.read,
                "packed": self.packed,
                "share_read": round(self.read / self.whole, 4) if self.whole else 0.0,
                "ratio": round(self.read / self.packed, 4) if self.packed else 0.0,
            },
            "curve": curve(words),
        }
        _note_drop(facts, [parent["diversity"] for parent in parents if parent.get("diversity")])


def curve(words: "Words") -> list[list[int]]:
    """[words, different words, different 2-grams, different 3-grams] at each doubling and the end."""
    points = ctypes.c_int64()
    pointer = ctypes.c_void_p(kernels().words_curve(words.handle, ctypes.byref(points)))
    listed = np.rint(copied(pointer, 4 * points.value, np.float64)).astype(np.int64).reshape(-1, 4).tolist()
    last = [total(words, 1), *(round(distinct(words, n)[0]) for n in (1, 2, 3))]
    return listed if listed and listed[-1][0] == last[0] else [*listed, last]


def total(words: "Words", n: int) -> int:
    count, exact = ctypes.c_int64(), ctypes.c_int()
    kernels().words_distinct(words.handle, n, ctypes.byref(count), ctypes.byref(exact))
    return count.value


def distinct(words: "Words", n: int) -> tuple[float, bool]:
    """Different n-grams of all rows, and whether the number is exact (below 65,536) or has an error of 0.8 %."""
    count, exact = ctypes.c_int64(), ctypes.c_int()
    found = kernels().words_distinct(words.handle, n, ctypes.byref(count), ctypes.byref(exact))
    return float(found), bool(exact.value)


def _note_drop(facts: Facts, parents: list[dict[str, Any]]) -> None:
    """LOW_DIVERSITY when there are fewer different n-grams than in a parent at the same number of words."""
    mine = facts.stats["diversity"]
    drops = []
    for number, parent in enumerate(parents):
        at = min(mine["curve"][-1][0], parent["curve"][-1][0]) if mine["curve"] and parent.get("curve") else 0
        if at < FIRST_POINT:
            continue
        ratios = [_at(mine["curve"], n, at) / max(1.0, _at(parent["curve"], n, at)) for n in (1, 2, 3)]
        squeeze = _squeeze(mine["compression"], parent["compression"])
        if min(ratios[1:]) < 1 - DROP or squeeze > 1 + SQUEEZE:
            drops.append(
                {"parent": number, "words": at, "ratios": [round(r, 4) for r in ratios], "compression": squeeze}
            )
    if drops:
        facts.note(Found.LOW_DIVERSITY, [], {"against": drops}, count=0)


def _squeeze(mine: dict[str, Any], parent: dict[str, Any]) -> float:
    """How many times better this compresses; 1 when there is too little text to fill the window."""
    if min(mine["read"], parent["read"]) < BLOCK:
        return 1.0
    return float(mine["ratio"] / parent["ratio"])


def _at(curve: list[list[int]], n: int, words: int) -> float:
    """Different n-grams after so many words, read off the curve on logarithmic axes."""
    xs = [math.log(point[0]) for point in curve if point[0]]
    ys = [math.log(max(1, point[n])) for point in curve if point[0]]
    return math.exp(float(np.interp(math.log(words), xs, ys)))
