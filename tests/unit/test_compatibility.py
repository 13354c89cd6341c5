"""Verdicts by structure: every difference has its code, the worst decides, and folding loses nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain import anatomy, compatibility, versions
from training.domain.compatibility import Base, Fitted, Verdict
from training.domain.versions import Kind

LAYER = "model.layers.{}.self_attn.q_proj"
TOKENIZER = {"tokens": 100, "vocabulary": "v", "rules": "r", "special": {"eos_token": "<|end|>"}}


def shapes(side=8, layers=3):
    found = {f"{LAYER.format(n)}.weight": (side, side) for n in range(layers)}
    return found | {"model.embed_tokens.weight": (100, side)}


def tensors(side=8, layers=3, rank=2):
    found = {}
    for n in range(layers):
        found[f"base_model.model.{LAYER.format(n)}.lora_A.weight"] = (rank, side)
        found[f"base_model.model.{LAYER.format(n)}.lora_B.weight"] = (side, rank)
    return found


def body(side=8, layers=3, tokenizer=None, config=None):
    return {
        "tensors": anatomy.fold(shapes(side, layers)),
        "config": anatomy.of_config({"hidden_size": side} | (config or {})),
        "tokenizer": TOKENIZER | (tokenizer or {}),
    }


PARTS = {
    "config": "c",
    "tokenizer": "t",
    "chat_template": "j",
    "generation_config": "g",
    "weights": {"model.safetensors": "w"},
}
OWN = Base("base", "f" * 64, PARTS, body(), context=512, vocabulary=100, architecture="Llama")
ADAPTER = Fitted("router", 2, tensors(), longest=256)


def other(fingerprint="e" * 64, parts=None, **fields):
    return replace(OWN, name="base 2", fingerprint=fingerprint, parts=PARTS | (parts or {}), **fields)


def judged(base, adapter=ADAPTER):
    return compatibility.judge(adapter, OWN, base)


def test_the_same_files_are_the_same_whatever_they_are_called():
    assert judged(replace(OWN, name="another name")).verdict == Verdict.SAME


SPECIAL = {"special": {"eos_token": "<|end|>", "pad_token": "<pad>"}}
CASES = [
    ("weights", {"parts": {"weights": {"model.safetensors": "x"}}}, Verdict.DRIFTED),
    ("chat_template", {"parts": {"chat_template": "k"}}, Verdict.DRIFTED),
    ("generation_config", {"parts": {"generation_config": "h"}}, Verdict.COMPATIBLE),
    ("config_text", {"parts": {"config": "d"}}, Verdict.COMPATIBLE),
    ("config", {"parts": {"config": "d"}, "anatomy": body(config={"rope_theta": 2.0})}, Verdict.DRIFTED),
    ("context", {"context": 300}, Verdict.DRIFTED),
    ("context", {"context": 128}, Verdict.INCOMPATIBLE),
    ("context", {"context": 1024}, Verdict.COMPATIBLE),
    ("architecture", {"architecture": "Mistral"}, Verdict.INCOMPATIBLE),
    ("shape_mismatch", {"anatomy": body(side=16)}, Verdict.INCOMPATIBLE),
    ("module_missing", {"anatomy": body(layers=2)}, Verdict.INCOMPATIBLE),
    ("shapes", {"anatomy": body(layers=4)}, Verdict.DRIFTED),
    ("vocabulary", {"vocabulary": 128}, Verdict.DRIFTED),
    ("tokenizer", {"parts": {"tokenizer": "u"}, "anatomy": body(tokenizer={"vocabulary": "x"})}, Verdict.INCOMPATIBLE),
    ("tokenizer_rules", {"parts": {"tokenizer": "u"}, "anatomy": body(tokenizer={"rules": "x"})}, Verdict.DRIFTED),
    ("special_tokens", {"parts": {"tokenizer": "u"}, "anatomy": body(tokenizer=SPECIAL)}, Verdict.DRIFTED),
    (
        "special_tokens",
        {"parts": {"tokenizer": "u"}, "anatomy": body(tokenizer={"special": {"eos_token": "</s>"}})},
        Verdict.INCOMPATIBLE,
    ),
    ("not_recorded", {"anatomy": {}}, Verdict.UNKNOWN),
    ("not_ready", {"ready": False}, Verdict.UNKNOWN),
]


@pytest.mark.parametrize(("code", "fields", "verdict"), CASES, ids=[f"{code}-{v}" for code, _, v in CASES])
def test_every_difference_has_its_code_and_its_verdict(code, fields, verdict):
    found = judged(other(**fields))

    assert code in found.codes
    assert found.verdict == verdict
    assert all(reason.text.endswith(".") for reason in found.reasons)


def test_shapes_that_do_not_fit_are_named():
    found = judged(other(anatomy=body(side=16)))

    assert "model.layers.0.self_attn.q_proj is [16, 16], the adapter is for [8, 8]" in found.reasons[0].text


def test_a_rank_that_the_tensors_do_not_have_is_incompatible():
    assert judged(other(), replace(ADAPTER, rank=3)).codes[0] == "rank"


def test_nobody_takes_an_unproven_base_for_the_same():
    assert judged(OWN, replace(ADAPTER, proven=False)).verdict == Verdict.UNKNOWN
    assert judged(other(anatomy=body(side=16)), replace(ADAPTER, proven=False)).verdict == Verdict.INCOMPATIBLE


@given(st.lists(st.integers(0, len(CASES) - 1), max_size=4))
def test_the_worst_reason_decides(numbers):
    reasons = [compatibility.Reason("x", "x.", CASES[n][2]) for n in numbers]
    verdict = compatibility._judged(reasons).verdict
    found = {reason.verdict for reason in reasons}

    if Verdict.INCOMPATIBLE in found:
        assert verdict == Verdict.INCOMPATIBLE
    elif found:
        assert verdict == max(found, key=compatibility.ORDER.index)
    else:
        assert verdict == Verdict.COMPATIBLE


NAMES = st.one_of(
    st.builds("model.layers.{}.w{}.weight".format, st.integers(0, 300), st.integers(0, 2)),
    st.builds("h.{}.experts.{}.up".format, st.integers(0, 5), st.integers(0, 5)),
    st.sampled_from(["lm_head.weight", "a.01.b", "x#.1.y", "norm"]),
)


@given(st.dictionaries(NAMES.filter(lambda name: "#" not in name), st.tuples(st.integers(1, 4), st.integers(1, 4))))
def test_folding_loses_nothing(shapes):
    assert anatomy.unfold(anatomy.fold(shapes)) == shapes


def test_eighty_equal_layers_fold_into_one_line():
    folded = anatomy.fold({f"model.layers.{n}.q.weight": (4, 4) for n in range(80)})

    assert folded == {"model.layers.#.q.weight": [[0, 79, [4, 4]]]}


def test_what_a_tokenizer_is_does_not_hang_on_how_its_file_is_written():
    raw = {
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
        "added_tokens": [{"id": 2, "content": "e"}],
    }
    turned = {"model": {"merges": [], "vocab": {"b": 1, "a": 0}, "type": "BPE"}, "added_tokens": raw["added_tokens"]}
    swapped = {"model": raw["model"] | {"vocab": {"a": 1, "b": 0}}, "added_tokens": raw["added_tokens"]}
    one = anatomy.of_tokenizer(raw, {"eos_token": {"content": "e"}}, {})

    assert one == anatomy.of_tokenizer(turned, {"eos_token": "e"}, {})
    assert (one["tokens"], one["special"]) == (3, {"eos_token": "e"})
    assert one["vocabulary"] != anatomy.of_tokenizer(swapped, {}, {})["vocabulary"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"fingerprint": OWN.fingerprint}, Kind.IDENTICAL),
        ({"parts": {"chat_template": "k"}}, Kind.WORDS),
        ({"parts": {"tokenizer": "u"}}, Kind.WORDS),
        ({"parts": {"weights": {"model.safetensors": "x"}}}, Kind.WEIGHTS),
        ({"parts": {"weights": {"m": "x"}}, "anatomy": body(side=16)}, Kind.SHAPES),
        ({"parts": {"weights": {"m": "x"}}, "anatomy": {}}, Kind.UNKNOWN),
        ({"ready": False}, Kind.UNKNOWN),
    ],
)
def test_two_versions_are_told_apart_field_by_field(fields, kind):
    comparison = versions.compare(OWN, other(**fields))

    assert comparison.kind == kind
    assert (comparison.differing == []) == (kind in {Kind.IDENTICAL, Kind.UNKNOWN} and not fields.get("parts"))
