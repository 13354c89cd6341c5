"""Reads of the ledger line by line: filtered, in pages that stay put while lines are added."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth

from projects import jobs
from projects.domain import budget, phases
from projects.models import Attempt, LedgerEntry, Project

ZERO = Decimal(0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def lines(
    project: Project, *, month: str = "", cause: str = "", outcome: str = "", loss: str = "", subject: str = ""
) -> QuerySet[LedgerEntry]:
    """Lines, the newest first. `month` is 2026-11; `subject` an exact training.run:7, or part of a name."""
    found = project.ledger.select_related("attempt", "person", "booked_by").order_by("-ended_at", "-pk")
    if month:
        start = budget.read_month(month)
        found = found.filter(ended_at__gte=start, ended_at__lt=budget.next_month(start))
    exact = {"cause": cause, "outcome": outcome, "loss_cause": loss}
    found = found.filter(**{name: value for name, value in exact.items() if value})
    return found.filter(_subject(subject)) if subject else found


def _subject(text: str) -> Q:
    kind, _, number = text.strip().rpartition(":")
    if kind and number.isdecimal() and len(number) < 19:
        return Q(subject_kind=kind, subject_id=int(number))
    return Q(subject_label__icontains=text.strip())


def corrections(line: LedgerEntry) -> list[LedgerEntry]:
    return list(line.corrections.select_related("booked_by").order_by("pk"))


@dataclass(frozen=True)
class Page:
    """Some lines, with the cursors of the pages before and after them."""

    lines: list[LedgerEntry]
    before: str
    after: str


def page(found: QuerySet[LedgerEntry], cursor: str, size: int) -> Page:
    """The page that a cursor names: "microseconds.number" of the line it follows, or precedes with a "-" in front.

    A cursor that makes no sense is the first page: the address may have been cut when it was passed on.
    """
    back, at, number = _read(cursor)
    if at is None:
        rows = list(found[: size + 1])
        return Page(rows[:size], "", _cursor(rows[size - 1]) if len(rows) > size else "")
    older = Q(ended_at__lt=at) | Q(ended_at=at, pk__lt=number)
    newer = Q(ended_at__gt=at) | Q(ended_at=at, pk__gt=number)
    if back:
        rows = list(found.filter(newer).order_by("ended_at", "pk")[: size + 1])
        more, rows = len(rows) > size, rows[:size][::-1]
        if not rows:
            return page(found, "", size)
        return Page(rows, f"-{_cursor(rows[0])}" if more else "", _cursor(rows[-1]))
    rows = list(found.filter(older)[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    return Page(rows, f"-{_cursor(rows[0])}" if rows else "", _cursor(rows[-1]) if more else "")


def _cursor(line: LedgerEntry) -> str:
    return f"{(line.ended_at - EPOCH) // MICROSECOND}.{line.pk}"


def _read(cursor: str) -> tuple[bool, datetime | None, int]:
    back, text = cursor.startswith("-"), cursor.removeprefix("-")
    at, _, number = text.partition(".")
    if not (at.isdecimal() and number.isdecimal() and len(at) <= 17 and len(number) < 19):
        return False, None, 0
    return back, EPOCH + int(at) * MICROSECOND, int(number)


@dataclass(frozen=True)
class Sums:
    count: int
    amount: Decimal


def sums(found: QuerySet[LedgerEntry]) -> Sums:
    row = found.order_by().aggregate(count=Count("pk"), amount=Sum("amount", default=ZERO))
    return Sums(row["count"], row["amount"])


def outcomes(project: Project) -> list[str]:
    return list(project.ledger.order_by("outcome").values_list("outcome", flat=True).distinct())


def months(project: Project) -> list[datetime]:
    """Every month with a line, the newest first."""
    found = project.ledger.annotate(month=TruncMonth("ended_at", tzinfo=UTC)).order_by("-month")
    return list(found.values_list("month", flat=True).distinct())


def subject_urls(subjects: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Addresses of the subjects that still exist; one query for each kind of them."""
    wanted: dict[str, set[int]] = {}
    for label, pk in subjects:
        wanted.setdefault(label, set()).add(pk)
    models = subject_models(wanted)
    rows: dict[str, Any] = {
        label: models[label]._base_manager.filter(pk__in=keys) for label, keys in wanted.items() if label in models
    }
    return {(label, row.pk): row.get_absolute_url() for label, found in rows.items() for row in found}


def subject_models(labels: Iterable[str]) -> dict[str, Any]:
    """What lines are booked on: jobs by their labels, and for people's work whatever model it was about."""
    wanted = set(labels)
    models: dict[str, Any] = {kind.label: kind.model for kind in jobs.with_money()}
    return models | {model._meta.label_lower: model for model in apps.get_models() if model._meta.label_lower in wanted}


def with_urls(found: Iterable[LedgerEntry]) -> list[tuple[LedgerEntry, str]]:
    """Each line with the address of what it was spent on, empty when that is gone."""
    rows = list(found)
    urls = subject_urls((line.subject_kind, line.subject_id) for line in rows)
    return [(line, urls.get((line.subject_kind, line.subject_id), "")) for line in rows]


def phases_of(line: LedgerEntry) -> dict[str, float]:
    """Seconds by phase of the attempt behind a line, with the time until a loss was found; empty for other lines."""
    attempt: Attempt | None = line.attempt
    if attempt is None or attempt.ended_at is None:
        return {}
    waited = (line.ended_at - attempt.ended_at).total_seconds()
    return phases.split(attempt.marks, attempt.seconds or 0.0, waited)
