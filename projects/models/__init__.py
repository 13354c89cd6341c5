"""The tenant and the kernel's rows."""

from projects.models.audit import AuditEvent
from projects.models.budget import BudgetRequest, Hold
from projects.models.checks import InvariantCheck
from projects.models.events import Delivery, DeliveryAttempt, Event, Letter, MailChoice, Notice, WebhookEndpoint
from projects.models.idempotency import IdempotencyKey
from projects.models.jobs import Attempt, LeasedJob
from projects.models.ledger import LedgerEntry
from projects.models.lineage import Withdrawal
from projects.models.people import ApiToken, Invitation, Membership
from projects.models.project import Project
from projects.models.throttle import Throttle
from projects.models.user import User
from projects.models.workers import Canary, Card, Host, WorkerProcess

__all__ = [
    "ApiToken",
    "Attempt",
    "AuditEvent",
    "BudgetRequest",
    "Canary",
    "Card",
    "Delivery",
    "DeliveryAttempt",
    "Event",
    "Hold",
    "Host",
    "IdempotencyKey",
    "InvariantCheck",
    "Invitation",
    "LeasedJob",
    "LedgerEntry",
    "Letter",
    "MailChoice",
    "Membership",
    "Notice",
    "Project",
    "Throttle",
    "User",
    "WebhookEndpoint",
    "Withdrawal",
    "WorkerProcess",
]
