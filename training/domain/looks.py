"""Looks at held-out rows while a run learns: how much each reads, how many there are, and what their curve says."""

import hashlib
import heapq
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from projects.domain import formatting
from projects.domain.errors import Invalid

VALIDATION = "validation_loss"
MOST_ROWS = 1000
SHARE = 0.1  # of the tokens of an epoch
FEWEST_ROWS = 100  # of which less than that share would say little
CHECKPOINT_SECONDS = 300  # between two, where no steps are said
MOST_LOOKS = 20  # between the first and the last, besides those at checkpoints
SHARE_OF_RUN = 0.1  # of its time that these may take
FORWARD = 0.5  # of a step's time a token: with a frozen base the way back is as long as the way there
RISE = 0.02  # of the best value: less is within what a curve jumps by
AROUND = 20  # steps of which training losses are a mean, at most; of a short run a tenth


def drawn(content_hash: str, total: int) -> list[int]:
    """Rows in the order of a draw that only the data decides: every run that is looked at with it begins with the same,
    so that what one reads less of can still be compared."""
    return heapq.nsmallest(MOST_ROWS, range(total), key=lambda row: _lot(content_hash, row))


def _lot(content_hash: str, row: int) -> bytes:
    return hashlib.sha256(f"{content_hash}:{row}".encode()).digest()


def rows_read(sizes: Sequence[int], epoch_tokens: int) -> int:
    """How many rows, from the first on, one look reads; `sizes` are their tokens."""
    tokens = 0
    for count, size in enumerate(sizes[:MOST_ROWS]):
        tokens += size
        if count >= FEWEST_ROWS and tokens > SHARE * epoch_tokens:
            return count
    return min(len(sizes), MOST_ROWS)


def check_rows(rows: int, version: str, max_length: int) -> None:
    """A look that reads nothing would say nothing."""
    if rows == 0:
        raise Invalid(
            f"No row of {version} can be read within {max_length} tokens. Raise the longest row, or choose other "
            "validation data.",
            code="no_trained_tokens",
            field="validation_version",
        )


def sentence(rows: int, of: int) -> str:
    """What a look reads, for people."""
    if rows == of:
        return "all of its rows" if of != 1 else "its one row"
    return f"{rows:,} of its {of:,} rows, always the same ones"


def spacing(steps: int, tokens: int, look_tokens: int) -> int:
    """Steps from one look to the next, so that a short run has a curve, too; at least `steps` where it has no time.

    `tokens` are those of the whole run. Only what is known before the first step decides, so that whoever goes on with
    a run looks at the same steps.
    """
    between = min(MOST_LOOKS, int(SHARE_OF_RUN * tokens / (FORWARD * max(look_tokens, 1))))
    return math.ceil(steps / (between + 1)) if between > 0 else max(steps, 1)


def left(step: int, total: int, *, every: int, seconds: float, spaced: int) -> int:
    """How many looks are still to come: one every `spaced` steps, one with each checkpoint, by steps or by time, and

    one at the end.
    """

    def until(width: int) -> int:
        return (total - 1) // width - step // width

    between = until(spaced)
    if every:
        between += until(every) - until(math.lcm(every, spaced))
    else:
        between += int(seconds // CHECKPOINT_SECONDS)
    return max(0, between) + 1


@dataclass(frozen=True)
class Course:
    """A curve of looks in a few figures."""

    first: float
    last: float
    best: float
    best_step: int
    last_step: int
    count: int

    @classmethod
    def of(cls, steps: Sequence[int], values: Sequence[float]) -> "Course | None":
        """None before the first look; values that are no numbers are passed over."""
        known = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
        if not known:
            return None
        step, best = min(known, key=lambda one: one[1])
        return cls(known[0][1], known[-1][1], best, step, known[-1][0], len(known))

    @property
    def is_at_best(self) -> bool:
        return self.last_step == self.best_step

    @property
    def has_risen(self) -> bool:
        return self.last - self.best > RISE * abs(self.best)


def overfitting(course: Course | None, steps: Sequence[int], losses: Sequence[float]) -> bool:
    """Has the loss of the held-out rows clearly risen from its best, while that of the training rows fell?"""
    if course is None or course.count < 3 or not course.has_risen:
        return False
    then, now = _mean_at(course.best_step, steps, losses), _mean_at(course.last_step, steps, losses)
    return then is not None and now is not None and now < then


def _mean_at(step: int, steps: Sequence[int], losses: Sequence[float]) -> float | None:
    """Of the losses around a step; single ones jump."""
    count = max(1, min(AROUND, len(steps) // 10))
    near = sorted(zip(steps, losses, strict=True), key=lambda one: abs(one[0] - step))[:count]
    finite = [value for _, value in near if math.isfinite(value)]
    return statistics.fmean(finite) if finite else None


def warning(course: Course, *, epochs: float, total: int) -> str:
    """What overfitting is, how far it went, which checkpoint was best, and what to do."""
    told = (
        f"The run learns its rows by heart: the validation loss was best at step {course.best_step:,} "
        f"({formatting.sig3(course.best)}) and has risen to {formatting.sig3(course.last)} while the training loss "
        "fell."
    )
    if not course.best_step:
        return f"{told} It was never better than before the first step: try a lower learning rate, or other data."
    share = epochs * course.best_step / max(total, 1)
    return f"{told} A run of {formatting.sig3(share)} epochs would end there."
