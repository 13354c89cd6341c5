"""Runs that are looked at with rows they do not learn from: what may be named, what is kept, who sees what."""

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from datasets_app.models import Comparison, Shared
from projects import lineage
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Role
from projects.services.lineage import withdraw_node
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.datasets import chat, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from tests.integration.test_training_pages import form_data
from training import selectors, services
from training.domain.spec import RunSpec
from training.models import Run, TokenProfile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
PAIRS = [
    {
        "prompt": [{"role": "user", "content": f"please help {n}"}],
        "chosen": [{"role": "assistant", "content": "low"}],
        "rejected": [{"role": "assistant", "content": "network"}],
    }
    for n in range(6)
]
JSON = {"content_type": "application/json"}


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}


class World:
    def __init__(self) -> None:
        self.project = make_project()
        self.by = make_member(self.project)
        self.base = factory.make_base(self.project, self.by)
        self.version = self.data(tickets(12))
        self.held_out = self.data(tickets(30)[20:])

    def data(self, rows, **fields):
        return datasets.make_version(rows=rows, project=self.project, by=self.by, **fields)

    def draft(self, validation=None, **fields) -> Run:
        parts = {"base": self.base, "version": self.version, "validation": validation or self.held_out}
        return factory.make_draft(self.project, self.by, **parts | fields)

    def done(self, behaviour: str = "ok", **fields) -> Run:
        return factory.make_run(
            self.project, self.by, behaviour, base=self.base, version=self.version,
            **{"validation": self.held_out} | fields,
        )  # fmt: skip

    def api(self, path: str) -> str:
        return f"/api/v1/projects/{self.project.slug}/{path}"

    def body(self, **changes) -> dict:
        return {
            "name": "by program", "base": self.base.pk, "dataset_version": self.version.pk, "recipe": factory.RECIPE,
            "validation_version": self.held_out.pk,
        } | changes  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


# From a draft to its figures


def test_a_run_is_looked_at_and_its_record_says_with_what(world):
    run = world.done()

    assert run.state == "succeeded", run.error_message
    assert run.spec["validation"]["content_hash"] == world.held_out.content_hash
    assert RunSpec.read(run.spec).validation.rows == world.held_out.rows
    assert selectors.curve(run, "validation_loss") == ([0, 1, 2, 5], [2.2, 1.9, 1.7, 1.6])
    assert run.report["validation"]["rows"] == world.held_out.rows
    course = selectors.validated([run])[run.pk]
    assert (course.last, course.best, course.best_step) == (1.6, 1.6, 5)


def test_a_run_without_it_is_frozen_as_ever(world):
    run = factory.make_run(world.project, world.by, base=world.base, version=world.version)
    assert "validation" not in run.spec and run.validation_version is None
    assert selectors.validated([run]) == {}


def test_a_start_waits_until_its_validation_data_is_counted(world):
    run = services.create_run(
        world.project, by=world.by, name="soon", base=world.base, version=world.version, recipe=factory.RECIPE,
        validation=world.held_out,
    )  # fmt: skip
    assert TokenProfile.objects.filter(version=world.held_out, base=world.base, state="queued").exists()
    with pytest.raises(Refused) as refused:
        services.start_run(run, by=world.by)
    assert refused.value.code == "tokens_not_counted"
    run_jobs()
    assert services.start_run(run, by=world.by).state == "queued"


def test_validation_rows_that_no_look_can_read_are_refused_before_a_start(world):
    run = world.draft(world.data([chat("please " * 90, "help")]))
    with pytest.raises(Invalid) as refused:
        services.start_run(run, by=world.by, cut="drop")
    assert (refused.value.code, refused.value.field) == ("no_trained_tokens", "validation_version")


def test_a_lost_attempts_looks_beyond_its_checkpoint_are_forgotten(world):
    run = world.done("fail")
    assert selectors.curve(run, "validation_loss")[0] == [0, 1, 2]
    from django.conf import settings

    settings.ENGINES["training.run"] = factory.fake_engine("overfit")
    services.retry_run(run, by=world.by, start_at=1)
    run_jobs()
    assert selectors.curve(run, "validation_loss") == ([0, 1, 2, 5], [2.2, 1.9, 1.7, 2.1])


# What may be named


def refused_by(world, client, changes: dict, field: str = "validation_version") -> str:
    """The same refusal through the API and through the page; nothing is made."""
    answer = client.post(world.api("runs/"), world.body(**changes), **JSON)
    assert answer.status_code in {400, 409} and answer.json()["field"] == field, answer.content
    data = {"dataset_version": world.version.pk, "validation_version": world.held_out.pk} | changes
    values = form_data(world.base, world.version, **data)
    page = client.post(reverse("run-create", args=[world.project.slug]), values)
    assert page.status_code == 400
    assert not Run.objects.exists()
    return answer.json()["code"]


def test_what_is_no_validation_data_is_refused(world, client):
    client.force_login(world.by)
    golden = world.data(tickets(40)[30:], purpose="golden")
    pairs = world.data(PAIRS)
    same = world.data(tickets(12))
    stranger = datasets.make_version()
    said = {
        name: refused_by(world, client, {"validation_version": version.pk})
        for name, version in {"golden": golden, "pairs": pairs, "itself": world.version, "same rows": same,
                              "stranger": stranger}.items()
    }  # fmt: skip
    assert said == {
        "golden": "wrong_purpose", "pairs": "wrong_kind", "itself": "same_as_training", "same rows": "same_as_training",
        "stranger": "not_in_project",
    }  # fmt: skip


def test_the_service_refuses_another_projects_version_by_itself(world):
    with pytest.raises(Invalid) as refused:
        world.draft(datasets.make_version())
    assert refused.value.code == "not_found"


def test_withdrawn_validation_data_starts_nothing(world):
    run = world.draft()
    owner = factory.make_owner(world.project)
    withdraw_node(world.project, by=owner, node=f"version:{world.held_out.pk}", cause="withdrawn", reason="Wrong.")
    for start in (lambda: services.start_run(run, by=world.by), lambda: world.draft(name="another")):
        with pytest.raises(Refused) as refused:
            start()
        assert refused.value.code == "stale_ancestor"


def test_the_database_keeps_a_run_from_being_looked_at_with_its_own_rows(world):
    run = world.draft()
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(validation_version=run.dataset_version)


def test_strangers_members_and_viewers(world, client):
    run = world.done()
    client.force_login(make_member(make_project()))
    assert client.post(world.api("runs/"), world.body(), **JSON).status_code == 404
    assert client.get(world.api(f"runs/{run.pk}/")).status_code == 404
    viewer = make_member(world.project, Role.VIEWER)
    client.force_login(viewer)
    assert client.post(world.api("runs/"), world.body(), **JSON).status_code == 403
    assert client.get(world.api(f"runs/{run.pk}/")).json()["validation"]["loss"] == 1.6
    with pytest.raises(PermissionDenied):
        services.prepare_validation(
            world.version, by=viewer, validation=world.held_out, base=world.base, recipe=run.read_recipe
        )


# Rows in both


def test_rows_in_both_are_counted_once_and_told_before_the_start(world, client):
    client.force_login(world.by)
    overlapping = world.data(tickets(12)[9:] + tickets(30)[20:])
    values = form_data(world.base, world.version, validation_version=overlapping.pk)
    projection = reverse("run-projection", args=[world.project.slug])
    assert "Counting the data" in client.post(projection, values).content.decode()
    run_jobs()
    page = client.post(projection, values).content.decode()
    assert "3 training rows also stand in the validation data" in page
    assert f"with {overlapping}: all of its rows" in page

    run = world.draft(overlapping)
    assert Comparison.objects.filter(held_out=overlapping).count() == Shared.objects.count() == 1
    started = services.start_run(run, by=world.by)  # a warning, no refusal
    assert started.launched_with["shared_with_validation"] == 3
    told = client.get(world.api(f"runs/{run.pk}/")).json()["validation"]
    assert (told["shared"]["total"], told["loss"], told["overfitting"]) == (3, None, "")
    assert "3 training rows also stand" in client.get(run.get_absolute_url()).content.decode()


def test_rows_that_cannot_be_counted_are_said_so_and_tried_again_with_the_next_run(world, client):
    run = world.draft()
    Shared.objects.all().delete()
    Comparison.objects.update(state="failed", error_message="The disk is full.")
    client.force_login(world.by)
    values = form_data(world.base, world.version, validation_version=world.held_out.pk)
    page = client.post(reverse("run-projection", args=[world.project.slug]), values).content.decode()
    assert "could not be counted: The disk is full." in page and Comparison.objects.count() == 1
    assert services.start_run(run, by=world.by).state == "queued", "it is a warning, so nothing waits for it"

    world.draft(name="another")
    assert Comparison.objects.count() == 2 and selectors.shared_rows(run).total == 0


def test_shared_rows_are_no_contamination(world):
    world.draft(world.data(tickets(12)[9:] + tickets(30)[20:]))
    assert not selectors.overlaps(world.version)
    assert lineage.stale(world.project, f"version:{world.version.pk}") == {}


# Lineage


def test_the_run_hangs_on_its_validation_data_and_what_it_made_does_not(world):
    run = world.done()
    held_out, node, adapter = (f"version:{world.held_out.pk}", f"run:{run.pk}", f"adapter:{run.adapter.pk}")
    known = lineage.whole(world.project)

    assert (held_out, node, "looked at with", False) in known.edges
    assert known.graph.descendants(held_out) == {node}
    assert known.graph.descendants(f"version:{world.version.pk}") >= {node, adapter}
    assert held_out in known.graph.ancestors(adapter)
    assert {brief.id for found in lineage.impact(world.project, held_out).by_kind.values() for brief in found} == {node}


def test_a_mark_on_validation_data_reaches_the_run_and_spares_its_adapter(world):
    run = world.done()
    held_out, node, adapter = (f"version:{world.held_out.pk}", f"run:{run.pk}", f"adapter:{run.adapter.pk}")
    owner = factory.make_owner(world.project)
    withdraw_node(world.project, by=owner, node=held_out, cause="withdrawn", reason="Wrong.")
    assert set(lineage.stale(world.project, node, adapter, held_out)) == {node, held_out}
    assert selectors.validation_again(run, world.version) is None
    assert selectors.retrainings(world.project) == []


def test_data_that_a_run_was_looked_at_with_is_not_deleted(world):
    world.done()
    from datasets_app import services as data

    with pytest.raises(Refused) as refused:
        data.delete_dataset(world.held_out.dataset, by=factory.make_owner(world.project))
    assert refused.value.code == "has_descendants"


# What is shown


def test_the_page_draws_both_curves_and_says_the_last_and_the_best(world, client):
    run = world.done()
    client.force_login(world.by)
    page = client.get(reverse("run-status", args=[world.project.slug, run.pk])).content.decode()
    assert "Validation rows" in page and '<th scope="col">Validation loss</th>' in page.replace(' class="num"', "")
    assert "validation 1.60, its best so far" in page and "Overfitting" not in page
    figure = client.get(reverse("run-curve", args=[world.project.slug, run.pk, "loss"])).json()
    assert figure["traces"][-1] == {"x": [0, 1, 2, 5], "y": [2.2, 1.9, 1.7, 1.6]}
    over = client.get(reverse("run-curve", args=[world.project.slug, run.pk, "loss"]) + "?over=tokens").json()
    assert over["traces"][-1]["x"] == [20, 20, 40, 100]
    detail = client.get(run.get_absolute_url()).content.decode()
    assert f"{world.held_out}</a>, {world.held_out.rows} of {world.held_out.rows} rows at each look" in detail


def test_the_end_of_a_run_counts_its_looks_and_its_steps_do_not(world):
    run = world.done()
    assert run.report["validation"]["seconds"] == 2.5
    Run.objects.filter(pk=run.pk).update(state="running", step=5, total_steps=45, recipe=run.recipe | {
        "checkpoint_steps": 10})  # fmt: skip
    run.refresh_from_db()
    looked = selectors.live(run, timezone.now()).eta
    run.report["validation"].pop("seconds")
    alone = selectors.live(run, timezone.now()).eta
    # With checkpoints at 10, 20, 30 and 40, of its own at 15 and 30, and at the end.
    assert looked.middle == pytest.approx(alone.middle + 6 * 2.5)


def test_a_run_that_learns_by_heart_is_told_so(world, client):
    run = world.done("overfit")
    client.force_login(world.by)
    page = client.get(run.get_absolute_url()).content.decode()
    assert "Overfitting" in page
    assert "the validation loss was best at step 2 (1.70) and has risen to 2.10" in page
    told = client.get(world.api(f"runs/{run.pk}/")).json()["validation"]
    assert (told["loss"], told["best"], told["best_step"], told["step"]) == (2.1, 1.7, 2, 5)
    assert told["overfitting"].startswith("The run learns its rows by heart")


def test_the_metrics_have_the_curve(world, client):
    run = world.done()
    client.force_login(world.by)
    found = client.get(world.api(f"runs/{run.pk}/metrics/?name=validation_loss")).json()
    assert found == [{"name": "validation_loss", "count": 4, "steps": [0, 1, 2, 5], "values": [2.2, 1.9, 1.7, 1.6]}]


def test_runs_beside_each_other_show_the_best_of_each_and_its_curve(world, client):
    first, second, plain = world.done(), world.done("overfit"), world.done(validation=None)
    client.force_login(world.by)
    query = f"?runs={first.pk},{second.pk},{plain.pk}&metric=validation_loss&order=validation"
    page = client.get(reverse("run-compare", args=[world.project.slug]) + query).content.decode()
    assert "Best validation loss" in page and "Validation data" in page
    assert "Lowest validation loss at the end" in page
    found = client.get(world.api("runs/compare/") + query).json()
    assert [one["best_validation_loss"] for one in found["runs"]] == [1.6, 1.7, None]
    assert [one["validation_loss"] for one in found["runs"]] == [1.6, 2.1, None]
    assert found["runs"][1]["y"] == [2.2, 1.9, 1.7, 2.1] and found["runs"][2]["y"] == []


def test_a_new_run_begins_with_the_validation_data_of_the_one_it_is_like(world, client):
    run = world.done()
    client.force_login(world.by)
    page = client.get(reverse("run-create", args=[world.project.slug]) + f"?like={run.pk}").content.decode()
    chosen = page.split('name="validation_version"')[1].split("</select>")[0]
    assert f'value="{world.held_out.pk}" selected' in chosen
    assert "shows when a run only learns by heart" in page


# Money and time


def test_the_projection_includes_the_looks(world):
    plain = selectors.projection(
        world.project, world.base, selectors.profile_for(world.draft().dataset_version, world.base),
        world.draft().read_recipe,
    )  # fmt: skip
    run = world.draft()
    held_out = selectors.held_out_profile(run)
    profile = selectors.profile_for(run.dataset_version, run.base)
    looked = selectors.projection(world.project, world.base, profile, run.read_recipe, held_out=held_out)
    assert "validation" not in plain.stages and looked.stages["validation"] > 0
    assert looked.seconds.p50 > plain.seconds.p50
    assert looked.plan["look_tokens"] > 0 and "look_tokens" not in plain.plan
