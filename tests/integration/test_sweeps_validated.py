"""Sweeps whose runs are looked at with rows that none of them learns from, and are judged by their loss."""

from types import SimpleNamespace

import pytest
from django.urls import reverse
from django.utils import timezone

from projects import reconciler
from projects.domain.errors import Invalid, Refused
from projects.services.lineage import withdraw_node
from tests.factories import datasets
from tests.factories.datasets import chat, tickets
from tests.factories.evaluation import make_golden, use_engine
from tests.factories.projects import make_member, make_project, run_jobs
from tests.factories.sweeps import plan_sweep, run_sweep, start_sweep
from tests.factories.training import RECIPE, fake_engine, make_base, make_owner
from tests.integration.test_sweep_doors import form
from training import pages, selectors, services, sweeping
from training.domain.series import Series
from training.domain.sweeps import losses
from training.models import MetricChunk, Run, Sweep, TokenProfile

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def _own_engines(settings):
    settings.ENGINES = settings.ENGINES | {"training.run": fake_engine("ok")}
    use_engine()


@pytest.fixture
def world():
    project = make_project()
    by = make_member(project)

    def data(rows):
        return datasets.make_version(project=project, by=by, rows=rows)

    base = make_base(project, by)
    return SimpleNamespace(
        project=project, by=by, base=base, version=data(tickets(12)), held_out=data(tickets(30)[20:]), data=data
    )


def parts(world, **fields):
    return {"base": world.base, "version": world.version, "validation": world.held_out} | fields


def runs_of(sweep):
    return [row.run for row in selectors.trials(sweep)]


def test_every_run_is_looked_at_and_the_proposal_says_that_it_rests_on_it(world):
    sweep = run_sweep(world.project, world.by, **parts(world))

    assert sweep.state == "succeeded"
    for run in runs_of(sweep):
        assert run.validation_version == world.held_out
        assert run.spec["validation"]["content_hash"] == world.held_out.content_hash
        assert run.projection["looks"] > 1
    assert sweep.result["measure"] == "Validation loss at the end"
    assert sweep.result["note"] == losses.VALIDATION_NOTE
    assert sweep.result["clear"] is False, "the stand-in engine looks the same to every run"
    assert [one["value"] for one in sweep.result["order"]] == [pytest.approx((2.2 + 1.9 + 1.7 + 1.6) / 4)] * 3
    assert dict(pages.sweep_facts(sweep))["Judged by"] == (
        f"the loss at the end on {world.held_out}, which no run learns from"
    )
    assert dict(pages.shared_facts(sweep))["Validation data"] == world.held_out
    page = pages.sweep_page(sweep, timezone.now())
    assert page["measure"] == "Validation loss at the end"
    assert [one["title"] for one in page["figures"]][1:] == ["Validation loss of 3 runs", "Loss of 3 runs, smoothed"]
    assert page["figures"][0]["figure"]["layout"]  # what was tried, drawn to the same measure
    assert "Validation loss at the end" in str(page["figures"][0]["table"])


def told(run, looks, training, last=100):
    """The run as if it had these looks and this loss all the way, with the wobble that every curve has."""
    run.metrics.all().delete()
    at = [last * n // (len(looks) - 1) for n in range(len(looks))]
    steps = list(range(1, 101))
    wobble = [training + 0.01 * (-1) ** step for step in steps]
    MetricChunk.objects.append(run, {"loss": Series.of(steps, wobble), "validation_loss": Series.of(at, looks)})
    Run.objects.filter(pk=run.pk).update(step=100, total_steps=100)


def falling(end, noise=0.002):
    """Twenty-one looks that fall to `end` and jump a little."""
    return [end + 1.0 / (1 + n) - 1.0 / 21 + noise * ((n * 7) % 5 - 2) for n in range(21)]


def proposed(sweep):
    rows = selectors.trials(sweep)
    return sweeping.proposal(sweep, rows), selectors.standing(sweep, rows)


def test_the_validation_loss_wins_over_the_training_loss(world):
    sweep = run_sweep(world.project, world.by, **parts(world))
    by_heart, best, middling = runs_of(sweep)
    told(by_heart, falling(1.9), training=0.1)
    told(best, falling(1.2), training=0.6)
    told(middling, falling(1.5), training=0.5)

    found, standing = proposed(sweep)

    assert (found["winner"], found["clear"], found["tied"]) == (best.pk, True, [best.pk])
    assert found["headline"] == "#2 is the best"
    assert "#2 against #3: \N{MINUS SIGN}0.3" in found["reason"] and "95 % interval" in found["reason"]
    assert [one["run"] for one in found["order"]] == [best.pk, middling.pk, by_heart.pk]
    assert [one["run"] for one in standing.order] == [best.pk, middling.pk, by_heart.pk]
    assert (standing.measure, standing.percent, found["n"]) == ("Validation loss at the end", False, 5)


def test_a_difference_within_the_jumps_from_look_to_look_is_no_victory(world):
    sweep = run_sweep(world.project, world.by, **parts(world))
    for run, end, noise in zip(runs_of(sweep), (1.2, 1.203, 1.206), (0.02, -0.02, 0.015), strict=True):
        told(run, falling(end, noise), training=0.5)

    found, _ = proposed(sweep)

    assert found["clear"] is False and len(found["tied"]) == 3


def test_a_run_whose_looks_ended_early_is_not_ranked_and_without_any_the_training_loss_decides(world):
    sweep = run_sweep(world.project, world.by, **parts(world))
    first, second, third = runs_of(sweep)
    told(first, falling(1.2), training=0.5)
    told(second, falling(1.0), training=0.4, last=60)
    told(third, falling(1.6), training=0.3)

    found, _ = proposed(sweep)
    assert [one["run"] for one in found["order"]] == [first.pk, third.pk]
    assert "1 run is not ranked: its looks ended before it did." in found["note"]

    for run in (first, second, third):
        run.metrics.filter(name="validation_loss").delete()
    found, standing = proposed(sweep)
    assert found["measure"] == standing.measure == "Loss at the end"
    assert found["winner"] == third.pk


def test_a_golden_set_judges_where_one_is_chosen(world):
    golden = make_golden(world.project, world.by)
    sweep = run_sweep(
        world.project, world.by, **parts(world, golden=golden, version=world.data(tickets(20, start=1000)))
    )

    assert str(golden) in sweep.result["measure"]
    assert dict(pages.sweep_facts(sweep))["Judged by"] == str(golden)
    assert all(run.validation_version == world.held_out for run in runs_of(sweep))


def test_what_cannot_be_validation_data_is_refused_as_for_a_run(world):
    golden = make_golden(world.project, world.by)
    elsewhere = make_project()
    foreign = datasets.make_version(project=elsewhere, by=make_member(elsewhere))
    swept = [{"name": "dataset_version", "values": [world.version.pk, world.held_out.pk]}]
    for fields, code in (
        ({"validation": world.version}, "same_as_training"),
        ({"validation": golden}, "wrong_purpose"),
        ({"validation": foreign}, "not_found"),
        ({"space": swept, "golden": golden}, "same_as_training"),
    ):
        with pytest.raises(Invalid) as refused:
            plan_sweep(world.project, world.by, **parts(world, **fields))
        assert (refused.value.code, refused.value.field) == (code, "validation_version")
    assert not Sweep.objects.exists()


def test_a_start_waits_for_its_counts_and_refuses_rows_that_no_look_can_read(world, client):
    client.force_login(world.by)
    plan_sweep(world.project, world.by, **parts(world, validation=None))  # the training data is counted
    values = {"name": "soon", "space": [{"name": "rank", "values": [2, 4]}], "recipe": RECIPE}
    sweep = services.create_sweep(world.project, by=world.by, **values, **parts(world))
    assert TokenProfile.objects.filter(version=world.held_out, base=world.base, state="queued").exists()
    with pytest.raises(Refused, match=f"{world.held_out} is still being counted") as refused:
        services.start_sweep(sweep, by=world.by)
    assert refused.value.code == "tokens_not_counted"
    run_jobs()
    assert services.start_sweep(sweep, by=world.by).state == "queued"

    long = world.data([chat("please " * 90, "help")])
    unread = plan_sweep(world.project, world.by, **parts(world, validation=long))
    page = client.get(unread.get_absolute_url()).content.decode()
    why = f"No row of {long} can be read within 64 tokens."
    assert why in page and "Start sweep" not in page
    with pytest.raises(Invalid, match="can be read within 64 tokens"):
        services.start_sweep(unread, by=world.by)


def test_nothing_is_looked_at_with_what_was_withdrawn(world):
    sweep = plan_sweep(world.project, world.by, **parts(world))
    owner = make_owner(world.project)
    withdraw_node(world.project, by=owner, node=f"version:{world.held_out.pk}", cause="withdrawn", reason="Not ours.")

    for begin in (
        lambda: services.start_sweep(sweep, by=world.by),
        lambda: plan_sweep(world.project, world.by, **parts(world)),
    ):
        with pytest.raises(Refused) as refused:
            begin()
        assert refused.value.code == "stale_ancestor"


def test_the_winner_is_trained_again_with_the_same_rows_held_out(world):
    sweep = run_sweep(world.project, world.by, **parts(world))

    again = services.repeat_winner(sweep, by=world.by)

    assert again.validation_version == world.held_out


def test_a_plan_costs_more_with_looks_than_without(world):
    with_looks, without = (
        plan_sweep(world.project, world.by, **parts(world, validation=one)) for one in (world.held_out, None)
    )
    seconds = [selectors.projected(sweep)["seconds"] for sweep in (with_looks, without)]
    assert seconds[0] > seconds[1]
    assert dict(pages.sweep_facts(without))["Judged by"] == "the training loss at the end"


def test_a_sweep_under_way_stands_by_its_looks(world):
    sweep = start_sweep(world.project, world.by, **parts(world, at_once=1))
    run_jobs()
    reconciler.sweep()

    standing = selectors.standing(sweep, selectors.trials(sweep))
    assert standing.measure == "Validation loss at the end" and standing.values


def test_the_page_and_the_api_take_it_and_refuse_in_the_same_words(world, client):
    client.project, client.base, client.version = world.project, world.base, world.version
    client.force_login(world.by)
    address = reverse("sweep-create", args=[world.project.slug])
    assert "Validation data" in client.get(address).content.decode()
    wrong = client.post(address, form(client, validation_version=world.version.pk))
    assert wrong.status_code == 400 and "These are the rows that the run learns from" in wrong.content.decode()
    assert "validation_version" in wrong.context["form"].errors
    assert client.post(address, form(client, validation_version=world.held_out.pk)).status_code == 302
    assert Sweep.objects.get().validation_version == world.held_out

    api = f"/api/v1/projects/{world.project.slug}/sweeps/"
    body = {
        "name": "by program", "base": world.base.pk, "dataset_version": world.version.pk, "recipe": RECIPE,
        "space": [{"name": "rank", "values": [2, 4]}],
    }  # fmt: skip
    made = client.post(api, body | {"validation_version": world.held_out.pk}, **JSON)
    assert (made.status_code, made.json()["validation_version"]) == (201, world.held_out.pk)
    refused = client.post(api, body | {"validation_version": world.version.pk}, **JSON)
    assert (refused.status_code, refused.json()["code"]) == (400, "same_as_training")
    unknown = client.post(api, body | {"validation_version": 10**9}, **JSON)
    assert (unknown.status_code, unknown.json()["code"]) == (400, "not_in_project")
    assert client.post(api, body, **JSON).json()["validation_version"] is None
