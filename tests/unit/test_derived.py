"""Derived models: how they are laid out, what they take, what is wrong with one, and when it may be called equal."""

import math
from dataclasses import replace

import numpy
import pytest

from evaluation.domain import equivalence, statistics
from training import archives
from training.domain import bom, derived, faithful, model_card, proofs
from training.domain.derived import Kind, Stored
from training.domain.faithful import Layer
from training.domain.proofs import Fault, Observation

# Layout

SHAPES = {
    "model.embed_tokens.weight": (100, 64),
    "model.layers.0.self_attn.q_proj.weight": (64, 64),
    "model.layers.0.mlp.gate.weight": (8, 64),
    "model.layers.0.mlp.down_proj.weight": (64, 40),
    "model.layers.0.input_layernorm.weight": (64,),
    "lm_head.weight": (100, 64),
}


@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        (Kind.MERGED, set()),
        (Kind.INT8, {"model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.down_proj.weight"}),
        (Kind.INT4, {"model.layers.0.self_attn.q_proj.weight"}),  # 40 inputs are no whole groups of 32
    ],
)
def test_only_linear_layers_of_blocks_are_packed(kind, packed):
    assert {name for name, shape in SHAPES.items() if derived.is_quantised(name, shape, kind)} == packed


def test_a_loader_is_told_what_is_not_packed():
    left = derived.left_alone(SHAPES, Kind.INT4)

    assert {"lm_head", "model.layers.0.mlp.gate", "model.layers.0.mlp.down_proj"} <= set(left)
    assert "model.layers.0.self_attn.q_proj" not in left
    config = derived.quantisation_config(Kind.INT4, left)
    assert (config["format"], config["config_groups"]["group_0"]["weights"]["group_size"]) == ("pack-quantized", 32)
    assert derived.quantisation_config(Kind.INT8, left)["config_groups"]["group_0"]["weights"]["strategy"] == "channel"


def test_bytes_are_known_before_anything_is_written():
    name, tensor = "model.layers.0.self_attn.q_proj.weight", Stored("BF16", (64, 64))

    assert derived.sizes(name, tensor, Kind.MERGED) == 64 * 64 * 2
    assert derived.sizes(name, tensor, Kind.INT8) == 64 * 64 + 64 * 2 + 16
    assert derived.sizes(name, tensor, Kind.INT4) == 64 * 64 // 2 + 64 * 2 * 2 + 16


def test_weights_are_cut_into_files_and_a_large_one_stands_alone():
    assert derived.shards([("a", 3), ("b", 3), ("c", 10), ("d", 1)], most=6) == [["a", "b"], ["c"], ["d"]]
    assert derived.shard_name(0, 1) == "model.safetensors"
    assert derived.shard_name(1, 3) == "model-00002-of-00003.safetensors"


def test_what_it_takes_is_learned_from_what_earlier_ones_took():
    guess = derived.needs(10**9, 10**9, [])
    known = derived.needs(10**9, 10**9, [(10**9, 100.0), (10**9, 50.0), (10**9, 80.0)])

    assert guess.measured == 0 and guess.seconds[0] < guess.seconds[1] < guess.seconds[2]
    assert (known.measured, known.seconds[1]) == (3, 80.0)
    assert known.seconds[0] <= 80.0 <= known.seconds[2]
    assert derived.expected_bytes(16 * 10**9, 0.9, Kind.INT4) < derived.expected_bytes(16 * 10**9, 0.9, Kind.INT8)


# Faithful to base and adapter. Layers are made from numbers, as the engine makes them from tensors.


def layer(base, added, there, *, name="layers.0.q_proj", packed=False, dtype="F32", noise=0.0):
    def dot(one, other):
        return float((one * other).sum())

    whole = base + added
    moved = there - base
    return Layer(
        name=name, dtype=dtype, packed=packed, count=base.size, merged=dot(whole, whole), shared=dot(there, whole),
        off=dot(there - whole, there - whole), wanted=dot(added, added), along=dot(moved, added),
        moved=dot(moved, moved), noise=noise,
    )  # fmt: skip


RNG = numpy.random.default_rng(0)
BASES = [RNG.normal(size=(64, 64)) for _ in range(8)]
ADDED = [0.1 * RNG.normal(size=(64, 64)) for _ in range(8)]
OTHER = [0.1 * RNG.normal(size=(64, 64)) for _ in range(8)]


def rounded(values, step):
    return numpy.round(values / step) * step


def layers(change, kind=Kind.MERGED):
    """Eight layers as `change(number, base, added)` makes them, packed with a step where the kind packs."""
    step = {Kind.INT8: 0.02, Kind.INT4: 0.3}.get(kind)
    found = []
    for n, (base, added) in enumerate(zip(BASES, ADDED, strict=True)):
        there = change(n, base, added)
        there = rounded(there, step) if step else there
        noise = step**2 / 12 * base.size if step else 0.0
        found.append(layer(base, added, there, name=f"layers.{n}.q_proj", packed=bool(step), noise=noise))
    return found


ALL = pytest.mark.parametrize("kind", list(Kind))


@ALL
def test_an_honest_model_is_left_alone(kind):
    assert faithful.about_layers(layers(lambda n, base, added: base + added, kind), kind) is None


@ALL
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda n, base, added: base, Fault.NOT_APPLIED),
        (lambda n, base, added: base + 2 * added, Fault.WRONG_SCALING),
        (lambda n, base, added: base + 0.5 * added, Fault.WRONG_SCALING),
        (lambda n, base, added: base - added, Fault.WRONG_SCALING),
        (lambda n, base, added: base + OTHER[n] * 4, Fault.OTHER_ADAPTER),
    ],
)
def test_what_was_merged_instead_is_named(kind, change, fault):
    found = faithful.about_layers(layers(change, kind), kind)

    assert found is not None and found.fault == fault, found


@pytest.mark.parametrize("kind", [Kind.INT8, Kind.INT4])
def test_wrong_scales_of_packed_layers_are_named(kind):
    every = faithful.about_layers(layers(lambda n, base, added: 2 * (base + added), kind), kind)
    one = faithful.about_layers(layers(lambda n, base, added: (1.3 if n == 3 else 1) * (base + added), kind), kind)

    assert (every.fault, one.fault) == (Fault.WRONG_QUANTISATION, Fault.WRONG_QUANTISATION)
    assert "layers.3" in one.text and "1.3 times" in one.text


@ALL
def test_damage_to_one_layer_has_its_name(kind):
    def change(n, base, added):
        there = base + added
        if n == 5:
            there = there.copy()
            there[3, 7] += 60
        return there

    found = faithful.about_layers(layers(change, kind), kind)

    assert found.fault == Fault.FLIPPED_BIT and "layers.5" in found.text


def test_tensors_beside_the_adapter_tell_the_base():
    good = layers(lambda n, base, added: base + added)
    beside = [layer(base, 0 * base, base * 1.01, name=f"norm.{n}") for n, base in enumerate(BASES)]
    sound = [layer(base, 0 * base, base, name=f"norm.{n}") for n, base in enumerate(BASES)]

    assert faithful.about_layers(good + beside, Kind.MERGED).fault == Fault.OTHER_BASE
    assert faithful.about_layers(good + sound[1:] + beside[:1], Kind.MERGED).fault == Fault.FLIPPED_BIT
    assert faithful.about_layers(good + sound, Kind.MERGED) is None


def test_what_sixteen_bits_cannot_hold_is_no_fault():
    found = [replace(one, dtype="BF16", off=(2**-9) ** 2 * one.merged) for one in layers(lambda n, b, a: b + a)]

    assert faithful.about_layers(found, Kind.MERGED) is None
    assert 0 < faithful.summary(found, Kind.MERGED)["lost_in_rounding"] < 0.1


def test_a_tensor_that_is_not_the_one_that_was_made_has_its_name():
    assert faithful.about_hashes({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) is None
    found = faithful.about_hashes({"a": "1", "b": "2"}, {"a": "1", "b": "3"})
    assert found.fault == Fault.FLIPPED_BIT and "b" in found.text


PAIR = Observation([[1, 2]], [[3]], [-1.0, -2.0, -3.0], [-0.2, -3.0, -1.0], "cpu float32")


@pytest.mark.parametrize(
    ("seen", "stored", "kind", "fault"),
    [
        ([-0.2, -3.0, -1.0], None, Kind.MERGED, None),
        ([-0.2, -3.0, -1.0], [-0.2, -3.0, -1.0], Kind.MERGED, None),
        ([-1.0, -2.0, -3.0], None, Kind.MERGED, Fault.NOT_APPLIED),
        ([-1.0, -2.0, -3.0], None, Kind.INT4, Fault.NOT_APPLIED),
        ([-0.3, -3.0, -1.1], None, Kind.MERGED, Fault.EFFECT_DIFFERS),
        ([-0.3, -2.9, -1.1], None, Kind.INT4, None),
        ([0.9, -4.2, 1.5], None, Kind.INT4, Fault.EFFECT_DIFFERS),
        ([-0.3, -2.9, -1.1], [-0.4, -2.9, -1.1], Kind.INT4, Fault.EFFECT_DIFFERS),
        ([math.nan, -3.0, -1.0], None, Kind.INT8, Fault.NOT_APPLIED),
        ([-0.2], None, Kind.INT8, Fault.NOT_APPLIED),
    ],
)
def test_what_it_says_is_held_against_base_adapter_and_itself(seen, stored, kind, fault):
    found = faithful.about_effect(seen, PAIR, stored, kind, "F32")

    assert (found.fault if found else None) == fault, found


def test_a_base_in_sixteen_bits_may_round():
    assert faithful.about_effect([-0.25, -3.05, -1.05], PAIR, None, Kind.MERGED, "BF16") is None
    assert proofs.FLOORS["bfloat16"] < PAIR.effect


def test_modules_find_their_tensors():
    base = {"model.layers.0.q.weight": (4, 4), "model.layers.1.q.weight": (4, 4), "lm_head.weight": (9, 4)}
    names = [f"base_model.model.{place}.lora_A.weight" for place in ("layers.1.q", "model.layers.0.q", "gone")]

    assert faithful.places(base, dict.fromkeys(names, (2, 4))) == {
        "layers.1.q": "model.layers.1.q.weight",
        "model.layers.0.q": "model.layers.0.q.weight",
    }


# Equal, worse, better


@pytest.mark.parametrize(
    ("low", "high", "judgement"),
    [
        (-0.01, 0.01, "equal"), (-0.02, 0.02, "equal"), (-0.015, -0.001, "equal"), (-0.05, -0.03, "worse"),
        (-0.05, -0.01, "worse"), (0.03, 0.08, "better"), (-0.03, 0.01, "cannot_say"), (-0.5, 0.5, "cannot_say"),
    ],
)  # fmt: skip
def test_equal_is_only_what_the_whole_interval_says(low, high, judgement):
    assert equivalence.judge(low, high, 0.02).value == judgement


def items(pairs):
    return [
        {"scores": {"adapter": {"exact_match": a}, "derived": {"exact_match": b}},
         "adapter_output": str(a), "derived_output": str(b)}
        for a, b in pairs
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "equal"), [(188, False), (189, True), (500, True)])
def test_rows_that_all_stay_as_they_were_prove_equality_once_there_are_enough(n, equal):
    found = equivalence.summary(items([(1.0, 1.0)] * n), ["exact_match"], "exact_match", 0.02, 0)

    assert (found["judgement"] == "equal") is equal
    assert equivalence.rows_needed(0.02) == 189


def test_figures_are_those_of_the_paired_rows():
    pairs = [(1.0, 1.0)] * 90 + [(1.0, 0.0)] * 8 + [(0.0, 1.0)] * 2
    lead = equivalence.summary(items(pairs), ["exact_match"], "exact_match", 0.02, 0)["graders"]["exact_match"]

    assert (lead["adapter"], lead["derived"], lead["difference"]) == (0.98, 0.92, -0.06)
    assert (lead["gains"], lead["losses"], lead["p_value"]) == (2, 8, round(statistics.mcnemar(2, 8), 6))
    assert lead["low"] < -0.06 < lead["high"] and lead["adapter_low"] < 0.98 < lead["adapter_high"]
    words = equivalence.verdict(lead, "exact_match", 0.02)
    assert "98.0 %" in words.sentence and "92.0 %" in words.sentence


@pytest.mark.parametrize(("gains", "losses", "n"), [(0, 0, 200), (5, 5, 100), (1, 12, 44), (0, 3, 1_000)])
def test_the_score_interval_of_paired_shares(gains, losses, n):
    """Nothing changed: z² / (n + z²) to both sides. Otherwise it turns with its sides, and its ends lie apart as a
    normal interval's do where many rows changed."""
    low, high = statistics.score_interval(gains, losses, n)
    z = statistics.Z

    assert low < (gains - losses) / n < high or gains == losses == 0
    assert statistics.score_interval(losses, gains, n) == pytest.approx((-high, -low))
    if not gains and not losses:
        assert (low, high) == pytest.approx((-(z**2) / (n + z**2), z**2 / (n + z**2)))
    else:
        wald = 2 * z * math.sqrt(gains + losses - (gains - losses) ** 2 / n) / n
        assert high - low == pytest.approx(wald, rel=0.5)


def test_of_models_that_are_worse_by_the_margin_one_in_twenty_is_called_equal_at_most():
    """How often the whole interval lies within the margin anyway; bootstrap and exact shares only widen it."""
    rng, called = numpy.random.default_rng(1), 0
    for _ in range(600):
        lost = rng.random(400) < 0.025
        gained = ~lost & (rng.random(400) < 0.005)
        interval = statistics.score_interval(int(gained.sum()), int(lost.sum()), 400)
        called += equivalence.judge(*interval, 0.02) is equivalence.Judgement.EQUAL
    assert called / 600 <= 0.05


# Downloads, cards, bills


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None), ("bytes=0-9", (0, 10)), ("bytes=90-", (90, 10)), ("bytes=-10", (90, 10)), ("bytes=-500", (0, 100)),
        ("bytes=5-2", None), ("bytes=0-1,5-6", None), ("bytes=-", None), ("rows=1-2", None),
        ("bytes=50-9999", (50, 50)),
    ],
)  # fmt: skip
def test_ranges_as_clients_ask_for_them(header, found):
    assert archives.span(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_that_is_not_there(header):
    with pytest.raises(ValueError, match="bytes"):
        archives.span(header, 100)


def test_hostile_names_stay_text_in_a_card():
    import yaml

    name = 'x\n---\nlicense: mit\n"| <script>'
    front = model_card.front_matter(base=name, relation="merge", library="transformers", tags=["lora"], datasets=[name])
    card = model_card.render(front, name, "words", {"Base": name})
    read = yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))

    assert (read["base_model"], read["datasets"]) == (name, [name])
    assert "license" not in read
    assert "\\|" in card and card.count("\n---\n") == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("apache-2.0", [{"license": {"id": "Apache-2.0"}}]),
        ("MIT", [{"license": {"id": "MIT"}}]),
        ("llama3.1", [{"license": {"name": "llama3.1"}}]),
        ("openrail", [{"license": {"name": "OpenRAIL"}}]),
        ("", []),
    ],
)
def test_licences_as_bills_name_them(name, told):
    assert bom.licences(name) == told
