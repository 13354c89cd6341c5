"""Events of the kernel itself: money that waits for a yes, workers that are lost, webhooks that are switched off."""

from typing import Any

from projects import facts, jobs, leases
from projects.domain.states import JobState
from projects.domain.telling import Tell
from projects.events import EventType, Facts, catalogue, register
from projects.facts import MONEY, example
from projects.models import AuditEvent, BudgetRequest, WebhookEndpoint, Withdrawal

PING = "webhook.ping"
RUN, WEBHOOK = "/projects/support/runs/7/", "/projects/support/webhooks/7/"
LINEAGE = "/projects/support/lineage/?focus=base:3&node=base:3"


def _asked(request: BudgetRequest, line: AuditEvent) -> Facts:
    currency = request.project.currency
    costs = "It may cost more than is known" if request.amount is None else f"It may cost {request.amount} {currency}"
    amounts = {"may_cost": request.amount, "over_by": request.over_by, "budget": request.budget}
    told = {name: str(value) for name, value in amounts.items() if value is not None}
    job: Any = jobs.kind(request.job_label).model
    waiting = job.objects.filter(pk=request.job_id).first()
    return Facts(
        text=f"{request.job_text} waits for an owner's yes. {costs}.",
        subject=facts.subject_of(request, "budget request"),
        person=request.asked_by_id,
        more={
            "job": facts.subject_of(waiting, facts.word_for(waiting)) if waiting else {},
            "money": told | {"currency": currency},
        },
    )


def _lost(row: Any, line: AuditEvent) -> Facts | None:
    if not facts.was_lost(row, line):
        return None
    goes_on = "It waits for somebody to let it go on." if row.state == JobState.PAUSED else "It is queued again."
    return Facts(
        text=f"{row} has lost its worker. {goes_on}",
        subject=facts.subject_of(row, facts.word_for(row), attempt=row.attempt),
        person=facts.person_of(row),
        more={"losses": row.infra_failures, "money": facts.money_so_far(row)},
    )


def _quarantined(row: Any, line: AuditEvent) -> Facts | None:
    if getattr(row, "error_code", "") != leases.QUARANTINED or not facts.was_lost(row, line):
        return None
    return Facts(
        text=f"{row} has lost its worker {row.infra_failures} times and is not tried again by itself.",
        subject=facts.subject_of(row, facts.word_for(row), attempt=row.attempt),
        person=facts.person_of(row),
        more={"failure": facts.failure_of(row), "money": facts.money_so_far(row)},
    )


def _disabled(row: Any, line: AuditEvent) -> Facts:
    return Facts(
        text=f"The webhook {row} is switched off. {row.state_reason}",
        subject=facts.subject_of(row, "webhook"),
        person=row.created_by_id,
    )


def _withdrawn(withdrawal: Withdrawal, line: AuditEvent) -> Facts:
    """What, why by its cause, and how much stands on it; the reason is a person's words and stays inside."""
    told = {name: line.detail.get(name, empty) for name, empty in (("descendants", {}), ("live", 0))}
    if withdrawal.stands:
        count = sum(told["descendants"].values())
        text = f"{withdrawal.label}: {withdrawal.get_cause_display()}. {count} descend from it."
    else:
        text = f"{withdrawal.label} may be used again: “{withdrawal.get_cause_display()}” is taken back."
    subject = facts.subject_of(withdrawal, "withdrawal", cause=withdrawal.cause, node=withdrawal.node)
    return Facts(text=text, subject=subject | {"name": withdrawal.label[:200]}, person=withdrawal.by_id, more=told)


def _never(row: Any, line: AuditEvent) -> None:
    """No line of audit is a test by itself; `tell_one` writes it for the endpoint that is tested."""


def ping_facts(endpoint: WebhookEndpoint) -> Facts:
    return Facts("This is a test.", facts.subject_of(endpoint, "webhook"))


EVENTS = (
    EventType(
        "budget.asked",
        "Money",
        "Work waits for an owner's yes, since it goes beyond the month's budget or its cost is not known.",
        ("budgetrequest.asked",),
        _asked,
        example(
            "budget request",
            "budget request for tickets, rank 16",
            "tickets, rank 16 waits for an owner's yes. It may cost 42.00 EUR.",
            path="/projects/support/costs/requests/7/",
            state="asked",
            job={"kind": "run", "id": 7, "name": "tickets, rank 16", "url": f"https://luthier.example{RUN}"},
            money={"may_cost": "42.00", "over_by": "12.00", "budget": "300.00", "currency": "EUR"},
        ),
        Tell.OWNERS,
    ),
    EventType(
        "worker.lost",
        "Workers",
        "The worker of a job stopped answering; the job goes on somewhere else from where it was.",
        ("*.queued", "*.paused"),
        _lost,
        example(
            "run", "tickets, rank 16", "tickets, rank 16 has lost its worker. It is queued again.",
            path=RUN, state="queued", losses=1, money=MONEY,
        ),
    ),
    EventType(
        "worker.quarantined",
        "Workers",
        "A job has lost its worker so often in one attempt that it is left for a person to look at.",
        ("*.failed",),
        _quarantined,
        example(
            "run", "tickets, rank 16",
            "tickets, rank 16 has lost its worker 3 times and is not tried again by itself.",
            path=RUN, state="failed", money=MONEY,
            failure={"code": "infra_quarantined", "cause": "infrastructure", "text": "Workers lost or killed."},
        ),
        Tell.WHOSE,
    ),
    EventType(
        "lineage.withdrawn",
        "Lineage",
        "A base model, data or an adapter was withdrawn, or holds rows that were erased for somebody.",
        ("withdrawal.created",),
        _withdrawn,
        example(
            "withdrawal", "qwen2.5-1.5b", "qwen2.5-1.5b: licence withdrawn. 12 descend from it.",
            path=LINEAGE, cause="licence", node="base:3", descendants={"run": 5, "adapter": 5, "deployment": 2}, live=1,
        ),
        Tell.OWNERS,
    ),
    EventType(
        "lineage.reinstated",
        "Lineage",
        "A withdrawal was taken back: what descends from it is stale no longer.",
        ("withdrawal.lifted",),
        _withdrawn,
        example(
            "withdrawal", "qwen2.5-1.5b", "qwen2.5-1.5b may be used again: “licence withdrawn” is taken back.",
            path=LINEAGE, cause="licence", node="base:3", descendants={"run": 5, "adapter": 5, "deployment": 2}, live=1,
        ),
        Tell.OWNERS,
    ),
    EventType(
        "webhook.disabled",
        "Webhooks",
        "An endpoint has failed for long, or said that it is gone, and is switched off.",
        ("webhookendpoint.disabled",),
        _disabled,
        example(
            "webhook", "Chat of the team",
            "The webhook Chat of the team is switched off. It answered 410 Gone: nobody is there any more.",
            path=WEBHOOK, state="disabled",
        ),
        Tell.OWNERS,
    ),
    EventType(
        PING,
        "Webhooks",
        "Somebody tests an endpoint. It goes to that one only, whatever it wants to hear of.",
        (),
        _never,
        example("webhook", "Chat of the team", "This is a test.", path=WEBHOOK, state="active"),
    ),
)  # fmt: skip


def register_all() -> None:
    register(*EVENTS)


def as_markdown() -> str:
    """The table of all events as docs/webhooks.md has it."""
    rows = "".join(f"| `{kind.name}` | {kind.meaning} |\n" for kind in catalogue())
    return f"| event | when |\n|---|---|\n{rows}"
