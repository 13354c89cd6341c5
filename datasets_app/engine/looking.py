"""The look of native/look.c at every row of a batch, as arrays."""

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain import phrases
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import Batch
from datasets_app.engine.native import library

KINDS = {Kind.SFT: 0, Kind.PREFERENCE: 1, Kind.TEXT: 2}
RESULTS = (
    "traits", "turns", "prompt_chars", "answer_chars", "answer_start", "answer_end", "answer_hash", "system_hash",
    "system_seg", "roles",
)  # fmt: skip
_POINTER, _INT64, _INT32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32


class _Input(ctypes.Structure):
    _fields_ = [
        ("text", _POINTER), ("start", _POINTER), ("end", _POINTER), ("role", _POINTER), ("part", _POINTER),
        ("flags", _POINTER), ("row_seg", _POINTER), ("rows", _INT64), ("kind", _INT32), ("phrases", _INT32),
        ("phrase_text", _POINTER), ("phrase_end", _POINTER),
    ]  # fmt: skip


class _Output(ctypes.Structure):
    _fields_ = [(name, _POINTER) for name in RESULTS]


@dataclass(slots=True)
class Looks:
    """One value a row; the answer's bytes are batch.text[answer_start:answer_end], without blanks around them."""

    traits: NDArray[np.int32]
    turns: NDArray[np.int32]
    prompt_chars: NDArray[np.int64]
    answer_chars: NDArray[np.int64]
    answer_start: NDArray[np.int64]
    answer_end: NDArray[np.int64]
    answer_hash: NDArray[np.uint64]
    system_hash: NDArray[np.uint64]
    system_seg: NDArray[np.int64]
    roles: NDArray[np.int64]  # turns by role, for the batch


@cache
def _phrases() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    spelt = [phrase.encode() for phrase in phrases.negative()]
    ends = np.cumsum([len(one) for one in spelt], dtype=np.int32)
    return np.frombuffer(b"".join(spelt) + bytes(8), dtype=np.uint8), ends


def look(batch: Batch) -> Looks:
    rows = batch.rows
    kind = Kind(batch.table.column("kind")[0].as_py())
    phrase_text, phrase_end = _phrases()
    seen = Looks(
        traits=np.empty(rows, np.int32),
        turns=np.empty(rows, np.int32),
        prompt_chars=np.empty(rows, np.int64),
        answer_chars=np.empty(rows, np.int64),
        answer_start=np.empty(rows, np.int64),
        answer_end=np.empty(rows, np.int64),
        answer_hash=np.empty(rows, np.uint64),
        system_hash=np.empty(rows, np.uint64),
        system_seg=np.empty(rows, np.int64),
        roles=np.zeros(4, np.int64),
    )
    given = _Input(
        _at(batch.text), _at(batch.seg_start), _at(batch.seg_end), _at(batch.seg_role), _at(batch.seg_part),
        _at(batch.seg_flags), _at(batch.row_seg), rows, KINDS[kind], len(phrase_end), _at(phrase_text), _at(phrase_end),
    )  # fmt: skip
    library().luthier_look(ctypes.byref(given), ctypes.byref(_Output(*(_at(getattr(seen, n)) for n in RESULTS))))
    return seen


def _at(array: NDArray[Any]) -> int:
    return int(array.ctypes.data)
