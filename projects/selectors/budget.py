"""Reads about the month's budget: what is spent, held and left, what waits for a yes, what costs more than was said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from projects import access, holds, jobs
from projects.contributions import Need
from projects.domain import budget, formatting
from projects.domain.budget import Month, MonthEnd, RequestState
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import BudgetRequest, Hold, Project, User
from projects.selectors.ledger import subject_urls

ZERO = Decimal(0)
DAYS_LOOKED_AT = 28
DAY = timedelta(days=1)
RECENT = timedelta(days=14)


@dataclass(frozen=True)
class Status:
    """The running month, and what it will have cost at its end, as far as that can be told."""

    month: Month
    end: MonthEnd | None
    hard_limit: bool

    @property
    def is_over(self) -> bool:
        return self.month.left is not None and self.month.left < 0

    @property
    def over(self) -> Decimal:
        """How far spent and held together are beyond the budget."""
        return max(-(self.month.left or ZERO), ZERO)

    @property
    def shares(self) -> dict[str, float]:
        """Spent, held and the limit in percent of a bar as long as the greater of budget and its use."""
        month = self.month
        whole = max(month.budget or ZERO, month.committed)
        parts = {"spent": month.spent, "held": month.held, "limit": month.budget or ZERO}
        return {name: round(float(100 * part / whole), 2) if whole else 0.0 for name, part in parts.items()}

    @property
    def tone(self) -> str:
        if self.month.budget is None:
            return ""
        if self.is_over:
            return "failed"
        return "attention" if self.end is not None and self.end.p50 > self.month.budget else "succeeded"


def status(project: Project, now: datetime) -> Status:
    month = holds.month(project, now)
    days_left = (month.end - now).total_seconds() / DAY.total_seconds()
    return Status(month, budget.month_end(month, daily(project, now), days_left), project.stop_at_budget)


def daily(project: Project, now: datetime) -> list[Decimal]:
    """What each of the last days cost, quiet ones too; from the first day that has a line at all."""
    since = (now - DAYS_LOOKED_AT * DAY).date()
    rows = dict(
        project.ledger.filter(ended_at__date__gte=since, ended_at__date__lt=now.date())
        .annotate(day=TruncDate("ended_at"))
        .values_list("day")
        .annotate(sum=Sum("amount"))
        .order_by("day")
    )
    if not rows:
        return []
    older = project.ledger.filter(ended_at__date__lt=since).exists()
    first = since if older else min(rows)
    return [rows.get(first + n * DAY, ZERO) for n in range((now.date() - first).days)]


@dataclass(frozen=True)
class Held:
    """An open hold with the address of the work it is for."""

    hold: Hold
    url: str


def open_holds(project: Project) -> list[Held]:
    rows = list(project.holds.filter(state="open").order_by("opened_at"))
    urls = subject_urls((row.job_label, row.job_id) for row in rows)
    return [Held(row, urls.get((row.job_label, row.job_id), "")) for row in rows]


@dataclass(frozen=True)
class Asked:
    """An open request, and whether the month has room for it now."""

    request: BudgetRequest
    url: str
    fits_now: bool


def requests(project: Project) -> QuerySet[BudgetRequest]:
    return project.budget_requests.select_related("project", "asked_by", "decided_by").order_by("-pk")


def open_requests(project: Project, now: datetime) -> list[Asked]:
    """What waits for an owner, the oldest first."""
    rows = list(requests(project).filter(state=RequestState.ASKED.value).order_by("pk"))
    if not rows:
        return []
    month = holds.month(project, now)
    urls = subject_urls((row.job_label, row.job_id) for row in rows)
    return [Asked(row, urls.get((row.job_label, row.job_id), ""), month.fits(row.amount)) for row in rows]


@dataclass(frozen=True)
class Plan:
    """What a start would do to the month. `amount` is its P90, None when nobody can tell."""

    month: Month
    amount: Decimal | None

    @property
    def fits(self) -> bool:
        return self.month.fits(self.amount)

    @property
    def over_by(self) -> Decimal | None:
        return self.month.over_by(self.amount)


def plan(project: Project, amount: Decimal | None, now: datetime) -> Plan:
    return Plan(holds.month(project, now), amount)


@dataclass(frozen=True)
class JobMoney:
    """What is held for one job, what was asked for it, and what the month has left for another try."""

    hold: Hold | None
    request: BudgetRequest | None
    plan: Plan
    hard_limit: bool
    running: Decimal = ZERO  # of the attempt that is not booked yet

    @property
    def month(self) -> Month:
        return self.plan.month

    @property
    def so_far(self) -> Decimal:
        """What the job has cost since its money was held."""
        return self.running + (self.hold.spent if self.hold else ZERO)

    @property
    def exceeded(self) -> bool:
        """It costs more than was said at its start, and goes on."""
        hold = self.hold
        return hold is not None and hold.is_open and hold.projected is not None and self.so_far > hold.projected

    @property
    def fits_now(self) -> bool:
        return self.request is not None and self.month.fits(self.request.amount)

    @property
    def left_after(self) -> Decimal | None:
        """What a yes would leave of the month."""
        if self.month.left is None or self.request is None or self.request.amount is None:
            return None
        return self.month.left - self.request.amount


def of_job(job: Any, amount: Decimal | None, now: datetime, *, running: Decimal = ZERO) -> JobMoney:
    asked = BudgetRequest.objects.filter(job_label=job.job_label, job_id=job.pk)
    request = asked.select_related("project", "asked_by", "decided_by").order_by("-pk").first()
    hold = holds.of_job(job.job_label, job.pk)
    return JobMoney(hold, request, plan(job.project, amount, now), job.project.stop_at_budget, running)


def of_request(request: BudgetRequest, now: datetime) -> JobMoney:
    hold = request.holds.order_by("-pk").first()
    return JobMoney(hold, request, plan(request.project, request.amount, now), request.project.stop_at_budget)


def url_of(request: BudgetRequest) -> str:
    """The work that it is about; empty when that is gone."""
    key = (request.job_label, request.job_id)
    return subject_urls([key]).get(key, "")


def needs(project: Project, user: User) -> list[Need]:
    """For owners: what waits for their yes, and what costs more than was said. For askers: the no they got."""
    now = timezone.now()
    found = _declined(project, user, now)
    if access.may(user, Permission.BUDGET_APPROVE, project):
        found += _asked(open_requests(project, now), project.currency)
        found += _exceeded(project)
    return found


def _asked(waiting: Sequence[Asked], currency: str) -> list[Need]:
    return [
        Need(
            text=f"{one.request.asked_by} asks for a yes: {_sum(one, currency)}",
            url=one.url or one.request.get_absolute_url(),
            tone="attention",
            at=one.request.asked_at,
            kind="budget",
        )
        for one in waiting
    ]


def _sum(one: Asked, currency: str) -> str:
    request = one.request
    if request.amount is None:
        return f"{request.job_text}, whose cost cannot be projected"
    text = f"up to {formatting.money(request.amount, currency)} for {request.job_text}"
    if one.fits_now:
        return f"{text}. It would fit now"
    return f"{text}, which takes the month {formatting.money(request.over_by or ZERO, currency)} beyond its budget"


def _exceeded(project: Project) -> list[Need]:
    rows = project.holds.filter(state="open", exceeded_at__isnull=False).order_by("-exceeded_at")
    urls = subject_urls((row.job_label, row.job_id) for row in rows)
    currency = project.currency
    return [
        Need(
            text=f"{row.job_text} costs more than it was said to: {formatting.money(row.amount, currency)} so far "
            f"instead of {formatting.money(row.projected or ZERO, currency)}",
            url=urls.get((row.job_label, row.job_id), ""),
            tone="attention",
            at=row.exceeded_at,  # type: ignore[arg-type]
            kind="budget",
        )
        for row in rows
    ]


def _declined(project: Project, user: User, now: datetime) -> list[Need]:
    """A no stands there for two weeks, or until the work is asked for again, started or gone."""
    mine = requests(project).filter(state=RequestState.DECLINED.value, asked_by=user, decided_at__gte=now - RECENT)
    rows = {(row.job_label, row.job_id): row for row in reversed(list(mine[:20]))}
    urls = subject_urls(rows)
    return [
        Need(
            text=f"{row.decided_by} said no to the cost of {row.job_text}: {row.answer}",
            url=urls[key],
            tone="waiting",
            at=row.decided_at,  # type: ignore[arg-type]
            kind="budget",
        )
        for key, row in rows.items()
        if key in urls and _still(row, JobState.DRAFT)
    ]


def _still(row: BudgetRequest, state: JobState) -> bool:
    model: Any = jobs.kind(row.job_label).model
    return model.objects.filter(pk=row.job_id, state=state).exists()
