"""The run that a sweep proposes, and why: the best if that is clear, else the cheapest of those that may be it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from projects.domain import formatting
from projects.domain.contests import Contest


@dataclass(frozen=True)
class Proposal:
    """`winner` and `tied` are numbers of runs."""

    winner: int
    tied: tuple[int, ...]
    clear: bool
    headline: str
    reason: str
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"tied": list(self.tied)}


def propose(contest: Contest, costs: Mapping[int, Decimal], names: Mapping[int, str], currency: str) -> Proposal:
    """What to take, in words that say how sure that is."""
    first = contest.first
    if len(contest.order) == 1:
        headline = f"{names[first]} is the only run with a result"
        return Proposal(first, (first,), False, headline, f"{contest.measure}: {_value(contest, first)}.", contest.note)
    if contest.is_clear:
        headline = f"{names[first]} is the best"
        reason = f"{contest.measure} {_value(contest, first)}, {_gap(contest, names)}"
        return Proposal(first, contest.tied, True, headline, reason, contest.note)
    winner = min(contest.tied, key=lambda key: (costs.get(key, Decimal(0)), contest.order.index(key)))
    return Proposal(
        winner,
        contest.tied,
        False,
        _no_clear(contest, names),
        _cheaper(contest, winner, costs, names, currency),
        contest.note,
    )


def _no_clear(contest: Contest, names: Mapping[int, str]) -> str:
    told = [names[key] for key in contest.tied]
    if len(told) > 3:
        return f"No clear winner among {len(told)} runs"
    return f"No clear winner between {', '.join(told[:-1])} and {told[-1]}"


def _cheaper(
    contest: Contest, winner: int, costs: Mapping[int, Decimal], names: Mapping[int, str], currency: str
) -> str:
    cost = formatting.money(costs.get(winner, Decimal(0)), currency)
    why = "it came first and costs no more" if winner == contest.first else "the cheapest of them"
    value = f"{contest.measure} {_value(contest, winner)}"
    return f"{names[winner]} is proposed: {why} ({cost}). {value}; {_gap(contest, names)}"


def _value(contest: Contest, key: int) -> str:
    value = contest.values[key]
    return formatting.percent(value) if contest.percent else formatting.sig3(value)


def _gap(contest: Contest, names: Mapping[int, str]) -> str:
    if contest.difference is None or contest.low is None or contest.high is None:
        return "too few steps were reported to say how sure that is."
    one, two = names[contest.order[0]], names[contest.order[1]]
    middle, low, high = contest.difference, contest.low, contest.high
    if not contest.percent:  # a better loss is a lower one
        middle, low, high = -middle, -high, -low
    write = formatting.points if contest.percent else _signed
    return (
        f"{one} against {two}: {write(middle)}, 95 % interval {write(low)} to {write(high)} for all "
        f"{len(contest.order)} runs together."
    )


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + formatting.sig3(float(value))
