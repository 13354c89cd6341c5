"""The search index of a version: from a word to the groups of a thousand rows that hold it.

Three arrays beside the rows, mapped into memory when read: `words.index.hashes.npy` (uint32, ascending),
`words.index.offsets.npy` (uint64, one more) and `words.index.groups.npy` (uint16, ascending within a word). The first
four characters of each word are listed too, so that the last word of a query may be unfinished.
"""

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.engine.batch import PADDING, Ints
from datasets_app.engine.words_native import address, checked, kernels, tokens_of

if TYPE_CHECKING:
    from datasets_app.engine.words import Words

GROUP_ROWS = 1000  # group g holds the rows of index 1000 g to 1000 g + 999
NAME = "words.index.{}.npy"


def write(words: "Words", folder: Path) -> None:
    lib = kernels()
    size = lib.words_index_size(words.handle)
    groups = np.lib.format.open_memmap(
        folder / NAME.format("groups"), mode="w+", dtype=np.uint16, shape=(max(1, size),)
    )
    hashes, offsets, n = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int64()
    found = [ctypes.byref(value) for value in (hashes, offsets, n)]
    checked(lib.words_index_merge(words.handle, address(groups), *found))
    try:
        np.save(folder / NAME.format("hashes"), _array(hashes, n.value, np.uint32), allow_pickle=False)
        np.save(folder / NAME.format("offsets"), _array(offsets, n.value + 1, np.uint64), allow_pickle=False)
    finally:
        lib.words_index_free(hashes)
        lib.words_index_free(offsets)
    groups.flush()


def _array(pointer: ctypes.c_void_p, n: int, kind: Any) -> NDArray[Any]:
    size = n * np.dtype(kind).itemsize
    return (
        np.frombuffer((ctypes.c_char * size).from_address(pointer.value or 0), dtype=kind) if n else np.zeros(0, kind)
    )


def candidates(folder: Path, text: str) -> Ints | None:
    """Groups that may hold every word of the text; None when the index cannot narrow the search.

    No group that holds all the words is missing. Words match whole; the last one may be the beginning of a word, for
    which its first four characters are looked up, unless the text ends with a space.
    """
    if not (folder / NAME.format("hashes")).exists():
        return None
    wanted = _wanted(text)
    if not wanted:
        return None
    hashes, offsets, groups = (np.load(folder / NAME.format(part), mmap_mode="r") for part in PARTS)
    lists = []
    for word in wanted:
        at = int(np.searchsorted(hashes, np.uint32(word)))
        if at == len(hashes) or hashes[at] != word:
            return np.zeros(0, np.int64)
        lists.append(groups[int(offsets[at]) : int(offsets[at + 1])])
    lists.sort(key=len)
    left = np.asarray(lists[0], dtype=np.int64)
    for more in lists[1:]:
        left = left[np.isin(left, more, assume_unique=True)]
    return left


PARTS = ("hashes", "offsets", "groups")


def _wanted(text: str) -> list[int]:
    """Hashes to look up: whole words, and the beginning of the last when it is long enough."""
    raw = text.encode("utf-8", "ignore")
    words, starts = (part.tolist() for part in tokens_of(raw))
    if not words or not text[-1].isalnum():
        return sorted(set(words))
    last = raw[starts[-1] :].decode()
    if len(tokens_of((last + last).encode())[0]) > 1:  # scripts in which every character is a word
        return sorted(set(words))
    beginning = _beginning(last)
    return sorted({*words[:-1], *([beginning] if beginning else [])})


def _beginning(word: str) -> int:
    """What words that begin like this are listed under; 0 when it has fewer than four letters."""
    raw = word.encode("utf-8", "ignore")
    padded = np.frombuffer(raw + bytes(PADDING), dtype=np.uint8)
    return int(kernels().words_beginning_of(address(padded), len(raw)))
