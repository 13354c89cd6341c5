"""Importing adapters: through page and API, by the real reading child, and what may be done with them afterwards."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from deployments import services as deployments
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from tests.factories import datasets, hostile
from tests.factories import deployments as shipping
from tests.factories import model_files as files
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services
from training.domain import adapters
from training.models import Adapter, AdapterImport

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture
def people(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    return project, user


@pytest.fixture
def base(people, settings):
    """A base whose layers have the shapes of the made-up adapters."""
    folder = Path(settings.MODELS_DIR) / factory.make_model_folder("base")
    (folder / "model.safetensors").write_bytes(files.tensors(files.base_weights()))
    return factory.make_base(*people, path="base")


def brought(base, weights: bytes | None = None, **config) -> dict[str, bytes]:
    named = {"base_model_name_or_path": base.name, "revision": base.fingerprint}
    return {
        adapters.CONFIG: json.dumps(files.CONFIG | named | config).encode(),
        adapters.WEIGHTS: weights or files.tensors(files.pair_weights()),
    }


def uploaded(named: dict[str, bytes]) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(name, content) for name, content in named.items()]


def bring(project, by, named, **fields) -> AdapterImport:
    fields = {"name": "mine", "source": "cluster B"} | fields
    row = services.import_adapter(project, by=by, files=uploaded(named), **fields)
    run_jobs()
    row.refresh_from_db()
    return row


def by_page(client, project, named, **fields):
    address = reverse("adapter-import", args=[project.slug])
    return client.post(address, {"name": "mine", "source": "cluster B", "files": uploaded(named)} | fields)


def by_api(client, project, named, **fields):
    parts = {adapters.CONFIG: "config", adapters.WEIGHTS: "weights", adapters.CARD: "card"}
    sent = {parts.get(name, "archive"): file for name, file in zip(named, uploaded(named), strict=True)}
    address = reverse("api-adapter-import-list", args=[project.slug])
    return client.post(address, {"name": "mine", "source": "cluster B"} | sent | fields)


def fetched(client, address) -> bytes:
    answer = client.get(address)
    content = b"".join(answer.streaming_content)
    for close in answer._resource_closers:  # closing the answer itself would end the test's connection
        close()
    return content


def test_the_pages_from_nothing_to_an_adapter(client, people, base):
    project, _ = people
    address = reverse("adapter-import", args=[project.slug])
    empty = client.get(address).content.decode()
    assert "No adapter has been imported yet" in empty
    assert address in client.get(reverse("adapter-list", args=[project.slug])).content.decode()

    answer = by_page(client, project, brought(base))
    assert answer.status_code == 302
    row = AdapterImport.objects.get()
    waiting = client.get(row.get_absolute_url()).content.decode()
    assert "Waiting for a worker" in waiting and "hx-trigger" in waiting
    run_jobs()
    status = client.get(reverse("adapter-import-status", args=[project.slug, row.pk]))
    assert status["HX-Refresh"] == "true" and "hx-trigger" not in status.content.decode()

    row.refresh_from_db()
    adapter = row.adapter
    assert (row.state, row.proof, row.key, row.base) == (JobState.SUCCEEDED, "exact", "", base)
    assert (adapter.origin, adapter.author, adapter.method, adapter.rank, adapter.alpha) == (
        "import", people[1], "Imported", 2, 4,
    )  # fmt: skip
    assert (adapter.run, adapter.dataset_version, adapter.findings) == (None, None, [])
    assert (selectors.adapter_path(adapter) / adapters.WEIGHTS).read_bytes() == brought(base)[adapters.WEIGHTS]
    for page in (
        row.get_absolute_url(), adapter.get_absolute_url(), address,
        *(reverse(name, args=[project.slug]) for name in ("adapter-list", "lineage", "project-overview", "cost-list")),
    ):  # fmt: skip
        assert client.get(page).status_code == 200, page
    shown = client.get(adapter.get_absolute_url()).content.decode()
    assert "cluster B" in shown and "unknown data" in shown and "Its config names exactly this version" in shown
    assert len(fetched(client, reverse("adapter-download", args=[project.slug, adapter.pk]))) > adapter.size_bytes


def test_the_api_takes_the_same_and_says_the_same(client, people, base):
    project, user = people
    archive = {"router.zip": hostile.zipped({f"r/{name}": content for name, content in brought(base).items()})}
    answer = by_api(client, project, archive)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.content
    run_jobs()
    told = client.get(reverse("api-adapter-import-detail", args=[project.slug, answer.json()["id"]])).json()
    assert (told["state"], told["proof"], told["findings"], told["imported_by"]) == (
        "succeeded", "exact", [], user.email,
    )  # fmt: skip
    adapter = client.get(reverse("api-adapter-detail", args=[project.slug, told["adapter"]])).json()
    assert (adapter["origin"], adapter["run"], adapter["imported"], adapter["proof"]) == (
        "import", None, told["id"], "exact",
    )  # fmt: skip


def test_an_adapter_that_was_exported_here_comes_back_as_it_was(client, people, base):
    """The archive that Luthier hands out, with its manifest, card and tokenizer."""
    project, user = people
    first = bring(project, user, brought(base)).adapter
    address = reverse("adapter-download", args=[project.slug, first.pk])
    archive = fetched(client, address)
    assert adapters.MANIFEST in {Path(name).name for name in zipfile.ZipFile(io.BytesIO(archive)).namelist()}
    again = bring(project, user, {"export.zip": archive})
    assert (again.state, again.findings) == (JobState.SUCCEEDED, []), again.error_message
    sums = first.manifest["files"], again.adapter.manifest["files"]
    assert sums[0][adapters.WEIGHTS] == sums[1][adapters.WEIGHTS]
    assert again.adapter.name == f"mine (import {again.pk})"


@pytest.mark.parametrize("door", [by_page, by_api])
@pytest.mark.parametrize("name", ["adapter_model.bin", "x.pt", "x.CKPT", "x.pkl"])
def test_a13_a_pickle_is_turned_away_at_the_door(client, people, base, tmp_path, door, name):
    marker = tmp_path / "ran"
    named = {adapters.CONFIG: brought(base)[adapters.CONFIG], name: files.payload(marker)}
    answer = door(client, people[0], named)
    assert answer.status_code == 415
    assert "only_safetensors" in answer.content.decode() or "Only safetensors are taken" in answer.content.decode()
    assert not AdapterImport.objects.exists()
    assert not marker.exists()


def test_a13_a_pickle_in_an_archive_is_refused_by_name_and_told_on_the_page(client, people, base, tmp_path):
    marker = tmp_path / "ran"
    named = brought(base) | {"adapter_model.bin": files.payload(marker), "run.sh": b"curl x | sh"}
    row = bring(*people, {"a.zip": hostile.zipped(named)})
    assert (row.state, row.error_code) == (JobState.FAILED, "only_safetensors")
    assert [found.code for found in row.found] == ["only_safetensors", "unknown_file"]
    page = client.get(row.get_absolute_url()).content.decode()
    assert "This adapter was refused" in page and "adapter_model.bin is a pickle" in page and "run.sh" in page
    assert not marker.exists()
    assert not Adapter.objects.exists()


def test_a14_a16_all_that_is_wrong_is_listed_by_code(client, people, base):
    spoilt = files.tensors(files.pair_weights(sides=(6, 12)))
    row = bring(*people, brought(base, spoilt, r=2, bias="all", auto_map={"x": "y"}))
    assert row.error_code == "unsafe_adapter_config"
    assert [found.code for found in row.found] == ["unsafe_adapter_config", "unsupported_adapter"]
    row = bring(*people, brought(base, spoilt, revision=None))
    assert [found.code for found in row.found] == ["base_unproven", "shape_mismatch"]
    assert (row.state, row.error_code) == (JobState.FAILED, "shape_mismatch")
    told = client.get(reverse("api-adapter-import-detail", args=[people[0].slug, row.pk])).json()
    assert [one["refuses"] for one in told["findings"]] == [False, True]
    assert "shape_mismatch" in client.get(row.get_absolute_url()).content.decode()


def test_a_refused_import_can_be_read_again_once_its_base_is_there_or_be_removed(client, people, settings):
    project, user = people
    folder = Path(settings.MODELS_DIR) / factory.make_model_folder("later")
    (folder / "model.safetensors").write_bytes(files.tensors(files.base_weights()))
    named = {
        adapters.CONFIG: json.dumps(files.CONFIG | {"base_model_name_or_path": "later", "revision": None}).encode(),
        adapters.WEIGHTS: files.tensors(files.pair_weights()),
    }
    row = bring(project, user, named)
    assert (row.state, row.error_code) == (JobState.FAILED, "base_not_found")
    assert row.declared["base_model_name_or_path"] == "later"
    (need,) = selectors.needs(project, user)
    assert need.url == row.get_absolute_url()
    factory.make_base(project, user, path="later")
    assert client.post(reverse("adapter-import-retry", args=[project.slug, row.pk])).status_code == 302
    run_jobs()
    row.refresh_from_db()
    assert (row.state, row.proof, row.adapter.proof) == (JobState.SUCCEEDED, "name", "name")
    assert "Its base is unproven" in client.get(row.adapter.get_absolute_url()).content.decode()
    for name in ("adapter-import-retry", "adapter-import-delete"):
        assert client.post(reverse(name, args=[project.slug, row.pk])).status_code == 409

    gone = bring(project, user, named | {adapters.WEIGHTS: b"torn"})
    key = settings.DATA_DIR / "files" / gone.key
    assert key.exists()
    assert client.post(reverse("adapter-import-delete", args=[project.slug, gone.pk])).status_code == 302
    assert not AdapterImport.objects.filter(pk=gone.pk).exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"source": " "}, "source"),
        ({"source": "\u202eevil"}, "source"),
    ],
)
def test_what_is_said_of_an_import_has_to_be_said(client, people, base, fields, field):
    answer = by_page(client, people[0], brought(base), **fields)
    assert (answer.status_code, set(answer.context["form"].errors)) == (400, {field})
    answer = by_api(client, people[0], brought(base), **fields)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not AdapterImport.objects.exists()


def test_a_form_without_files_says_so_beside_them(client, people, base):
    answer = by_page(client, people[0], {}, name="")
    assert (answer.status_code, set(answer.context["form"].errors)) == (400, {"files", "name"})


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({adapters.CONFIG: b"{}"}, "incomplete_adapter"),
        ({adapters.CONFIG: b"{}", adapters.WEIGHTS: b""}, "empty_file"),
        ({adapters.CONFIG: b"{}", adapters.WEIGHTS: b"x", "evil.sh": b"x"}, "unknown_file"),
        ({adapters.CONFIG: b"{}", adapters.WEIGHTS: b"x", "MANIFEST.json": b"x"}, "unknown_file"),
        ({adapters.CONFIG: b"{}", adapters.WEIGHTS: b"x", "a.zip": b"x"}, "unknown_file"),
        ({}, "no_files"),
    ],
)
def test_files_that_make_no_adapter_are_turned_away(people, base, named, code):
    with pytest.raises(Refused) as refused:
        services.import_adapter(people[0], by=people[1], name="x", source="y", files=uploaded(named))
    assert (refused.value.code, refused.value.field) == (code, "files")
    assert not AdapterImport.objects.exists()


def test_sizes_and_quota_are_asked_before_a_byte_is_stored(people, base, settings):
    project, user = people
    settings.MAX_UPLOAD_BYTES = 100
    with pytest.raises(Refused) as refused:
        services.import_adapter(project, by=user, name="x", source="y", files=uploaded(brought(base)))
    assert refused.value.code == "too_large"
    settings.MAX_UPLOAD_BYTES = 10**9
    project.storage_quota_bytes = 10
    project.save()
    with pytest.raises(Refused) as refused:
        services.import_adapter(project, by=user, name="x", source="y", files=uploaded(brought(base)))
    assert not (settings.DATA_DIR / "files" / "imports").exists()


def test_things_of_other_projects_cannot_be_declared(client, people, base):
    other = factory.make_base()
    version = datasets.make_version(project=other.project)
    for fields, field in (({"base": other.pk}, "base"), ({"dataset_version": version.pk}, "dataset_version")):
        answer = by_api(client, people[0], brought(base), **fields)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert by_page(client, people[0], brought(base), **fields).status_code == 400


def test_outsiders_see_nothing_and_viewers_only_look(client, people, base):
    project, user = people
    row = bring(project, user, brought(base))
    addresses = [row.get_absolute_url(), reverse("adapter-import-status", args=[project.slug, row.pk])]
    form = reverse("adapter-import", args=[project.slug])
    client.force_login(make_member(project, Role.VIEWER))
    assert [client.get(address).status_code for address in addresses] == [200, 200]
    assert client.get(form).status_code == 403
    assert by_page(client, project, brought(base)).status_code == 403
    assert by_api(client, project, brought(base)).status_code == 403
    client.force_login(make_member())
    assert [client.get(address).status_code for address in [*addresses, form]] == [404, 404, 404]
    assert by_api(client, project, brought(base)).status_code == 404


def test_training_goes_on_from_an_imported_adapter_and_says_what_is_known_of_it(client, people, base, settings):
    project, user = people
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}
    adapter = bring(project, user, brought(base, revision=None)).adapter
    run = factory.make_run(project, user, base=base, parent=adapter)
    assert run.state == JobState.SUCCEEDED, run.error_message
    assert [one["code"] for one in run.launched_with["parent_findings"]] == ["base_unproven"]
    assert "Its base is unproven" in client.get(run.get_absolute_url()).content.decode()
    assert run.adapter.parent == adapter
    with pytest.raises(Refused) as refused:
        services.delete_adapter(adapter, by=user)
    assert refused.value.code == "has_descendants"


# Deployment: the importer is the author, and what nobody knows blocks


def approved(request, by):
    deployments.approve(request, by=by, digest=request.digest, body=shipping.REASON, session=True)


def test_an_import_with_proven_base_and_declared_data_can_be_approved_by_others_only(client, people, base):
    project, user = people
    version = datasets.make_version(project=project, by=user)
    adapter = bring(project, user, brought(base), dataset_version=version).adapter
    shipping.make_evaluation(adapter)
    asker, reviewer = make_member(project), make_member(project, Role.REVIEWER)
    request = shipping.make_request(adapter, by=asker)
    assert {code: gate["status"] for code, gate in request.evidence["gates"].items() if gate["status"] != "pass"} == {}
    assert request.imported_by == user
    client.force_login(reviewer)
    page = client.get(request.get_absolute_url()).content.decode()
    assert "Imported the adapter" in page and "9 of 9 gates pass" in page
    importer = make_member(project, Role.REVIEWER)
    type(request).objects.filter(pk=request.pk).update(imported_by=importer)
    request.refresh_from_db()
    with pytest.raises(Refused) as refused:
        approved(request, importer)
    assert (refused.value.code, "you imported this adapter" in refused.value.message) == ("self_approval", True)
    approved(request, reviewer)
    request.refresh_from_db()
    assert request.state == "approved"


@pytest.mark.parametrize(
    ("config", "declares", "blocked"),
    [
        ({}, False, {"contamination"}),
        ({"revision": None}, True, {"adapter_integrity"}),
        ({"revision": "b" * 40}, True, {"adapter_integrity"}),
    ],
)
def test_what_nobody_knows_of_an_import_blocks_its_approval(people, base, config, declares, blocked):
    project, user = people
    version = datasets.make_version(project=project, by=user) if declares else None
    adapter = bring(project, user, brought(base, **config), dataset_version=version).adapter
    shipping.make_evaluation(adapter)
    request = shipping.make_request(adapter, by=user)
    assert {code for code, gate in request.evidence["gates"].items() if gate["status"] != "pass"} == blocked
    with pytest.raises(Refused) as refused:
        approved(request, make_member(project, Role.REVIEWER))
    assert refused.value.code == "gates_not_passed"


def test_an_imported_adapter_that_nothing_stands_on_can_be_deleted_and_its_import_stays(
    people, base, settings, django_capture_on_commit_callbacks
):
    project, user = people
    row = bring(project, user, brought(base))
    place = settings.DATA_DIR / "files" / row.adapter.key
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_adapter(row.adapter, by=user)
    row = AdapterImport.objects.get(pk=row.pk)
    assert not hasattr(row, "adapter")
    assert row.state == JobState.SUCCEEDED
    assert not place.exists()
