"""What a project may spend in a month: what is spent, held and left, and who has to say yes when it is not enough."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

from projects.domain import formatting
from projects.domain.errors import Invalid, Refused
from projects.domain.machine import Machine

ZERO = Decimal(0)
# z of the 90th percentile of a normal distribution: bands in the product are P10 to P90.
Z90 = 1.2816
DAYS_TO_KNOW = 7  # fewer days with a ledger say nothing about the rest of a month


class RequestState(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


R = RequestState
REQUEST = Machine(
    "budget_request",
    {
        R.ASKED: frozenset({R.APPROVED, R.DECLINED, R.WITHDRAWN}),
        R.APPROVED: frozenset(),
        R.DECLINED: frozenset(),
        R.WITHDRAWN: frozenset(),
    },
)


class OverBudget(Refused):
    """It would cost more than the month has left; an owner can allow it."""

    code = "over_budget"


def month_of(now: datetime) -> datetime:
    """The start of the calendar month, in UTC: where ledgers are cut."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


@dataclass(frozen=True)
class Month:
    """One calendar month of a project. `held` is what running work may still cost beyond what is spent."""

    start: datetime
    budget: Decimal | None
    spent: Decimal
    held: Decimal

    @property
    def committed(self) -> Decimal:
        return self.spent + self.held

    @property
    def left(self) -> Decimal | None:
        """None without a budget; negative when more is spent and held than it allows."""
        return None if self.budget is None else self.budget - self.committed

    @property
    def first_day(self) -> date:
        return self.start.date()

    @property
    def end(self) -> datetime:
        return next_month(self.start)

    def fits(self, amount: Decimal | None) -> bool:
        """Whether `amount` more stays within the budget. What cannot be projected fits only where there is none."""
        return self.left is None or (amount is not None and amount <= self.left)

    def over_by(self, amount: Decimal | None) -> Decimal | None:
        """How far `amount` goes beyond the budget; None when either is not known."""
        return None if amount is None or self.left is None else max(amount - self.left, ZERO)


def refusal(what: str, amount: Decimal | None, month: Month, currency: str) -> OverBudget:
    """Why it does not start by itself, and what can be done."""

    def money(value: Decimal | None) -> str:
        return formatting.money(value or ZERO, currency)

    if amount is None:
        why = f"What “{what}” will cost cannot be projected yet, and this month has a budget of {money(month.budget)}."
    else:
        left = max(month.left or ZERO, ZERO)
        why = (
            f"“{what}” may cost up to {money(amount)} (P90), and {money(left)} of this month's budget of "
            f"{money(month.budget)} is left: {money(month.spent)} is spent and {money(month.held)} held for running "
            "work."
        )
    what_next = (
        "An owner can allow it: say why it should start, and it waits for their yes. Or make it smaller, or start it "
        f"after {month.end.day} {month.end:%B} (UTC), when the next month begins."
    )
    return OverBudget(f"{why} {what_next}", field="budget_reason")


@dataclass(frozen=True)
class MonthEnd:
    """What a month will have cost at its end."""

    p10: Decimal
    p50: Decimal
    p90: Decimal


def month_end(month: Month, daily: Sequence[Decimal], days_left: float) -> MonthEnd | None:
    """From what is spent and held, and the costs of each of the last days, the quiet ones too.

    The days to come are taken as draws like the past ones: their sum has the mean n·m and the deviation s·√n. What is
    held for running work is the least that is expected. None when too few days are known.
    """
    if len(daily) < DAYS_TO_KNOW:
        return None
    costs = [float(amount) for amount in daily]
    middle, spread = statistics.fmean(costs) * days_left, statistics.stdev(costs) * math.sqrt(days_left)
    more = [max(ZERO, Decimal(str(round(middle + z * spread, 2)))) for z in (-Z90, 0, Z90)]
    low, mid, high = month.spent + more[0], *(month.spent + max(part, month.held) for part in more[1:])
    return MonthEnd(low, mid, high)


def read_month(text: str) -> datetime:
    """The month written as 2026-11."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"“{text[:20]}” is not a month. Write it as 2026-11.", code="bad_month", field="month") from None
