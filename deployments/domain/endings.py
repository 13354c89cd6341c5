"""When the maker of a base, or the team, stops standing by it: how near that is, and how loudly to say so."""

import datetime
from dataclasses import dataclass

SOON, NEAR = 90, 30  # days before the end from which a date warns, and from which it presses


@dataclass(frozen=True)
class Ending:
    """The end of one base, seen from a day."""

    date: datetime.date
    today: datetime.date

    @property
    def days(self) -> int:
        return (self.date - self.today).days

    @property
    def is_past(self) -> bool:
        return self.days <= 0

    @property
    def warns(self) -> bool:
        return self.days <= SOON

    @property
    def tone(self) -> str:
        if self.is_past:
            return "failed"
        return "attention" if self.warns else "waiting"

    @property
    def words(self) -> str:
        """“in 12 days”, “5 days ago”"""
        if self.days == 0:
            return "today"
        count = abs(self.days)
        days = f"{count} day" if count == 1 else f"{count:,} days".replace(",", "\N{THIN SPACE}")
        return f"in {days}" if self.days > 0 else f"{days} ago"

    @property
    def presses(self) -> bool:
        return self.days <= NEAR
