"""What events say about work: which it is, why it failed and what it has cost until now. Never what is in the data.

Of a failure the code, the cause and a fixed sentence are told; messages and logs may quote rows and stay inside.
"""

from decimal import Decimal
from typing import Any

from django.db.models import Sum

from projects import jobs
from projects.clock import database_time
from projects.domain import losses, money
from projects.domain.states import JobState, Outcome
from projects.events import Describe, Facts, absolute
from projects.models import Attempt, AuditEvent, LedgerEntry

PERSON = ("started_by_id", "deployed_by_id", "created_by_id", "uploaded_by_id", "registered_by_id", "requested_by_id")


def subject_of(row: Any, kind: str, **more: Any) -> dict[str, Any]:
    """`kind`, number, name and page of what an event is about."""
    address = row.get_absolute_url() if hasattr(row, "get_absolute_url") else f"/projects/{row.project.slug}/"
    state = {"state": str(row.state)} if hasattr(row, "state") else {}
    return {"kind": kind, "id": row.pk, "name": str(row)[:200], "url": absolute(address), **state, **more}


def person_of(row: Any) -> int | None:
    """Whose work it is: who started it last, else who made it."""
    return next((pk for name in PERSON if (pk := getattr(row, name, None)) is not None), None)


def money_so_far(job: Any) -> dict[str, str]:
    """What all attempts of a job have cost, the one that is just ending included, and by what its ledger says."""
    label, price = job.job_label, job.project.hour_price
    lines = LedgerEntry.objects.filter(project=job.project, subject_kind=label, subject_id=job.pk)
    booked = lines.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    running = Attempt.objects.filter(job_label=label, job_id=job.pk, ended_at=None).first()
    if running is not None:
        until = job.finished_at or database_time()
        seconds = running.device_seconds((until - running.started_at).total_seconds())
        booked += money.amount(money.hours(seconds), price(running.device))
    return {"so_far": str(money.exact(booked)), "currency": job.project.currency}


def failure_of(job: Any, say: str = "") -> dict[str, str]:
    cause = losses.loss_of(Outcome.FAILED.value, job.error_code)
    return {"code": job.error_code, "cause": cause, "text": say or losses.hint(cause)}


def about_job(kind: str, sentence: str, *, say: Any = None) -> Describe:
    """Describes a job: `sentence` with {name} filled in, and of a failure why. `say(code)` is its own words for one."""

    def describe(row: Any, line: AuditEvent) -> Facts:
        more: dict[str, Any] = {"money": money_so_far(row)}
        text = sentence.format(name=row)
        if row.state == JobState.FAILED:
            more["failure"] = failure_of(row, say(row.error_code) if say else "")
            text = f"{text} {more['failure']['text']}"
        subject = subject_of(row, kind, attempt=row.attempt)
        return Facts(text=text, subject=subject, person=person_of(row), more=more)

    return describe


def about(kind: str, sentence: str) -> Describe:
    """Describes anything with a page of its own: only what it is and what happened."""

    def describe(row: Any, line: AuditEvent) -> Facts:
        more = {"money": money_so_far(row)} if hasattr(row, "job_label") else {}
        return Facts(sentence.format(name=row), subject_of(row, kind), person_of(row), more)

    return describe


def only_if(holds: Any, describe: Describe) -> Describe:
    """Describes it only if `holds(row, line)`."""
    return lambda row, line: describe(row, line) if holds(row, line) else None


def was_lost(row: Any, line: AuditEvent) -> bool:
    """Whether what is queued, paused or failed now is so because its worker was lost."""
    if not hasattr(row, "job_label") or line.detail.get("from") != JobState.RUNNING:
        return False
    return _ended(row) == Outcome.LOST


def _ended(row: Any) -> str:
    newest = Attempt.objects.filter(job_label=row.job_label, job_id=row.pk).order_by("-number").first()
    return newest.outcome if newest else ""


def system_paused(row: Any, line: AuditEvent) -> bool:
    """Whether nobody but the system wanted this pause: the wish to pause has no person's name on it."""
    wishes = AuditEvent.objects.filter(target=line.target, action=line.action.replace(".paused", ".pause_requested"))
    newest = wishes.order_by("-pk").first()
    return "@" not in (newest.actor if newest and line.actor == "worker" else line.actor)


def word_for(row: Any) -> str:
    """What people call a kind of work: the last part of its label."""
    return jobs.kind_of(row).label.rpartition(".")[2].replace("_", " ")


def example(kind: str, name: str, text: str, *, path: str, state: str = "", **more: Any) -> dict[str, Any]:
    """The `data` of a payload as the catalogue shows it."""
    subject: dict[str, Any] = {"kind": kind, "id": 7, "name": name, "url": f"https://luthier.example{path}"}
    if state:
        subject["state"] = state
    project = {"slug": "support", "url": "https://luthier.example/projects/support/"}
    return {"text": text, "project": project, "subject": subject, **more}


MONEY = {"so_far": "4.271000", "currency": "EUR"}
