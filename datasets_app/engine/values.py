"""Label-like values counted over a set, with the rows of the rare ones; and the JSON answers with their shapes."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import orjson
from numpy.typing import NDArray

from datasets_app.domain import answer_schema
from datasets_app.domain.answer_schema import Signature

MOST_VALUES = 200
FIRST_ROWS = 100
MOST_SHAPES = 5000
REMEMBERED = 50_000  # answers whose shape is kept in mind: sets of labels repeat the same few

NO_JSON, ANOTHER_SHAPE = -1, -2


class Values:
    """Counts of a label-like value with its first rows; gives up once the values are too many to be labels."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, list[int]] = {}
        self.seen = 0
        self.gave_up = False
        self._names: dict[int, str] = {}

    def add(self, value: str, row: int) -> None:
        self.seen += 1
        if not self.gave_up:
            self._count(value, 1, [row])

    def add_many(self, keys: NDArray[np.uint64], rows: NDArray[np.int64], name: Callable[[int], str]) -> None:
        """Values by their hash; `name` gives the text of the n-th of them, and is asked once for each value."""
        self.seen += len(keys)
        if self.gave_up or not len(keys):
            return
        known, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        for n, key in enumerate(known.tolist()):
            if key not in self._names:
                self._names[key] = name(int(first[n]))
            text = self._names[key]
            missing = FIRST_ROWS - len(self.first.get(text, ()))
            self._count(text, int(counts[n]), rows[np.flatnonzero(inverse == n)[:missing]].tolist() if missing else [])
            if self.gave_up:
                return

    def add_rows(self, value: str, rows: NDArray[np.int64]) -> None:
        """All rows of one value in a batch."""
        self.seen += len(rows)
        if not self.gave_up:
            self._count(value, len(rows), rows[:FIRST_ROWS].tolist())

    def _count(self, value: str, n: int, rows: list[int]) -> None:
        self.counts[value] += n
        listed = self.first.setdefault(value, [])
        listed += rows[: FIRST_ROWS - len(listed)]
        if len(self.counts) > MOST_VALUES:
            self.gave_up, self.counts, self.first, self._names = True, Counter(), {}, {}


class JsonAnswers:
    """Shapes of JSON answers, a number each, and the values of their fields."""

    def __init__(self) -> None:
        self.signatures: dict[Signature, int] = {}
        self.fields: dict[str, Values] = {}
        self._memory: dict[int, tuple[int, list[tuple[str, str]]]] = {}

    def add(self, answer: bytes, key: int, row: int) -> int:
        """The number of the answer's shape, or NO_JSON."""
        known = self._memory.get(key)
        if known is None:
            known = self._looked_at(answer)
            if len(self._memory) < REMEMBERED:
                self._memory[key] = known
        for path, text in known[1]:
            values = self.fields.get(path)
            if values is None:
                if len(self.fields) >= MOST_VALUES:
                    continue
                values = self.fields[path] = Values()
            values.add(text, row)
        return known[0]

    def _looked_at(self, answer: bytes) -> tuple[int, list[tuple[str, str]]]:
        try:
            value = orjson.loads(answer)
        except orjson.JSONDecodeError:
            return NO_JSON, []
        signature, texts = answer_schema.walk(value)
        if signature not in self.signatures and len(self.signatures) >= MOST_SHAPES:
            return ANOTHER_SHAPE, texts
        return self.signatures.setdefault(signature, len(self.signatures)), texts
