"""What owners decide about money: work that goes beyond the month's budget, and lines that were booked wrong."""

from decimal import Decimal
from typing import Any

from django.db import transaction

from projects import booking, budgeting, holds, leases, transitions
from projects.access import requires
from projects.domain.budget import RequestState
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import BudgetRequest, LedgerEntry, User

REASON_LENGTH = 2000


@requires(Permission.BUDGET_APPROVE)
@transaction.atomic
def approve_request(request: BudgetRequest, *, by: User, reason: str = "") -> BudgetRequest:
    """Let it start: its amount is held, beyond the budget if need be, and it joins the queue.

    An owner may say yes to what they asked for themselves, since a project may have no other; it is written down.
    """
    holds.lock(request.project)
    job = _decide(request, RequestState.APPROVED, by=by, answer=reason)
    holds.open_hold(job, amount=request.amount, now=leases.database_time(), request=request)
    leases.queue_job(job, actor=by.email)
    return request


@requires(Permission.BUDGET_APPROVE)
@transaction.atomic
def decline_request(request: BudgetRequest, *, by: User, reason: str = "") -> BudgetRequest:
    """A no, with what the asker should know; the work is again what it was before."""
    if not reason.strip():
        raise Invalid("Say why, so that whoever asked knows what to do.", code="reason_required", field="reason")
    job = _decide(request, RequestState.DECLINED, by=by, answer=reason)
    _put_back(job, request, by=by, reason=reason)
    return request


@requires(Permission.RUN_START)
@transaction.atomic
def withdraw_request(request: BudgetRequest, *, by: User, reason: str = "") -> BudgetRequest:
    """Take a request back; only whoever asked does that, owners decline."""
    if request.asked_by_id != by.pk:
        raise Refused(f"Only {request.asked_by} can withdraw this request. An owner can decline it.", code="not_yours")
    job = _decide(request, RequestState.WITHDRAWN, by=by, answer=reason)
    _put_back(job, request, by=by, reason=reason)
    return request


def _decide(request: BudgetRequest, state: RequestState, *, by: User, answer: str) -> Any:
    """Move the request, once, whoever is first; returns the job that waits for it."""
    own = {"own": True} if state == RequestState.APPROVED and request.asked_by_id == by.pk else {}
    changes = {"decided_by": by, "decided_at": leases.database_time(), "answer": answer.strip()[:REASON_LENGTH]}
    transitions.move(request, state, actor=by.email, reason=answer, **changes)
    if own:
        transitions.record(request, "budgetrequest.own_approval", actor=by.email, reason=answer)
    job = budgeting.job_of(request)
    if job is None or job.state != JobState.HELD:
        raise Refused(f"{request.job_text} does not wait for this any more. Reload the page.", code="just_changed")
    return job


def _put_back(job: Any, request: BudgetRequest, *, by: User, reason: str) -> None:
    transitions.move(job, JobState(request.came_from), actor=by.email, reason=reason)


@requires(Permission.LEDGER_CORRECT)
@transaction.atomic
def correct_line(line: LedgerEntry, *, by: User, amount: Decimal, reason: str) -> LedgerEntry:
    """Book the difference between what a line says and `amount`, what it should have said, as a line of its own."""
    line = LedgerEntry.objects.select_for_update().get(pk=line.pk)
    if line.corrects_id is not None:
        raise Refused("This line is a correction itself. Correct the line that it refers to.", code="is_a_correction")
    if not reason.strip():
        raise Invalid("Say why: the reason stays with the line.", code="reason_required", field="reason")
    if amount < 0:
        raise Invalid("Nothing costs less than nothing.", code="negative_amount", field="amount")
    now_says = line.amount + sum((one.amount for one in line.corrections.all()), Decimal(0))
    if amount == now_says:
        raise Refused("That is what the ledger says already.", code="nothing_changed", field="amount")
    made = booking.book_correction(
        line, by=by, amount=amount - now_says, reason=reason.strip()[:REASON_LENGTH], at=leases.database_time()
    )
    transitions.record(
        made, "ledger.corrected", actor=by.email, reason=reason, line=line.pk, amount=[str(now_says), str(amount)]
    )
    return made
