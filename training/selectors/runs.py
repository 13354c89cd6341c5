"""Reads of runs: their attempts and money."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from datasets_app import selectors as datasets
from datasets_app.models import DatasetVersion, Overlap, Shared
from projects.domain import formatting, money
from projects.domain.states import Outcome
from projects.models import Attempt, Project
from training.domain import projection as projecting
from training.models import ProjectionRecord, Run

LABEL = "training.run"
ZERO = Decimal(0)


@dataclass(frozen=True)
class AttemptCost:
    """One claim of a run and what it cost; an open one costs what its time so far is worth.

    `lost` are the workers that the same attempt of a person had lost before.
    """

    attempt: Attempt
    seconds: float
    amount: Decimal
    lost: int = 0

    @property
    def title(self) -> str:
        """“Attempt 2, third start”: what a person asked for, and how often workers began with it."""
        start = self.attempt.start
        return f"Attempt {self.attempt.asked}" + (f", {formatting.ordinal(start)} start" if start > 1 else "")


def runs(project: Project) -> QuerySet[Run]:
    """All runs of a project, the newest first."""
    data = ("dataset_version__dataset", "validation_version__dataset__project")
    joined = ("project", "base", *data, "started_by", "created_by", "adapter")
    return project.runs.select_related(*joined).order_by("-pk")


def attempts(run: Run, now: datetime) -> list[AttemptCost]:
    """All attempts, the newest first, with the ledger's amount or, while one runs, the price of its time so far."""
    rows = Attempt.objects.filter(job_label=LABEL, job_id=run.pk).select_related("ledger_entry").order_by("number")
    lost: dict[int, int] = defaultdict(int)
    priced = []
    for row in rows:
        priced.append(_priced(row, run.project, now, lost[row.asked]))
        lost[row.asked] += row.outcome == Outcome.LOST
    return priced[::-1]


def _priced(attempt: Attempt, project: Project, now: datetime, lost: int) -> AttemptCost:
    entry = getattr(attempt, "ledger_entry", None)
    seconds = attempt.seconds
    if seconds is None:
        seconds = (now - attempt.started_at).total_seconds()
    if entry is not None:
        return AttemptCost(attempt, seconds, entry.amount, lost)
    amount = money.amount(money.hours(attempt.device_seconds(seconds)), project.hour_price(attempt.device))
    return AttemptCost(attempt, seconds, amount, lost)


def cost_so_far(run: Run, now: datetime) -> Decimal:
    """Everything this run has cost, with failed and lost attempts and the running one."""
    return sum((one.amount for one in attempts(run, now)), ZERO)


def training_costs(project: Project) -> dict[int, Decimal]:
    """Booked cost by run."""
    rows = project.ledger.filter(subject_kind=LABEL).values_list("subject_id").annotate(sum=Sum("amount"))
    return dict(rows)


def predicted_against_actual(run: Run, now: datetime) -> list[dict[str, Any]]:
    """The projection frozen at the start beside what it came to; until that is written down, the last attempt."""
    if not run.measured or not run.projection:
        return []
    record = ProjectionRecord.objects.filter(run=run).first()
    if record is not None:
        return projecting.compare(run.projection, record.actual)
    last = next((one for one in attempts(run, now) if one.attempt.outcome == "succeeded"), None)
    if last is None:
        return []
    measured = {
        "seconds": last.seconds,
        "money": last.amount,
        "memory_bytes": run.measured.get("memory_bytes"),
    }
    return projecting.compare(run.projection, measured)


def shared_rows(run: Run) -> Shared | None:
    """Rows that a run learns from and is looked at with; None without validation data, or before they are counted."""
    return datasets.shared(run.dataset_version, run.validation_version) if run.validation_version else None


def overlaps(version: DatasetVersion) -> list[Overlap]:
    """Golden sets that share prompts with the version; those that share nothing are left out."""
    rows = version.overlaps.select_related("golden_version__dataset").order_by("-exact", "-normalised")
    return [row for row in rows if row.total]
