"""Pages of training: every one opens, polls while it should, refuses in place, and tells strangers nothing."""

import io
import zipfile

import pytest
from django.urls import reverse

from projects.domain.permissions import Role
from projects.domain.states import JobState
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import services
from training.domain.recipe import KNOBS
from training.models import BaseModelVersion, Run, TokenProfile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}


def url(name: str, row, *args) -> str:
    return reverse(name, args=[row.project.slug, *args])


def form_data(base, version, /, **changes) -> dict:
    """What a browser sends for a run with small settings."""
    values = {knob.name: knob.default for knob in KNOBS if knob.kind != "bool"} | factory.RECIPE
    return values | {"name": "by hand", "base": base.pk, "dataset_version": version.pk, "parent": ""} | changes


def test_a_newcomer_is_led_from_base_to_data_to_run(client):
    project = make_project()
    by = make_member(project)
    client.force_login(by)
    runs = reverse("run-list", args=[project.slug])
    assert "First, a base model" in client.get(runs).content.decode()
    factory.make_base(project, by)
    assert "something to learn from" in client.get(runs).content.decode()
    datasets.make_version(project=project, by=by)
    page = client.get(runs).content.decode()
    assert "No run yet" in page and reverse("run-create", args=[project.slug]) in page


def test_every_page_of_a_finished_run_opens_for_a_viewer(client):
    run = factory.make_run()
    client.force_login(make_member(run.project, Role.VIEWER))
    for address in [
        url("run-list", run),
        url("run-detail", run, run.pk),
        url("run-status", run, run.pk),
        url("base-list", run),
        url("base-detail", run, run.base_id),
        url("adapter-list", run),
        url("adapter-detail", run, run.adapter.pk),
        url("version-tokens", run, run.dataset_version_id),
    ]:
        response = client.get(address)
        assert response.status_code == 200, address
        assert 'hx-trigger="every' not in response.content.decode(), address
    assert "Cancel run" not in client.get(url("run-detail", run, run.pk)).content.decode()


def test_the_live_page_polls_until_the_run_is_over_and_two_viewers_see_the_same(client):
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)
    status = url("run-status", run, run.pk)
    client.force_login(run.created_by)
    assert 'hx-trigger="every 2s"' in client.get(status).content.decode()

    run_jobs()

    first = client.get(status).content.decode()
    client.force_login(make_member(run.project, Role.VIEWER))
    second = client.get(status).content.decode()
    assert 'hx-trigger="every 2s"' not in first
    assert first == second
    assert "The adapter is ready" in first
    assert "Predicted and actual" in first
    assert "The checkpoint was saved with other versions." in first
    assert "in 2 conversations" in client.get(url("run-detail", run, run.pk)).content.decode()


def test_a_failed_run_speaks_plainly_and_offers_a_retry(client):
    run = factory.make_run(behaviour="fail")
    client.force_login(run.started_by)
    page = client.get(url("run-detail", run, run.pk)).content.decode()
    assert "The loss stopped being a number." in page
    assert "What to do:" in page and "Lower the learning rate" in page
    assert "Retry run" in page

    client.post(url("run-retry", run, run.pk))

    run.refresh_from_db()
    assert run.state == JobState.QUEUED


def test_a_run_that_ended_before_its_first_step_promises_nothing(client):
    draft = factory.make_draft()
    run = services.cancel_run(services.start_run(draft, by=draft.created_by), by=draft.created_by)
    client.force_login(run.created_by)
    page = client.get(url("run-detail", run, run.pk)).content.decode()
    assert "The run ended before its first step." in page and "The training process wrote nothing." in page
    assert "yet" not in page.split("<main", 1)[1]


def test_the_projection_counts_first_and_then_shows_bands(client):
    project = make_project()
    by = make_member(project)
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by)
    client.force_login(by)
    address = reverse("run-projection", args=[project.slug])

    assert "Counting the data" in client.post(address, form_data(base, version)).content.decode()
    run_jobs()
    page = client.post(address, form_data(base, version)).content.decode()

    assert "P10 – P90" in page and "Peak memory" in page
    assert "this is a formula" in page
    assert "of which" in page and "are trained" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": ""}, "Choose training data"),
        ({"learning_rate": ""}, "Fill in the numbers"),
        ({"learning_rate": "nan"}, "must be a number from"),
        ({"learning_rate": "7"}, "must be a number from"),
        ({"method": "dpo"}, "DPO does not fit"),
        ({"max_length": "1000000"}, "must be a number from 16"),
    ],
)
def test_the_projection_says_what_is_missing(client, changes, words):
    project = make_project()
    by = make_member(project)
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by)
    client.force_login(by)
    response = client.post(reverse("run-projection", args=[project.slug]), form_data(base, version, **changes))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not TokenProfile.objects.exists()


def test_a_run_is_started_from_the_form_once_its_data_is_counted(client):
    project = make_project()
    by = make_member(project)
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by)
    client.force_login(by)
    create = reverse("run-create", args=[project.slug])
    assert client.get(create).status_code == 200

    early = client.post(create, form_data(base, version))
    assert early.status_code == 400
    assert "still being counted" in early.content.decode()
    assert not Run.objects.exists()

    services.measure_tokens(version, by=by, base=base, max_length=64)
    run_jobs()
    started = client.post(create, form_data(base, version))
    run = Run.objects.get()
    assert started.url == run.get_absolute_url()
    assert run.state == JobState.QUEUED


def test_a_draft_asks_for_the_decision_and_starts_with_it(client):
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    run = factory.make_draft(project, by, version=datasets.make_version(project=project, by=by, rows=rows))
    client.force_login(by)
    page = client.get(run.get_absolute_url()).content.decode()
    assert "Leave these rows out" in page and "1 row is too long" in page

    refused = client.post(url("run-start", run, run.pk))
    assert refused.status_code == 400
    assert "1 row is longer than 64 tokens" in refused.content.decode()
    assert client.post(url("run-start", run, run.pk), {"cut": "drop"}).status_code == 302
    run.refresh_from_db()
    assert (run.state, run.recipe["cut"]) == (JobState.QUEUED, "drop")


def test_a_run_is_cancelled_and_a_draft_deleted_from_the_page(client):
    run = factory.make_draft()
    client.force_login(run.created_by)
    services.start_run(run, by=run.created_by)
    assert client.post(url("run-cancel", run, run.pk), {"reason": "wrong"}).status_code == 302
    run.refresh_from_db()
    assert run.state == JobState.CANCELLED
    assert client.post(url("run-delete", run, run.pk)).status_code == 302
    assert not Run.objects.filter(pk=run.pk).exists()


def test_a_base_is_registered_from_the_form(client):
    project = make_project()
    by = make_member(project)
    name = factory.make_model_folder()
    client.force_login(by)
    address = reverse("base-register", args=[project.slug])
    assert name in client.get(address).content.decode()

    response = client.post(address, {"source": "local", "path": name})

    base = BaseModelVersion.objects.get()
    assert response.url == base.get_absolute_url()
    assert "Waiting for a worker" in client.get(base.get_absolute_url()).content.decode()
    run_jobs()
    assert client.get(reverse("base-status", args=[project.slug, base.pk]))["HX-Refresh"] == "true"
    assert "Fingerprint" in client.get(base.get_absolute_url()).content.decode()


def test_a_refused_base_is_told_at_its_field(client):
    project = make_project()
    client.force_login(make_member(project))
    address = reverse("base-register", args=[project.slug])
    response = client.post(address, {"source": "hub", "repo_id": "not an id"})
    assert response.status_code == 400
    assert "organisation/model" in response.content.decode()


def test_tokens_of_a_version_are_counted_from_its_page(client):
    project = make_project()
    by = make_member(project)
    base, version = factory.make_base(project, by), datasets.make_version(project=project, by=by)
    client.force_login(by)
    address = reverse("version-tokens", args=[project.slug, version.pk])
    assert "Not counted yet" in client.get(address).content.decode()

    counting = client.post(address, {"base": base.pk, "max_length": 64}).content.decode()
    assert 'hx-trigger="every 1500ms"' in counting
    run_jobs()
    page = client.get(address).content.decode()
    assert "Every row fits" in page and "Trained tokens" in page
    assert client.post(address, {"base": base.pk, "max_length": "1e9"}).status_code == 400
    assert client.post(address, {"base": 10**6, "max_length": 64}).status_code == 404


def test_an_adapter_is_downloaded_with_its_manifest(client):
    adapter = factory.make_adapter()
    client.force_login(make_member(adapter.project, Role.VIEWER))
    response = client.get(url("adapter-download", adapter, adapter.pk))
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        names = {name.split("/")[1] for name in archive.namelist()}
        assert archive.testzip() is None
    assert names == set(adapter.manifest["files"]) | {"MANIFEST.json"}


def test_a_damaged_adapter_is_not_handed_out(client):
    adapter = factory.make_adapter()
    client.force_login(adapter.run.started_by)
    from training import selectors

    (selectors.adapter_path(adapter) / "README.md").write_text("changed")
    response = client.get(url("adapter-download", adapter, adapter.pk))
    assert response.status_code == 409
    assert "checksum" in response.content.decode()


def test_an_adapter_is_deleted_only_while_nothing_descends_from_it(client):
    adapter = factory.make_adapter()
    client.force_login(adapter.run.started_by)
    assert client.post(url("run-delete", adapter, adapter.run_id)).status_code == 409
    assert client.post(url("base-delete", adapter, adapter.base_id)).status_code == 409
    assert client.post(url("adapter-delete", adapter, adapter.pk)).status_code == 302


ROW_PAGES = [
    ("run-detail", "get"),
    ("run-status", "get"),
    ("run-start", "post"),
    ("run-cancel", "post"),
    ("run-retry", "post"),
    ("run-delete", "post"),
]


@pytest.mark.parametrize(("name", "method"), ROW_PAGES)
def test_strangers_and_other_projects_get_404(client, name, method):
    run = factory.make_draft()
    other = make_project()
    insider_elsewhere = make_member(other, Role.OWNER)
    client.force_login(insider_elsewhere)
    assert getattr(client, method)(url(name, run, run.pk)).status_code == 404
    foreign = reverse(name, args=[other.slug, run.pk])
    assert getattr(client, method)(foreign).status_code == 404


@pytest.mark.parametrize("name", ["run-start", "run-cancel", "run-retry", "run-delete"])
def test_viewers_get_403(client, name):
    run = factory.make_draft()
    client.force_login(make_member(run.project, Role.VIEWER))
    assert client.post(url(name, run, run.pk)).status_code == 403


def test_a_newly_finished_run_is_on_the_overview():
    from training import pages

    run = factory.make_run()
    (figure,) = pages.overview(run.project)
    assert figure.title.startswith(f"{run}: loss fell from 2")
    assert pages.overview(make_project()) == []
