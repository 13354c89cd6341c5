"""What changed between base and adapter, row by row, and in which order people should read it."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from evaluation.domain.graders import Grader

SAME = 1e-9
T = TypeVar("T")


class Change(StrEnum):
    """What the adapter did to one row, judged by the primary grader."""

    REGRESSION = "regression"
    GAIN = "gain"
    BOTH_WRONG = "both_wrong"
    BOTH_RIGHT = "both_right"


def change_of(before: float, after: float) -> float:
    """Difference of two scores, with the dust of floating point swept to zero."""
    difference = after - before
    return 0.0 if abs(difference) < SAME else round(difference, 6)


def sort_of(before: float, after: float, grader: Grader) -> Change:
    difference = change_of(before, after)
    if difference:
        return Change.GAIN if difference > 0 else Change.REGRESSION
    return Change.BOTH_RIGHT if after >= grader.right_from else Change.BOTH_WRONG


def weight(base: Mapping[str, float], adapter: Mapping[str, float], primary: str) -> tuple[float, float]:
    """Sort key of a row: the primary grader decides, the mean of the others breaks ties."""
    others = [change_of(base[name], adapter[name]) for name in base if name != primary and name in adapter]
    return change_of(base[primary], adapter[primary]), sum(others) / len(others) if others else 0.0


def worst_first(rows: Iterable[tuple[T, tuple[float, float]]]) -> list[T]:
    """Worst regressions, then gains from the largest down, then what did not change, in the order given."""
    return [item for item, _ in sorted(rows, key=lambda row: _place(row[1]))]


def _place(key: tuple[float, float]) -> tuple[int, float, float]:
    change, others = key
    if change < 0:
        return 0, change, others
    return (1, -change, others) if change > 0 else (2, 0.0, others)
