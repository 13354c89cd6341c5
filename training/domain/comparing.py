"""What a comparison of runs shows: read from an address, the same for the page and the API."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from projects.domain.errors import Invalid

MOST = 100
POINTS, FEWEST_POINTS, ALL_POINTS = 300, 60, 18_000  # of one curve, at most and at least, and of all together
OVER = {"step": "Step", "seconds": "Seconds of training", "tokens": "Tokens"}
MOST_SMOOTH = 0.99


@dataclass(frozen=True)
class Comparison:
    """Runs by their numbers, in the order they were picked; `smooth` is the weight of the moving average."""

    runs: tuple[int, ...] = ()
    metric: str = "loss"
    over: str = "step"
    log: bool = False
    smooth: float = 0.0
    hidden: tuple[int, ...] = ()
    whole: bool = False
    order: str = ""

    @property
    def points(self) -> int:
        """Of each curve, so that the answer stays small however many there are."""
        return max(FEWEST_POINTS, min(POINTS, ALL_POINTS // max(1, len(self.runs))))

    def ordered(self, order: str) -> "Comparison":
        return replace(self, order=order)

    @property
    def query(self) -> str:
        told = {"runs": ",".join(map(str, self.runs))}
        told |= {"metric": self.metric} if self.metric != "loss" else {}
        told |= {"over": self.over} if self.over != "step" else {}
        told |= {"log": "1"} if self.log else {}
        told |= {"smooth": f"{self.smooth:g}"} if self.smooth else {}
        told |= {"hide": ",".join(map(str, self.hidden))} if self.hidden else {}
        told |= {"whole": "1"} if self.whole else {}
        told |= {"order": self.order} if self.order else {}
        return urlencode(told, safe=",")


def read(params: Mapping[str, str]) -> Comparison:
    """A comparison from an address; what cannot be meant is refused."""
    runs = _numbers("runs", params.get("runs", ""))
    if len(runs) > MOST:
        raise Invalid(
            f"At most {MOST} runs are compared at once; these are {len(runs)}.", code="too_many", field="runs"
        )
    over = params.get("over", "") or "step"
    if over not in OVER:
        raise Invalid(f"Curves are drawn over {', '.join(OVER)}.", code="unknown_axis", field="over")
    metric = params.get("metric", "") or "loss"
    if len(metric) > 40 or not metric.isprintable():
        raise Invalid("There is no such metric.", code="unknown_metric", field="metric")
    return Comparison(
        runs=runs,
        metric=metric,
        over=over,
        log=params.get("log", "") == "1",
        smooth=_smooth(params.get("smooth", "")),
        hidden=tuple(one for one in _numbers("hide", params.get("hide", "")) if one in runs),
        whole=params.get("whole", "") == "1",
        order=params.get("order", "")[:60],
    )


def _numbers(field: str, text: str) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        if not (part.isascii() and part.isdecimal() and len(part) <= 18):
            raise Invalid("Runs are told by their numbers: 12,15,19.", code="bad_number", field=field)
        found[int(part)] = None
    return tuple(found)


def _smooth(text: str) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_SMOOTH:
        raise Invalid(f"Smoothing goes from 0 to {MOST_SMOOTH}.", code="out_of_range", field="smooth")
    return value


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average, unbiased at its start (Kingma & Ba 2015, section 3); `weight` 0 changes nothing."""
    found: list[float] = []
    average = share = 0.0
    for value in values:
        if not math.isfinite(value):  # it leaves a gap and spoils nothing after it
            found.append(value)
            continue
        average = weight * average + (1 - weight) * value
        share = weight * share + (1 - weight)
        found.append(average / share)
    return found


def short(value: float) -> float:
    """Five significant digits are more than a screen shows."""
    return float(f"{value:.5g}")


def differing(facts: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of what is not the same in all of them, in their order; what one lacks differs."""
    names = list(dict.fromkeys(name for one in facts for name in one))
    return [name for name in names if len({one.get(name) for one in facts}) > 1]


def usual(values: Sequence[str]) -> str | None:
    """The value that more than half of them have, if there is one."""
    most = max(values, key=values.count, default=None)
    return most if most is not None and 2 * values.count(most) > len(values) else None
