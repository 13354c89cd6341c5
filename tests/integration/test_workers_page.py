"""The page of the workers and its API: who may see what, and who may drain, resume and forget."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from projects import access, leases
from projects.domain.permissions import Role
from projects.models import AuditEvent, Canary, Host, User
from projects.selectors import workers
from projects.services import tokens
from tests.factories.hosts import make_host
from tests.factories.projects import make_member, make_project, make_user
from tests.factories.toys import Toy, make_kind, queued_toy

pytestmark = pytest.mark.django_db


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def member():
    """Somebody of one project, where another project has its own owner, so nobody owns everything."""
    make_member(make_project(), Role.OWNER)
    return make_member(make_project(name="Routing"), Role.OWNER)


@pytest.fixture
def operator():
    return make_user(is_staff=True)


def text(answer):
    return " ".join(answer.content.decode().split())


def test_whoever_belongs_to_no_project_finds_nothing_there(client):
    make_host("forge")
    stranger = signed_in(make_user())
    addresses = ["/workers/", "/workers/status/", "/api/v1/workers/", "/api/v1/queues/"]

    assert [stranger.get(address).status_code for address in addresses] == [404] * 4
    assert stranger.post(f"/workers/{Host.objects.get().pk}/drain/").status_code == 404
    assert client.get("/workers/").status_code == 302
    assert client.get("/api/v1/workers/").status_code == 401


def test_an_empty_installation_says_how_to_start_a_worker(member):
    answer = signed_in(member).get("/workers/")

    assert answer.status_code == 200
    assert "No worker has announced itself yet" in text(answer)
    assert "celery -A config worker -Q cpu,gpu -P solo" in text(answer)


def test_hosts_are_shown_with_their_cards_and_state(member):
    make_host("forge", cards=2)
    make_host("anvil", draining_at=timezone.now(), drain_reason="new driver")
    make_host("gone", silent=900, cards_note="No NVIDIA driver is installed (nvidia-smi was not found).")

    page = text(signed_in(member).get("/workers/"))

    assert [name in page for name in ("forge", "anvil", "gone")] == [True] * 3
    assert "new driver" in page
    assert "Not heard of" in page
    assert "nvidia-smi was not found" in page
    assert "NVIDIA H200" in page
    assert "Drain host" not in page  # a member who is no operator is shown no buttons


def test_states_and_order(member):
    make_host("a-gone", silent=900)
    make_host("b-drained", draining_at=timezone.now())
    make_host("c-up")

    floor = workers.floor(set())

    assert [(view.host.name, view.state) for view in floor.hosts] == [
        ("c-up", "up"),
        ("b-drained", "draining"),
        ("a-gone", "stale"),
    ]
    assert (floor.up, floor.draining, floor.stale) == (1, 1, 1)


def test_versions_that_differ_between_living_hosts_are_marked():
    make_host("one", versions={"luthier": "0.1.0+aa", "torch": "2.13.0"})
    make_host("two", versions={"luthier": "0.1.0+bb"})  # no torch: a host for small work
    make_host("gone", versions={"torch": "1.0"}, silent=900)

    floor = workers.floor(set())

    assert floor.differing == ["luthier"]
    assert {view.host.name: view.differs for view in floor.hosts} == {
        "one": ["luthier"],
        "two": ["luthier"],
        "gone": [],
    }


def running(project, host, place, queue="gpu"):
    toy = queued_toy(project)
    leases.claim([Toy], owner=f"{host}/{queue}/1", place=place)
    Toy.objects.filter(pk=toy.pk).update(name=f"work of {project.slug}")
    return toy


def test_slots_hold_what_runs_in_them_and_names_only_of_ones_own(toys, tmp_path, member):
    make_kind(tmp_path, queue="gpu")
    mine = member.memberships.get().project
    other = make_project(name="Secret plans")
    make_host("forge", cards=2)
    running(mine, "forge", "gpu:0")
    running(other, "forge", "gpu:1")
    queued_toy(other)
    queued_toy(mine)

    client = signed_in(member)
    page = text(client.get("/workers/"))
    api = client.get("/api/v1/workers/").json()[0]
    queue = next(one for one in client.get("/api/v1/queues/").json() if one["queue"] == "gpu")

    assert f"work of {mine.slug}" in page
    assert "A job of another project" in page
    assert "Secret plans" not in page + str(api) + str(queue)
    assert other.slug not in page + str(api) + str(queue)
    slots = [(slot["place"], slot["busy"], slot["project"]) for slot in api["slots"] if slot["queue"] == "gpu"]
    assert slots == [("gpu:0", True, mine.slug), ("gpu:1", True, None)]
    assert (queue["waiting"], queue["slots"], queue["free"]) == (2, 2, 0)
    assert [one["project"] for one in queue["line"]] == [None, mine.slug]
    assert queue["line"][1]["code"] == "slots_taken"


def test_work_in_a_place_that_nobody_tells_of_any_more_is_still_shown(toys, tmp_path, member):
    make_kind(tmp_path, queue="gpu")
    mine = member.memberships.get().project
    make_host("forge", cards=1)
    running(mine, "forge", "gpu:5")

    (view,) = workers.floor({mine.pk}).hosts

    assert [(slot.place, slot.work is not None) for slot in view.slots if slot.queue == "gpu"] == [
        ("gpu:0", False),
        ("gpu:5", True),
    ]


def test_a_token_sees_with_the_eyes_of_its_one_project(toys, tmp_path, member):
    make_kind(tmp_path, queue="gpu")
    mine, second = member.memberships.get().project, make_project()
    second.memberships.create(user=member, role=Role.OWNER.value)
    make_host("forge", cards=1)
    running(mine, "forge", "gpu:0")
    _, key = tokens.create_token(second, by=member, name="elsewhere", scope="write")
    client = Client(headers={"Authorization": f"Bearer {key}"})

    slot = client.get("/api/v1/workers/").json()[0]["slots"][0]

    assert (slot["busy"], slot["job"], slot["project"]) == (True, None, None)


def test_an_operator_drains_and_resumes(operator, member):
    host = make_host("forge")
    client = signed_in(operator)

    answer = client.post(f"/workers/{host.pk}/drain/", {"reason": "new driver"}, follow=True)
    host.refresh_from_db()
    assert (host.drained_by, host.drain_reason) == (operator, "new driver")
    assert "takes nothing new" in text(answer)

    client.post(f"/workers/{host.pk}/resume/")
    host.refresh_from_db()
    assert (host.draining_at, host.drained_by, host.drain_reason) == (None, None, "")
    events = AuditEvent.objects.filter(target=f"projects.host:{host.pk}").order_by("pk")
    assert [(event.action, event.actor, event.project_slug) for event in events] == [
        ("host.drained", operator.email, ""),
        ("host.resumed", operator.email, ""),
    ]


def test_the_api_does_the_same_with_the_same_refusals(operator):
    host = make_host("forge")
    client = signed_in(operator)
    address = f"/api/v1/workers/{host.pk}"

    drained = client.post(f"{address}/drain/", {"reason": "new driver"}, content_type="application/json")
    assert (drained.status_code, drained.json()["state"]) == (200, "draining")
    again = client.post(f"{address}/drain/", {}, content_type="application/json")
    assert (again.status_code, again.json()["code"]) == (409, "already_draining")
    alive = client.delete(f"{address}/")
    assert (alive.status_code, alive.json()["code"]) == (409, "host_is_alive")
    assert client.post(f"{address}/resume/", {}, content_type="application/json").json()["state"] == "up"
    assert client.post(f"{address}/resume/", {}, content_type="application/json").json()["code"] == "not_draining"
    assert client.post(f"{address}/drain/", {"x": 1}, content_type="application/json").status_code == 400
    assert client.post("/api/v1/workers/999/drain/", {}, content_type="application/json").status_code == 404


def test_only_what_is_gone_is_forgotten(operator):
    alive, gone = make_host("alive"), make_host("gone", silent=900)
    client = signed_in(operator)

    refused = client.post(f"/workers/{alive.pk}/forget/")
    done = client.post(f"/workers/{gone.pk}/forget/", follow=True)

    assert (refused.status_code, "would be back in seconds" in text(refused)) == (409, True)
    assert "gone is forgotten" in text(done)
    assert list(Host.objects.values_list("name", flat=True)) == ["alive"]
    assert AuditEvent.objects.get(action="host.forgotten").target_label == "gone"


@pytest.mark.parametrize("verb", ["drain", "resume", "forget"])
def test_a_member_who_is_no_operator_may_not(member, verb):
    host = make_host("forge", silent=900)
    client = signed_in(member)
    api = client.delete(f"/api/v1/workers/{host.pk}/") if verb == "forget" else None

    assert client.post(f"/workers/{host.pk}/{verb}/").status_code == 403
    api = api or client.post(f"/api/v1/workers/{host.pk}/{verb}/", {}, content_type="application/json")
    assert (api.status_code, api.json()["code"]) == (403, "permission_denied")
    assert Host.objects.filter(draining_at=None).exists()


def test_a_token_drains_nothing_whoever_made_it(operator):
    project = make_project()
    project.memberships.create(user=operator, role=Role.OWNER.value)
    host = make_host("forge")
    _, key = tokens.create_token(project, by=operator, name="robot", scope="write")
    client = Client(headers={"Authorization": f"Bearer {key}"})

    assert client.post(f"/api/v1/workers/{host.pk}/drain/", {}, content_type="application/json").status_code == 403


def test_where_nobody_is_staff_whoever_owns_every_project_is_the_operator():
    first, second = make_project(), make_project()
    both, one = make_member(first, Role.OWNER), make_member(first, Role.OWNER)
    second.memberships.create(user=both, role=Role.OWNER.value)

    assert access.is_operator(both)
    assert not access.is_operator(one)
    make_user(is_staff=True)
    assert not access.is_operator(both)


def test_the_account_made_from_the_shell_runs_the_installation(capsys):
    call_command("create_owner", "anna@example.org")

    assert User.objects.get().is_staff
    assert access.is_operator(User.objects.get())


def test_the_page_polls_itself_and_reads_itself_anew_when_hosts_come_or_go(member):
    host = make_host("forge")
    client = signed_in(member)

    assert f'hx-get="/workers/status/?known={host.pk}"' in client.get("/workers/").content.decode()
    assert "HX-Refresh" not in client.get(f"/workers/status/?known={host.pk}").headers
    make_host("anvil")
    assert client.get(f"/workers/status/?known={host.pk}").headers["HX-Refresh"] == "true"


def test_the_page_asks_the_database_a_bounded_number_of_times(toys, tmp_path, member, django_assert_max_num_queries):
    make_kind(tmp_path, queue="gpu")
    mine = member.memberships.get().project
    for name in ("one", "two", "three"):
        make_host(name, cards=2)
        running(mine, name, "gpu:0")
    for _ in range(8):
        queued_toy(mine)

    with django_assert_max_num_queries(12):
        workers.floor({mine.pk})


def test_readiness_tells_the_age_of_every_canary(client):
    now = leases.database_time()
    Canary.objects.create(queue="cpu", sent_at=now, seen_at=now - timedelta(seconds=5))
    Canary.objects.create(queue="gpu", sent_at=now, seen_at=now - timedelta(seconds=500))

    answer = client.get("/health/ready")

    canaries = answer.json()["canaries"]
    assert answer.status_code == 200
    assert (canaries["cpu"]["late"], canaries["gpu"]["late"]) == (False, True)
    assert canaries["cpu"]["age_seconds"] == pytest.approx(5, abs=3)
