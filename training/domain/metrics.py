"""Arithmetic on a running job: when it ends, how fast it is, and curves short enough to draw."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Eta:
    """Seconds that are left: the middle and the band they lie in with 80 %."""

    low: float
    middle: float
    high: float

    def and_then(self, seconds: float) -> "Eta":
        """With so many more, which are known."""
        return Eta(self.low + seconds, self.middle + seconds, self.high + seconds)


def eta(steps: Sequence[int], seconds: Sequence[float], total: int) -> Eta | None:
    """Time left from when the last steps were reported (`seconds` on any clock); None before there is a rate.

    The band comes from the spread of the pace; it narrows with the root of the steps, as a mean does.
    """
    paces = [
        (after - before) / (to - since)
        for since, to, before, after in zip(steps, steps[1:], seconds, seconds[1:], strict=False)
        if to > since and after > before
    ]
    if not paces or not steps:
        return None
    left = max(0, total - steps[-1])
    middle = left * statistics.median(paces)
    # A machine slows down and speeds up for minutes on end, so a tenth of doubt stays however steady the steps look.
    doubt = 0.1 + (statistics.pstdev(paces) / statistics.mean(paces)) / math.sqrt(len(paces))
    return Eta(middle * max(0.0, 1 - doubt), middle, middle * (1 + doubt))


def smooth(values: Sequence[float]) -> list[float]:
    """Exponential moving average over a fortieth of the curve, unbiased at its start (Kingma & Ba 2015, section 3)."""
    weight = 1 - 1 / max(2.0, len(values) / 40)
    out: list[float] = []
    average = 0.0
    for count, value in enumerate(values, start=1):
        average = weight * average + (1 - weight) * value
        out.append(average / (1 - weight**count))
    return out


def ends(losses: Sequence[float]) -> tuple[float, float, float]:
    """Where a curve began, where it stands and its best, all of them averaged: single steps jump."""
    curve = smooth(losses)
    return statistics.fmean(losses[: max(1, min(3, len(losses) // 20))]), curve[-1], min(curve)


def verdict(losses: Sequence[float]) -> tuple[str, str]:
    """Is it healthy? A tone and a sentence computed from the loss so far."""
    if len(losses) < 4:
        return "waiting", "Too early to say: the loss has not been reported often enough."
    if not math.isfinite(losses[-1]):
        return "failed", "The loss is not a number any more."
    first, last, best = ends(losses)
    if last > max(best * 1.5, best + 0.2):
        return "attention", f"The loss is rising: {last:.3g} now, {best:.3g} at its best."
    if last > first * 0.98:
        return "attention", f"The loss has hardly moved since the start ({first:.3g} → {last:.3g})."
    return "succeeded", f"The loss fell from {first:.3g} to {last:.3g}."
