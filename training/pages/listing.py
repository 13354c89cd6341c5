"""The list of runs as its page shows it: rows, headings that sort, and what is filtered by."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.urls import reverse
from django.utils import timezone

from projects.domain import formatting, looks
from projects.domain.states import JobState
from projects.models import Project
from projects.templatetags.luthier import moment_ago
from training import selectors
from training.domain.listing import ORDERS, Listing
from training.selectors.listing import METHOD_NAMES, Listed

PAGE = 100
# Headings from left to right: what they sort by, and whether the figures stand to the right.
HEADINGS = (
    ("name", False), ("state", False), ("data", False), ("base", False), ("loss", True), ("rate", True),
    ("duration", True), ("cost", True), ("started", False),
)  # fmt: skip
FALLING_FIRST = {"rate", "duration", "cost", "started", "created", "step"}


@dataclass(frozen=True)
class Heading:
    """One column: where a click leads, and how the list is sorted by it now (“”, “ascending”, “descending”)."""

    name: str
    label: str
    number: bool
    sorted: str
    query: str


class Counted(Paginator):
    """Pages of a listing, read by number of page; its order is that of `selectors.listed`."""

    def __init__(self, project: Project, listing: Listing) -> None:
        super().__init__([], PAGE)
        self.project, self.listing = project, listing

    @cached_property
    def count(self) -> int:
        return selectors.matching(self.project, self.listing).count()

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        start = (number - 1) * PAGE
        rows = selectors.listed(self.project, self.listing, start, start + PAGE) if self.count else []
        return Page(rows, number, self)


def run_list(project: Project, listing: Listing, number: Any) -> dict[str, Any]:
    """What every change of a filter brings anew."""
    now = timezone.localtime()
    page, url = Counted(project, listing).get_page(number), reverse("run-list", args=[project.slug])
    return {
        "page": page,
        "rows": [row(one, project, url, now) for one in page.object_list],
        "listing": listing,
        "headings": headings(listing),
        "orders": orders(),
        "runs_url": url,
    }


def row(run: Listed, project: Project, url: str, now: datetime) -> dict[str, Any]:
    """Words and figures as they are shown; made here, since a hundred rows are a thousand cells."""
    look = looks.look_of(run.state)
    return {
        "pk": run.pk,
        "url": f"{url}{run.pk}/",
        "name": run.name,
        "sub": f"{METHOD_NAMES[run.method]} by {run.by}",
        "tone": look.tone,
        "icon": look.icon,
        "word": look.word,
        "more": run.waiting.in_brief if run.waiting else _progress(run),
        "data": run.data,
        "base": run.base,
        "loss": _or_dash(formatting.sig3, run.last_loss),
        "rate": _or_dash(lambda value: formatting.number(round(value)), run.tokens_per_second),
        "duration": _or_dash(formatting.duration, run.seconds),
        "cost": _or_dash(lambda value: formatting.money(value, project.currency), run.cost),
        "started": moment_ago(run.started_at.astimezone(now.tzinfo), now) if run.started_at else formatting.NOTHING,
    }


def _progress(run: Listed) -> str:
    if run.state == JobState.SUCCEEDED or not run.total_steps:
        return ""
    return f"step {formatting.number(run.step)} of {formatting.number(run.total_steps)}"


def _or_dash(write: Any, value: Any) -> str:
    return formatting.NOTHING if value is None else write(value)


def headings(listing: Listing) -> list[Heading]:
    found = []
    for name, number in HEADINGS:
        mine = listing.column == name
        turned = name if (listing.descending if mine else name not in FALLING_FIRST) else f"-{name}"
        told = ("descending" if listing.descending else "ascending") if mine else ""
        found.append(Heading(name, ORDERS[name], number, told, listing.ordered(turned).query))
    return found


def orders() -> list[tuple[str, str]]:
    """Every way to sort, in words, for where there are no headings."""
    found = [("-created", "Newest first"), ("created", "Oldest first")]
    for name, label in ORDERS.items():
        if name != "created":
            up, down = ("low to high", "high to low") if name in FALLING_FIRST | {"loss"} else ("A to Z", "Z to A")
            found += [(name, f"{label}, {up}"), (f"-{name}", f"{label}, {down}")]
    return found


def run_filters(project: Project, listing: Listing) -> dict[str, Any]:
    """What the form of filters offers."""
    return {
        "choices": selectors.choices(project),
        "states": [(one.value, looks.look_of(one.value).word) for one in JobState],
        "methods": list(METHOD_NAMES.items()),
    }
