"""Attacks by model files through the doors of the product, A13–A16b of the reliability list."""

from pathlib import Path

import pytest
from django.urls import reverse

from projects.domain.states import JobState
from tests.factories import model_files as files
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import BaseModelVersion

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
