"""Which of several is best, and of which it cannot be told: the shape of the answer, whatever was measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contest:
    """Everything that was measured, the best first, with what it cannot be told apart from.

    `values` and the interval are on the scale of the measure; the interval is that of the first against the second,
    better meaning positive. It holds for all pairs together, so it may be read after looking who came first.
    """

    measure: str
    percent: bool
    order: tuple[int, ...]
    values: dict[int, float]
    tied: tuple[int, ...]  # with the first itself, in their order
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""

    @property
    def first(self) -> int:
        return self.order[0]

    @property
    def is_clear(self) -> bool:
        return len(self.tied) == 1 and len(self.order) > 1
