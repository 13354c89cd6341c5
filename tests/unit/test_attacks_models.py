"""Attacks by model files, A14–A16 of the reliability list: configs, headers and weights that lie."""

import json
import os
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.domain.errors import Invalid, Refused
from tests.factories import model_files as files
from tests.factories.model_files import CONFIG, entry, header
from tests.factories.training import make_model_folder
from training.domain import adapter_config, adapters, fingerprint, integrity, safetensors
from training.domain.documents import BadDocument, read_object
from training.domain.failures import FAILURES
from training.domain.findings import Finding, refusing, told
from training.engine import fingerprint as describing
from training.engine import hub, weights

quickly = settings(max_examples=200, deadline=None, derandomize=True)


def codes(findings: list[Finding]) -> set[str]:
    assert all(len(finding.text) > 15 for finding in findings)
    return {finding.code for finding in findings}


def read(raw) -> set[str]:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return codes(adapter_config.read(data)[1])


# A14: adapter_config.json


def test_a14_a_plain_config_and_what_peft_writes_are_fine():
    assert read(CONFIG) == set()
    written = CONFIG | {
        "peft_version": "0.21.2", "auto_mapping": None, "inference_mode": True, "exclude_modules": None,
        "fan_in_fan_out": False, "use_rslora": False, "modules_to_save": None, "init_lora_weights": True,
        "layers_to_transform": None, "layers_pattern": None, "rank_pattern": {}, "alpha_pattern": {},
        "megatron_config": None, "megatron_core": "megatron.core", "trainable_token_indices": None,
        "loftq_config": {}, "eva_config": None, "corda_config": None, "use_dora": False, "use_qalora": False,
        "qalora_group_size": 16, "layer_replication": None, "lora_bias": False, "target_parameters": None,
        "alora_invocation_tokens": None, "arrow_config": None, "ensure_weight_tying": False, "use_bdlora": None,
        "kasa_config": None, "monteclora_config": None, "velora_config": None, "lora_ga_config": None,
    }  # fmt: skip
    assert read(written) == set()


UNSAFE = {
    "auto_map": {"auto_map": {"AutoModel": "evil.Model"}},
    "trust_remote_code": {"trust_remote_code": True},
    "a key nobody knows": {"on_load": "print()"},
    "a mapping to foreign classes": {"auto_mapping": {"base_model_class": "Evil", "parent_library": "evil"}},
    "a module to import": {"megatron_core": "evil.module"},
    "its settings": {"megatron_config": {"a": 1}},
    "another kind of adapter": {"peft_type": "PROMPT_TUNING"},
    "a base by address": {"base_model_name_or_path": "http://evil.example/x"},
    "a base by path": {"base_model_name_or_path": "/home/someone/model"},
    "a base by relative path": {"base_model_name_or_path": "../model"},
    "a base by a path on Windows": {"base_model_name_or_path": "C:/model"},
    "a base by a share": {"base_model_name_or_path": "\\\\server\\model"},
    "a base that climbs": {"base_model_name_or_path": "a/../../b"},
    "a base in the home": {"base_model_name_or_path": "~/model"},
    "a base with a line break": {"base_model_name_or_path": "a\nb"},
    "a base that is a list": {"base_model_name_or_path": ["acme/base"]},
    "a revision that is a path": {"revision": "/etc/passwd"},
    "no rank": {"r": 0},
    "a rank below zero": {"r": -8},
    "an absurd rank": {"r": 10**9},
    "a rank that is a truth": {"r": True},
    "a rank that is a text": {"r": "8"},
    "a rank with a fraction": {"r": 8.5},
    "an absurd alpha": {"lora_alpha": 10**12},
    "an alpha of nothing": {"lora_alpha": 0},
    "an alpha that is a truth": {"lora_alpha": True},
    "a dropout beyond one": {"lora_dropout": 7},
    "a pattern for modules": {"target_modules": "(a+)+$"},
    "patterns for modules": {"target_modules": ["q_proj", ".*(x+x+)+y"]},
    "modules that are numbers": {"target_modules": [1, 2]},
    "modules without end": {"target_modules": ["q_proj"] * 5000},
    "modules left open": {"target_modules": None},
    "layers that are texts": {"layers_to_transform": ["; rm"]},
}
UNSUPPORTED = {
    "use_dora": True, "modules_to_save": ["lm_head"], "bias": "all", "rank_pattern": {"^.*$": 64},
    "alpha_pattern": {"q": 1}, "layer_replication": [[0, 4]], "target_parameters": ["x"], "task_type": "SEQ_CLS",
    "init_lora_weights": "pissa", "trainable_token_indices": [1], "lora_bias": True, "use_qalora": True,
    "eva_config": {"rho": 2}, "arrow_config": {"a": 1},
}  # fmt: skip


@pytest.mark.parametrize("changes", UNSAFE.values(), ids=UNSAFE.keys())
def test_a14_an_unsafe_config_is_refused(changes):
    assert read(CONFIG | changes) == {"unsafe_adapter_config"}
    with pytest.raises(Invalid) as refused:
        adapters.check_config(CONFIG | changes, base="acme/base", revision="abc")
    assert (refused.value.code, refused.value.status) == ("unsafe_adapter_config", 400)
    assert refused.value.field in {*changes, "target_modules"}


@pytest.mark.parametrize(("key", "value"), UNSUPPORTED.items(), ids=UNSUPPORTED.keys())
def test_a14_what_is_not_plain_lora_is_refused_by_name(key, value):
    (wrong,) = adapter_config.findings(CONFIG | {key: value})
    assert (wrong.code, wrong.where) == ("unsupported_adapter", key)


DOCUMENTS = {
    "10 MB": json.dumps(CONFIG | {"peft_version": "x" * 10_000_000}).encode(),
    "100,000 levels": b'{"r": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "40 levels": b'{"r": ' + b"[" * 40 + b"]" * 40 + b"}",
    "NaN": b'{"peft_type": "LORA", "lora_dropout": NaN}',
    "a number beyond every size": b'{"peft_type": "LORA", "lora_dropout": 1e999}',
    "5,000 digits": b'{"peft_type": "LORA", "r": ' + b"9" * 5000 + b"}",
    "100 digits": b'{"peft_type": "LORA", "r": ' + b"9" * 100 + b"}",
    "a key twice": b'{"peft_type": "LORA", "peft_type": "LORA", "r": 2}',
    "half a character": b'{"peft_type": "\\ud800"}',
    "NUL": b'{"peft_type": "\\u0000"}',
    "a list": b"[]",
    "nothing": b"",
    "no JSON": b"peft_type: LORA",
    "UTF-16": json.dumps(CONFIG).encode("utf-16"),
    "broken UTF-8": b'{"peft_type": "\xff"}',
    "a pickle": b"\x80\x04.",
}


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a14_a_document_that_is_no_config_is_refused_in_words(data):
    raw, (wrong,) = adapter_config.read(data)
    assert (raw, wrong.code) == ({}, "unsafe_adapter_config")
    assert wrong.text.startswith("adapter_config.json ")


def test_a14_everything_that_is_wrong_is_told_at_once():
    found = adapter_config.findings(CONFIG | {"auto_map": {}, "r": -1, "use_dora": True})
    assert [one.where for one in found] == ["auto_map", "r", "use_dora"]
    assert told(found).endswith("Also: unsupported_adapter.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEY = st.sampled_from(sorted(adapter_config.KEYS)) | st.text(max_size=12)


@pytest.mark.slow
@quickly
@given(changes=st.dictionaries(KEY, JSON, max_size=6))
def test_a14_any_config_is_read_or_refused_and_never_falls_over(changes):
    raw = CONFIG | changes
    found = adapter_config.findings(raw)
    assert codes(found) <= {"unsafe_adapter_config", "unsupported_adapter"}
    assert all(one.refuses for one in found)
    if not found:
        kept = adapter_config.canonical(raw, base="b", revision="r", target_modules=["q_proj"])
        assert adapter_config.findings(kept) == []
        assert integrity.scale(kept) > 0


@quickly
@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a14_any_bytes_are_a_config_or_refused(data):
    raw, found = adapter_config.read(data)
    assert found or raw
    assert codes(found) <= {"unsafe_adapter_config", "unsupported_adapter"}


@quickly
@given(data=st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_document_is_an_object_or_says_why_not(data):
    try:
        assert isinstance(read_object(data, most_bytes=10_000), dict)
    except BadDocument as wrong:
        assert str(wrong).split()[0] in {"has", "is", "holds"}


def test_a_tokenizer_without_a_longest_text_is_no_attack():
    """Libraries write 10^30 where a tokenizer knows no limit, and Infinity in some configs."""
    usual = b'{"model_max_length": 1000000000000000019884624838656, "rope": Infinity}'

    assert read_object(usual, most_bytes=1000, finite=False)["model_max_length"] > 10**29
    with pytest.raises(BadDocument):
        read_object(usual, most_bytes=1000)


# A15: headers of weights and the index of shards

WHOLE = {"a": entry([2, 2], 0, 16), "b": entry([3], 16, 28)}
LIES = {
    "cut": header(WHOLE, 28)[:-1],
    "bytes behind it": header(WHOLE, 28) + b"x",
    "cut within the header": header(WHOLE, 28)[:20],
    "five bytes": header(WHOLE, 28)[:5],
    "nothing": b"",
    "a header of 2^62 bytes": header(WHOLE, 28, length=2**62),
    "a header longer than the file": header(WHOLE, 28, length=10_000),
    "a header that is a list": struct.pack("<Q", 2) + b"[]",
    "a header of blanks": struct.pack("<Q", 4) + b"    ",
    "a pickle": b"\x80\x04\x95" + bytes(40),
    "a header with a key twice": struct.pack("<Q", 73)
    + b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8"}}  ',
    "tensors over each other": header({"a": entry([2, 2], 0, 16), "b": entry([2, 2], 0, 16)}, 16),
    "tensors that overlap": header({"a": entry([2, 2], 0, 16), "b": entry([3], 12, 24)}, 24),
    "a gap": header({"a": entry([2, 2], 0, 16), "b": entry([3], 20, 32)}, 32),
    "a gap at the start": header({"a": entry([2, 2], 4, 20)}, 20),
    "offsets beyond the file": header({"a": entry([2, 2], 0, 2**40)}, 16),
    "offsets backwards": header({"a": entry([2, 2], 16, 0)}, 16),
    "offsets below zero": header({"a": entry([2, 2], -16, 0)}, 16),
    "a shape that does not fit": header({"a": entry([2, 3], 0, 16)}, 16),
    "a shape of huge sides": header({"a": entry([2**40, 2**40, 0], 0, 0)}),
    "a side below zero": header({"a": entry([-2, -2], 0, 16)}, 16),
    "a side that is a truth": header({"a": entry([True, 4], 0, 16)}, 16),
    "a hundred sides": header({"a": entry([1] * 100, 0, 4)}, 4),
    "no shape": header({"a": {"dtype": "F32", "data_offsets": [0, 16]}}, 16),
    "more than it should say": header({"a": entry([2, 2], 0, 16) | {"code": "print()"}}, 16),
    "an unknown type": header({"a": entry([2, 2], 0, 16, "OBJ")}, 16),
    "a type that is a list": header({"a": {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]}}, 16),
    "metadata that is a list": header({"__metadata__": [], "a": entry([2, 2], 0, 16)}, 16),  # type: ignore[dict-item]
    "no name": header({"": entry([2, 2], 0, 16)}, 16),
    "a tensor that is a number": header({"a": 7}, 0),  # type: ignore[dict-item]
}


def header_of(data: bytes):
    return safetensors.read_header(data, len(data))


@pytest.mark.parametrize("data", LIES.values(), ids=LIES.keys())
def test_a15_a_header_that_lies_is_refused(data, tmp_path):
    with pytest.raises(Invalid) as refused:
        header_of(data)
    assert refused.value.code == "damaged_weights"
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(Invalid) as refused:
        weights.header_of(tmp_path / "x.safetensors")
    assert refused.value.code == "damaged_weights"


def test_a15_a_whole_file_is_read_and_only_its_header(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(header({"__metadata__": {"format": "pt"}} | WHOLE, 28))  # type: ignore[dict-item]
    assert weights.header_of(path) == WHOLE
    assert safetensors.parameters(WHOLE) == 7
    path.write_bytes(header({"big": entry([2**28], 0, 2**30)}))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 2**30)  # a hole of a gigabyte: read, it would take its time
    assert safetensors.shapes(weights.header_of(path)) == {"big": (2**28,)}


MUTATED = st.tuples(st.integers(0, 400), st.integers(0, 255))


@quickly
@given(changes=st.lists(MUTATED, max_size=4), cut=st.integers(0, 60), more=st.binary(max_size=4))
def test_a15_a_mutated_file_is_refused_or_its_tensors_cover_it(changes, cut, more):
    data = bytearray(header({"__metadata__": {"format": "pt"}} | WHOLE, 28))  # type: ignore[dict-item]
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: len(data) - cut] + more
    try:
        found = header_of(bytes(data))
    except Invalid as refused:
        assert refused.code == "damaged_weights"
        return
    ends = [one["data_offsets"] for one in found.values()]
    held = sum(high - low for low, high in ends)
    assert held == len(data) - 8 - struct.unpack("<Q", data[:8])[0]


@quickly
@given(data=st.binary(max_size=60) | JSON.map(header))  # type: ignore[arg-type]
def test_a15_any_bytes_are_a_header_or_refused(data):
    try:
        header_of(data)
    except Invalid as refused:
        assert refused.code == "damaged_weights"


HELD = {"model-1.safetensors": {"a"}, "model-2.safetensors": {"b"}}
GOOD_INDEX = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}


def test_a15_an_index_that_is_true_is_fine():
    fingerprint.check_index(GOOD_INDEX, HELD)


@pytest.mark.parametrize(
    ("index", "code"),
    [
        ({"weight_map": {"a": "../../etc/passwd"}}, "unsafe_path"),
        ({"weight_map": {"a": "/etc/shadow.safetensors"}}, "unsafe_path"),
        ({"weight_map": {"a": "sub/model-1.safetensors"}}, "unsafe_path"),
        ({"weight_map": {"a": "..\\x.safetensors"}}, "unsafe_path"),
        ({"weight_map": {"a": ""}}, "unsafe_path"),
        ({"weight_map": {"a": "model-1.bin"}}, "unsafe_path"),
        ({"weight_map": {"a": "model-3.safetensors"}}, "incomplete_model"),
        ({"weight_map": {"a": "model-2.safetensors"}}, "damaged_weights"),
        ({"weight_map": {"a": 7}}, "damaged_config"),
        ({"weight_map": []}, "damaged_config"),
        ({}, "damaged_config"),
    ],
)
def test_a15_an_index_that_leads_elsewhere_is_refused(index, code):
    with pytest.raises(Invalid) as refused:
        fingerprint.check_index(index, HELD)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "config",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"text_config": {"auto_map": {"AutoConfig": "evil.Config"}}},
        {"layers": [{"custom_pipelines": {"x": {"impl": "evil.Pipeline"}}}]},
        {"trust_remote_code": True},
        {"trust_remote_code": ["yes"]},
    ],
)
def test_a15_a_config_that_asks_for_code_is_refused_however_deep(config):
    for name in fingerprint.CONFIGS:
        with pytest.raises(Invalid) as refused:
            fingerprint.check_config({"architectures": ["X"]} | config, name)
        assert refused.value.code == "custom_code"


@pytest.mark.parametrize("name", ["modeling.py", "deep/er/modeling.PY", "kernel.so", "cache/x.pyc"])
def test_a15_code_anywhere_in_the_folder_is_refused(name):
    with pytest.raises(Invalid) as refused:
        fingerprint.check_files(["config.json", "tokenizer.json", "model.safetensors", name])
    assert refused.value.code == "custom_code"


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": "Llama"},
        {"architectures": [7]},
        {"architectures": ["x" * 101]},
        {"vocab_size": "many"},
        {"vocab_size": -1},
        {"max_position_embeddings": 10**12},
        {"max_position_embeddings": True},
    ],
)
def test_a15_a_config_with_absurd_facts_is_refused(change):
    with pytest.raises(Invalid) as refused:
        fingerprint.facts({"architectures": ["LlamaForCausalLM"], "vocab_size": 10} | change)
    assert refused.value.code == "damaged_config"


# A13 and A15: whole folders of base models


@pytest.fixture
def folder(settings, tmp_path):
    settings.MODELS_DIR = tmp_path
    return tmp_path / make_model_folder()


def refused(folder, root=None) -> str:
    with pytest.raises(Refused) as refusal:
        describing.describe(folder, root)
    assert len(refusal.value.message) > 20
    assert refusal.value.code in FAILURES
    return refusal.value.code


def test_a15_a_folder_in_order_is_described(folder):
    found = describing.describe(folder)
    assert (found["architecture"], found["parameters"], found["template"]) == ("LlamaForCausalLM", 16, "plain")


@pytest.mark.parametrize("data", [LIES["cut"], LIES["a header of 2^62 bytes"], LIES["tensors that overlap"]])
def test_a15_a_folder_whose_weights_lie_is_refused(folder, data):
    (folder / "model.safetensors").write_bytes(data)
    assert refused(folder) == "damaged_weights"


@pytest.mark.parametrize(
    ("shard", "code"),
    [("../../etc/passwd", "unsafe_path"), ("gone.safetensors", "incomplete_model"), ("model.safetensors", None)],
)
def test_a15_a_folder_with_an_index_of_shards_is_checked(folder, shard, code):
    (folder / fingerprint.INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"w": shard}}))
    if code:
        assert refused(folder) == code
    else:
        assert describing.describe(folder)["parameters"] == 16


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", fingerprint.INDEX])
@pytest.mark.parametrize(
    "content",
    [
        DOCUMENTS["100,000 levels"],
        DOCUMENTS["a key twice"],
        DOCUMENTS["a list"],
        b'{"x": "' + b"x" * 65_000_000 + b'"}',
    ],
    ids=["deep", "twice", "list", "65 MB"],
)
def test_a15_a_folder_whose_documents_are_none_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    assert refused(folder) == "damaged_config"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_a15_a_folder_that_asks_for_code_is_refused(folder, name):
    path = folder / name
    raw = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(raw | {"auto_map": {"AutoModel": "evil.Model"}}))
    assert refused(folder) == "custom_code"


def test_a15_links_out_of_the_models_folder_are_refused(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("{}")
    inside = folder.parent / "shared.json"
    inside.write_text("{}")
    (folder / "generation_config.json").symlink_to(inside)
    assert describing.describe(folder, folder.parent)
    assert refused(folder) == "unsafe_path"  # with the folder itself as the bound
    (folder / "generation_config.json").unlink()
    (folder / "deep").mkdir()
    (folder / "deep" / "more.json").symlink_to(outside)
    assert refused(folder, folder.parent) == "unsafe_path"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(path)], ids=["a pipe", "a ring of links"])
def test_a15_what_is_no_file_is_refused(folder, make):
    make(folder / "generation_config.json")
    assert refused(folder) == "unsafe_path"


PICKLES = ("pytorch_model.bin", "x.pt", "x.ckpt", "x.pkl", "training_args.bin")


def test_a13_pickles_beside_whole_weights_are_never_opened(folder, tmp_path):
    marker = tmp_path / "ran"
    for name in PICKLES:
        (folder / name).write_bytes(files.payload(marker))
    with files.opens(*(folder / name for name in PICKLES)) as opened:
        assert describing.describe(folder)["parameters"] == 16
        assert opened.seen() == []
    assert not marker.exists()


@pytest.mark.parametrize("name", PICKLES)
def test_a13_pickles_instead_of_weights_are_refused_unopened(folder, tmp_path, name):
    marker = tmp_path / "ran"
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(files.payload(marker))
    with files.opens(folder / name) as opened:
        assert refused(folder) == "only_safetensors"
        assert opened.seen() == []
    assert not marker.exists()


def test_a13_a_pickle_that_calls_itself_safetensors_is_read_as_what_it_says_and_refused(folder, tmp_path):
    marker = tmp_path / "ran"
    (folder / "model.safetensors").write_bytes(files.payload(marker))
    assert refused(folder) == "damaged_weights"
    assert not marker.exists()


@pytest.mark.parametrize("names", [["pytorch_model.bin"], ["model.safetensors", "deep/modeling.py"]])
def test_a13_a15_of_the_hub_nothing_is_fetched_when_a_name_already_says_no(monkeypatch, tmp_path, names):
    import huggingface_hub

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    listed = [SimpleNamespace(rfilename=name, size=1, lfs=None) for name in ["config.json", "tokenizer.json", *names]]
    info = SimpleNamespace(sha="c0ffee", siblings=listed)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=lambda *_, **__: info))
    fetched: list[str] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: fetched.append("something"))

    with pytest.raises(Invalid) as refusal:
        hub.fetch("acme/model", "main", tmp_path)

    assert refusal.value.code in {"only_safetensors", "custom_code"}
    assert fetched == []


def test_a13_a_pickle_in_the_hubs_folder_is_never_wanted():
    """What is not wanted is not fetched, whatever else the model has."""
    wanted = [pattern.lstrip("*") for pattern in hub.WANTED]
    assert not any(name.endswith(tuple(wanted)) for name in [*PICKLES, "modeling.py", "x.so"])


# A16: weights that do not fit, or are none

BASE = {name: tuple(values.shape) for name, values in files.base_weights().items()}


def about(tmp_path, named, base=BASE, dtype="F32", **config):
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(files.tensors(named, dtype))
    return weights.adapter_findings(path, CONFIG | config, base)


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_a16_an_adapter_that_fits_is_fine(tmp_path, dtype):
    assert about(tmp_path, files.pair_weights(), dtype=dtype) == []


def first(named: dict, half: str = "A") -> str:
    return next(name for name in named if f"lora_{half}" in name)


def test_a16_wrong_ranks_halves_and_names_are_listed(tmp_path):
    named = files.pair_weights()
    assert codes(about(tmp_path, named, r=4)) == {"wrong_shape"}
    lost = {name: values for name, values in named.items() if name != first(named, "B")}
    assert codes(about(tmp_path, lost)) == {"unpaired_tensor"}
    assert codes(about(tmp_path, named | {"lm_head.weight": np.ones((2, 2))})) == {"foreign_tensor"}
    assert codes(about(tmp_path, named | {"base_model.model.x.lora_A.default.weight": np.ones((2, 2))})) == {
        "foreign_tensor"
    }
    assert codes(about(tmp_path, {})) == {"wrong_shape"}
    assert codes(about(tmp_path, {"x": np.ones((1, 2, 3))})) == {"foreign_tensor"}


def test_a16_an_adapter_of_another_base_is_named_by_layer(tmp_path):
    (wrong,) = about(tmp_path, files.pair_weights(sides=(6, 10)))
    assert wrong.code == "shape_mismatch"
    assert "is [6, 8], the adapter is for [6, 10] and 4 more" in wrong.text
    (wrong,) = about(tmp_path, files.pair_weights(layers=8))
    assert (wrong.code, wrong.where) == ("module_missing", "model.layers.6.self_attn.q_proj")


def test_a16_a_base_that_wraps_its_layers_once_more_is_the_same_base(tmp_path):
    wrapped = {f"language_model.{name}": shape for name, shape in BASE.items()}
    assert about(tmp_path, files.pair_weights(), base=wrapped) == []
    twice = wrapped | {f"other.{name}": shape for name, shape in BASE.items()}  # two towers: nothing can be said
    assert codes(about(tmp_path, files.pair_weights(), base=twice)) == {"module_missing"}


def test_a16_tied_heads_and_turned_matrices_are_understood():
    pair = {"base_model.model.lm_head.lora_A.weight": (2, 8), "base_model.model.lm_head.lora_B.weight": (50, 2)}
    assert integrity.about_base(pair, {"model.embed_tokens.weight": (50, 8)}) == []
    assert codes(integrity.about_base(pair, {"model.embed_tokens.weight": (51, 8)})) == {"shape_mismatch"}
    turned = {"base_model.model.h.0.c_attn.lora_A.weight": (2, 8), "base_model.model.h.0.c_attn.lora_B.weight": (24, 2)}
    assert integrity.about_base(turned, {"h.0.c_attn.weight": (8, 24)}, transposed=True) == []
    assert codes(integrity.about_base(turned, {"h.0.c_attn.weight": (8, 24)})) == {"shape_mismatch"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_a16_weights_that_are_no_numbers_are_named(tmp_path, value, dtype):
    named = files.pair_weights()
    named[first(named, "B")][1, 1] = value
    (wrong,) = about(tmp_path, named, dtype=dtype)
    assert (wrong.code, wrong.where, wrong.refuses) == ("not_finite", first(named, "B"), True)


def test_a16_a_layer_that_stands_out_is_named_and_does_not_refuse(tmp_path):
    named = files.pair_weights()
    named[first(named, "B")] *= 5000
    (odd,) = about(tmp_path, named)
    assert (odd.code, odd.refuses) == ("norm_outlier", False)
    assert "model.layers.0.self_attn.q_proj" in odd.text
    assert refusing([odd]) == []


def test_a16_no_honest_adapter_has_outliers(tmp_path):
    for seed in range(50):
        assert about(tmp_path, files.pair_weights(seed=seed)) == []


def test_a16_an_adapter_that_does_nothing_is_told(tmp_path):
    named = {name: values * ("lora_A" in name) for name, values in files.pair_weights().items()}
    assert codes(about(tmp_path, named)) == {"no_effect"}


def test_a16_the_norm_is_that_of_the_product(tmp_path):
    named = files.pair_weights(layers=1)
    path = tmp_path / "x.safetensors"
    path.write_bytes(files.tensors(named))
    _, norms = weights.figures(path, weights.header_of(path), 2.0)
    a, b = (named[first(named, half)] for half in "AB")
    assert norms == pytest.approx({"model.layers.0.self_attn.q_proj": 2 * float(np.linalg.norm(b @ a))}, rel=1e-5)


def test_a16_a_type_that_cannot_be_read_here_is_refused(tmp_path):
    table = {name: values for name, values in files.pair_weights(layers=1).items()}
    path = tmp_path / "x.safetensors"
    path.write_bytes(
        header({first(table): entry([2, 8], 0, 16, "I8"), first(table, "B"): entry([6, 2], 16, 28, "I8")}, 28)
    )
    assert codes(weights.adapter_findings(path, CONFIG, BASE)) == {"unsupported_adapter"}


@pytest.mark.parametrize(("rank", "served"), [(1, 1), (2, 8), (16, 16), (257, 320), (512, 512), (513, None)])
def test_a16_a_rank_that_no_server_takes_is_told(rank, served):
    assert adapter_config.served_rank(rank) == served
    assert bool(adapter_config.about_serving(rank)) == (served is None)


def test_findings_survive_their_own_json():
    found = Finding("norm_outlier", "A layer stands out.", "x", refuses=False)
    assert Finding.read(json.loads(json.dumps(found.as_dict()))) == found
    assert told([]) == ""
