"""Deliveries on their way to a real receiver: signed, in order, tried again, given up, and never lost or forged."""

import random
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import transaction

from projects import courier, delivered, invariants, letters, sending
from projects.clock import database_time
from projects.domain import retries
from projects.domain.permissions import Role
from projects.domain.states import Outcome
from projects.models import AuditEvent, Delivery, DeliveryAttempt, Event, Notice, WebhookEndpoint
from projects.services import webhooks as services
from tests.factories.projects import make_member, make_project
from tests.factories.webhooks import happen, make_endpoint, receiving, replies, reply, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    settings.WEBHOOK_SECONDS = 2
    settings.MAIL_GROUP_SECONDS = 10**9  # letters have tests of their own


@pytest.fixture
def endpoint(receiver):
    return make_endpoint(make_project(), receiver.url)


class Clock:
    """The database's clock, put forward by hand."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return database_time() + self.ahead

    def forward(self, **amount):
        self.ahead += timedelta(**amount)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    for module in (sending, courier, letters, delivered):
        monkeypatch.setattr(module, "database_time", made)
    monkeypatch.setattr("projects.events.database_time", made)
    monkeypatch.setattr("projects.services.webhooks.database_time", made)
    monkeypatch.setattr(sending, "CHANCE", random.Random(1))
    return made


def only():
    return Delivery.objects.get()


def test_an_event_arrives_signed_with_its_id_and_its_content(endpoint, receiver):
    event = happen(endpoint.project)

    assert send() == 1
    (got,) = receiver.got
    assert got.is_signed_with(endpoint.secret)
    assert not got.is_signed_with("whsec_" + "A" * 43 + "=")
    assert got.id == event.uid
    assert got.headers["content-type"] == "application/json"
    assert got.message == {
        "type": "webhook.disabled",
        "timestamp": event.at.isoformat().replace("+00:00", "Z"),
        "data": event.data,
    }
    delivery = only()
    assert (delivery.state, delivery.attempts, delivery.code, delivery.lease_until) == ("delivered", 1, "", None)
    tried = DeliveryAttempt.objects.get()
    assert (tried.ok, tried.status, tried.address) == (True, 204, "127.0.0.1")
    assert tried.milliseconds is not None and tried.ended_at >= tried.started_at
    assert send() == 0, "once"


def test_the_event_is_part_of_the_change_or_neither_is(endpoint, receiver):
    with pytest.raises(RuntimeError), transaction.atomic():
        happen(endpoint.project)
        assert Delivery.objects.count() == 1
        raise RuntimeError

    assert (Event.objects.count(), Delivery.objects.count()) == (0, 0)
    assert send() == 0


def test_what_an_endpoint_does_not_want_is_not_sent(receiver):
    project = make_project()
    make_endpoint(project, receiver.url, events=["run.failed"])
    make_endpoint(make_project(), receiver.url)

    event = happen(project)

    assert (event.deliveries.count(), send()) == (0, 0)


def test_a_failure_is_tried_again_for_a_day_with_growing_pauses_and_then_given_up(endpoint, receiver, clock):
    receiver.answer = replies(503, b"busy")
    happen(endpoint.project)
    began, times = clock(), []

    for _ in range(40_000):
        if send():
            times.append((clock() - began).total_seconds())
        if only().state == "given_up":
            break
        clock.ahead += max(timedelta(seconds=1), _next(only(), endpoint) - clock())

    delivery = only()
    assert (delivery.state, delivery.attempts, delivery.code) == ("given_up", retries.MAX_ATTEMPTS, "http_503")
    assert delivery.over_at is not None and "only 2xx" in delivery.message
    assert len(receiver.got) == retries.MAX_ATTEMPTS == delivery.tries.count()
    assert len(set(receiver.ids)) == 1, "a receiver knows it again"
    assert len({one.body for one in receiver.got}) == 1
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert all(later > 1.9 * sooner for sooner, later in pairwise(pauses[:7])), pauses
    assert 17 * 3600 < times[-1] < 30 * 3600
    assert {one.response for one in delivery.tries.all()} == {"busy"}
    assert send() == 0


def _next(delivery, endpoint):
    endpoint.refresh_from_db()
    return max(filter(None, [delivery.next_at, endpoint.resting_until]))


def test_once_it_answers_again_the_slate_is_clean(endpoint, receiver, clock):
    receiver.answer = replies(500)
    happen(endpoint.project)
    send()
    endpoint.refresh_from_db()
    assert (endpoint.failures, only().state) == (1, "waiting")
    assert endpoint.failing_since is not None

    receiver.answer = replies(200)
    clock.forward(seconds=13)
    assert send() == 1

    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since, only().state) == (0, None, "delivered")
    assert endpoint.delivered_at is not None


def test_what_the_receiver_asks_for_is_waited_for(endpoint, receiver, clock):
    receiver.answer = replies(429, Retry_After="120")
    happen(endpoint.project)
    send()
    clock.forward(seconds=100)
    assert send() == 0
    clock.forward(seconds=25)
    assert send() == 1


def test_a_sender_that_dies_between_sending_and_noting_sends_again_with_the_same_id(
    endpoint, receiver, clock, monkeypatch
):
    event = happen(endpoint.project)

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(sending, "note", die)
        with pytest.raises(Killed):
            send()
    assert only().state == "sending"
    assert send() == 0, "its lease runs"

    clock.forward(seconds=61)
    assert send() == 1

    assert receiver.ids == [event.uid, event.uid]
    assert only().state == "delivered"
    lost, well = only().tries.order_by("pk")
    assert (lost.ok, lost.code, well.ok) == (False, "sender_lost", True)
    assert invariants.check(deep=True) == []


def test_a_sender_that_was_given_up_for_dead_writes_nothing_more(endpoint, receiver, clock):
    happen(endpoint.project)
    slow = sending.claim(Delivery)
    clock.forward(seconds=61)
    send()
    assert only().state == "delivered"

    with pytest.raises(sending.LostClaim):
        sending.note(slow, sending.Result(False, "timeout", "No answer."), 1)

    assert (only().state, only().code) == ("delivered", "")
    endpoint.refresh_from_db()
    assert endpoint.failures == 0


def test_to_one_endpoint_they_go_one_at_a_time_in_the_order_of_what_happened(endpoint, receiver):
    other = make_endpoint(endpoint.project, receiver.url + "/other")
    uids = [happen(endpoint.project).uid for _ in range(5)]

    first = sending.claim(Delivery)
    assert first.event.uid == uids[0]
    others = [sending.claim(Delivery) for _ in range(2)]

    assert [one and one.endpoint_id for one in others] == [({endpoint.pk, other.pk} - {first.endpoint_id}).pop(), None]
    sending.note(first, sending.Result(True, status=200), 1)
    sending.note(others[0], sending.Result(True, status=200), 1)
    send()
    for path in ("/hook", "/hook/other"):
        seen = [one.id for one in receiver.got if one.path == path]
        assert seen == uids[1:]


def test_one_that_fails_lets_the_others_pass(endpoint, receiver, clock):
    poison = happen(endpoint.project)
    receiver.answer = lambda handler, got: reply(handler, 422 if got.id == poison.uid else 200)
    others = [happen(endpoint.project).uid for _ in range(2)]

    send()

    assert receiver.ids == [poison.uid, *others]
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["delivered", "delivered", "waiting"]


def test_an_endpoint_that_fails_three_times_running_is_left_alone_for_a_while(endpoint, receiver, clock):
    receiver.answer = replies(500)
    for _ in range(6):
        happen(endpoint.project)

    assert send() == 3
    assert send() == 0
    clock.forward(seconds=9)
    assert send() == 0
    clock.forward(seconds=2)
    assert send() == 1, "one tries whether it is back"


def test_an_endpoint_that_fails_for_days_is_switched_off_and_owners_are_told(endpoint, receiver, clock):
    owner = endpoint.created_by
    receiver.answer = replies(500)
    for _ in range(3):
        happen(endpoint.project)
        for _ in range(30):
            send()
            clock.forward(hours=1)
    endpoint.refresh_from_db()

    assert endpoint.state == "disabled"
    assert "in a row, for 2 days" in endpoint.state_reason and "It answered 500" in endpoint.state_reason
    line = AuditEvent.objects.get(action="webhookendpoint.disabled", target__endswith=f":{endpoint.pk}")
    assert line.actor == "courier"
    told = Event.objects.get(audit_id=line.pk)
    assert told.text.startswith("The webhook")
    assert told.notices.filter(user=owner).exists()
    before = len(receiver.got)
    clock.forward(days=1)
    happen(endpoint.project)
    send()
    assert len(receiver.got) == before, "nothing is sent any more"


def test_one_that_says_it_is_gone_is_switched_off_at_once(endpoint, receiver):
    receiver.answer = replies(410)
    happen(endpoint.project)
    send()
    endpoint.refresh_from_db()

    assert (endpoint.state, "410" in endpoint.state_reason) == ("disabled", True)


def test_what_waits_for_an_endpoint_that_stays_off_is_given_up(endpoint, receiver, clock):
    happen(endpoint.project)
    services.pause_endpoint(endpoint, by=endpoint.created_by, reason="Moving house.")
    assert send() == 0
    clock.forward(days=1)
    assert delivered.sweep() == 0
    clock.forward(days=1, minutes=1)
    assert delivered.sweep() == 1

    assert (only().state, only().code) == ("given_up", "endpoint_off")


def test_what_is_long_over_is_thrown_away_and_what_waits_is_not(endpoint, receiver, clock):
    happen(endpoint.project)
    send()
    services.pause_endpoint(endpoint, by=endpoint.created_by)
    services.resume_endpoint(endpoint, by=endpoint.created_by)
    waits = happen(endpoint.project)
    Delivery.objects.filter(event=waits).update(next_at=database_time() + timedelta(days=40))
    Notice.objects.all().delete()
    clock.forward(days=31)
    delivered.sweep()

    assert list(Event.objects.values_list("pk", flat=True)) == [waits.pk]


def test_a_secret_that_is_being_replaced_signs_beside_the_new_one_until_its_time_is_over(endpoint, receiver, clock):
    new = services.rotate_secret(endpoint, by=endpoint.created_by, overlap_hours=24)
    happen(endpoint.project)
    send()
    clock.forward(hours=24, seconds=1)
    happen(endpoint.project)
    send()

    both, after = receiver.got
    assert both.is_signed_with(endpoint.secret) and both.is_signed_with(new)
    assert after.is_signed_with(new) and not after.is_signed_with(endpoint.secret)
    assert endpoint.secret != new


def test_without_an_overlap_the_old_secret_is_out_at_once(endpoint, receiver):
    new = services.rotate_secret(endpoint, by=endpoint.created_by, overlap_hours=0)
    happen(endpoint.project)
    send()

    (got,) = receiver.got
    assert got.is_signed_with(new) and not got.is_signed_with(endpoint.secret)


def test_secrets_outlive_a_change_of_the_installations_key_if_the_old_one_is_named(endpoint, receiver, settings, clock):
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key of this installation"
    happen(endpoint.project)
    send()
    assert (receiver.got, only().code) == ([], "key_changed")

    settings.SECRET_KEY_FALLBACKS = [old]
    clock.forward(seconds=13)
    send()
    assert receiver.got[0].is_signed_with(endpoint.secret)


def test_s9_no_secret_lies_in_the_database(endpoint):
    raw = endpoint.secret.removeprefix("whsec_")
    row = str(WebhookEndpoint.objects.filter(pk=endpoint.pk).values().get())

    assert raw not in row and raw not in str(list(AuditEvent.objects.values()))


def test_the_end_of_a_job_tells_what_it_has_cost_to_the_cent(toys, tmp_path, receiver):
    from projects import facts, leases
    from projects.models import LedgerEntry
    from tests.factories.toys import Toy, make_kind, queued_toy

    kind, _ = make_kind(tmp_path)
    project = make_project()
    queued_toy(project)
    told = {}

    def look(row):
        told["money"] = facts.money_so_far(row)

    toy = leases.claim([Toy], owner="here/cpu/1")
    real = leases.close_attempt
    try:
        leases.close_attempt = lambda job, *args, **more: (look(job), real(job, *args, **more))[1]
        leases.finish(toy, Outcome.FAILED, cause=kind.cause, code="oom", message="")
    finally:
        leases.close_attempt = real

    assert told["money"] == {"so_far": str(LedgerEntry.objects.get().amount), "currency": "EUR"}
    assert facts.money_so_far(toy) == told["money"], "and the same afterwards"


def test_sending_again_sends_the_same_once_more(endpoint, receiver):
    engineer = make_member(endpoint.project, Role.ENGINEER)
    event = happen(endpoint.project)
    send()

    first = only()
    again = services.send_again(first, by=engineer)
    send()
    again.refresh_from_db()

    assert receiver.ids == [event.uid] * 2
    assert receiver.got[0].body == receiver.got[1].body
    assert (again.state, again.asked, again.attempts, again.tries.count()) == ("delivered", 2, 1, 1)
    first.refresh_from_db()
    assert (first.state, first.asked, first.tries.count()) == ("delivered", 1, 1), "what has become of it stays"
    assert AuditEvent.objects.filter(action="delivery.asked_again", actor=engineer.email).count() == 1


def test_a_test_goes_to_its_endpoint_alone_whatever_that_wants_to_hear(receiver):
    project = make_project()
    endpoint = make_endpoint(project, receiver.url, events=["run.failed"])
    make_endpoint(project, receiver.url + "/other")

    services.ping_endpoint(endpoint, by=endpoint.created_by)
    send()

    (got,) = receiver.got
    assert (got.path, got.message["type"]) == ("/hook", "webhook.ping")


def test_nothing_is_lost_while_senders_die_at_every_point(endpoint, receiver, clock, monkeypatch):
    """Deaths at random points of the way; at the end every event has arrived at least once."""
    from projects import faults

    chance, uids = random.Random(20260504), []

    class Killed(BaseException):
        pass

    points = ["sending.claim_written", "sending.claimed", "sending.sent", "sending.result_written", "sending.recovered"]

    def dying(name):
        if name in points and chance.random() < 0.3:
            raise Killed(name)

    deaths = 0
    for round_ in range(60):
        if round_ < 20:
            uids.append(happen(endpoint.project).uid)
        monkeypatch.setattr(faults, "point", dying if round_ < 45 else lambda name: None)
        try:
            send()
        except Killed:
            deaths += 1
        clock.forward(seconds=61)

    assert deaths > 15
    assert set(receiver.ids) == set(uids)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert invariants.check(deep=True) == []
