"""Runs that need several cards of one host: who takes them, what they hold, what they wait for, what they cost."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from projects import leases, probes, slots
from projects.domain.permissions import Role
from projects.domain.states import Outcome
from projects.models import Attempt, LedgerEntry
from projects.selectors import queue, workers
from tests.factories import training
from tests.factories.hosts import driver_output, fake_driver, make_host
from tests.factories.projects import make_member, make_project
from training import selectors, services
from training.domain.recipe import Recipe
from training.domain.sharing import EFFICIENCY
from training.models import Run
from training.pages import runs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def host(settings, monkeypatch, tmp_path):
    settings.WORKER_HOST, settings.SLOTS = "forge", {"cpu": 1, "gpu": 1}
    settings.NVIDIA_SMI = fake_driver(tmp_path / "driver", driver_output(2))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    probes.forget()
    yield
    probes.forget()


@pytest.fixture(scope="module")
def drafted(standing):
    def make():
        project = make_project(name="Routing")
        return training.make_draft(project, make_member(project, Role.OWNER), name="router")

    return standing(make)


@pytest.fixture
def draft(drafted, db):
    return Run.objects.get(pk=drafted.pk)


@pytest.fixture
def project(draft):
    return draft.project


@pytest.fixture
def owner(draft):
    return draft.created_by


def start(draft, by, name, devices=1):
    run = Run.objects.get(pk=draft.pk)
    run.pk, run.name, run.devices = None, name, devices
    run.recipe = run.recipe | {"devices": devices}
    run._state.adding = True
    run.save()
    return services.start_run(run, by=by)


def cards(host="forge", count=2):
    return make_host(host, places={"gpu": [f"gpu:{number}" for number in range(count)]}, queues=["gpu"])


def claim(host="forge"):
    """As the supervisor of this host does it."""
    free = slots.free_places("gpu")
    if not free:
        return None
    room = slots.room("gpu", free, timezone.now())
    return leases.claim([Run], owner=f"{host}/gpu/1", place=free[0], host=room)


def test_a_run_holds_as_many_cards_as_it_needs_and_sees_no_others(draft, owner):
    cards()
    start(draft, owner, "wide", 2)

    run = claim()

    assert (run.place, slots.free_places("gpu")) == ("gpu:0,1", [])
    assert slots.environment("gpu", run.place)["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert Attempt.objects.get(job_id=run.pk, job_label="training.run").cards == 2


def test_later_runs_do_not_starve_one_that_waits_for_all_cards(draft, owner):
    cards()
    start(draft, owner, "small", 1)
    first = claim()
    wide = start(draft, owner, "wide", 2)
    start(draft, owner, "later", 1)

    assert claim() is None and slots.free_places("gpu") == ["gpu:1"]
    wide.refresh_from_db()
    assert wide.kept_free_by == "forge"
    why = queue.reason(wide)
    assert (why.code, why.text) == (
        "needs_cards", "Needs 2 cards on one host, 1 free. forge keeps what becomes free for it."
    )  # fmt: skip

    leases.finish(first, Outcome.SUCCEEDED, cause="training")
    taken = claim()
    assert (taken.pk, taken.place) == (wide.pk, "gpu:0,1")
    assert Run.objects.get(pk=wide.pk).kept_free_by == ""


def test_the_page_of_the_workers_marks_cards_that_are_kept_free_and_for_whom(draft, owner):
    cards()
    start(draft, owner, "small", 1)
    claim()
    wide = start(draft, owner, "wide", 2)
    claim()

    seen, others = (workers.floor(sees).hosts[0].slots for sees in ({draft.project_id}, set()))
    assert [(slot.place, slot.work is None, slot.kept_for, slot.kept_is_mine) for slot in seen] == [
        ("gpu:0", False, None, True), ("gpu:1", True, wide, True),
    ]  # fmt: skip
    assert not any(slot.kept_is_mine for slot in others)
    (line,) = (queue for queue in workers.floor({draft.project_id}).queues if queue.queue == "gpu")
    assert (line.why, [one.why.code for one in line.line]) == ("", ["needs_cards"])  # it says nothing of others
    pages = []
    for person in (owner, make_member(make_project(name="Other"), Role.OWNER)):
        client = Client()
        client.force_login(person)
        pages.append(client.get("/workers/").content.decode())
    assert f'Kept free for <a href="{wide.get_absolute_url()}">wide</a>' in pages[0]
    assert "Kept free for a job of another project" in pages[1] and ">wide<" not in pages[1]
    assert all("waits for 2 cards of this host" in page for page in pages)


def test_cards_are_asked_for_where_a_host_has_several_or_a_recipe_names_them(project, draft, owner):
    client, url = Client(), f"/projects/{project.slug}/runs/new/"
    client.force_login(owner)

    def shown(query: str = "") -> bool:
        page = client.get(url + query).content.decode()
        assert page.count('name="devices"') == 1 and 'name="sharding"' in page  # hidden or not, it is sent
        return "Weights on several cards" in page

    assert not shown()
    make_host("single", cards=1)
    assert not shown()
    Run.objects.filter(pk=draft.pk).update(recipe=draft.recipe | {"devices": 2})
    assert shown(f"?like={draft.pk}")
    make_host("pair", cards=2, silent=10_000)
    assert shown()


def test_other_hosts_go_on_while_one_keeps_its_cards_free(draft, owner, settings):
    cards(), cards("anvil")
    start(draft, owner, "small", 1)
    claim()
    wide = start(draft, owner, "wide", 2)
    later = start(draft, owner, "later", 1)
    assert claim() is None

    settings.WORKER_HOST = "anvil"
    Run.objects.filter(name="small").update(owner="anvil/gpu/1")  # there, too, one of two is free
    assert claim("anvil").pk == later.pk

    Run.objects.filter(pk=later.pk).delete()
    Run.objects.filter(name="small").update(owner="forge/gpu/1")
    assert claim("anvil").pk == wide.pk  # with enough free it takes what another keeps its places for


def test_what_is_more_urgent_still_goes_before_it(draft, owner):
    cards()
    start(draft, owner, "small", 1)
    claim()
    start(draft, owner, "wide", 2)
    assert claim() is None
    urgent = start(draft, owner, "urgent", 1)
    Run.objects.filter(pk=urgent.pk).update(priority=1)

    assert claim().pk == urgent.pk


def test_a_run_that_no_host_could_take_says_so_and_stands_in_nobodys_way(draft, owner):
    cards()
    wide = start(draft, owner, "wide", 4)
    small = start(draft, owner, "small", 1)

    assert claim().pk == small.pk
    why = queue.reason(wide)
    assert why.code == "no_such_host" and "no host has more than 2" in why.text


def test_the_page_of_the_workers_shows_a_run_on_every_card_it_holds(project, draft, owner):
    cards()
    start(draft, owner, "wide", 2)
    run = claim()

    view = next(one for one in workers.floor({project.pk}).hosts if one.host.name == "forge")

    held = [slot for slot in view.slots if slot.queue == "gpu" and slot.work]
    assert [slot.place for slot in held] == ["gpu:0", "gpu:1"]
    assert {slot.work.job.pk for slot in held} == {run.pk}


def test_every_card_is_paid_for(project, draft, owner):
    cards()
    start(draft, owner, "wide", 2)
    run = claim()
    begun = timezone.now() - timedelta(hours=1)
    Attempt.objects.filter(job_id=run.pk, job_label="training.run").update(started_at=begun, device="cuda")

    assert selectors.cost_so_far(run, begun + timedelta(hours=1)) == 2 * project.gpu_hour_price
    leases.finish(run, Outcome.FAILED, cause="training", code="x", message="It broke.")

    line = LedgerEntry.objects.get(subject_kind="training.run", subject_id=run.pk)
    assert float(line.quantity) == pytest.approx(2, abs=0.01)
    assert line.amount == pytest.approx(2 * project.gpu_hour_price, abs=Decimal("0.05"))


def test_a_projection_counts_every_card(draft, owner):
    profile = services.runs.counted(draft)
    one, two = (
        selectors.projection(draft.project, draft.base, profile, draft.read_recipe.__class__.read(recipe))
        for recipe in (draft.recipe, draft.recipe | {"devices": 2})
    )

    assert two.steps == one.steps and two.tokens == one.tokens
    assert two.plan["work"]["padded"] == pytest.approx(one.plan["work"]["padded"] / 2)
    assert two.stages["training"] < one.stages["training"] / EFFICIENCY  # of a tiny model hardly anything is shared
    hours = {name: Decimal(value) for name, value in two.money.items()}
    price = draft.project.hour_price(two.device)
    assert float(hours["p50"]) == pytest.approx(float(price) * 2 * two.seconds.p50 / 3600, rel=0.01, abs=1e-5)


def test_what_several_cards_share_is_not_rehearsed_on_one(project, draft, owner):
    client, url = Client(), f"/api/v1/projects/{project.slug}/rehearsals/"
    client.force_login(owner)
    parts = {"base": draft.base_id, "dataset_version": draft.dataset_version_id}
    asked = [
        client.post(url, parts | {"recipe": draft.recipe | {"devices": 2, "sharding": way}}, "application/json")
        for way in ("shard", "replicate")
    ]

    assert [answer.status_code for answer in asked] == [409, 202]
    assert asked[0].json()["code"] == "rehearsal_needs_one_card" and "one card" in asked[0].json()["message"]


def test_that_it_cannot_be_rehearsed_is_said_in_place_of_the_button(project, draft, owner):
    services.runs.counted(draft)
    client = Client()
    client.force_login(owner)
    form = {"name": "Shared", "base": draft.base_id, "dataset_version": draft.dataset_version_id, **draft.recipe}

    def shown(sharding: str) -> list[str]:
        """The draft's page, and what stands beside the form of a new run."""
        cards = {"devices": 2, "sharding": sharding}
        Run.objects.filter(pk=draft.pk).update(recipe=draft.recipe | cards)
        beside = client.post(f"/projects/{project.slug}/runs/projection/", form | cards)
        return [answer.content.decode() for answer in (client.get(draft.get_absolute_url()), beside)]

    for page in shown("replicate"):
        assert "Rehearse run" in page and "A rehearsal works on one card" not in page
    for page in shown("shard"):
        assert "Rehearse run" not in page and "A rehearsal works on one card" in page


def test_before_the_start_it_says_that_no_host_has_so_many(project, draft, owner):
    profile = services.runs.counted(draft)
    wide = Recipe.read(draft.recipe | {"devices": 4})
    client = Client()
    client.force_login(owner)
    Run.objects.filter(pk=draft.pk).update(recipe=wide.as_dict())

    assert runs.projection(project, draft.base, profile, wide)["largest_host"] is None  # nobody is there at all
    cards()
    page = client.get(draft.get_absolute_url()).content.decode()

    assert "No host has 4 cards" in page and "4 cards of one host" in page
    Run.objects.filter(pk=draft.pk).update(recipe=wide.as_dict() | {"devices": 2})
    page = client.get(draft.get_absolute_url()).content.decode()
    assert "No host has" not in page and "share the weights" not in page
    Run.objects.filter(pk=draft.pk).update(recipe=wide.as_dict() | {"devices": 2, "sharding": "shard"})
    assert (
        "2 cards of one host that share the weights of the base"
        in client.get(draft.get_absolute_url()).content.decode()
    )
