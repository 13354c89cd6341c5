"""What the analysers have found: findings with all their rows, numbers for the charts, and CPU time by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.findings import Found, Severity, about
from datasets_app.engine.batch import Batch

FOLDER = "found"
SHOWN_ROWS = 1000


class Facts:
    """Filled by `Analyser.finish` in the order of the analysers: later ones may read what earlier ones found."""

    def __init__(self, *, purpose: str, rows: int = 0, kind: str = "") -> None:
        self.purpose, self.total, self.kind = purpose, rows, kind
        self.rows: dict[Found, NDArray[np.int64]] = {}
        self.details: dict[Found, dict[str, Any]] = {}
        self.counts: dict[Found, int] = {}
        self.severities: dict[Found, Severity] = {}
        self.stats: dict[str, Any] = {}

    def note(
        self,
        found: Found,
        rows: Sequence[int] | NDArray[Any],
        detail: dict[str, Any] | None = None,
        *,
        count: int | None = None,
        severity: Severity | None = None,
    ) -> None:
        """A finding about these rows; none is noted for no rows, unless a count says that it is about the set."""
        listed = np.unique(np.asarray(rows, dtype=np.int64))
        if not len(listed) and count is None:
            return
        self.rows[found] = listed
        self.details[found] = detail or {}
        if count is not None:
            self.counts[found] = count
        if severity is not None:
            self.severities[found] = severity

    def rows_of(self, found: Found) -> NDArray[np.int64]:
        return self.rows.get(found, np.zeros(0, np.int64))

    def findings(self) -> list[dict[str, Any]]:
        """As they are stored: worst first, the first thousand rows of each."""
        listed = [
            {
                "code": found.value,
                "severity": self.severities.get(found, about(found).severity).value,
                "count": self.counts.get(found, len(rows)),
                "rows": rows[:SHOWN_ROWS].tolist(),
                "detail": self.details[found],
            }
            for found, rows in self.rows.items()
        ]
        weight = [s.value for s in Severity]
        return sorted(listed, key=lambda f: (weight.index(f["severity"]), -f["count"]))

    def write(self, folder: Path) -> None:
        """All rows of each finding, as found/<code>.npy of int64, for pages that go beyond the first thousand."""
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        for found, rows in self.rows.items():
            np.save(folder / FOLDER / f"{found.value}.npy", rows, allow_pickle=False)


class Analyser(Protocol):
    """Looks at every batch once, in order, in a thread of its own; native work lets go of the interpreter lock."""

    name: str  # of the step its CPU seconds are booked under: parse, near, tokens, diversity, pii, structure

    def take(self, batch: Batch) -> None: ...

    def finish(self, facts: Facts) -> None: ...
