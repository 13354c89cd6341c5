"""Which runs a list shows, and in which order: read from an address, the same for the page and the API."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from projects.domain.errors import Invalid
from projects.domain.states import JobState
from training.domain.knobs import Method

# What a list can be sorted by: the name in the address, and how it is called.
ORDERS = {
    "created": "Created",
    "name": "Run",
    "state": "State",
    "method": "Method",
    "data": "Data",
    "base": "Base",
    "creator": "Created by",
    "loss": "Loss",
    "rate": "Tokens/s",
    "duration": "Duration",
    "cost": "Cost",
    "started": "Started",
    "step": "Step",
}
NEWEST = "-created"
NUMBERS = ("base", "dataset_version", "creator", "sweep")
MOST_WORDS, LONGEST_NAME = 8, 120
FILTERS = ("name", "state", "method", *NUMBERS, "since", "until")


@dataclass(frozen=True)
class Listing:
    """`since` and `until` are days in UTC, both of them included; numbers are those of rows, 0 for any."""

    name: str = ""
    state: str = ""
    method: str = ""
    base: int = 0
    dataset_version: int = 0
    creator: int = 0
    sweep: int = 0
    since: date | None = None
    until: date | None = None
    order: str = NEWEST

    @property
    def words(self) -> list[str]:
        return self.name.split()[:MOST_WORDS]

    @property
    def column(self) -> str:
        return self.order.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.order.startswith("-")

    @property
    def begin(self) -> datetime | None:
        return _midnight(self.since) if self.since else None

    @property
    def end(self) -> datetime | None:
        """The first moment that is too late."""
        return _midnight(self.until) + timedelta(days=1) if self.until else None

    @property
    def is_filtered(self) -> bool:
        return any(getattr(self, name) for name in FILTERS)

    def ordered(self, order: str) -> "Listing":
        return replace(self, order=order)

    @property
    def query(self) -> str:
        """As it stands in an address, without what is left open."""
        told = {name: str(getattr(self, name)) for name in FILTERS if getattr(self, name)}
        return urlencode(told | ({"order": self.order} if self.order != NEWEST else {}))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def read(params: Mapping[str, str]) -> Listing:
    """A listing from an address; what cannot be meant is refused, since a filter that is ignored shows too much."""
    return Listing(
        name=params.get("name", "").replace("\x00", "").strip()[:LONGEST_NAME],
        state=_one_of("state", params.get("state", ""), [one.value for one in JobState]),
        method=_one_of("method", params.get("method", ""), [one.value for one in Method]),
        since=_day("since", params.get("since", "")),
        until=_day("until", params.get("until", "")),
        order=_order(params.get("order", "") or NEWEST),
        **{name: _number(name, params.get(name, "")) for name in NUMBERS},
    )


def _one_of(field: str, value: str, known: list[str]) -> str:
    if value and value not in known:
        raise Invalid(f"There is no {field} “{value[:40]}”.", code=f"unknown_{field}", field=field)
    return value


def _order(value: str) -> str:
    if value.removeprefix("-") not in ORDERS:
        raise Invalid(
            f"Runs cannot be sorted by “{value[:40]}”, only by {', '.join(ORDERS)}; “-” before it turns it round.",
            code="unknown_order",
            field="order",
        )
    return value


def _number(field: str, value: str) -> int:
    if not value:
        return 0
    if not (value.isascii() and value.isdecimal() and len(value) <= 18):
        raise Invalid(f"“{value[:40]}” is not a number of a {field.replace('_', ' ')}.", code="bad_number", field=field)
    return int(value)


def _day(field: str, value: str) -> date | None:
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or len(value) != 10 or not 1970 <= found.year <= 9000:
        raise Invalid(f"“{value[:20]}” is not a day. Write it as 2026-11-29.", code="bad_day", field=field)
    return found
