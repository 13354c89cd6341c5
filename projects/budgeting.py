"""How work that costs money gets into its queue: within the month's budget, or with an owner's yes."""

from decimal import Decimal
from typing import Any

from django.db import transaction

from projects import holds, jobs, leases, transitions
from projects.domain import budget
from projects.domain.budget import Month, RequestState
from projects.domain.states import JobState
from projects.models import BudgetRequest, User


@transaction.atomic
def queue_or_ask(
    job: Any, *, by: User, amount: Decimal | None, reason: str = "", **changes: Any
) -> BudgetRequest | None:
    """Hold `amount` and queue the job; when the month has not that much left, ask the owners, if a reason is given.

    The check and the hold happen under one lock of the project, so any number of starts together stays within the
    budget. `changes` are written with the new state, whichever it is. Without a reason it is refused.
    """
    project = holds.lock(job.project)
    now = leases.database_time()
    month = holds.month(project, now)
    if month.fits(amount):
        holds.open_hold(job, amount=amount, now=now)
        leases.queue_job(job, actor=by.email, **changes)
        return None
    if not reason.strip():
        raise budget.refusal(str(job), amount, month, project.currency)
    return _ask(job, by=by, amount=amount, reason=reason.strip(), month=month, changes=changes)


@transaction.atomic
def queue_part(part: Any, *, whole: Any, actor: str, amount: Decimal | None, **changes: Any) -> None:
    """Queue a part of something whose money is held as a whole: its share becomes a hold of its own.

    What it may cost beyond that share has to fit into the month like any other work.
    """
    project = holds.lock(part.project)
    now = leases.database_time()
    before = holds.month(project, now)
    rest = None if amount is None else amount - holds.take(whole, amount)
    if rest != 0 and not before.fits(rest):
        raise budget.refusal(str(part), rest, before, project.currency)
    holds.open_hold(part, amount=amount, now=now)
    leases.queue_job(part, actor=actor, **changes)


def _ask(
    job: Any, *, by: User, amount: Decimal | None, reason: str, month: Month, changes: dict[str, Any]
) -> BudgetRequest:
    assert month.budget is not None  # without one, everything fits
    request = BudgetRequest.objects.create(
        project=job.project,
        job_label=job.job_label,
        job_id=job.pk,
        job_text=str(job)[:200],
        came_from=job.state,
        amount=amount,
        over_by=month.over_by(amount),
        budget=month.budget or Decimal(0),
        asked_by=by,
        reason=reason[:2000],
    )
    transitions.move(job, JobState.HELD, actor=by.email, reason=reason, **changes)
    told = {"amount": str(amount), "over by": str(request.over_by)} if amount is not None else {}
    transitions.record(request, "budgetrequest.asked", actor=by.email, reason=reason, **told)
    return request


def job_of(request: BudgetRequest) -> Any:
    """The job that waits, locked: nobody starts, stops or deletes it meanwhile. None when it is gone."""
    model: Any = jobs.kind(request.job_label).model
    return model.objects.select_for_update().filter(pk=request.job_id).first()


def open_request(job: Any) -> BudgetRequest | None:
    return BudgetRequest.objects.filter(job_label=job.job_label, job_id=job.pk, state=RequestState.ASKED.value).first()


@transaction.atomic
def cancel_held(job: Any, *, by: User, reason: str = "") -> bool:
    """Cancel a job that waits for a yes, and with it what was asked. False when it does not wait."""
    request = open_request(job)
    if request is None:
        return False
    changes = {"decided_by": by, "decided_at": leases.database_time(), "answer": reason.strip()[:2000]}
    transitions.move(request, RequestState.WITHDRAWN, actor=by.email, reason=reason, **changes)
    job.refresh_from_db()
    transitions.move(job, JobState.CANCELLED, actor=by.email, reason=reason, finished_at=leases.database_time())
    return True
