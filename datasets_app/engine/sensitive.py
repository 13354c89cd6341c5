"""Secrets, personal data, hidden signs and damage: the kernel finds candidates, the rules of the domain prove them."""

import ctypes
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain import characters, sensitive
from datasets_app.domain.findings import Found
from datasets_app.domain.sensitive import Trigger
from datasets_app.engine.batch import Batch
from datasets_app.engine.facts import Facts
from datasets_app.engine.native import library

UNSEEN = 1 << 16  # the bit of scan.c for domain.characters
ALL_TRIGGERS = int(sum(Trigger))
EXAMPLES, EXAMPLES_OF_A_KIND = 50, 8

FINDINGS = {
    sensitive.SECRET: Found.SECRETS,
    sensitive.PERSONAL: Found.PERSONAL_DATA,
    sensitive.ADDRESS: Found.IP_ADDRESSES,
    characters.HIDDEN: Found.HIDDEN_UNICODE,
    characters.BIDI: Found.BIDI_CONTROLS,
    characters.DAMAGE: Found.ENCODING_DAMAGE,
}


class Group:
    """All rows of one finding, its kinds, and the first places of each kind. No value is kept."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.hits: Counter[str] = Counter()
        self.rows_of_kind: Counter[str] = Counter()
        self.places: list[dict[str, Any]] = []
        self._last: dict[str, int] = {}
        self._shown: Counter[str] = Counter()

    def add(self, row: int, segment: int, kind: str, start: int, end: int, preview: str) -> None:
        self.hits[kind] += 1
        if not self.rows or self.rows[-1] != row:
            self.rows.append(row)
        if self._last.get(kind) != row:
            self._last[kind] = row
            self.rows_of_kind[kind] += 1
        if self._shown[kind] < EXAMPLES_OF_A_KIND and len(self.places) < EXAMPLES:
            self._shown[kind] += 1
            place = {"row": row, "segment": segment, "kind": kind, "start": start, "end": end}
            self.places.append(place | ({"preview": preview} if preview else {}))

    def detail(self) -> dict[str, Any]:
        """Hits and rows by kind, and places: segment of the row, offsets in characters, masked preview."""
        return {
            "kinds": dict(self.hits.most_common()),
            "rows_of_kind": dict(self.rows_of_kind.most_common()),
            "previews": self.places,
        }


class Sensitive:
    name = "pii"

    def __init__(self) -> None:
        self.groups = {group: Group() for group in FINDINGS}

    def take(self, batch: Batch) -> None:
        bits = scan(batch)
        for n in np.flatnonzero(bits).tolist():
            row = batch.first + int(batch.seg_row[n])
            segment = int(n - batch.row_seg[batch.seg_row[n]])
            text = batch.segment(n)
            triggers = int(bits[n]) & ALL_TRIGGERS
            if triggers:
                for hit in sensitive.find(text, Trigger(triggers)):
                    self.groups[hit.group].add(row, segment, hit.kind, hit.start, hit.end, hit.preview)
            if bits[n] & UNSEEN:
                for sign in characters.find(text):
                    self.groups[sign.group].add(row, segment, sign.kind, sign.start, sign.end, "")

    def finish(self, facts: Facts) -> None:
        for group, found in FINDINGS.items():
            gathered = self.groups[group]
            facts.note(found, gathered.rows, gathered.detail())


def scan(batch: Batch) -> NDArray[np.uint32]:
    """The bits of scan.c for each segment."""
    bits: NDArray[np.uint32] = np.zeros(len(batch.seg_start), np.uint32)
    arrays = (batch.text, batch.seg_start, batch.seg_end)
    text, start, end = (np.ascontiguousarray(array).ctypes.data_as(ctypes.c_void_p) for array in arrays)
    library().luthier_scan(text, start, end, ctypes.c_int64(len(bits)), bits.ctypes.data_as(ctypes.c_void_p))
    return bits
