"""Derived models for real: what PEFT would merge, what transformers and compressed-tensors read, and what is wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.conftest import fork
from training.domain.adapters import CONFIG
from training.domain.derived import Kind
from training.engine import hashing
from training.engine.derive_spec import DeriveSpec
from training.engine.events import EngineError

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
SHARD = 1_500_000


def files_of(folder):
    return {
        path.name: {"sha256": hashing.sha256_file(path), "size": path.stat().st_size}
        for path in folder.iterdir()
        if path.name != "MANIFEST.json"
    }


@pytest.fixture(scope="module")
def spec(tiny_base, tiny_facts, tiny_adapter, tmp_path_factory):
    """How each kind is ordered; every one in its own folder."""
    folder = tmp_path_factory.mktemp("derived")
    whole = DeriveSpec(
        kind="merged", name="router, Merged", base=str(tiny_base), base_name="tiny-help-desk",
        fingerprint=tiny_facts["fingerprint"], parts=tiny_facts["parts"], adapter=str(tiny_adapter),
        adapter_name="router", adapter_digest=hashing.folder_digest(tiny_adapter),
        manifest={"files": files_of(tiny_adapter)}, revision=tiny_facts["fingerprint"], proof={},
        parts_dir="", out_dir="", card={"licence": "apache-2.0", "datasets": ["tickets-v1"]}, shard_bytes=SHARD,
        device="cpu",
    )  # fmt: skip

    def of(kind, name=""):
        home = folder / (name or kind)
        return replace(whole, kind=kind, parts_dir=str(home / "parts"), out_dir=str(home / "out"))

    return of


class Told:
    def __init__(self, returncode, events, log=""):
        self.returncode, self.events, self.log = returncode, events, log

    @property
    def last(self):
        return self.events[-1]


SERVER = []  # of which makings are forked off


@pytest.fixture(scope="module", autouse=True)
def server(torch_server):
    SERVER[:] = [torch_server]


def run(order, kill_at=None):
    path = Path(order.out_dir).parent / "spec.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    order.write(path)
    log, events = path.with_name("fork.log"), []
    command = ["-m", "training.engine.deriving", str(path)]
    with log.open("ab") as behind, fork(SERVER[0], command, behind) as process:
        for line in process.stdout:
            events.append(json.loads(line))
            if kill_at and kill_at(events[-1]):
                process.kill()
    return Told(process.returncode, events, log.read_text())


@pytest.fixture(scope="module")
def made(server, spec):
    """The three kinds as the engine makes them: {kind: (folder, result)}."""
    found = {}
    for kind in Kind:
        told = run(spec(kind.value))
        assert told.returncode == 0, (told.last, told.log[-2000:])
        found[kind] = (Path(spec(kind.value).out_dir), told.last)
    return found


@pytest.fixture(scope="module")
def pair(tiny_base, tiny_adapter):
    """The adapter on its base, as PEFT loads it; and what both say of the probes."""
    from peft import PeftModel

    from training.engine import model as models
    from training.engine import proof

    device = models.choose_device("cpu")
    plain = models.load_base(str(tiny_base), device, four_bit=False)
    model = PeftModel.from_pretrained(plain, str(tiny_adapter)).eval()
    return model, proof.observe(model, proof.probes(tiny_base)), device


def test_the_merged_weights_are_those_that_peft_merges(made, pair):
    import torch

    from training.engine.derived_check import Made

    wanted = {name: one.detach().clone() for name, one in pair[0].state_dict().items()}
    with Made(made[Kind.MERGED][0], Kind.MERGED) as there:
        assert len({path.name for path in there.file_of.values()}) > 1, "several weight files"
        count = 0
        for name in there.file_of:
            base = wanted.get(f"base_model.model.{name.removesuffix('.weight')}.base_layer.weight")
            if base is None:
                continue
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            added = wanted[f"{stem}.lora_B.default.weight"] @ wanted[f"{stem}.lora_A.default.weight"] * 2.0
            assert torch.allclose(there.get(name), base + added, atol=1e-6), name
            count += 1
    assert count == made[Kind.MERGED][1]["facts"]["figures"]["adapted"] > 0


def test_each_says_what_the_adapter_says_as_far_as_its_numbers_go(made):
    kept = {kind: told["proof"]["kept"] for kind, (_, told) in made.items()}
    errors = {kind: told["facts"]["figures"]["mean_error"] for kind, (_, told) in made.items()}
    sizes = {kind: told["size_bytes"] for kind, (_, told) in made.items()}

    assert kept[Kind.MERGED] == pytest.approx(1.0, abs=1e-3)
    assert kept[Kind.INT8] == pytest.approx(1.0, abs=0.02)
    assert kept[Kind.INT4] == pytest.approx(1.0, abs=0.2)
    assert errors[Kind.MERGED] == 0 < errors[Kind.INT8] < 0.02 < errors[Kind.INT4] < 0.12
    assert sizes[Kind.INT4] < sizes[Kind.INT8] < 0.5 * sizes[Kind.MERGED]


def test_our_packing_is_that_of_compressed_tensors():
    import torch
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32

    from training.engine import packing

    weight = torch.randn(48, 96, generator=torch.Generator().manual_seed(0))
    for kind in (Kind.INT8, Kind.INT4):
        integers, scales = packing.quantise(weight, kind, torch.float32)
        words = packing.pack(integers, kind.bits)
        assert torch.equal(words, pack_to_int32(integers, kind.bits)), kind
        assert torch.equal(packing.unpack(words, kind.bits, 96), unpack_from_int32(words, kind.bits, weight.shape))
        back = packing.dequantise(words, scales, kind, 96)
        assert (back - weight).norm() / weight.norm() < {8: 0.01, 4: 0.12}[kind.bits]


def test_scales_are_chosen_so_that_the_error_is_least():
    import torch

    from training.engine import packing

    weight = torch.randn(64, 128, generator=torch.Generator().manual_seed(1)) ** 3  # with far outliers
    integers, scales = packing.quantise(weight, Kind.INT4, torch.float32)
    chosen = (packing.dequantise(packing.pack(integers, 4), scales, Kind.INT4, 128) - weight).norm()
    plain = weight.reshape(64, -1, 32)
    step = plain.abs().amax(-1, keepdim=True) / 7
    largest = (torch.round(plain / step).clamp(-8, 7) * step - plain).norm()
    assert chosen < largest


def test_anybody_can_load_it_and_the_tokenizer_comes_along(made, tiny_base):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for kind, (folder, _) in made.items():
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        text = tokenizer.apply_chat_template([{"role": "user", "content": "hello"}], tokenize=False)
        assert model(**tokenizer(text, return_tensors="pt")).logits.isfinite().all(), kind
        assert (folder / "chat_template.jinja").read_bytes() == (tiny_base / "chat_template.jinja").read_bytes()
        assert (folder / "generation_config.json").exists()


def test_its_card_is_read_by_hugging_face(made):
    from huggingface_hub import ModelCard

    for kind, (folder, _) in made.items():
        data = ModelCard.load(folder / "README.md").data
        assert (data.base_model, data.base_model_relation, data.license) == (
            "tiny-help-desk", "quantized" if kind.bits else "merge", "apache-2.0",
        )  # fmt: skip
        assert (data.library_name, data.datasets, data.pipeline_tag) == (
            "transformers", ["tickets-v1"], "text-generation",
        )  # fmt: skip


def test_the_card_of_a_trained_adapter_is_read_by_hugging_face_and_its_config_names_the_exact_base(
    tiny_adapter, tiny_facts
):
    from huggingface_hub import ModelCard

    data = ModelCard.load(tiny_adapter / "README.md").data
    assert (data.base_model, data.base_model_relation, data.library_name, data.license) == (
        "tiny-help-desk", "adapter", "peft", None,
    )  # fmt: skip
    assert (data.datasets, data.tags) == (["tickets-v1"], ["lora", "trl", "sft"])
    config = json.loads((tiny_adapter / CONFIG).read_text())
    assert config["revision"] == tiny_facts["fingerprint"]


@pytest.mark.parametrize("commit", ["", "c0ffee" * 6 + "c0ff"])
def test_the_revision_is_the_commit_where_the_base_has_one(commit):
    from training.domain.recipe import Recipe
    from training.domain.spec import BaseRef, DataRef, RunSpec
    from training.engine.adapter import revision_of

    base = BaseRef("org/base", "f" * 64, {}, revision=commit)
    spec = RunSpec(label="x", base=base, data=DataRef("d v1", "0" * 64, 1, "sft"), recipe=Recipe.read({}), packages={})
    assert revision_of(spec) == (commit or "f" * 64)


@pytest.mark.parametrize(
    ("value", "code"), [(float("nan"), "not_finite"), (float("inf"), "not_finite"), (1e5, "norm_outlier")]
)
def test_weights_of_an_adapter_trained_here_are_looked_at_as_well(
    tiny_adapter, tiny_base, tiny_facts, tmp_path, value, code
):
    """Read back as a stranger would, before it is registered: what speaks against it becomes a finding of the run."""
    from safetensors.torch import load_file, save_file

    from training.domain.recipe import Recipe
    from training.domain.spec import BaseRef, DataRef, RunSpec
    from training.engine import adapter as directory

    place = Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))
    base = BaseRef("tiny-help-desk", tiny_facts["fingerprint"], {}, path=str(tiny_base))
    spec = RunSpec(label="x", base=base, data=DataRef("d v1", "0" * 64, 1, "sft"), recipe=Recipe.read({}), packages={})
    tensors = load_file(place / "adapter_model.safetensors")
    assert directory.check(place, spec)["findings"] == []
    name = next(name for name in sorted(tensors) if "lora_B" in name)
    tensors[name] = tensors[name] * value if value == 1e5 else tensors[name].fill_(value)
    save_file(tensors, place / "adapter_model.safetensors", {"format": "pt"})

    (found,) = directory.check(place, spec)["findings"]
    assert found["code"] == code and name.removesuffix(".weight").split(".lora_")[0].removeprefix(
        "base_model.model."
    ) in (found["where"] + found["text"])


def test_a_killed_making_goes_on_from_the_files_that_are_whole(spec, made):
    order = spec("merged", "killed")
    first = run(order, kill_at=lambda event: event["event"] == "progress" and event.get("phase") == "weights")
    parts = Path(order.parts_dir)
    kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("model-*")}
    assert first.returncode == -9 and kept
    (parts / ".model-half.123").write_bytes(b"torn")

    second = run(order)

    assert second.returncode == 0, second.last
    assert "is there already" in second.log
    whole = made[Kind.MERGED][1]["files"]
    assert {name: one["sha256"] for name, one in second.last["files"].items()} == {
        name: one["sha256"] for name, one in whole.items()
    }
    assert not (parts / ".model-half.123").exists()


def test_a_part_that_was_touched_is_written_again(spec, made):
    order = spec("merged", "touched")
    shutil.copytree(Path(spec("merged").parts_dir), order.parts_dir)
    path = sorted(Path(order.parts_dir).glob("model-*"))[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    told = run(order)

    assert told.last["files"][path.name]["sha256"] == made[Kind.MERGED][1]["files"][path.name]["sha256"]


def refused(order, change=None):
    if change:
        change()
    told = run(order)
    assert told.returncode == 1, told.last
    return told.last["code"]


def test_base_and_adapter_must_be_those_that_are_meant(spec, tiny_base, tiny_adapter, tmp_path):
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    adapter = Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))
    order = replace(spec("merged", "refused"), base=str(base), adapter=str(adapter))
    (adapter / CONFIG).write_text((adapter / CONFIG).read_text() + " ")
    assert refused(order) == "artefact_damaged"
    order = replace(order, adapter=str(tiny_adapter))
    path = next(base.glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert refused(order) == "base_changed"


def test_a_disk_without_room_is_named_before_anything_is_written(spec, monkeypatch, tmp_path):
    from training.engine import derived_weights

    monkeypatch.setattr(derived_weights, "FREE", 1 << 60)
    with pytest.raises(EngineError) as told:
        derived_weights.check_room(tmp_path, 15_000_000_000)

    assert told.value.code == "disk_full"
    assert "15.0" in str(told.value)


def test_numbers_that_a_base_cannot_hold_are_named(spec, tiny_base, tiny_adapter, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    from training.engine.merging import Merged, made

    base = Path(shutil.copytree(tiny_base, tmp_path / "half"))
    for path in base.glob("*.safetensors"):
        save_file({name: one.to(torch.float16) for name, one in load_file(path).items()}, path, {"format": "pt"})
    with Merged(base, tiny_adapter, json.loads((tiny_adapter / CONFIG).read_text())) as source:
        source.scale = 1e9
        name = next(iter(source.module_of))
        with pytest.raises(EngineError) as told:
            list(made(source, name, Kind.MERGED))
    assert told.value.code == "not_finite"


def test_a_layer_that_is_two_at_once_is_not_merged(tiny_base, tiny_adapter, tmp_path):
    from safetensors.torch import load_file, save_file

    from training.engine.merging import Merged

    adapter = Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    stem = next(name for name in tensors if "lora_A" in name)
    embedding = next(one for name, one in load_file(next(tiny_base.glob("*.safetensors"))).items() if "embed" in name)
    rank = tensors[stem].shape[0]
    tensors["base_model.model.lm_head.lora_A.weight"] = tensors[stem].new_zeros(rank, embedding.shape[1])
    tensors["base_model.model.lm_head.lora_B.weight"] = tensors[stem].new_zeros(embedding.shape[0], rank)
    save_file(tensors, path, {"format": "pt"})

    with pytest.raises(EngineError) as told:
        Merged(tiny_base, adapter, json.loads((adapter / CONFIG).read_text()))
    assert told.value.code == "not_mergeable"


@pytest.fixture
def check(made, pair, tiny_base, tiny_adapter):
    """Load one as a worker does: nothing, or the code of what is wrong."""
    from training.engine import derived_check
    from training.engine.merging import Merged

    config = json.loads((tiny_adapter / CONFIG).read_text())

    def check(kind, folder=None, *, fitted=True, hashes=True):
        honest, told = made[kind]
        place = folder or honest
        try:
            derived_check.check_files(place, files_of(place) if fitted else told["files"])
            with Merged(tiny_base, tiny_adapter, config) as source:
                stored = told["facts"]["tensors"] if hashes else None
                derived_check.check_weights(source, place, kind, stored)
            model = derived_check.load(place, pair[2])
            derived_check.check_effect(model, pair[1], {}, kind, "F32")
        except EngineError as refusal:
            return refusal.code
        return ""

    return check


@pytest.mark.parametrize("kind", list(Kind))
def test_honest_loads_are_left_alone_and_a_flipped_bit_is_found(check, made, kind, tmp_path):
    assert check(kind) == ""
    place = Path(shutil.copytree(made[kind][0], tmp_path / "copy"))
    path = sorted(place.glob("*.safetensors"))[-1]
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)

    assert check(kind, place, fitted=False) == "artefact_damaged"
    assert check(kind, place) == "flipped_bit"


def test_the_base_passed_off_as_merged_is_named(check, made, tiny_base, tmp_path):
    place = Path(shutil.copytree(made[Kind.MERGED][0], tmp_path / "copy"))
    for path in [*place.glob("*.safetensors"), place / "model.safetensors.index.json"]:
        path.unlink()
    for path in tiny_base.glob("*.safetensors"):
        shutil.copyfile(path, place / path.name)

    assert check(Kind.MERGED, place, hashes=False) == "adapter_not_applied"


@pytest.mark.parametrize("kind", [Kind.INT8, Kind.INT4])
def test_a_wrong_scale_of_one_layer_is_named(check, made, kind, tmp_path):
    from safetensors.torch import load_file, save_file

    place = Path(shutil.copytree(made[kind][0], tmp_path / "copy"))
    path = sorted(place.glob("*.safetensors"))[0]
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.endswith("weight_scale"))
    tensors[name] = tensors[name] * 1.5
    save_file(tensors, path, {"format": "pt"})

    assert check(kind, place, hashes=False) == "wrong_quantisation"
