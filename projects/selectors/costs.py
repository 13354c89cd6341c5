"""Reads of the ledger: what was spent, on what, and what it bought."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from projects import jobs
from projects.domain import states
from projects.domain.states import Outcome
from projects.models import LedgerEntry, Project
from projects.models.ledger import CAUSES

ZERO = Decimal(0)
WITHOUT_RESULT = sorted(outcome.value for outcome in states.WITHOUT_RESULT)
CAUSE_WORDS = dict(CAUSES)


@dataclass(frozen=True)
class Spending:
    """Sums of one project's ledger, in its currency."""

    month: Decimal
    total: Decimal
    without_result: Decimal
    month_without_result: Decimal
    trainings: int
    training_total: Decimal
    lines: int
    budget: Decimal | None

    @property
    def budget_share(self) -> Decimal | None:
        return self.month / self.budget if self.budget else None

    @property
    def share_without_result(self) -> Decimal | None:
        return self.without_result / self.total if self.total else None

    @property
    def per_training(self) -> Decimal | None:
        """What a finished training costs all in: with the failed and cancelled ones that led to it."""
        return self.training_total / self.trainings if self.trainings else None


def month_start(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def spending(project: Project, now: datetime) -> Spending:
    this_month, wasted = Q(ended_at__gte=month_start(now)), Q(outcome__in=WITHOUT_RESULT)
    training = Q(cause="training", subject_kind="training.run")
    sums = project.ledger.aggregate(
        month=Sum("amount", filter=this_month, default=ZERO),
        total=Sum("amount", default=ZERO),
        without_result=Sum("amount", filter=wasted, default=ZERO),
        month_without_result=Sum("amount", filter=this_month & wasted, default=ZERO),
        trainings=Count("subject_id", filter=training & Q(outcome=Outcome.SUCCEEDED.value), distinct=True),
        training_total=Sum("amount", filter=training, default=ZERO),
        lines=Count("pk"),
    )
    return Spending(budget=project.monthly_budget, **sums)


def daily_costs(project: Project, since: date) -> list[tuple[date, str, Decimal]]:
    """(day, cause, amount) of each day with costs, oldest first."""
    rows = (
        project.ledger.filter(ended_at__date__gte=since)
        .annotate(day=TruncDate("ended_at"))
        .values("day", "cause")
        .annotate(sum=Sum("amount"))
        .order_by("day", "cause")
    )
    return [(row["day"], row["cause"], row["sum"]) for row in rows]


def costs_by_outcome(project: Project, since: date) -> list[tuple[str, str, Decimal]]:
    """(cause, outcome, amount), the dearest first."""
    rows = (
        project.ledger.filter(ended_at__date__gte=since)
        .values("cause", "outcome")
        .annotate(sum=Sum("amount"))
        .order_by("-sum", "cause", "outcome")
    )
    return [(row["cause"], row["outcome"], row["sum"]) for row in rows]


@dataclass(frozen=True)
class Subject:
    """What money went into: a run, an evaluation, an upload."""

    kind: str
    pk: int
    label: str
    url: str
    cause: str
    amount: Decimal
    without_result: Decimal
    attempts: int
    succeeded: bool
    last: datetime


def dearest_subjects(project: Project, since: date, limit: int = 10) -> list[Subject]:
    """The subjects that cost most, with what of it brought nothing."""
    rows = list(
        project.ledger.filter(ended_at__date__gte=since)
        .values("subject_kind", "subject_id")
        .annotate(
            cost=Sum("amount"),
            wasted=Sum("amount", filter=Q(outcome__in=WITHOUT_RESULT), default=ZERO),
            attempts=Count("pk"),
            successes=Count("pk", filter=~Q(outcome__in=WITHOUT_RESULT)),
            label=Max("subject_label"),
            why=Max("cause"),
            last=Max("ended_at"),
        )
        .order_by("-cost", "-last")[:limit]
    )
    urls = subject_urls((row["subject_kind"], row["subject_id"]) for row in rows)
    return [
        Subject(
            kind=row["subject_kind"],
            pk=row["subject_id"],
            label=row["label"],
            url=urls.get((row["subject_kind"], row["subject_id"]), ""),
            cause=CAUSE_WORDS.get(row["why"], row["why"]),
            amount=row["cost"],
            without_result=row["wasted"],
            attempts=row["attempts"],
            succeeded=row["successes"] > 0,
            last=row["last"],
        )
        for row in rows
    ]


def subject_urls(subjects: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Addresses of the subjects that still exist; one query for each kind of them."""
    wanted: dict[str, set[int]] = {}
    for label, pk in subjects:
        wanted.setdefault(label, set()).add(pk)
    models: dict[str, Any] = {kind.label: kind.model for kind in jobs.kinds()}
    # People's work is booked on things that are no jobs; those are named by their model.
    models |= {model._meta.label_lower: model for model in apps.get_models() if model._meta.label_lower in wanted}
    rows: dict[str, Any] = {
        label: models[label]._base_manager.filter(pk__in=keys) for label, keys in wanted.items() if label in models
    }
    return {(label, row.pk): row.get_absolute_url() for label, found in rows.items() for row in found}


def ledger(project: Project, *, cause: str = "", outcome: str = "") -> QuerySet[LedgerEntry]:
    """Lines of the ledger, the newest first."""
    lines = project.ledger.order_by("-ended_at", "-pk")
    if cause:
        lines = lines.filter(cause=cause)
    return lines.filter(outcome=outcome) if outcome else lines


def outcomes(project: Project) -> list[str]:
    return list(project.ledger.order_by("outcome").values_list("outcome", flat=True).distinct())


def with_urls(lines: Iterable[LedgerEntry]) -> list[tuple[LedgerEntry, str]]:
    """Each line with the address of what it was spent on, empty when that is gone."""
    lines = list(lines)
    urls = subject_urls((line.subject_kind, line.subject_id) for line in lines)
    return [(line, urls.get((line.subject_kind, line.subject_id), "")) for line in lines]


def days_before(now: datetime, days: int) -> date:
    """First of the last `days` days, today included."""
    return (now - timedelta(days=days - 1)).date()


def plain_row(line: LedgerEntry) -> list[Any]:
    """A line for the export: numbers as numbers, times in ISO format."""
    return [
        line.ended_at.isoformat(timespec="seconds"),
        line.started_at.isoformat(timespec="seconds"),
        line.cause,
        line.outcome,
        line.subject_kind,
        line.subject_id,
        line.subject_label,
        line.quantity,
        line.unit,
        line.unit_price,
        line.amount,
        line.currency,
        line.note,
    ]


EXPORT_HEAD = [
    "ended_at",
    "started_at",
    "cause",
    "outcome",
    "subject_kind",
    "subject_id",
    "subject",
    "quantity",
    "unit",
    "unit_price",
    "amount",
    "currency",
    "note",
]
