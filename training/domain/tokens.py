"""What a dataset is in tokens of one base model: lengths, what a limit would cut, what would be trained."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

BINS = 40
SHOWN_ROWS = 200


@dataclass(frozen=True)
class RowTokens:
    """One row: all its tokens, how many of them are trained, and where the last trained one stands."""

    index: int
    total: int
    trained: int
    last_trained: int
    trained_within: int

    def is_cut(self, limit: int) -> bool:
        return self.total > limit

    def answer_is_cut(self, limit: int) -> bool:
        return self.trained > 0 and self.last_trained >= limit


def count_row(index: int, trained_mask: Iterable[bool], limit: int) -> RowTokens:
    """The figures of one row from its mask (True where a token is trained)."""
    mask = list(trained_mask)
    positions = [place for place, flag in enumerate(mask) if flag]
    return RowTokens(
        index=index,
        total=len(mask),
        trained=len(positions),
        last_trained=positions[-1] if positions else -1,
        trained_within=sum(place < limit for place in positions),
    )


@dataclass
class Profile:
    """Sums over all rows under one limit; `as_dict` is what is stored and shown."""

    limit: int
    lengths: list[int] = field(default_factory=list)
    tokens: int = 0
    trained: int = 0
    kept_tokens: int = 0
    cut: list[int] = field(default_factory=list)
    answers_cut: list[int] = field(default_factory=list)
    untrained: list[int] = field(default_factory=list)
    untrained_short: int = 0  # those of them that are not too long
    unshowable: list[dict[str, Any]] = field(default_factory=list)
    last_turn_only: int = 0

    def add(self, row: RowTokens, *, beside: int = 0) -> None:
        """Count a row; `beside` is the length of the second sequence of a preference pair."""
        self.lengths.append(row.total)
        self.tokens += row.total + beside
        self.trained += row.trained
        self.kept_tokens += min(row.total, self.limit) + min(beside, self.limit)
        if row.is_cut(self.limit):
            self.cut.append(row.index)
        if row.answer_is_cut(self.limit):
            self.answers_cut.append(row.index)
        if row.trained_within == 0:
            self.untrained.append(row.index)
            self.untrained_short += not row.is_cut(self.limit)

    def refuse(self, index: int, code: str, message: str) -> None:
        """A row the chat template cannot show."""
        self.unshowable.append({"index": index, "code": code, "message": message[:300]})

    def as_dict(self) -> dict[str, Any]:
        ordered = sorted(self.lengths)
        return {
            "limit": self.limit,
            "rows": len(ordered),
            "tokens": self.tokens,
            "trained_tokens": self.trained,
            "kept_tokens": self.kept_tokens,
            "longest": ordered[-1] if ordered else 0,
            "median": quantile(ordered, 0.5),
            "p95": quantile(ordered, 0.95),
            "histogram": histogram(ordered),
            "cut": len(self.cut),
            "cut_rows": self.cut[:SHOWN_ROWS],
            "answers_cut": len(self.answers_cut),
            "answers_cut_rows": self.answers_cut[:SHOWN_ROWS],
            "untrained": len(self.untrained),
            "untrained_short": self.untrained_short,
            "untrained_rows": self.untrained[:SHOWN_ROWS],
            "unshowable": len(self.unshowable),
            "unshowable_rows": self.unshowable[:SHOWN_ROWS],
            "last_turn_only": self.last_turn_only,
        }


def quantile(ordered: list[int], share: float) -> int:
    """The value below which `share` of the ordered values lie (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


def histogram(ordered: list[int]) -> dict[str, list[int]]:
    """Counts in at most BINS equal bins: `edges` has one more entry than `counts`."""
    if not ordered:
        return {"edges": [0, 1], "counts": [0]}
    low, high = ordered[0], ordered[-1] + 1
    width = max(1, -(-(high - low) // BINS))
    counts = [0] * -(-(high - low) // width)
    for value in ordered:
        counts[(value - low) // width] += 1
    return {"edges": [low + width * step for step in range(len(counts) + 1)], "counts": counts}


def rows_lost(stats: Mapping[str, Any], cut: str) -> int:
    """How many rows a run with this cut policy would leave out."""
    if cut == "drop":
        return int(stats["cut"] + stats["unshowable"] + stats["untrained_short"])
    return int(stats["unshowable"] + stats["untrained"])


def rows_are(count: int) -> str:
    """1 row is, 2 rows are."""
    return "1 row is" if count == 1 else f"{count} rows are"
