"""The list of runs as its page shows it: rows, headings that sort, and what is filtered by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.urls import reverse
from django.utils import timezone

from projects.domain import formatting, looks
from projects.domain.formatting import NOTHING
from projects.domain.states import JobState
from projects.models import Project
from projects.templatetags.luthier import icon, moment_ago
from training import selectors
from training.domain.listing import ORDERS, Listing
from training.selectors.listing import METHOD_NAMES, Listed

PAGE, MOST_DIGITS = 100, 10
# Headings from left to right: what they sort by, and whether the figures stand to the right.
HEADINGS = (
    ("name", False), ("state", False), ("data", False), ("base", False), ("loss", True), ("rate", True),
    ("duration", True), ("cost", True), ("started", False),
)  # fmt: skip
SORTED, UNSORTED = {False: ("ascending", "arrow-up"), True: ("descending", "arrow-down")}, ("none", "")
FALLING_FIRST = {"rate", "duration", "cost", "started", "created", "step"}


@dataclass(frozen=True)
class Heading:
    """One column: where a click leads, and how the list is sorted by it now (as `aria-sort` says it)."""

    name: str
    label: str
    kind: str
    sorted: str
    arrow: str
    url: str


class Counted(Paginator):
    """Pages of a listing, read by number of page; its order is that of `selectors.listed`."""

    def __init__(self, project: Project, listing: Listing, known: selectors.Choices | None = None) -> None:
        super().__init__([], PAGE)
        self.project, self.listing, self.known = project, listing, known

    @cached_property
    def count(self) -> int:
        return selectors.count_listed(self.project, self.listing)

    def get_page(self, number: Any) -> Page:
        """Its rows come first: a page that they do not fill tells how many there are, and nothing has to be counted."""
        told = str(number or 1)
        if not (told.isascii() and told.isdecimal() and len(told) < MOST_DIGITS and int(told)):
            return super().get_page(number)
        wanted = int(told)
        rows = self._read(wanted)
        if not rows and wanted > 1:
            return super().get_page(number)
        if len(rows) < PAGE:
            self.count = (wanted - 1) * PAGE + len(rows)
        return Page(rows, wanted, self)

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        return Page(self._read(number), number, self)

    def _read(self, number: int) -> list[Listed]:
        return selectors.listed(self.project, self.listing, (number - 1) * PAGE, number * PAGE, self.known)


def run_list(project: Project, listing: Listing, number: Any, known: selectors.Choices | None = None) -> dict[str, Any]:
    """What every change of a filter brings anew; `known` are names that have been read already."""
    page, url = Counted(project, listing, known).get_page(number), reverse("run-list", args=[project.slug])
    return {
        "page": page,
        "rows": list(written(page.object_list, project, url, timezone.localtime())),
        "listing": listing,
        "headings": [vars(one) for one in headings(listing, url)],
        "orders": orders(),
        "runs_url": url,
    }


def written(runs: Iterable[Listed], project: Project, url: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Words and figures as they are shown; made here, since a hundred rows are a thousand cells."""
    seen = {state.value: looks.look_of(state.value) for state in JobState}
    for run in runs:
        look = seen[run.state]
        yield {
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
            "loss": NOTHING if run.last_loss is None else formatting.sig3(run.last_loss),
            "rate": NOTHING if run.tokens_per_second is None else formatting.number(round(run.tokens_per_second)),
            "duration": NOTHING if run.seconds is None else formatting.duration(run.seconds),
            "cost": NOTHING if run.cost is None else formatting.money(run.cost, project.currency),
            "started": moment_ago(run.started_at.astimezone(now.tzinfo), now) if run.started_at else NOTHING,
        }


def _progress(run: Listed) -> str:
    if run.state == JobState.SUCCEEDED or not run.total_steps:
        return ""
    return f"step {formatting.number(run.step)} of {formatting.number(run.total_steps)}"


def headings(listing: Listing, url: str) -> list[Heading]:
    found = []
    for name, number in HEADINGS:
        mine = listing.column == name
        turned = name if (listing.descending if mine else name not in FALLING_FIRST) else f"-{name}"
        told, arrow = SORTED[listing.descending] if mine else UNSORTED
        address = f"{url}?{listing.ordered(turned).query}"
        found.append(Heading(name, ORDERS[name], "num" if number else "", told, arrow and icon(arrow), address))
    return found


def orders() -> list[tuple[str, str]]:
    """Every way to sort, in words, for where there are no headings."""
    found = [("-created", "Newest first"), ("created", "Oldest first")]
    for name, label in ORDERS.items():
        if name != "created":
            up, down = ("low to high", "high to low") if name in FALLING_FIRST | {"loss"} else ("A to Z", "Z to A")
            found += [(name, f"{label}, {up}"), (f"-{name}", f"{label}, {down}")]
    return found


def run_filters(choices: selectors.Choices) -> dict[str, Any]:
    """What the form of filters offers."""
    return {
        "choices": choices,
        "states": [(one.value, looks.look_of(one.value).word) for one in JobState],
        "methods": list(METHOD_NAMES.items()),
    }
