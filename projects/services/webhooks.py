"""What people do with webhooks: make, change, pause, test and delete them, replace their secret, send again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from projects import events, happenings, keyring, sending, transitions, waking
from projects.access import requires
from projects.clock import database_time
from projects.domain import addresses, signing
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.sendstates import EndpointState, SendState
from projects.models import Delivery, Project, User, WebhookEndpoint
from projects.models.events import EVERY
from projects.services import throttling
from projects.services.throttling import Limit

MOST = 20
DAY = 24
LONGEST_OVERLAP = 7 * DAY
TESTS = Limit("tests of the webhooks of a project", count=20, seconds=60)


@requires(Permission.WEBHOOK_MANAGE)
@transaction.atomic
def create_endpoint(
    project: Project, *, by: User, url: str, events: Sequence[str], description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """An endpoint, and its secret, which is shown once and stored nowhere."""
    _check_url(url)
    if WebhookEndpoint.objects.filter(project=project).exclude(state=EndpointState.DELETED).count() >= MOST:
        raise Refused(f"A project has at most {MOST} webhooks. Delete one that is not used.", code="too_many_webhooks")
    endpoint = WebhookEndpoint.objects.create(
        project=project,
        url=url,
        description=description.strip(),
        events=_known(events),
        salt=signing.new_salt(),
        key_id=keyring.current_key_id(),
        created_by=by,
    )
    transitions.record(
        endpoint, "webhookendpoint.created", actor=by.email, url=endpoint.shown_url, events=endpoint.events
    )
    return endpoint, keyring.secret_of(endpoint)


@requires(Permission.WEBHOOK_MANAGE)
@transaction.atomic
def change_endpoint(endpoint: WebhookEndpoint, *, by: User, **wanted: Any) -> WebhookEndpoint:
    """Another address, other events, another name. What waits goes to the new address."""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    if "url" in wanted and wanted["url"] != endpoint.url:
        _check_url(wanted["url"])
    if "events" in wanted:
        wanted["events"] = _known(wanted["events"])
    changed = {name: value for name, value in wanted.items() if getattr(endpoint, name) != value}
    if not changed:
        return endpoint
    detail: dict[str, Any] = {name: [str(getattr(endpoint, name)), str(value)] for name, value in changed.items()}
    if "url" in changed:  # the log has readers who do not manage webhooks
        detail["url"] = [addresses.shown(address) for address in (endpoint.url, changed["url"])]
    if "url" in changed:  # how the old one has failed says nothing of the new one
        changed |= {"failures": 0, "failing_since": None, "resting_until": None}
    for name, value in changed.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(changed))
    transitions.record(endpoint, "webhookendpoint.changed", actor=by.email, **detail)
    return endpoint


@requires(Permission.WEBHOOK_MANAGE)
@transaction.atomic
def rotate_secret(endpoint: WebhookEndpoint, *, by: User, overlap_hours: int = DAY) -> str:
    """A new secret. The one before signs as well for a while, so that the receiver can be changed in between."""
    if not 0 <= overlap_hours <= LONGEST_OVERLAP:
        raise Invalid(f"Both secrets sign for 0 to {LONGEST_OVERLAP} hours.", field="overlap_hours")
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    overlaps = overlap_hours > 0
    endpoint.old_salt, endpoint.old_key_id = (endpoint.salt, endpoint.key_id) if overlaps else ("", "")
    endpoint.old_until = database_time() + timedelta(hours=overlap_hours) if overlaps else None
    endpoint.salt, endpoint.key_id = signing.new_salt(), keyring.current_key_id()
    endpoint.save(update_fields=["salt", "key_id", "old_salt", "old_key_id", "old_until"])
    transitions.record(endpoint, "webhookendpoint.rotated", actor=by.email, overlap_hours=overlap_hours)
    return keyring.secret_of(endpoint)


@requires(Permission.WEBHOOK_MANAGE)
def pause_endpoint(endpoint: WebhookEndpoint, *, by: User, reason: str = "") -> WebhookEndpoint:
    """Nothing is sent, and what happens meanwhile is not kept for it. What waits already goes on when it is resumed."""
    transitions.move(endpoint, EndpointState.PAUSED, actor=by.email, reason=reason, state_reason=reason.strip()[:300])
    return endpoint


@requires(Permission.WEBHOOK_MANAGE)
@transaction.atomic
def resume_endpoint(endpoint: WebhookEndpoint, *, by: User) -> WebhookEndpoint:
    """Send again, with a clean slate, also to one that was switched off."""
    clean: dict[str, Any] = {"failures": 0, "failing_since": None, "resting_until": None, "state_reason": ""}
    transitions.move(endpoint, EndpointState.ACTIVE, actor=by.email, **clean)
    transaction.on_commit(waking.wake_courier)
    return endpoint


@requires(Permission.WEBHOOK_MANAGE)
@transaction.atomic
def delete_endpoint(endpoint: WebhookEndpoint, *, by: User, reason: str = "") -> None:
    """It is told nothing more and what waits for it is given up. Its rows go with the last of its deliveries."""
    transitions.move(endpoint, EndpointState.DELETED, actor=by.email, reason=reason, state_reason=reason.strip()[:300])
    sending.give_up(Delivery.objects.filter(endpoint=endpoint), "endpoint_deleted", "Its webhook was deleted.")


@requires(Permission.WEBHOOK_USE)
def ping_endpoint(endpoint: WebhookEndpoint, *, by: User) -> Delivery:
    """Send a test, by the same way as everything else."""
    _check_active(endpoint)
    throttling.count(TESTS, str(endpoint.project_id))  # outside the transaction: a refusal must not undo the count
    with transaction.atomic():
        line = transitions.record(endpoint, "webhookendpoint.tested", actor=by.email)
        kind = events.known(happenings.PING)
        assert kind is not None
        return events.tell_one(endpoint, kind, line, happenings.ping_facts(endpoint))


@requires(Permission.WEBHOOK_USE)
@transaction.atomic
def send_again(delivery: Delivery, *, by: User) -> Delivery:
    """The same content with the same id, as a delivery of its own; one that waits for its next try is tried now."""
    _check_active(delivery.endpoint)
    now = database_time()
    newest = Delivery.objects.filter(event=delivery.event_id, endpoint=delivery.endpoint_id).order_by("-asked")[0]
    if Delivery.objects.filter(pk=newest.pk, state=SendState.WAITING.value).update(next_at=now):
        again = newest
    elif newest.state == SendState.SENDING:
        raise Refused("It is being sent right now. Reload the page.", code="being_sent")
    else:
        again = _ask_again(newest, now)
    WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(resting_until=None)
    transitions.record(delivery, "delivery.asked_again", actor=by.email, event=delivery.event.uid)
    transaction.on_commit(waking.wake_courier)
    again.refresh_from_db()
    return again


def _ask_again(newest: Delivery, now: datetime) -> Delivery:
    try:
        with transaction.atomic():
            return Delivery.objects.create(
                event=newest.event, endpoint=newest.endpoint, asked=newest.asked + 1, next_at=now, created_at=now
            )
    except IntegrityError as twice:
        raise Refused("Somebody else has just asked for it. Reload the page.", code="just_changed") from twice


def _check_active(endpoint: WebhookEndpoint) -> None:
    if endpoint.state != EndpointState.ACTIVE:
        raise Refused(f"This webhook is {endpoint.state}. Resume it first.", code="endpoint_off")


def _check_url(url: str) -> None:
    addresses.check(url, settings.WEBHOOK_HOSTS)


def _known(names: Sequence[str]) -> list[str]:
    """Each once, in the order of the catalogue; “*” stands for all and leaves no other."""
    if EVERY in names:
        return [EVERY]
    for name in names:
        if (kind := events.known(name)) is None or not kind.can_be_chosen:
            raise Invalid(f"There is no event “{name[:60]}”.", code="unknown_event", field="events")
    found = [kind.name for kind in events.catalogue() if kind.name in names]
    if not found:
        raise Invalid("Choose at least one event.", code="no_events", field="events")
    return found
