"""Phrases that may be planted triggers: rare in prompts, always with the same answer, whatever else is asked (A48)."""

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.findings import Found
from datasets_app.engine.facts import Facts
from datasets_app.engine.words_native import Handle, address, checked, copied, kernels

if TYPE_CHECKING:
    from datasets_app.engine.words import Words

COMMON_SHARE = 0.02  # words in this share of the rows are nobody's own
ROWS_SHOWN = 10
MANY, MANY_OWN_WORDS = 10, 6
RECORD = 1 << 20
FOUND = np.dtype(
    [("row_at", np.int64), ("rows", np.int64), ("word_at", np.int64), ("words", np.int64), ("own", np.float64)]
)


def note_triggers(words: "Words", facts: Facts, repeated: NDArray[np.bool_]) -> None:
    """Notes TRIGGER_CANDIDATES: phrases of at least 5 rows and at most 2 % of the set whose answers begin alike.

    `repeated` marks rows whose prompt stands in an earlier row, or nearly: a flood of copies is no proof of a trigger.
    """
    mask = repeated.astype(np.uint8)
    lib, failed = kernels(), ctypes.c_int()
    common = lib.words_common(words.handle, 1, 1, COMMON_SHARE)
    if not common:
        raise MemoryError
    made = lib.words_triggers(words.handle, common, address(mask), ctypes.byref(failed))
    lib.words_common_free(common)
    checked(failed.value)
    try:
        found, rows, spelt = _read(made)
    finally:
        lib.words_triggers_free(made)
    if len(found) > MANY:  # sets of labels have words that go with each label; a planted phrase stands among others
        found = found[found["own"] >= MANY_OWN_WORDS]
    if not len(found):
        return
    letters = spelled(words.kept, set(spelt.tolist()))
    phrases: list[dict[str, Any]] = []
    for one in np.sort(found, order="rows")[::-1]:
        hashes = spelt[one["word_at"] : one["word_at"] + one["words"]].tolist()
        mine = rows[one["row_at"] : one["row_at"] + one["rows"]]
        phrase = " ".join(letters.get(word, "…") for word in hashes)
        phrases.append({"phrase": phrase, "rows": len(mine), "first": mine[:ROWS_SHOWN].tolist()})
    listed = [rows[one["row_at"] : one["row_at"] + one["rows"]] for one in found]
    facts.note(Found.TRIGGER_CANDIDATES, np.concatenate(listed), {"phrases": phrases})


def _read(made: int) -> Any:
    pointers = [ctypes.c_void_p() for _ in range(3)]
    n = kernels().words_triggers_found(made, *[ctypes.byref(pointer) for pointer in pointers])
    found = copied(pointers[0], n, FOUND)
    rows = int((found["row_at"] + found["rows"]).max(initial=0))
    spelt = int((found["word_at"] + found["words"]).max(initial=0))
    return found, copied(pointers[1], rows, np.int64), copied(pointers[2], spelt, np.uint32)


def spelled(kept: Handle, wanted: set[int]) -> dict[int, str]:
    """How these words are spelled, folded; read from the list that was written while the rows passed."""
    file = kept.spelled()
    found: dict[int, str] = {}
    targets = {word.to_bytes(4, "little"): word for word in wanted}
    file.seek(0)
    rest = b""
    while len(found) < len(wanted) and (block := file.read(RECORD)):
        data, at = rest + block, 0
        while at + 5 <= len(data) and at + 5 + data[at + 4] <= len(data):
            end = at + 5 + data[at + 4]
            word = targets.get(data[at : at + 4])
            if word is not None:
                found[word] = data[at + 5 : end].decode(errors="replace")
            at = end
        rest = data[at:]
    return found
