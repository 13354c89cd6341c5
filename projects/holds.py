"""Money set aside for work: opened at its start, topped down by what is booked, released at its end."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from projects.domain import budget, money
from projects.domain.budget import Month
from projects.models import BudgetRequest, Hold, LedgerEntry, Project

AMOUNT: DecimalField = DecimalField(max_digits=14, decimal_places=6)
ZERO = Decimal(0)


def lock(project: Project) -> Project:
    """The project as it is now, with everybody else who wants to spend waiting until this transaction ends.

    SQLite has no row locks; its transactions begin IMMEDIATE, so a whole one waits for the other.
    """
    return Project.objects.select_for_update().get(pk=project.pk)


def month(project: Project, now: datetime) -> Month:
    """Spent and held in one statement, so that money on its way from the one to the other is seen exactly once."""
    start = budget.month_of(now)
    mine = {"project": OuterRef("pk")}
    lines = LedgerEntry.objects.filter(**mine, ended_at__gte=start, ended_at__lt=budget.next_month(start))
    # An open hold counts in the month that is running, whenever it was opened: that is when it will be booked.
    waiting = Hold.objects.filter(**mine, state="open").annotate(
        rest=Greatest(F("amount") - F("spent"), ZERO, output_field=AMOUNT)
    )
    row = (
        Project.objects.filter(pk=project.pk)
        .values("monthly_budget")
        .annotate(spent=_sum(lines, "amount"), held=_sum(waiting, "rest"))
        .get()
    )
    return Month(start, row["monthly_budget"], money.exact(row["spent"]), money.exact(row["held"]))


def _sum(rows: Any, name: str) -> Any:
    added = rows.order_by().values("project").annotate(sum=Sum(name, output_field=AMOUNT)).values("sum")
    return Coalesce(Subquery(added, output_field=AMOUNT), ZERO, output_field=AMOUNT)


def open_hold(job: Any, *, amount: Decimal | None, now: datetime, request: BudgetRequest | None = None) -> Hold:
    """Set aside what the job may cost. An amount that nobody can tell is held as nothing, and grows as it is spent."""
    return Hold.objects.create(
        project=job.project,
        job_label=job.job_label,
        job_id=job.pk,
        job_text=str(job)[:200],
        month=budget.month_of(now).date(),
        projected=amount,
        amount=amount or ZERO,
        opened_at=now,
        request=request,
    )


def of_job(label: str, pk: int) -> Hold | None:
    """The newest hold of a job, open or not."""
    return Hold.objects.filter(job_label=label, job_id=pk).order_by("-pk").first()


def top_down(label: str, pk: int, amount: Decimal) -> None:
    """What is booked for a job is no longer held for it."""
    newest = of_job(label, pk)
    if newest is not None:
        Hold.objects.filter(pk=newest.pk).update(spent=F("spent") + amount)


def take(job: Any, amount: Decimal) -> Decimal:
    """Take so much out of what is held for a job, as far as there is so much; what was taken."""
    row = Hold.objects.select_for_update().filter(job_label=job.job_label, job_id=job.pk, state="open").first()
    if row is None:
        return ZERO
    taken = min(amount, max(money.exact(row.amount - row.spent), ZERO))
    if taken:
        # Worked out here, under the lock: SQLite would subtract in floating point and may end a hair below nothing.
        Hold.objects.filter(pk=row.pk).update(amount=money.exact(row.amount - taken))
    return taken


def release(job: Any, *, reason: str) -> None:
    """Let go of what the job no longer needs: it is over."""
    now = timezone.now()
    open_one = Q(job_label=job.job_label, job_id=job.pk, state="open")
    Hold.objects.filter(open_one).update(
        state="released", reason=reason[:20], released_at=Greatest(F("opened_at"), now)
    )
