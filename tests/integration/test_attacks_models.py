"""Attacks by model files through the doors of the product, A13–A16b of the reliability list."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from deployments import services as deployments
from evaluation import services as evaluating
from projects import artefacts
from projects.domain.errors import Refused
from projects.domain.states import JobState
from tests.factories import datasets
from tests.factories import deployments as shipping
from tests.factories import model_files as files
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from tests.unit.test_training_recipe import make_spec
from training import services
from training.domain import adapters
from training.domain.findings import TITLES, Finding
from training.domain.spec import ParentRef
from training.engine import model
from training.models import Adapter, BaseModelVersion

pytestmark = [pytest.mark.django_db, pytest.mark.files, pytest.mark.usefixtures("quick_children")]


@pytest.fixture
def people(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    return project, user


def register(client, project, path: str, door: str):
    if door == "page":
        address = reverse("base-register", args=[project.slug])
        return client.post(address, {"source": "local", "path": path, "name": ""})
    address = reverse("api-base-list", args=[project.slug])
    return client.post(address, {"source": "local", "path": path}, content_type="application/json")


SPOILS = {
    "only_safetensors": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
    "custom_code": lambda folder: (folder / "modeling.py").write_text("raise SystemExit"),
    "unsafe_path": lambda folder: (folder / "generation_config.json").symlink_to("/etc/hostname"),
}


@pytest.mark.parametrize("door", ["page", "api"])
@pytest.mark.parametrize(("code", "spoil"), SPOILS.items(), ids=SPOILS.keys())
def test_a13_a15_an_unsafe_folder_is_refused_at_the_door_and_nothing_is_queued(
    client, people, settings, door, code, spoil
):
    name = factory.make_model_folder()
    spoil(Path(settings.MODELS_DIR) / name)

    answer = register(client, people[0], name, door)

    assert answer.status_code == 400
    if door == "api":
        assert (answer.json()["code"], answer.json()["field"]) == (code, "path")
    assert not BaseModelVersion.objects.exists()


def test_a13_a15_a_folder_that_turns_unsafe_after_the_door_fails_with_its_code_and_is_told(
    client, people, settings, tmp_path
):
    """The worker looks again: what was in order at the door may have been changed since."""
    project, _ = people
    marker, folder = tmp_path / "ran", Path(settings.MODELS_DIR) / factory.make_model_folder()
    assert register(client, project, folder.name, "page").status_code == 302
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(files.payload(marker))

    with files.opens(folder / "pytorch_model.bin") as opened:
        run_jobs()
        assert opened.seen() == []

    base = BaseModelVersion.objects.get()
    assert (base.state, base.error_code) == (JobState.FAILED, "only_safetensors")
    assert not marker.exists()
    assert "Convert the model" in client.get(base.get_absolute_url()).content.decode()


# A13, A16b: what is stored is read again before every use


@pytest.fixture
def made(people, settings):
    """An adapter of a run, and where its weights lie."""
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}
    adapter = factory.make_adapter(*people)
    return adapter, settings.DATA_DIR / "files" / adapter.key / adapters.WEIGHTS


def flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def ended(job) -> tuple[str, str]:
    run_jobs()
    job.refresh_from_db()
    return job.state, job.error_code


def test_a16b_a_flipped_bit_is_found_by_every_read_and_told(client, people, made, settings):
    project, user = people
    adapter, weights = made
    golden = datasets.make_version(project=project, by=user, purpose="golden", rows=datasets.tickets(4, 500))
    version = datasets.make_version(project=project, by=user)
    run = factory.make_draft(project, user, base=adapter.base, version=version, parent=adapter)
    evaluation = evaluating.start_evaluation(adapter, by=user, golden=golden)
    done = shipping.make_evaluation(adapter)
    request = shipping.approve(shipping.make_request(adapter, by=user, evaluation=done))
    flip(weights)

    assert ended(evaluation) == (JobState.FAILED, "artefact_damaged")
    services.start_run(run, by=user)
    assert ended(run) == (JobState.FAILED, "artefact_damaged")
    told = "adapter_model.safetensors in"
    assert told in evaluation.error_message and told in run.error_message
    assert "Nothing damaged is ever trained on" in client.get(run.get_absolute_url()).content.decode()
    for name in ("adapter-download", "api-adapter-download"):
        answer = client.get(reverse(name, args=[project.slug, adapter.pk]))
        assert (answer.status_code, "checksum differs" in answer.content.decode()) == (409, True)

    with pytest.raises(Refused) as refused:
        deployments.deploy_request(request, by=user)
    assert refused.value.code == "approval_stale"
    request.refresh_from_db()
    assert request.state == "void"
    assert "Adapter file on disk" in str(request.void_changes)
    again = shipping.make_request(adapter, by=user, evaluation=done)
    gate = again.evidence["gates"]["integrity"]
    assert (gate["status"], gate["value"]) == ("fail", "1 of 3 differ")


def test_a16b_a_bit_that_flips_while_a_deployment_waits_is_never_served(people, made):
    _, user = people
    adapter, weights = made
    shipping.make_evaluation(adapter)
    deployment = deployments.deploy_request(shipping.approve(shipping.make_request(adapter, by=user)), by=user)
    flip(weights)
    assert ended(deployment) == (JobState.FAILED, "approval_stale")
    deployment.refresh_from_db()
    assert not deployment.live
    assert not (deployment.slot.folder / "current").exists()


def test_a16b_a_bit_that_flips_after_the_worker_has_looked_is_found_by_the_engine(tmp_path):
    """Between the supervisor's look and the child's there is time; so the child looks for itself, before torch."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    named = files.CONFIG | {"base_model_name_or_path": "base", "revision": "f" * 64}
    (folder / adapters.CONFIG).write_text(json.dumps(named))
    (folder / adapters.WEIGHTS).write_bytes(files.tensors(files.pair_weights()))
    (folder / adapters.CARD).write_text("---\n---\n")
    digest = artefacts.manifest_of(folder)["digest"]
    spec = make_spec(parent=ParentRef("parent", digest, path=str(folder)))
    model.check_parent(spec)
    size = (folder / adapters.WEIGHTS).stat().st_size
    for place in (8, 100, size // 2, size - 1):
        flip(folder / adapters.WEIGHTS, place)
        with pytest.raises(Refused) as refused:
            model.check_parent(spec)
        assert refused.value.code == "artefact_damaged"
        flip(folder / adapters.WEIGHTS, place)
    model.check_parent(spec)
    model.check_parent(make_spec())


@pytest.mark.parametrize("name", ["adapter_model.bin", "training_args.bin"])
def test_a13_a_pickle_that_turns_up_beside_a_stored_adapter_is_never_opened(people, made, tmp_path, name):
    """Whoever can write into the store can add a file that the manifest does not list."""
    project, user = people
    adapter, weights = made
    marker, evil = tmp_path / "ran", weights.with_name(name)
    evil.write_bytes(files.payload(marker))
    version = datasets.make_version(project=project, by=user)
    run = factory.make_draft(project, user, base=adapter.base, version=version, parent=adapter)
    shipping.make_evaluation(adapter)
    with files.opens(evil) as opened:
        services.start_run(run, by=user)
        state, code = ended(run)
        assert opened.seen().count(name) <= 1  # hashed once at most, and never read as a pickle
    assert state == JobState.SUCCEEDED or code in {"artefact_damaged", "only_safetensors"}
    request = shipping.make_request(adapter, by=user)
    assert request.evidence["gates"]["integrity"]["status"] == "fail"
    assert not marker.exists()


def test_a13_the_engine_refuses_a_parent_with_a_pickle_beside_it(tmp_path):
    folder, marker = tmp_path / "adapter", tmp_path / "ran"
    folder.mkdir()
    (folder / adapters.CONFIG).write_text(json.dumps(files.CONFIG))
    (folder / adapters.WEIGHTS).write_bytes(files.tensors(files.pair_weights()))
    (folder / adapters.CARD).write_text("")
    (folder / "adapter_model.bin").write_bytes(files.payload(marker))
    digest = artefacts.manifest_of(folder)["digest"]  # even if it were part of what was stored
    with pytest.raises(Refused) as refused:
        model.check_parent(make_spec(parent=ParentRef("parent", digest, path=str(folder))))
    assert refused.value.code == "only_safetensors"
    assert not marker.exists()


@pytest.mark.parametrize("name", ["adapter_model.bin", "x.pt"])
def test_a13_a_run_that_leaves_a_pickle_makes_no_adapter(people, settings, name):
    """The commit of a run takes exactly the files that the engine has listed."""
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine("pickle:" + name)}
    run = factory.make_run(*people, behaviour="pickle:" + name)
    assert (run.state, run.error_code) == (JobState.FAILED, "adapter_invalid")
    assert not Adapter.objects.exists()


@pytest.mark.parametrize("code", ["norm_outlier", "rank_beyond_servers", "no_effect"])
def test_a16_what_speaks_against_an_adapter_is_a_gate_with_the_list(client, people, made, code):
    _, user = people
    adapter, _ = made
    Adapter.objects.filter(pk=adapter.pk).update(
        findings=[Finding(code, "It is odd.", "layers.0", refuses=False).as_dict()]
    )
    adapter.refresh_from_db()
    shipping.make_evaluation(adapter)
    request = shipping.make_request(adapter, by=user)
    gate = request.evidence["gates"]["adapter_integrity"]
    assert (gate["status"], gate["value"]) == ("fail", "1 finding")
    with pytest.raises(Refused) as refused:
        shipping.approve(request)
    assert refused.value.code == "gates_not_passed"
    page = client.get(request.get_absolute_url()).content.decode()
    assert TITLES[code] in page and "layers.0" in page
    assert "It is odd." in client.get(adapter.get_absolute_url()).content.decode()
