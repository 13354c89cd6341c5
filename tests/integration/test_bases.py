"""Registering base models: hashed by a worker, refused when unsafe, never from outside the models folder."""

import json
from pathlib import Path

import pytest

from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def test_a_local_model_is_hashed_and_described():
    base = factory.make_base()

    assert base.is_ready, base.error_message
    assert len(base.fingerprint) == 64
    assert set(base.parts) == {"config", "tokenizer", "chat_template", "generation_config", "weights", "sizes"}
    assert base.parts["generation_config"] == ""  # the model has none
    assert (base.architecture, base.parameters, base.context_length) == ("LlamaForCausalLM", 16, 256)
    assert (base.licence, base.template, base.size_bytes) == (
        "apache-2.0",
        "plain",
        base.parts["sizes"]["model.safetensors"],
    )
    assert selectors.base_path(base).is_dir()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"])
def test_every_part_moves_the_fingerprint(name, settings):
    project = make_project()
    first = factory.make_base(project)
    path = Path(settings.MODELS_DIR) / first.path / name
    if name == "config.json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 9}))
    elif name == "tokenizer.json":
        raw = json.loads(path.read_text())
        raw["model"]["vocab"]["another"] = len(raw["model"]["vocab"])
        path.write_text(json.dumps(raw))
    elif name == "chat_template.jinja":
        path.write_text(factory.TEMPLATE + " ")
    else:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    second = factory.make_base(project, path=first.path)

    assert second.is_ready, second.error_message
    assert second.fingerprint != first.fingerprint


def test_a_readme_changes_nothing_and_the_same_files_are_registered_once(settings):
    project = make_project()
    first = factory.make_base(project)
    (Path(settings.MODELS_DIR) / first.path / "README.md").write_text("Something else")

    again = factory.make_base(project, path=first.path)

    assert (again.state, again.error_code) == (JobState.FAILED, "base_already_registered")


@pytest.mark.parametrize("path", ["", ".", "..", "../models", "/etc", "a/../../..", "missing", "x" * 300, "nul\x00"])
def test_nothing_outside_the_models_folder_can_be_registered(path):
    project = make_project()
    with pytest.raises(Refused) as refused:
        services.register_base(project, by=make_member(project), source="local", path=path)
    assert (refused.value.code, refused.value.field) == ("no_such_folder", "path")


def test_a_link_out_of_the_models_folder_is_not_followed(settings, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (Path(settings.MODELS_DIR) / "link").symlink_to(outside)
    project = make_project()
    with pytest.raises(Refused, match="no such directory"):
        services.register_base(project, by=make_member(project), source="local", path="link")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / "modeling_custom.py").write_text("print()"), "custom_code"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "only_safetensors"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "incomplete_model"),
    ],
)
def test_unsafe_and_incomplete_models_are_refused_at_the_door(settings, spoil, code):
    project = make_project()
    name = factory.make_model_folder()
    spoil(Path(settings.MODELS_DIR) / name)
    with pytest.raises(Refused) as refused:
        services.register_base(project, by=make_member(project), source="local", path=name)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "custom_code"),
        ("config.json", {"architectures": []}, "incomplete_model"),
    ],
)
def test_a_config_that_asks_for_code_fails_with_its_reason(settings, name, change, code):
    folder = Path(settings.MODELS_DIR) / factory.make_model_folder("spoilt")
    (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | change))

    base = factory.make_base(path="spoilt")

    assert (base.state, base.error_code) == (JobState.FAILED, code)


@pytest.mark.parametrize("repo_id", ["", "gpt2;rm", "a/b/c", "../x/y", "http://a/b", "a b/c"])
def test_a_hub_id_is_an_id(repo_id):
    project = make_project()
    with pytest.raises(Refused) as refused:
        services.register_base(project, by=make_member(project), source="hub", repo_id=repo_id)
    assert refused.value.field == "repo_id"


def test_a_hub_that_cannot_be_reached_is_a_named_failure(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    base = factory.make_base(source="hub", path="", repo_id="acme/model", revision="main")
    assert (base.state, base.error_code) == (JobState.FAILED, "hub_unreachable")
    assert base.path == f"bases/{base.pk}"


@pytest.mark.parametrize("name", ["/etc/passwd", "http://x/y", "a\nb", "." * 3])
def test_a_name_that_would_leak_or_mislead_is_refused(name):
    project = make_project()
    with pytest.raises(Refused) as refused:
        services.register_base(
            project, by=make_member(project), source="local", path=factory.make_model_folder(), name=name
        )
    assert refused.value.field == "name"


def test_a_run_on_a_base_whose_files_changed_is_refused_by_the_engine(settings):
    """The real engine, which checks the base before it loads torch."""
    run = factory.make_draft()
    path = Path(settings.MODELS_DIR) / run.base.path / "tokenizer_config.json"
    path.write_text(json.dumps({"eos_token": "<|end|>", "model_max_length": 7}))
    services.start_run(run, by=run.created_by)
    run_jobs()
    run.refresh_from_db()
    assert (run.state, run.error_code) == (JobState.FAILED, "base_changed")


def test_a_flipped_bit_of_the_weights_is_found_though_their_size_is_the_same(settings):
    run = factory.make_draft()
    shard = next((Path(settings.MODELS_DIR) / run.base.path).glob("*.safetensors"))
    raw = bytearray(shard.read_bytes())
    raw[-1] ^= 1
    shard.write_bytes(raw)
    services.start_run(run, by=run.created_by)
    run_jobs()
    run.refresh_from_db()
    assert (run.state, run.error_code) == (JobState.FAILED, "base_changed")
    assert shard.name in run.error_message


def test_a_failed_base_needs_someone_and_can_be_tried_again(settings):
    project = make_project()
    by = make_member(project)
    folder = Path(settings.MODELS_DIR) / factory.make_model_folder("mended")
    good = (folder / "config.json").read_text()
    (folder / "config.json").write_text("{}")
    base = factory.make_base(project, by, path="mended")
    (need,) = selectors.needs(project, by)
    assert need.kind == "base" and "could not be registered" in need.text
    assert selectors.needs(project, make_member(project, Role.VIEWER)) == []

    (folder / "config.json").write_text(good)
    services.retry_base(base, by=by)
    run_jobs()
    base.refresh_from_db()
    assert base.is_ready
    assert selectors.needs(project, by) == []
