"""Bases are fetched by commit and hashed with progress; what was done before a cut is not done again."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from projects import leases
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from tests.factories import hub
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services
from training.engine import fingerprint, hashing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def sharded(name: str, count: int, settings) -> Path:
    """A model of several shards, each with bytes of its own."""
    folder = Path(settings.MODELS_DIR) / factory.make_model_folder(name)
    whole = (folder / "model.safetensors").read_bytes()
    for n in range(count):
        (folder / f"model-{n:05}.safetensors").write_bytes(whole[:-4] + n.to_bytes(4, "little"))
    (folder / "model.safetensors").unlink()
    return folder


def test_a_killed_worker_goes_on_with_the_shards_that_are_not_hashed_yet(settings, tmp_path, monkeypatch):
    folder, memory = sharded("many", 6, settings), tmp_path / "base-1.json"
    monkeypatch.setattr(hashing, "KEEP_SECONDS", 0.0)
    usual, read = hashing.sha256_file, list[str]()

    def counted(path, tell=lambda _: None):
        if path.suffix == ".safetensors":
            read.append(path.name)
            if os.getpid() != mine and len(read) == 4:
                os.kill(os.getpid(), signal.SIGKILL)  # in the middle of the fourth
        return usual(path, tell)

    mine = os.getpid()
    monkeypatch.setattr(hashing, "sha256_file", counted)
    monkeypatch.setattr(fingerprint, "emit", lambda *_, **__: None)
    if (child := os.fork()) == 0:
        fingerprint.describe(folder, None, memory)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    found = fingerprint.describe(folder, None, memory)

    assert read == [f"model-{n:05}.safetensors" for n in (3, 4, 5)]
    assert found["fingerprint"] == fingerprint.describe(folder)["fingerprint"]
    kept = json.loads((tmp_path / f"{found['fingerprint']}.json").read_text())
    assert len(kept) == 6 and not memory.exists()  # a run on this host reads none of them again


def test_a_shard_that_was_touched_meanwhile_is_read_again(settings, tmp_path, monkeypatch):
    folder, memory = sharded("touched", 3, settings), tmp_path / "base-1.json"
    monkeypatch.setattr(fingerprint, "emit", lambda *_, **__: None)
    remembered = hashing.Remembered(memory)
    for path in folder.glob("*.safetensors"):
        remembered.sha256(path)
    remembered.keep()
    shard = folder / "model-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x07")
    os.utime(shard, ns=(1, 1))

    found = fingerprint.describe(folder, None, memory)

    assert found["parts"]["weights"][shard.name] == hashing.sha256_file(shard)


def test_progress_begins_with_what_is_known_and_says_how_long_the_rest_takes(settings, tmp_path, monkeypatch):
    folder, memory, said = sharded("told", 4, settings), tmp_path / "base-1.json", list[dict]()
    monkeypatch.setattr(fingerprint, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(fingerprint, "emit", lambda event, **fields: said.append(fields))
    remembered = hashing.Remembered(memory)
    size = (folder / "model-00000.safetensors").stat().st_size
    remembered.sha256(folder / "model-00000.safetensors")
    remembered.keep()

    fingerprint.describe(folder, None, memory)

    assert said[0] == {"phase": "hashing", "done": size, "total": 4 * size}
    done = [one["done"] for one in said]
    assert done == sorted(done) and done[-1] == 4 * size
    assert all(one["left"] >= 0 for one in said[1:]) and said[-1]["left"] == 0.0


def test_a_stopped_registration_is_half_hashed_and_nothing_can_use_it_until_it_is_tried_again(client):
    project = make_project()
    by = make_member(project)
    base = services.register_base(project, by=by, source="local", path=factory.make_model_folder())
    client.force_login(by)
    page = reverse("base-detail", args=[project.slug, base.pk])
    assert "Stop" in client.get(page).content.decode()

    assert client.post(reverse("base-cancel", args=[project.slug, base.pk])).url == page

    base.refresh_from_db()
    assert base.state == JobState.CANCELLED
    assert "Half-hashed: nothing can use it yet" in client.get(page).content.decode()
    with pytest.raises(Refused) as refused:
        selectors.base_path(base)
    assert refused.value.code == "base_not_ready"
    assert base not in selectors.ready_bases(project)
    client.post(reverse("base-retry", args=[project.slug, base.pk]))
    run_jobs()
    base.refresh_from_db()
    assert base.is_ready


def test_bytes_and_time_left_are_on_the_page_while_it_is_read(client):
    project = make_project()
    by = make_member(project)
    base = services.register_base(project, by=by, source="local", path=factory.make_model_folder())
    job = leases.claim([type(base)], owner="here/cpu/1")
    leases.fenced_update(job, progress={"phase": "hashing", "done": 5 * 10**9, "total": 2 * 10**10, "left": 90.0})
    client.force_login(make_member(project, Role.VIEWER))

    shown = client.get(reverse("base-status", args=[project.slug, base.pk])).content.decode()

    assert "Hashing its files" in shown and "25" in shown and re.search("about 1.min 30.s left", shown)
    assert 'hx-trigger="every 2s"' in shown and "base-cancel" not in shown and "Stop" not in shown


def test_stopping_over_the_api_asks_for_the_right(client):
    project = make_project()
    base = services.register_base(
        project, by=make_member(project), source="local", path=factory.make_model_folder()
    )  # waits
    address = f"/api/v1/projects/{project.slug}/bases/{base.pk}/cancel/"
    for person, code in [(make_member(project, Role.VIEWER), 403), (make_member(make_project()), 404)]:
        api = APIClient()
        api.force_authenticate(person)
        assert api.post(address).status_code == code
    api.force_authenticate(base.registered_by)
    answer = api.post(address, {"reason": "The wrong one."}, format="json")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert api.post(address).status_code == 409


# From the hub


@pytest.fixture
def from_hub(settings, monkeypatch, true_start):
    """Register acme/tiny and let a worker do it, as a process that reads its settings from the environment."""

    def register(revision: str = "", *, offline: bool = False, **environment: str):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1" if offline else "0")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return factory.make_base(source="hub", path="", repo_id="acme/tiny", revision=revision)

    return register


@pytest.fixture
def model(tmp_path, settings):
    return sharded("tiny", 2, settings)


@pytest.mark.parametrize("revision", ["", "main", "v1.0", hub.COMMIT])
def test_offline_a_name_means_the_commit_that_the_cache_knows(from_hub, model, tmp_path, revision):
    hub.fill_cache(tmp_path / "cache", "acme/tiny", model, refs=("main", "v1.0"))

    base = from_hub(revision, offline=True, HF_HUB_CACHE=str(tmp_path / "cache"))

    assert base.is_ready, base.error_message
    assert (base.revision, base.path) == (hub.COMMIT, f"bases/{base.pk}")
    assert sorted(base.parts["weights"]) == ["model-00000.safetensors", "model-00001.safetensors"]
    assert base.parts["weights"]["model-00001.safetensors"] == hub.sha256(
        (model / "model-00001.safetensors").read_bytes()
    )
    assert not any(path.is_symlink() for path in base.folder.rglob("*"))


def test_offline_what_the_cache_does_not_hold_is_a_named_failure(from_hub, model, tmp_path):
    snapshot = hub.fill_cache(tmp_path / "cache", "acme/tiny", model)
    base = from_hub("other", offline=True, HF_HUB_CACHE=str(tmp_path / "cache"))
    assert (base.state, base.error_code) == (JobState.FAILED, "hub_unreachable")
    assert "does not hold “acme/tiny” at “other”" in base.error_message
    (snapshot / "model-00001.safetensors").resolve().unlink()
    base = from_hub("main", offline=True, HF_HUB_CACHE=str(tmp_path / "cache"))
    assert base.error_code == "hub_unreachable" and "only in part" in base.error_message


def test_code_in_a_cached_model_is_refused_and_a_flipped_bit_is_found_by_the_name_of_its_blob(
    from_hub, model, tmp_path
):
    shutil.copytree(model, coded := tmp_path / "coded")
    (coded / "modeling_tiny.py").write_text("print()")
    hub.fill_cache(tmp_path / "one", "acme/tiny", coded)
    assert from_hub(offline=True, HF_HUB_CACHE=str(tmp_path / "one")).error_code == "custom_code"
    snapshot = hub.fill_cache(tmp_path / "two", "acme/tiny", model)
    blob = (snapshot / "model-00000.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x55")
    base = from_hub(offline=True, HF_HUB_CACHE=str(tmp_path / "two"))
    assert base.error_code == "damaged_weights" and "model-00000.safetensors" in base.error_message


@pytest.mark.slow
def test_a_branch_is_fetched_at_the_exact_commit_that_it_means_today(from_hub, model, tmp_path):
    with hub.served(model) as (address, asked):
        base = from_hub("main", HF_ENDPOINT=address, HF_HOME=str(tmp_path / "home"))
        assert base.is_ready, base.error_message
        assert base.revision == hub.COMMIT
        fetched = [line for line in asked if line.startswith("GET") and "/resolve/" in line]
        assert fetched and all(f"/resolve/{hub.COMMIT}/" in line for line in fetched)

        missing = from_hub("v9", HF_ENDPOINT=address, HF_HOME=str(tmp_path / "home"))
        assert missing.error_code == "revision_not_found"
    away = from_hub("main", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path / "other"))
    assert away.error_code == "hub_unreachable"


@pytest.mark.slow
def test_a_model_behind_terms_says_whose_token_is_needed(from_hub, model, tmp_path):
    with hub.served(model, gated=True) as (address, _):
        base = from_hub("main", HF_ENDPOINT=address, HF_HOME=str(tmp_path / "home"))
    assert base.error_code == "hub_gated"
