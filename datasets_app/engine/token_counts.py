"""Counts of tokens by row, and what they come to under any limit of length: arrays only, no text, no tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
BINS, SHOWN_ROWS = 40, 200
FACTS_FILE = "tokens.json"
ARRAYS = ("total", "prompt", "chosen", "rejected", "spans", "row_span", "shown")


def _none() -> Any:
    return np.zeros(0, np.int32)


@dataclass(slots=True)
class Counts:
    """Rows in their order. Of a preference pair `total` is the longer sequence, and no spans are kept."""

    total: Ints = field(default_factory=_none)  # (rows,) tokens; 0 for rows that cannot be shown
    prompt: Ints = field(default_factory=_none)  # (rows,) pairs only: tokens both answers share before them
    chosen: Ints = field(default_factory=_none)  # (rows,) pairs only
    rejected: Ints = field(default_factory=_none)
    spans: Ints = field(default_factory=lambda: np.zeros((0, 2), np.int32))  # trained tokens: first, one past the last
    row_span: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))  # (rows + 1,) into spans
    shown: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))  # (rows,) the template shows the row
    unshowable: list[dict[str, Any]] = field(default_factory=list)  # the first of them: index, code, message
    last_turn_only: int = 0
    facts: dict[str, Any] = field(default_factory=dict)  # how it was counted

    @property
    def rows(self) -> int:
        return len(self.total)

    @property
    def pairs(self) -> bool:
        return bool(len(self.prompt))

    @classmethod
    def joined(cls, parts: list["Counts"]) -> "Counts":
        if not parts:
            return cls()
        offsets = np.cumsum([0, *(len(part.spans) for part in parts[:-1])])
        starts = [part.row_span[:-1] + offset for part, offset in zip(parts, offsets, strict=True)]
        whole = cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS if name != "row_span"},
            row_span=np.concatenate([*starts, [sum(len(part.spans) for part in parts)]]).astype(np.int64),
            last_turn_only=sum(part.last_turn_only for part in parts),
        )
        whole.unshowable = [one for part in parts for one in part.unshowable][:SHOWN_ROWS]
        return whole

    def save(self, folder: Path) -> None:
        for name in ARRAYS:
            np.save(folder / f"tokens.{name}.npy", getattr(self, name), allow_pickle=False)
        about = {"unshowable": self.unshowable, "last_turn_only": self.last_turn_only, "facts": self.facts}
        (folder / FACTS_FILE).write_bytes(orjson.dumps(about))

    @classmethod
    def load(cls, folder: Path) -> "Counts":
        arrays = {name: np.load(folder / f"tokens.{name}.npy", allow_pickle=False) for name in ARRAYS}
        return cls(**arrays, **orjson.loads((folder / FACTS_FILE).read_bytes()))

    # What a limit does

    def trained(self, limit: int | None = None) -> NDArray[np.int64]:
        """(rows,) tokens that are trained, within the first `limit` tokens when one is given."""
        bound = np.iinfo(np.int32).max if limit is None else limit
        if self.pairs:
            room = np.maximum(0, bound - self.prompt.astype(np.int64))
            chosen, rejected = np.minimum(self.chosen, room), np.minimum(self.rejected, room)
            # An answer that is cut away altogether leaves nothing to compare.
            return np.where((chosen > 0) & (rejected > 0), chosen + rejected, 0) if limit else chosen + rejected
        kept = np.minimum(self.spans, bound).astype(np.int64)
        sums = np.concatenate([[0], np.cumsum(kept[:, 1] - kept[:, 0])])
        return sums[self.row_span[1:]] - sums[self.row_span[:-1]]

    def last_trained(self) -> NDArray[np.int64]:
        """(rows,) one past the last trained token; 0 where none is trained."""
        if self.pairs:
            return self.total.astype(np.int64)
        some = self.row_span[1:] > self.row_span[:-1]
        ends: NDArray[np.int64] = np.zeros(self.rows, np.int64)
        ends[some] = self.spans[self.row_span[1:][some] - 1, 1]
        return ends

    def answer(self) -> NDArray[np.int64]:
        """(rows,) tokens of the answer: all that is trained in the last trained stretch; of a pair the chosen one."""
        if self.pairs:
            return self.chosen.astype(np.int64)
        some = self.row_span[1:] > self.row_span[:-1]
        found: NDArray[np.int64] = np.zeros(self.rows, np.int64)
        last = self.spans[self.row_span[1:][some] - 1]
        found[some] = last[:, 1] - last[:, 0]
        return found

    def lost(self, limit: int) -> dict[str, NDArray[np.int64]]:
        """Numbers of the rows that are too long, whose answer loses its end, and that have nothing left to train."""
        cut = self.shown & (self.total > limit)
        return {
            "cut": np.flatnonzero(cut),
            "answers_cut": np.flatnonzero(cut & (self.last_trained() > limit)),
            "untrained": np.flatnonzero(self.shown & (self.trained(limit) == 0)),
        }

    def under(self, limit: int) -> dict[str, Any]:
        """Everything about one limit, as it is stored and shown."""
        lost = self.lost(limit)
        lengths = np.sort(self.total[self.shown])
        beside = self.prompt + np.minimum(self.chosen, self.rejected) if self.pairs else np.zeros(1, np.int64)
        kept = int(np.minimum(lengths, limit).sum() + np.minimum(beside, limit).sum())
        kept_trained = int(self.trained(limit).sum())
        tokens = int(lengths.sum(dtype=np.int64) + beside.sum(dtype=np.int64))
        return {
            "limit": limit,
            "rows": len(lengths),
            "tokens": tokens,
            "trained_tokens": int(self.trained().sum()),
            "kept_tokens": kept,
            "kept_trained": kept_trained,
            "trained_share": kept_trained / kept if kept else 0.0,
            "longest": int(lengths[-1]) if len(lengths) else 0,
            "shortest": int(lengths[0]) if len(lengths) else 0,
            "median": quantile(lengths, 0.5),
            "p95": quantile(lengths, 0.95),
            "p99": quantile(lengths, 0.99),
            "histogram": histogram(lengths),
            **_named(lost),
            "untrained_short": int((self.total[lost["untrained"]] <= limit).sum()),
            "unshowable": int((~self.shown).sum()),
            "unshowable_rows": self.unshowable[:SHOWN_ROWS],
            "last_turn_only": self.last_turn_only,
            "remedy": self.remedy(limit),
            **self.facts,
        }

    def remedy(self, limit: int) -> dict[str, Any] | None:
        """The limit that would keep every answer whole, and by how many tokens an epoch would grow."""
        ends = self.last_trained()[self.shown]
        needed = int(ends.max()) if len(ends) else 0
        if needed <= limit:
            return None
        total = self.total[self.shown].astype(np.int64)
        most = 99 if len(ends) >= 100 else 0
        return {
            "needed": needed,
            "more_tokens": int((np.minimum(total, needed) - np.minimum(total, limit)).sum()),
            "needed_p99": quantile(np.sort(ends), most / 100) if most else needed,
        }


def _named(lost: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    counts = {name: len(rows) for name, rows in lost.items()}
    return counts | {f"{name}_rows": rows[:SHOWN_ROWS].tolist() for name, rows in lost.items()}


def quantile(ordered: NDArray[Any], share: float) -> int:
    """The value below which `share` of the ordered values lie (nearest rank)."""
    return int(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if len(ordered) else 0


def histogram(ordered: NDArray[Any]) -> dict[str, list[int]]:
    """Counts in at most BINS equal bins: `edges` has one more entry than `counts`."""
    if not len(ordered):
        return {"edges": [0, 1], "counts": [0]}
    low, high = int(ordered[0]), int(ordered[-1]) + 1
    width = max(1, -(-(high - low) // BINS))
    bins = -(-(high - low) // width)
    counts = np.bincount((ordered.astype(np.int64) - low) // width, minlength=bins)
    return {"edges": [low + width * step for step in range(bins + 1)], "counts": counts.tolist()}
