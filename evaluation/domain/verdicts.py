"""The answer in one sentence: better, worse, or the golden set is too small to say."""

from dataclasses import dataclass
from enum import StrEnum

from evaluation.domain import statistics
from evaluation.domain.graders import GRADERS

RETENTION_LIMIT = 5.0  # per cent of loss on general text that people usually accept


class Judgement(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    CANNOT_SAY = "cannot_say"


@dataclass(frozen=True)
class Verdict:
    judgement: Judgement
    headline: str
    sentence: str

    @property
    def tone(self) -> str:
        return {"better": "succeeded", "worse": "failed", "cannot_say": "attention"}[self.judgement.value]


def judge(low: float, high: float) -> Judgement:
    """Better or worse only when the whole interval is on one side of zero."""
    if low > 0:
        return Judgement.BETTER
    return Judgement.WORSE if high < 0 else Judgement.CANNOT_SAY


def points(value: float) -> str:
    """A signed difference of shares in points: 0.125 is +12.5."""
    rounded = round(value * 100, 1) or 0.0
    return f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}") if rounded else "0.0"


def verdict(
    primary: str, *, n: int, base: float, adapter: float, difference: float, low: float, high: float
) -> Verdict:
    """`base`, `adapter` and the rest are shares from 0 to 1, as in an evaluation's summary."""
    judgement, name = judge(low, high), GRADERS[primary].label
    interval = f"95 % interval {points(low)} to {points(high)}"
    levels = f"from {base * 100:.1f} % to {adapter * 100:.1f} % on {n:,} golden rows".replace(",", "\N{THIN SPACE}")
    if judgement is Judgement.CANNOT_SAY:
        headline = "Too close to say"
        sentence = f"{name} went {levels}: {points(difference)} points, {interval}. {_small(n, difference)}"
    else:
        headline = "Better than its base" if judgement is Judgement.BETTER else "Worse than its base"
        verb = "rises" if difference > 0 else "falls"
        sentence = f"{name} {verb} by {abs(difference) * 100:.1f} points ({interval}), {levels}."
    return Verdict(judgement, headline, sentence)


def _small(n: int, difference: float) -> str:
    """Why there is no answer, and how many rows would give one."""
    seen = f"{statistics.minimum_detectable(n) * 100:.1f}"
    text = f"{n} rows reliably show differences from {seen} points"
    needed = statistics.rows_needed(difference)
    if needed is None or needed <= n or needed > 100_000:
        return f"{text}; 500 rows show 5.6." if n < 500 else f"{text}."
    return f"{text}; to be sure of a difference this size takes about {_round_up(needed):,} rows."


def _round_up(n: int) -> int:
    """To two leading digits, since it is a planning figure."""
    scale = 10 ** max(0, len(str(n)) - 2)
    return -(-n // scale) * scale


def retention_sentence(change_percent: float) -> str:
    """`change_percent` is the change of the mean token loss on general text; more loss is worse."""
    if change_percent <= 0:
        return f"Loss on general text fell by {abs(change_percent):.1f} %: nothing forgotten here."
    within = "within" if change_percent <= RETENTION_LIMIT else "beyond"
    return f"Loss on general text rose by {change_percent:.1f} %, {within} the accepted {RETENTION_LIMIT:.0f} %."
