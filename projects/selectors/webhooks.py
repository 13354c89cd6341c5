"""Reads about events, webhooks and their deliveries, and what a member hears of by e-mail."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from projects import access, events
from projects.contributions import Need
from projects.domain import telling
from projects.domain.permissions import Permission, Role
from projects.domain.sendstates import EndpointState, SendState
from projects.domain.telling import Mail
from projects.events import EventType
from projects.models import Delivery, Event, Letter, MailChoice, Membership, Project, User, WebhookEndpoint

RECENT = timedelta(days=7)
MAIL_WORDS = {Mail.OFF: "Nothing", Mail.MINE: "My own", Mail.ALL: "All"}


def endpoints(project: Project) -> QuerySet[WebhookEndpoint]:
    """By age, with what waits and what was given up lately."""
    given_up = Q(deliveries__state=SendState.GIVEN_UP, deliveries__over_at__gte=timezone.now() - RECENT)
    return (
        WebhookEndpoint.objects.filter(project=project)
        .exclude(state=EndpointState.DELETED)
        .select_related("project", "created_by")
        .annotate(
            waiting=Count("deliveries", filter=Q(deliveries__state__in=[SendState.WAITING, SendState.SENDING])),
            given_up=Count("deliveries", filter=given_up),
        )
        .order_by("pk")
    )


def deliveries(endpoint: WebhookEndpoint, *, state: str = "", event: str = "") -> QuerySet[Delivery]:
    """The newest first."""
    found = Delivery.objects.filter(endpoint=endpoint).select_related("event", "endpoint__project")
    if state:
        found = found.filter(state=state)
    if event:
        found = found.filter(event__name=event)
    return found.order_by("-pk")


def events_of(project: Project, *, name: str = "", subject: str = "") -> QuerySet[Event]:
    found = Event.objects.filter(project=project)
    if name:
        found = found.filter(name=name)
    if subject:
        found = found.filter(subject=subject)
    return found.order_by("-pk")


def catalogue() -> list[tuple[str, list[EventType]]]:
    """Kinds of events by group."""
    return [(group, list(kinds)) for group, kinds in groupby(events.catalogue(), key=lambda kind: kind.group)]


@dataclass(frozen=True)
class Chosen:
    """One kind of event and what a member hears of it."""

    kind: EventType
    mail: Mail
    usual: Mail

    @property
    def words(self) -> str:
        return MAIL_WORDS[self.usual]


def member(project: Project, user: Any) -> Membership:
    return Membership.objects.get(project=project, user=user)


def mail_of(member: Membership) -> tuple[MailChoice | None, list[tuple[str, list[Chosen]]]]:
    """What somebody chose, if anything, and what follows from it for every kind of event."""
    choice, role = MailChoice.objects.filter(membership=member).first(), Role(member.role)
    made = choice.choices if choice else {}
    rows = [(group, [kind for kind in kinds if kind.can_be_chosen]) for group, kinds in catalogue()]
    return choice, [(group, [_chosen(kind, role, made) for kind in kinds]) for group, kinds in rows]


def _chosen(kind: EventType, role: Role, made: dict[str, str]) -> Chosen:
    return Chosen(kind, telling.chosen(kind.name, kind.tell, role, made), telling.usual(kind.tell, role))


def letters_of(member: Membership, count: int = 10) -> Iterable[Letter]:
    mine = Letter.objects.filter(user=member.user_id, project=member.project_id)
    return mine.annotate(events=Count("notices")).order_by("-pk")[:count]


def needs(project: Project, user: User) -> list[Need]:
    """Webhooks that are switched off, and deliveries that were given up lately."""
    troubled = endpoints(project).filter(Q(state=EndpointState.DISABLED) | Q(given_up__gt=0))
    found = [_need(endpoint) for endpoint in troubled]
    return found if found and access.may(user, Permission.WEBHOOK_USE, project) else []


def _need(endpoint: Any) -> Need:
    if endpoint.state == EndpointState.DISABLED:
        text, tone = f"The webhook {endpoint} is switched off. {endpoint.state_reason}", "failed"
    else:
        things = (
            "1 event did not reach {0} and was" if endpoint.given_up == 1 else "{1} events did not reach {0} and were"
        )
        text, tone = f"{things.format(endpoint, endpoint.given_up)} given up", "attention"
    at = endpoint.failing_since or endpoint.delivered_at or endpoint.created_at
    return Need(text=text, url=endpoint.get_absolute_url(), tone=tone, at=at, kind="webhooks")
