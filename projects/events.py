"""Events: the catalogue of what others can be told of, and the outbox that a change writes itself into.

Apps register what of the audit log is an event. Whatever writes such a line of audit has, in the same transaction, the
event with one delivery for every endpoint and one notice for every person who want to hear of it.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction

from projects import faults, waking
from projects.clock import database_time
from projects.domain import telling
from projects.domain.permissions import Role
from projects.domain.sendstates import EndpointState
from projects.domain.telling import Tell
from projects.models import AuditEvent, Delivery, Event, MailChoice, Membership, Notice, Project, WebhookEndpoint

logger = logging.getLogger(__name__)
SPEAKING = (ObjectDoesNotExist, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Facts:
    """What an event says about one thing. `text` is a plain sentence, `person` the id of whose work it is."""

    text: str
    subject: dict[str, Any]
    person: int | None = None
    more: dict[str, Any] = field(default_factory=dict)


Describe = Callable[[Any, AuditEvent], Facts | None]


@dataclass(frozen=True)
class EventType:
    """One kind of event.

    `actions` are lines of audit that may be one, "*.queued" for whatever is queued; `describe` says what it tells, or
    None when this line is not one after all. `example` is the `data` of a payload.
    """

    name: str
    group: str
    meaning: str
    actions: tuple[str, ...]
    describe: Describe
    example: dict[str, Any]
    tell: Tell = Tell.NOBODY
    always: bool = False  # each of these lines is one, so that it is noticed when one is not

    @property
    def can_be_chosen(self) -> bool:
        """A test goes to whom it tests."""
        return bool(self.actions)


_catalogue: dict[str, EventType] = {}
_by_action: dict[str, list[EventType]] = defaultdict(list)


def register(*types: EventType) -> None:
    for one in types:
        _catalogue[one.name] = one
        for action in one.actions:
            _by_action[action].append(one)


def catalogue() -> list[EventType]:
    """All kinds there are, in groups, each in the order in which its app told of it."""
    return sorted(_catalogue.values(), key=lambda one: one.group)


def known(name: str) -> EventType | None:
    return _catalogue.get(name)


def of_action(action: str) -> list[EventType]:
    return [*_by_action.get(action, ()), *_by_action.get(f"*.{action.rpartition('.')[2]}", ())]


def note(row: Any, line: AuditEvent) -> list[Event]:
    """The events that a line of audit is, each with all who are to be told. Inside the transaction of the change."""
    made = []
    for kind in of_action(line.action):
        facts = _facts(kind, row, line)
        if facts is not None:
            made.append(_write(kind, row, line, facts))
    return made


def _facts(kind: EventType, row: Any, line: AuditEvent) -> Facts | None:
    """A sentence that cannot be said keeps nobody's work from ending: then the event says the least."""
    try:
        return kind.describe(row, line)
    except SPEAKING:
        logger.exception("%s of %s cannot be described", kind.name, line.target)
        return Facts(text=f"{kind.meaning} ({line.target})", subject={"kind": row._meta.model_name, "id": row.pk})


def _write(kind: EventType, row: Any, line: AuditEvent, facts: Facts) -> Event:
    project: Project = row if isinstance(row, Project) else row.project
    event = _create(kind, project, line, facts)
    faults.point("events.noted")
    endpoints = WebhookEndpoint.objects.filter(project=project, state=EndpointState.ACTIVE.value)
    deliver(event, [endpoint for endpoint in endpoints if endpoint.wants(kind.name)])
    notices = [Notice(event=event, user_id=pk, created_at=event.at) for pk in _told(kind, project, line, facts)]
    Notice.objects.bulk_create(notices)
    faults.point("events.addressed")
    return event


def _create(kind: EventType, project: Project, line: AuditEvent, facts: Facts) -> Event:
    return Event.objects.create(
        uid=f"evt_{uuid.uuid4().hex}",
        project=project,
        name=kind.name,
        subject=line.target,
        data=as_data(project, facts),
        audit_id=line.pk,
        at=database_time(),
    )


def as_data(project: Project, facts: Facts) -> dict[str, Any]:
    about = {"slug": project.slug, "url": absolute(f"/projects/{project.slug}/")}
    return {"text": facts.text, "project": about, "subject": facts.subject, **facts.more}


def absolute(path: str) -> str:
    return f"{settings.BASE_URL.rstrip('/')}{path}"


def deliver(event: Event, endpoints: list[WebhookEndpoint]) -> None:
    """One row for each endpoint, and a wake-up once all of it is committed."""
    now = event.at
    Delivery.objects.bulk_create(
        Delivery(event=event, endpoint=endpoint, next_at=now, created_at=now) for endpoint in endpoints
    )
    if endpoints:
        transaction.on_commit(waking.wake_courier)


def _told(kind: EventType, project: Project, line: AuditEvent, facts: Facts) -> Iterator[int]:
    """Members who want mail about it."""
    members = Membership.objects.filter(project=project, user__is_active=True).select_related("user")
    chosen = {row.membership_id: row for row in MailChoice.objects.filter(membership__project=project)}
    for member in members:
        choice = chosen.get(member.pk)
        if choice is not None and choice.muted_at is not None:
            continue
        mail = telling.chosen(kind.name, kind.tell, Role(member.role), choice.choices if choice else {})
        mine, own_doing = facts.person == member.user_id, line.actor == member.user.email
        if telling.is_told(mail, mine=mine, own_doing=own_doing):
            yield member.user_id


def kept_since() -> Any:
    """Events before this are thrown away when nothing waits for them any more."""
    return database_time() - timedelta(days=settings.EVENTS_KEPT_DAYS)


def tell_one(endpoint: WebhookEndpoint, kind: EventType, line: AuditEvent, facts: Facts) -> Delivery:
    """An event for one endpoint alone, whatever it wants to hear of."""
    event = _create(kind, endpoint.project, line, facts)
    faults.point("events.one_noted")
    deliver(event, [endpoint])
    return event.deliveries.get()
