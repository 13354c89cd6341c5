"""Rules of looking at examples one by one: which rows, in which order, for how long, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any

from projects.domain.formatting import number, percent
from projects.domain.machine import Machine

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

HOLD = timedelta(minutes=10)  # without a sign of life an item goes back to the queue
IDLE = timedelta(minutes=2)  # nobody looks at one row longer than this without touching anything
AHEAD = 4  # the item on the screen and the three behind it
STRETCH = 1000  # items are laid out this many at a time, as the queue reaches them
MOST_FOUND = 20_000  # rows that a search may bring into a round
LONGEST_ANSWER = 200_000
FILTERS = ("all", "finding", "label", "tag", "text")
PARTS = ("share", "number")


class RoundState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    DISCARDED = "discarded"


ROUND = Machine(
    "review round",
    {
        RoundState.OPEN: frozenset({RoundState.CLOSED, RoundState.DISCARDED}),
        # Reopened as long as no version was made of it.
        RoundState.CLOSED: frozenset({RoundState.OPEN}),
        RoundState.DISCARDED: frozenset(),
    },
)


class Verdict(StrEnum):
    ACCEPT = "accept"
    FIX = "fix"
    SWAP = "swap"  # of a preference pair: the rejected answer is the better one
    REJECT = "reject"
    SKIP = "skip"


COUNTED = (Verdict.ACCEPT, Verdict.FIX, Verdict.SWAP, Verdict.REJECT)
CHANGING = (Verdict.FIX, Verdict.SWAP, Verdict.REJECT)
# The short list of a rejection; free text may follow, or stand alone.
REASONS = (
    "Wrong answer",
    "Unsafe or against policy",
    "Does not answer the question",
    "Bad format",
    "Personal data",
    "Duplicate",
    "Question makes no sense",
)


class BadScope(ValueError):
    """A choice of rows that cannot be followed; the message says why."""


@dataclass(frozen=True)
class Scope:
    """Which rows of a version are looked at: those of a filter, and perhaps a seeded sample of them."""

    filter: str = "all"
    value: str = ""
    share: float | None = None
    number: int | None = None

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {} if self.filter == "all" else {self.filter: self.value}
        if self.share is not None:
            found["share"] = self.share
        if self.number is not None:
            found["number"] = self.number
        return found or {"all": True}

    @property
    def is_sample(self) -> bool:
        return self.share is not None or self.number is not None

    def __str__(self) -> str:
        rows = {
            "all": "all rows",
            "finding": f"the rows with “{self.value}”",
            "label": f"the rows labelled “{self.value}”",
            "tag": f"the rows tagged “{self.value}”",
            "text": f"the rows that hold “{self.value}”",
        }[self.filter]
        if self.number is not None:
            return f"{number(self.number)} of {rows}, drawn by lot"
        if self.share is not None:
            return f"{percent(self.share, 0 if self.share >= 0.1 else 1)} of {rows}, drawn by lot"
        return rows


def read_scope(value: Mapping[str, Any]) -> Scope:
    """{"all": true} | {"finding"|"label"|"tag"|"text": what}, each with "share" or "number" for a sample of it."""
    unknown = set(value) - {*FILTERS, *PARTS}
    if unknown:
        raise BadScope(f"“{min(unknown)}” does not choose rows. Use {', '.join((*FILTERS, *PARTS))}.")
    filters = [name for name in FILTERS if value.get(name)]
    if len(filters) > 1:
        raise BadScope("Choose rows by one thing: all, a finding, a label, a tag or a text.")
    name = filters[0] if filters else "all"
    what = "" if name == "all" else " ".join(str(value[name]).split())
    if len(what) > 200:
        raise BadScope("What rows are chosen by has at most 200 characters.")
    return Scope(name, what, *_part(value))


def _part(value: Mapping[str, Any]) -> tuple[float | None, int | None]:
    share, count = value.get("share"), value.get("number")
    if share is not None and count is not None:
        raise BadScope("A sample is either a share or a number of rows.")
    if share is not None and not (isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1):
        raise BadScope("The share of a sample lies above 0 and is at most 1.")
    if count is not None and not (type(count) is int and count > 0):
        raise BadScope("The number of a sample is a whole number of at least 1.")
    return (None if share is None else float(share)), count


def drawn(rows: "NDArray[int64]", scope: Scope, seed: int) -> "NDArray[int64]":
    """The rows of the round in the order they are looked at.

    All of them come in their own order. A sample comes shuffled, so that the part that was looked at when people
    stop is a fair sample, too. The same seed draws the same rows.
    """
    import numpy as np

    if not scope.is_sample:
        return rows
    wanted = scope.number if scope.number is not None else max(1, round(len(rows) * (scope.share or 0)))
    lot = np.random.default_rng(seed).permutation(len(rows))
    return rows[lot[: min(wanted, len(rows))]]


def doubled(planned: int, share: float, seed: int) -> "NDArray[Any]":
    """Which positions two people look at: exactly that share (at least one), drawn by lot so that nobody can tell."""
    import numpy as np

    marks: NDArray[Any] = np.zeros(planned, dtype=bool)
    if share > 0 and planned:
        lot = np.random.default_rng([seed, 2]).permutation(planned)
        marks[lot[: max(1, round(share * planned))]] = True
    return marks


def looked(
    *, now: datetime, held_since: datetime, seen_at: datetime | None, seen: float = 0.0, claimed: float | None = None
) -> float:
    """Seconds spent on an item, by the server's clock.

    `seen` are the seconds up to the last sign of life at `seen_at`; what has passed since counts up to the idle limit.
    Without any sign of life, such as offline, the page's own measure is taken, within what the server knows.
    """
    if seen_at is not None:
        return seen + _bounded(now - seen_at)
    return seen + min(max(claimed or 0.0, 0.0), _bounded(now - held_since))


def _bounded(gap: timedelta) -> float:
    return min(max(gap.total_seconds(), 0.0), IDLE.total_seconds())


@dataclass(frozen=True)
class Look:
    """What one person said of one row."""

    verdict: str
    answer: str = ""
    by: int | None = None


DISPUTED = "disputed"
UNTOUCHED = "untouched"


def settle(looks: Sequence[Look], ruling: Look | None = None) -> Look:
    """What becomes of a row: a ruling stands above all; people who agree decide; else it stays as it is."""
    if ruling is not None:
        return ruling
    counted = [look for look in looks if look.verdict in COUNTED]
    if not counted:
        return Look(UNTOUCHED)
    first = counted[0]
    same = all(look.verdict == first.verdict and look.answer == first.answer for look in counted)
    return first if same else Look(DISPUTED)


@dataclass(frozen=True)
class Speed:
    """How fast somebody works: median and mean seconds a row, rows an hour."""

    median: float
    mean: float
    per_hour: float


def speed(seconds: Sequence[float]) -> Speed | None:
    """Of rows that took time at all; None before the first."""
    spent = [one for one in seconds if one > 0]
    if not spent:
        return None
    mean = sum(spent) / len(spent)
    return Speed(median(spent), mean, 3600 / mean)


def share_of(planned: int, people: int, at: int) -> int:
    """How many of `planned` positions fall to the person at place `at`, when they are dealt out in turn."""
    return (planned - at + people - 1) // people if people else 0
