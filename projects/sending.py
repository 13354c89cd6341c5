"""Claim, lease, fence and end of what is sent, and what its failures mean for it and for its endpoint.

It is sent at least once: who sends may die between sending and writing that down, and then it is sent again, with the
same id, once the lease has run out.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from projects import faults, transitions
from projects.clock import database_time
from projects.domain import retries
from projects.domain.sendstates import EndpointState, SendState
from projects.models import Delivery, DeliveryAttempt, Letter, WebhookEndpoint

CHANCE = random.SystemRandom()
ACTOR = "courier"
LOST = ("sender_lost", "What was sending it did not say how it went. It may have arrived, and is sent again.")
KINDS: tuple[Any, ...] = (Delivery, Letter)


@dataclass(frozen=True)
class Result:
    """How one attempt went."""

    ok: bool
    code: str = ""
    message: str = ""
    status: int | None = None
    response: str = ""
    address: str = ""
    retry_after: float = 0.0


class LostClaim(Exception):
    """Somebody else sends it meanwhile: write nothing more."""


def due(model: Any, now: datetime) -> QuerySet[Any]:
    """What may be sent now. To one endpoint one at a time, the oldest first."""
    rows = model.objects.filter(state=SendState.WAITING, next_at__lte=now)
    if model is Delivery:
        under_way = Delivery.objects.filter(endpoint=OuterRef("endpoint"), state=SendState.SENDING)
        rested = Q(endpoint__resting_until=None) | Q(endpoint__resting_until__lte=now)
        rows = rows.filter(rested, ~Exists(under_way), endpoint__state=EndpointState.ACTIVE)
    return rows.order_by("pk")


def claim(model: Any) -> Any | None:
    """Take the next that is due; None when there is none. Safe against rivals."""
    while (row := due(model, database_time()).first()) is not None:
        try:
            if _take(row):
                faults.point("sending.claimed")
                return row
        except IntegrityError:
            continue  # a rival sends another to the same endpoint
    return None


@transaction.atomic
def _take(row: Any) -> bool:
    now = database_time()
    won = (
        type(row)
        .objects.filter(pk=row.pk, state=SendState.WAITING, fence=row.fence)
        .update(
            state=SendState.SENDING,
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
            lease_until=now + timedelta(seconds=settings.SEND_LEASE_SECONDS),
        )
    )
    if not won:
        return False
    faults.point("sending.claim_written")
    row.refresh_from_db()
    if isinstance(row, Delivery):
        DeliveryAttempt.objects.create(delivery=row, fence=row.fence, started_at=now)
    return True


@transaction.atomic
def note(row: Any, result: Result, milliseconds: int) -> None:
    """Write down how it went, if it is still ours."""
    now = database_time()
    _settle(row, result, now)
    faults.point("sending.result_written")
    if isinstance(row, Delivery):
        tried = DeliveryAttempt.objects.filter(delivery=row, fence=row.fence, ended_at=None)
        tried.update(
            ended_at=now,
            ok=result.ok,
            status=result.status,
            code=result.code,
            message=result.message[:300],
            response=result.response,
            milliseconds=milliseconds,
            address=result.address,
        )
        _note_endpoint(row.endpoint_id, result, now)


def _settle(row: Any, result: Result, now: datetime) -> None:
    """The row's next state, under its fence."""
    to, next_at = SendState.DELIVERED, row.next_at
    if not result.ok:
        to = SendState.GIVEN_UP if retries.is_given_up(row.attempts) else SendState.WAITING
        next_at = now + timedelta(seconds=retries.delay(row.attempts, CHANCE, at_least=result.retry_after))
    retries.SENDING.check(SendState.SENDING, to)
    won = (
        type(row)
        .objects.filter(pk=row.pk, state=SendState.SENDING, fence=row.fence)
        .update(
            state=to,
            lease_until=None,
            next_at=next_at,
            code=result.code,
            message=result.message[:300],
            over_at=None if to is SendState.WAITING else now,
        )
    )
    if not won:
        raise LostClaim(str(row))


def _note_endpoint(pk: int, result: Result, now: datetime) -> None:
    """A success wipes the slate; failures in a row give the endpoint rest, and in the end switch it off."""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=pk)
    if result.ok:
        endpoint.failures, endpoint.failing_since, endpoint.resting_until = 0, None, None
        endpoint.delivered_at = now
    else:
        endpoint.failures += 1
        endpoint.failing_since = endpoint.failing_since or now
        endpoint.resting_until = now + timedelta(seconds=retries.rest(endpoint.failures))
    endpoint.save(update_fields=["failures", "failing_since", "resting_until", "delivered_at"])
    hopeless = retries.is_hopeless(endpoint.failures, endpoint.failing_since, now, result.status)
    if endpoint.state == EndpointState.ACTIVE and hopeless:
        reason = _why_hopeless(endpoint, result, now)
        transitions.move(endpoint, EndpointState.DISABLED, actor=ACTOR, reason=reason, state_reason=reason)


def _why_hopeless(endpoint: WebhookEndpoint, result: Result, now: datetime) -> str:
    if result.status == retries.GONE:
        return "It answered 410 Gone: nobody is there any more."
    days = max(1, (now - (endpoint.failing_since or now)).days)
    return f"It has failed {endpoint.failures} times in a row, for {days} days. The last time: {result.message}"[:300]


def recover() -> int:
    """What was being sent by somebody who is lost waits again, at once: the receiver knows it by its id."""
    return sum(_recover(row) for row in _expired())


def _expired() -> Iterator[Any]:
    now = database_time()
    for model in KINDS:
        yield from model.objects.filter(state=SendState.SENDING, lease_until__lt=now)


@transaction.atomic
def _recover(row: Any) -> bool:
    now, (code, message) = database_time(), LOST
    to = SendState.GIVEN_UP if retries.is_given_up(row.attempts) else SendState.WAITING
    won = (
        type(row)
        .objects.filter(pk=row.pk, state=SendState.SENDING, fence=row.fence, lease_until__lt=now)
        .update(
            state=to,
            lease_until=None,
            next_at=now,
            code=code,
            message=message,
            over_at=None if to is SendState.WAITING else now,
        )
    )
    if won and isinstance(row, Delivery):
        tried = DeliveryAttempt.objects.filter(delivery=row, fence=row.fence, ended_at=None)
        tried.update(ended_at=now, ok=False, code=code, message=message)
    faults.point("sending.recovered")
    return bool(won)


def give_up(rows: QuerySet[Delivery], code: str, message: str) -> int:
    """Those of the rows that wait are over."""
    return rows.filter(state=SendState.WAITING).update(
        state=SendState.GIVEN_UP, over_at=database_time(), code=code, message=message
    )


def give_up_stranded() -> int:
    """What waits for an endpoint that is paused or disabled is given up after the time in which it is tried."""
    before = database_time() - retries.DISABLE_AFTER
    stranded = Delivery.objects.filter(created_at__lt=before, next_at__lt=before)
    stranded = stranded.exclude(endpoint__state=EndpointState.ACTIVE)
    return give_up(stranded, "endpoint_off", "Its endpoint was paused or switched off for too long.")
