"""Fingerprints, adapter directories and checkpoints: what is unsafe, torn or flipped is never used."""

import json
import random
from types import SimpleNamespace

import pytest

from datasets_app.engine import apart as limits
from projects.domain.errors import Invalid, Refused
from tests.fake_engine import weights
from training.domain import adapters, fingerprint, safetensors
from training.engine import hub as fetching
from training.engine.checkpoints import MANIFEST, Checkpoints

GOOD = ["adapter_model.safetensors", "adapter_config.json", "README.md", "tokenizer.json"]
CONFIG = {
    "peft_type": "LORA",
    "base_model_name_or_path": "acme/base",
    "revision": "abc",
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj"],
}


@pytest.mark.parametrize("name", ["adapter_model.bin", "x.pt", "model.ckpt", "a.pkl", "training_args.bin"])
def test_pickles_are_refused(name):
    with pytest.raises(Invalid) as refused:
        adapters.check_names([*GOOD, name])
    assert refused.value.code == "only_safetensors"


@pytest.mark.parametrize(("names", "code"), [([*GOOD, "run.sh"], "unknown_file"), (GOOD[1:], "incomplete_adapter")])
def test_strange_and_missing_files_are_refused(names, code):
    with pytest.raises(Invalid) as refused:
        adapters.check_names(names)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"trust_remote_code": True}, "unsafe_adapter_config"),
        ({"auto_map": {"x": "y"}}, "unsafe_adapter_config"),
        ({"auto_mapping": {"base_model_class": "Evil"}}, "unsafe_adapter_config"),
        ({"peft_type": "PROMPT_TUNING"}, "unsafe_adapter_config"),
        ({"base_model_name_or_path": "http://evil/x"}, "unsafe_adapter_config"),
        ({"base_model_name_or_path": "/home/someone/model"}, "unsafe_adapter_config"),
        ({"base_model_name_or_path": "acme/other"}, "wrong_base"),
        ({"revision": "other"}, "wrong_base"),
    ],
)
def test_unsafe_adapter_configs_are_refused(changes, code):
    with pytest.raises(Invalid) as refused:
        adapters.check_config(CONFIG | changes, base="acme/base", revision="abc")
    assert refused.value.code == code


def test_a_plain_config_is_fine():
    adapters.check_config(CONFIG, base="acme/base", revision="abc")


def test_tensors_must_have_the_promised_rank():
    data = weights(4)
    header = safetensors.read_header(data, len(data))
    adapters.check_tensors(header, 4)
    assert safetensors.parameters(header) == 32
    for wrong in (8, 0):
        with pytest.raises(Invalid) as refused:
            adapters.check_tensors(header, wrong)
        assert refused.value.code == "wrong_shape"
    with pytest.raises(Invalid):
        adapters.check_tensors({}, 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d[:-1],
        lambda d: d + b"x",
        lambda d: d[:5],
        lambda d: b"\xff" * 8 + d[8:],
        lambda d: d[:8] + b"x" + d[9:],
    ],
)
def test_a_torn_weights_file_is_refused(spoil):
    data = spoil(weights(4))
    with pytest.raises(Invalid) as refused:
        safetensors.read_header(data, len(data))
    assert refused.value.code == "damaged_weights"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["config.json", "tokenizer.json", "model.safetensors", "modeling.py"], "custom_code"),
        (["config.json", "tokenizer.json", "pytorch_model.bin"], "only_safetensors"),
        (["config.json", "tokenizer.json"], "only_safetensors"),
        (["tokenizer.json", "model.safetensors"], "incomplete_model"),
    ],
)
def test_bases_that_need_trust_are_refused(names, code):
    with pytest.raises(Invalid) as refused:
        fingerprint.check_files(names)
    assert refused.value.code == code


class FakeHub:
    """Stands in for huggingface_hub: one model with one commit."""

    def __init__(self, names):
        self.names, self.fetched = names, []

    def HfApi(self):
        return self

    def model_info(self, repo_id, revision=None, **_):
        return SimpleNamespace(
            sha="c0ffee", siblings=[SimpleNamespace(rfilename=name, size=1, lfs=None) for name in self.names]
        )

    def snapshot_download(self, repo_id, **wanted):
        self.fetched.append((repo_id, wanted))


@pytest.fixture
def hub(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    fake = FakeHub(["config.json", "tokenizer.json", "model.safetensors"])
    monkeypatch.setattr(huggingface_hub, "HfApi", fake.HfApi)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    return fake


def test_a_branch_is_pinned_to_the_commit_it_means_before_anything_is_fetched(hub, tmp_path):
    assert fetching.fetch("acme/model", "main", tmp_path).commit == "c0ffee"
    ((repo_id, wanted),) = hub.fetched
    assert (repo_id, wanted["revision"], wanted["local_dir"]) == ("acme/model", "c0ffee", tmp_path)
    assert not any(pattern.endswith((".py", ".bin")) for pattern in wanted["allow_patterns"])


def test_a_model_with_code_is_not_even_fetched(hub, tmp_path):
    hub.names.append("modeling_evil.py")
    with pytest.raises(Invalid) as refused:
        fetching.fetch("acme/model", "main", tmp_path)
    assert refused.value.code == "custom_code"
    assert hub.fetched == []


def test_changed_parts_are_named():
    before = {"config": "a", "tokenizer": "b", "weights": {"1": "x", "2": "y"}}
    after = before | {"tokenizer": "c", "weights": {"1": "x", "2": "z", "3": "w"}}
    assert fingerprint.changed(before, after) == ["tokenizer", "weights 2", "weights 3"]
    assert fingerprint.changed(before, before) == []


def make_source(store: Checkpoints, step: int):
    source = store.staging / f"checkpoint-{step}"
    source.mkdir(parents=True)
    (source / "adapter_model.safetensors").write_bytes(bytes([step]) * 4000)
    (source / "optimizer.pt").write_bytes(b"state" * 500)
    return source


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path, "digest")


def test_two_checkpoints_are_kept_and_the_newest_is_taken(store, tmp_path):
    for step in (10, 20, 30):
        store.commit(make_source(store, step), step)
    assert sorted(path.name for path in tmp_path.glob("ckpt-*")) == ["ckpt-20", "ckpt-30"]
    assert store.newest() == (tmp_path / "ckpt-30", 30)


def tear(place, rng: random.Random) -> str:
    """Damage a checkpoint in one of the ways disks and crashes do."""
    kind = rng.choice(["flip", "truncate", "zero", "missing", "manifest", "extend"])
    path = place / rng.choice(["adapter_model.safetensors", "optimizer.pt"])
    data = bytearray(path.read_bytes())
    match kind:
        case "flip":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
        case "truncate":
            path.write_bytes(data[: rng.randrange(len(data))])
        case "zero":
            path.write_bytes(bytes(len(data)))
        case "missing":
            path.unlink()
        case "manifest":
            (place / MANIFEST).write_text((place / MANIFEST).read_text()[: rng.randrange(40)])
        case "extend":
            path.write_bytes(data + b"\0")
    return kind


def test_no_torn_checkpoint_is_ever_taken(tmp_path):
    rng = random.Random(3)
    for number in range(60):
        store = Checkpoints(tmp_path / str(number), "digest")
        store.commit(make_source(store, 10), 10)
        store.commit(make_source(store, 20), 20)
        kind = tear(tmp_path / str(number) / "ckpt-20", rng)
        assert store.newest() == (tmp_path / str(number) / "ckpt-10", 10), kind


def test_a_checkpoint_of_another_spec_or_step_is_passed_over(store, tmp_path):
    store.commit(make_source(store, 10), 10)
    assert Checkpoints(tmp_path, "other").newest() is None
    (tmp_path / "ckpt-10").rename(tmp_path / "ckpt-99")
    assert store.newest() is None


def test_a_manifest_that_is_no_object_is_passed_over(store, tmp_path):
    place, _ = store.commit(make_source(store, 10), 10)
    for text in ("[]", "{}", '{"files": 3, "step": 10, "spec": "digest"}', json.dumps(None)):
        (place / MANIFEST).write_text(text)
        assert store.newest() is None


def test_what_killed_attempts_left_is_swept(store, tmp_path):
    make_source(store, 5)
    fresh = Checkpoints(tmp_path, "digest")
    fresh.sweep()
    assert [path.name for path in tmp_path.iterdir()] == [fresh.staging.name]


@pytest.mark.slow
def test_work_apart_answers_or_is_refused():
    assert limits.apart(lambda: {"a": 1}, cpu_seconds=5, memory_bytes=2**33) == {"a": 1}

    def refuse():
        raise Refused("no", code="mine")

    with pytest.raises(Refused) as refused:
        limits.apart(refuse, cpu_seconds=5, memory_bytes=2**33)
    assert refused.value.code == "mine"
    with pytest.raises(Refused) as refused:
        limits.apart(lambda: 9 ** (9**9), cpu_seconds=1, memory_bytes=2**33)
    assert refused.value.code == "template_limit"


def test_the_clock_stops_python_code():
    def endless():
        while True:
            pass

    with pytest.raises(limits.TooLong), limits.at_most(0.05):
        endless()
