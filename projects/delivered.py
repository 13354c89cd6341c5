"""What must be true of events and what is sent of them, and the broom for what is long over."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q

from projects import events, faults, invariants, sending
from projects.clock import database_time
from projects.domain.sendstates import SendState
from projects.models import AuditEvent, Delivery, DeliveryAttempt, Event, Letter, Notice, Project, WebhookEndpoint

NAMED = invariants.NAMED
NEWEST = 5000  # lines of audit that are looked at every five minutes; deep looks at all
DUE_SENDS = timedelta(minutes=15)  # without any worker nothing is sent, and somebody should know
SWEPT = 500  # events at a time
UNDER_WAY = [SendState.WAITING.value, SendState.SENDING.value]


def ends_are_events(deep: bool) -> Iterator[str]:
    """Asked of lines of audit that are always an event, since there are events and as long as they are kept."""
    first = Event.objects.order_by("pk").first()
    newest = AuditEvent.objects.order_by("-pk").first()
    if first is None or newest is None:
        return
    names = {action: kind.name for kind in events.catalogue() if kind.always for action in kind.actions}
    there = Project.objects.filter(slug=OuterRef("project_slug"), created_at__lte=OuterRef("at"))
    lines = AuditEvent.objects.filter(Exists(there), action__in=names, at__gte=max(first.at, events.kept_since()))
    told = Event.objects.filter(audit_id=OuterRef("pk"))
    for line in lines.filter(~Exists(told), pk__gt=0 if deep else newest.pk - NEWEST)[:NAMED]:
        yield f"audit line {line.pk}: {line.action} of {line.target} is told to nobody"


def leases_of_sending_run(deep: bool) -> Iterator[str]:
    overdue = database_time() - timedelta(seconds=settings.SEND_LEASE_SECONDS) - DUE_SENDS
    for model in sending.KINDS:
        for row in model.objects.filter(state=SendState.SENDING, lease_until__lt=overdue)[:NAMED]:
            yield f"{model.__name__.lower()} {row.pk}: its lease ran out and nobody sends it"


def tries_belong_to_claims(deep: bool) -> Iterator[str]:
    open_tries = DeliveryAttempt.objects.filter(ended_at=None)
    stale = open_tries.filter(~Q(delivery__state=SendState.SENDING) | ~Q(fence=F("delivery__fence")))
    for tried in stale[:NAMED]:
        yield f"try {tried.pk}: it is open, and delivery {tried.delivery_id} is not being sent by it"
    own = open_tries.filter(delivery=OuterRef("pk"), fence=OuterRef("fence"))
    for row in Delivery.objects.filter(~Exists(own), state=SendState.SENDING)[:NAMED]:
        yield f"delivery {row.pk}: it is being sent without an open try"


def delivered_means_answered(deep: bool) -> Iterator[str]:
    well = DeliveryAttempt.objects.filter(delivery=OuterRef("pk"), ok=True)
    for row in Delivery.objects.filter(~Exists(well), state=SendState.DELIVERED)[:NAMED]:
        yield f"delivery {row.pk}: it counts as delivered, and no try of it went well"
    for row in Delivery.objects.filter(state__in=UNDER_WAY, over_at__isnull=False)[:NAMED]:
        yield f"delivery {row.pk}: it is not over and has an end"


def letters_tell_something(deep: bool) -> Iterator[str]:
    told = Notice.objects.filter(letter=OuterRef("pk"))
    for letter in Letter.objects.filter(~Exists(told))[:NAMED]:
        yield f"letter {letter.pk}: it tells of nothing"


def register() -> None:
    invariants.register("told", "The end of work that can be told of is an event.", ends_are_events)
    invariants.register("sent", "What is being sent is sent by somebody.", leases_of_sending_run)
    invariants.register("tries", "What is being sent has one open try, and nothing else has.", tries_belong_to_claims)
    invariants.register("arrived", "What counts as delivered was answered well.", delivered_means_answered)
    invariants.register("letters", "A letter tells of something.", letters_tell_something)


def sweep() -> int:
    """Give up what is stranded and throw away what is long over, with all that was sent of it."""
    given_up = sending.give_up_stranded()
    faults.point("delivered.before_sweep")
    old = Event.objects.filter(at__lt=events.kept_since())
    busy = Delivery.objects.filter(event=OuterRef("pk"), state__in=UNDER_WAY)
    unread = Notice.objects.filter(event=OuterRef("pk"), letter=None)
    pks = list(old.filter(~Exists(busy), ~Exists(unread)).values_list("pk", flat=True)[:SWEPT])
    if pks:
        Event.objects.filter(pk__in=pks).delete()
        WebhookEndpoint.objects.filter(state="deleted", deliveries=None).delete()
        Letter.objects.filter(notices=None, created_at__lt=events.kept_since()).delete()
    return given_up + len(pks)
