"""Many senders at once, on every database: each message once, in order, one at a time to an endpoint; letters once."""

import threading
import time
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection

from projects import courier, invariants, letters, sending
from projects.clock import database_time
from projects.domain.permissions import Role
from projects.models import Delivery, Letter, Notice, WebhookEndpoint
from projects.services import webhooks as services
from tests.factories.projects import make_member, make_project
from tests.factories.webhooks import happen, make_endpoint, receiving, reply
from tests.integration.test_deployments_races import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    settings.MAIL_GROUP_SECONDS = 10**9


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def in_threads(count, work):
    """Run it so often at once, each in a thread with a connection of its own; what went wrong is raised here."""
    wrong = []

    def guarded():
        try:
            work()
        except Exception as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_eight_senders_send_each_once_in_order_and_one_at_a_time_to_each_endpoint(receiver):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    for n in range(4):
        make_endpoint(project, f"{receiver.url}/{n}", by=owner)
    under_way, most, lock = {}, {}, threading.Lock()

    def answer(handler, got):
        with lock:
            under_way[got.path] = under_way.get(got.path, 0) + 1
            most[got.path] = max(most.get(got.path, 0), under_way[got.path])
        time.sleep(0.01)
        with lock:
            under_way[got.path] -= 1
        reply(handler, 204)

    receiver.answer = answer
    uids = [happen(project).uid for _ in range(12)]

    in_threads(8, courier._work)

    for n in range(4):
        assert [got.id for got in receiver.got if got.path == f"/hook/{n}"] == uids
    assert set(most.values()) == {1}
    assert set(Delivery.objects.values_list("state", "attempts")) == {("delivered", 1)}
    assert invariants.check(deep=True) == []


def test_rivals_for_one_delivery(receiver):
    make_endpoint(project := make_project(), receiver.url)
    happen(project)
    claimed = []

    in_threads(8, lambda: claimed.append(sending.claim(Delivery)))

    assert len([one for one in claimed if one is not None]) == 1


def test_rivals_recover_a_lost_one_once(receiver):
    make_endpoint(project := make_project(), receiver.url)
    happen(project)
    sending.claim(Delivery)
    Delivery.objects.update(lease_until=database_time() - timedelta(seconds=1))
    recovered = []

    in_threads(8, lambda: recovered.append(sending.recover()))

    assert sum(recovered) == 1
    assert (Delivery.objects.get().state, Delivery.objects.get().tries.count()) == ("waiting", 1)


def test_rivals_make_one_letter_of_the_same_notices(settings):
    settings.MAIL_GROUP_SECONDS = 0
    project = make_project()
    make_member(project, Role.OWNER)
    for _ in range(5):
        happen(project)

    in_threads(6, letters.bundle)

    assert (Letter.objects.count(), Notice.objects.filter(letter=None).count()) == (1, 0)
    in_threads(6, courier._work)
    assert len(mail.outbox) == 1


def test_an_endpoint_that_is_paused_deleted_and_sent_to_at_once(receiver):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    endpoint = make_endpoint(project, receiver.url, by=owner)
    for _ in range(6):
        happen(project)

    def fresh():
        return WebhookEndpoint.objects.get(pk=endpoint.pk)

    ends = together(
        courier._work,
        courier._work,
        lambda: services.pause_endpoint(fresh(), by=owner),
        lambda: services.change_endpoint(fresh(), by=owner, description="Chat"),
        lambda: services.rotate_secret(fresh(), by=owner),
        lambda: services.ping_endpoint(fresh(), by=owner),
    )
    assert set(ends) <= {"done", "endpoint_off", "illegal_transition", "just_changed"}, ends
    ends = together(courier._work, lambda: services.delete_endpoint(fresh(), by=owner), courier._work)
    assert set(ends) == {"done"}, ends
    assert set(Delivery.objects.values_list("state", flat=True)) <= {"delivered", "given_up"}
    assert invariants.check(deep=True) == []


def test_two_who_want_it_again_get_it_once_more(receiver):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    make_endpoint(project, receiver.url, by=owner)
    happen(project)
    courier._work()

    ends = together(*[lambda: services.send_again(Delivery.objects.order_by("pk").first(), by=owner)] * 4)
    assert set(ends) <= {"done", "just_changed"} and "done" in ends, ends
    assert Delivery.objects.count() == 2


def test_real_threads_of_a_courier_send_everything(receiver, settings, monkeypatch):
    """The way of production: threads, each with a connection of its own, until nothing is due."""
    settings.SUPERVISE_INLINE = False
    monkeypatch.setattr(courier, "LINGER_SECONDS", 0)
    project = make_project()
    owner = make_member(project, Role.OWNER)
    for n in range(3):
        make_endpoint(project, f"{receiver.url}/{n}", by=owner)
    for _ in range(5):
        happen(project)

    assert courier.run() == 15
    assert len(receiver.got) == 15


def test_one_courier_is_enough_for_a_host(receiver, settings, monkeypatch):
    make_endpoint(project := make_project(), receiver.url)
    happen(project)
    with courier.one_courier() as mine:
        assert mine
        assert courier.run() == 0
        assert courier.start_if_due() is False
    assert courier.start_if_due() is True
    assert len(receiver.got) == 1
    assert courier.start_if_due() is False, "nothing is due"
