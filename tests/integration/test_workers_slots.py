"""Places on a host: one run a card, none while it is drained, and turns that are fair under load."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from projects import jobs, leases, probes, reconciler, slots, supervision, turns
from projects.domain.states import JobState, Outcome
from projects.models import Attempt
from tests.factories.hosts import driver_output, fake_driver, make_host
from tests.factories.projects import make_project
from tests.factories.toys import Toy, make_kind, make_toy, queued_toy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def host(settings, monkeypatch):
    settings.WORKER_HOST = "forge"
    settings.SLOTS = {"cpu": 2, "gpu": 1}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    probes.forget()
    yield
    probes.forget()


@pytest.fixture
def two_cards(settings, tmp_path):
    settings.NVIDIA_SMI = fake_driver(tmp_path / "driver", driver_output(2))


def claim(place, queue="gpu", host="forge"):
    return leases.claim([Toy], owner=f"{host}/{queue}/1", place=place)


def test_every_card_is_a_place(two_cards, settings):
    assert slots.places("gpu") == ["gpu:0", "gpu:1"]
    assert slots.places("cpu") == ["cpu:0", "cpu:1"]

    settings.SLOTS = {"cpu": 1, "gpu": 2}
    assert slots.places("gpu") == ["gpu:0", "gpu:1", "gpu:0", "gpu:1"]


def test_a_host_without_cards_has_places_on_its_processors(settings):
    settings.SLOTS = {"cpu": 1, "gpu": 2}

    assert slots.places("gpu") == ["cpu:0", "cpu:1"]


def test_a_taken_card_is_not_given_away_again(toys, tmp_path, two_cards):
    make_kind(tmp_path, queue="gpu")
    project = make_project()
    for _ in range(3):
        queued_toy(project)

    first = claim(slots.free_places("gpu")[0])
    second = claim(slots.free_places("gpu")[0])

    assert (first.place, second.place) == ("gpu:0", "gpu:1")
    assert slots.free_places("gpu") == []
    leases.hand_back(first, cause="training")
    assert slots.free_places("gpu") == ["gpu:0"]


def test_work_spreads_over_the_cards_before_it_doubles_up(toys, tmp_path, two_cards, settings):
    settings.SLOTS = {"cpu": 1, "gpu": 2}
    make_kind(tmp_path, queue="gpu")
    project = make_project()
    for _ in range(4):
        queued_toy(project)

    taken = [claim(slots.free_places("gpu")[0]).place for _ in range(4)]

    assert taken == ["gpu:0", "gpu:1", "gpu:0", "gpu:1"]
    assert slots.free_places("gpu") == []


def test_other_hosts_and_other_queues_take_none_of_my_places(toys, tmp_path, two_cards):
    make_kind(tmp_path, queue="gpu")
    project = make_project()
    for _ in range(3):
        queued_toy(project)
    claim("gpu:0", host="anvil")
    claim("cpu:0", queue="cpu")
    claim("gpu:7")  # of another worker process of this host, which was left another card

    assert slots.free_places("gpu") == ["gpu:0", "gpu:1"]


def test_work_under_a_place_that_is_no_longer_given_out_still_counts(toys, tmp_path, settings):
    make_kind(tmp_path)
    project = make_project()
    for _ in range(2):
        queued_toy(project)
    claim("cpu:5", queue="cpu")
    assert slots.free_places("cpu") == ["cpu:0"]

    claim("", queue="cpu")
    assert slots.free_places("cpu") == []


def test_which_kinds_hold_work_is_asked_in_one_statement(toys, tmp_path, django_assert_num_queries):
    make_kind(tmp_path)
    everything = [kind.model for kind in jobs.kinds()]
    with django_assert_num_queries(1):
        assert turns.that_hold(everything, JobState.QUEUED, JobState.RUNNING) == []

    queued_toy(make_project())
    assert turns.that_hold(everything, JobState.QUEUED) == [Toy]
    assert turns.that_hold(everything, JobState.RUNNING) == []

    claim("cpu:0", queue="cpu")
    assert turns.that_hold(everything, JobState.QUEUED) == []
    assert turns.that_hold(everything, JobState.RUNNING, JobState.QUEUED) == [Toy]
    assert turns.that_hold([], JobState.RUNNING) == []


def test_a_worker_that_finds_nothing_asks_little(toys, tmp_path, django_assert_max_num_queries):
    make_kind(tmp_path)
    with django_assert_max_num_queries(6):
        assert supervision.claim_and_start("cpu") == 0


def test_a_drained_host_takes_nothing_new(toys, tmp_path):
    make_kind(tmp_path)
    host = make_host("forge", draining_at=timezone.now())
    toy = queued_toy(make_project())

    assert supervision.claim_and_start("cpu") == 0
    host.draining_at = None
    host.save()
    assert supervision.claim_and_start("cpu") == 1
    toy.refresh_from_db()
    assert toy.state == "succeeded"


SEES = "say('result', answer=[os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ.get('CUDA_DEVICE_ORDER')])"


@pytest.mark.parametrize(
    ("queue", "cards", "sees"),
    [("gpu", 2, "['0', 'PCI_BUS_ID']"), ("cpu", 2, "['', None]"), ("gpu", 0, "[None, None]")],
    ids=["its card only", "no card", "whatever there is"],
)
def test_a_child_sees_its_own_card(toys, tmp_path, settings, monkeypatch, queue, cards, sees):
    if cards:
        settings.NVIDIA_SMI = fake_driver(tmp_path / "driver", driver_output(cards))
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    make_kind(tmp_path, SEES, queue=queue)
    toy = queued_toy(make_project())

    supervision.claim_and_start(queue)

    toy.refresh_from_db()
    assert toy.product == sees


def test_three_projects_share_a_queue_that_one_of_them_floods(toys, tmp_path):
    """Whoever floods gets what the others leave, and no turn of theirs."""
    make_kind(tmp_path)
    flooding, second, third = make_project(), make_project(), make_project()
    for _ in range(20):
        queued_toy(flooding)
    late = [queued_toy(project) for project in (second, third, second, third)]

    running = []
    for n in range(12):
        if len(running) == 3:  # three places: the oldest ends and makes room
            leases.finish(running.pop(0), Outcome.SUCCEEDED, cause="training")
        running.append(claim(f"cpu:{n % 3}", queue="cpu"))

    claims = list(Attempt.objects.order_by("pk").values_list("project_id", flat=True))
    assert Counter(claims[:6]) == {flooding.pk: 2, second.pk: 2, third.pk: 2}
    assert set(claims[6:]) == {flooding.pk}
    assert not Toy.objects.filter(pk__in=[toy.pk for toy in late], state="queued").exists()


def test_urgency_goes_before_fairness(toys, tmp_path):
    make_kind(tmp_path)
    busy, idle = make_project(), make_project()
    queued_toy(busy)
    claim("cpu:0", queue="cpu")
    urgent, usual = queued_toy(busy, priority=1), queued_toy(idle)

    assert claim("cpu:0", queue="cpu").pk == urgent.pk
    assert claim("cpu:1", queue="cpu").pk == usual.pk


def test_attempts_of_people_and_starts_within_them_are_counted_apart(toys, tmp_path):
    make_kind(tmp_path)
    toy = queued_toy(make_project())
    for _ in range(2):
        job = claim("cpu:0", queue="cpu")
        leases.lose(job, cause="training", code="killed", message="Killed.")
    job = claim("cpu:0", queue="cpu")
    leases.finish(job, Outcome.FAILED, cause="training", code="x", message="It did not fit.")
    leases.queue_job(job, actor="anna@example.org")
    claim("cpu:0", queue="cpu")

    toy.refresh_from_db()
    assert (toy.attempt, toy.infra_failures) == (2, 0)
    assert list(Attempt.objects.order_by("pk").values_list("number", "asked", "start")) == [
        (1, 1, 1),
        (2, 1, 2),
        (3, 1, 3),
        (4, 2, 1),
    ]


@pytest.mark.django_db(transaction=True)
def test_many_claimers_at_once_get_each_job_once_and_stay_fair(toy_table, tmp_path):
    make_kind(tmp_path)
    projects = [make_project() for _ in range(3)]
    for project in projects:
        toys = [make_toy(project) for _ in range(8)]
        for toy in toys:
            leases.queue_job(toy, actor="anna@example.org")
    got, gate = [], threading.Barrier(8)

    def work(number):
        try:
            gate.wait()
            for turn in range(3):
                job = leases.claim([Toy], owner=f"host{number}/cpu/{turn}", place="cpu:0")
                got.append((job.pk, job.project_id, job.fence))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    try:
        assert len(got) == len({pk for pk, _, _ in got}) == 24
        assert {fence for _, _, fence in got} == {1}
        order = list(Attempt.objects.order_by("started_at", "pk").values_list("project_id", flat=True))
        assert all(abs(order[:12].count(a.pk) - order[:12].count(b.pk)) <= 3 for a in projects for b in projects)
    finally:
        Toy.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_any_number_of_reconcilers_give_a_lost_job_back_once(toy_table, tmp_path):
    """Each locks the row and looks at its fence again, so the second finds nothing to do."""
    make_kind(tmp_path)
    toy = queued_toy(make_project())
    claim("cpu:0", queue="cpu")
    Toy.objects.update(lease_until=leases.database_time() - timedelta(seconds=1))
    given_back, gate = [], threading.Barrier(5)

    def sweep():
        try:
            gate.wait()
            given_back.append(reconciler.sweep()["given_back"])
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    try:
        toy.refresh_from_db()
        assert sum(given_back) == 1
        assert (toy.state, toy.infra_failures) == ("queued", 1)
        assert list(Attempt.objects.values_list("outcome", flat=True)) == ["lost"]
    finally:
        Toy.objects.all().delete()
