"""What was loaded and is not what was made has a name; what was made has none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories.model_files import CONFIG, pair_weights, tensors
from training.domain import proofs
from training.domain.proofs import Fault, Observation, Sketch
from training.engine import sketch

LAYER = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"


def written(folder: Path, weights, **config) -> Sketch:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(tensors(weights))
    return Sketch.read(sketch.of_file(path, CONFIG | config))


@pytest.fixture
def made():
    return {name: values.astype("f4") for name, values in pair_weights(rank=8, layers=6).items()}


def flipped(made, layer, half, at):
    changed = {name: values.copy() for name, values in made.items()}
    changed[LAYER.format(layer, half)].view("u4").flat[at] ^= 1
    return changed


def cut(made, kept, zeros=False):
    found = {}
    for name, values in made.items():
        rows = (slice(kept), slice(None)) if "lora_A" in name else (slice(None), slice(kept))
        found[name] = values[rows]
        if zeros:
            found[name] = np.zeros_like(values)
            found[name][rows] = values[rows]
    return found


def test_a_sketch_is_the_same_for_the_same_weights_whatever_the_file_looks_like(made, tmp_path):
    turned = dict(reversed(made.items()))

    assert written(tmp_path, made) == written(tmp_path, turned)
    assert proofs.about_weights(written(tmp_path, made), written(tmp_path, turned)) is None


@pytest.mark.parametrize(("layer", "half", "at"), [(0, "A", 0), (5, "B", 47), (3, "A", 63), (2, "B", 8)])
def test_one_flipped_bit_is_named_with_its_layer(made, tmp_path, layer, half, at):
    found = proofs.about_weights(written(tmp_path, made), written(tmp_path, flipped(made, layer, half, at)))

    assert found is not None
    assert found.fault == Fault.FLIPPED_BIT
    assert f"layers.{layer}." in found.text


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("kept", [1, 4, 7])
def test_a_cut_rank_is_named_whether_it_is_gone_or_zero(made, tmp_path, kept, zeros):
    less = written(tmp_path, cut(made, kept, zeros), r=8 if zeros else kept, lora_alpha=4 if zeros else kept / 2)
    found = proofs.about_weights(written(tmp_path, made), less)

    assert found is not None
    assert found.fault == Fault.RANK_CUT
    assert f"Only {kept} of its 8" in found.text


def test_other_weights_are_another_adapter(made, tmp_path):
    other = written(tmp_path, pair_weights(rank=8, layers=6, seed=1))
    smaller = written(tmp_path, pair_weights(rank=4, layers=6, seed=1), r=4)
    mine = written(tmp_path, made)

    assert [proofs.about_weights(mine, one).fault for one in (other, smaller)] == [Fault.OTHER_ADAPTER] * 2


@pytest.mark.parametrize("change", [{"lora_alpha": 8}, {"use_rslora": True}])
def test_another_scale_is_named(made, tmp_path, change):
    found = proofs.about_weights(written(tmp_path, made), written(tmp_path, made, **change))

    assert found is not None
    assert found.fault == Fault.WRONG_SCALING


def test_no_layer_that_carries_it_is_an_adapter_that_is_not_applied(made, tmp_path):
    empty = Sketch(0, {}, [], [])

    assert proofs.about_weights(written(tmp_path, made), empty).fault == Fault.NOT_APPLIED


SAID = Observation([[1, 2, 3]], [[4, 5]], [-1.0, -2.0, -3.0], [-1.5, -2.0, -0.5], "cpu float32")
LOGS = st.lists(st.floats(-30, 0), min_size=3, max_size=3)


@given(LOGS, LOGS, st.floats(-1e-4, 1e-4))
def test_what_says_the_same_is_never_alarmed_about(base, adapter, noise):
    stored = replace(SAID, base=base, adapter=adapter)
    seen = replace(stored, base=[v + noise for v in base], adapter=[v + noise for v in adapter])
    found = proofs.about_effect(seen, stored)

    assert found is None or (found.fault in {Fault.NO_EFFECT, Fault.NOT_APPLIED} and stored.effect < 3e-4)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"base": [-1.0, -2.1, -3.0]}, Fault.OTHER_BASE),
        ({"adapter": SAID.base}, Fault.NOT_APPLIED),
        ({"adapter": [-1.5, -2.0, -0.6]}, Fault.EFFECT_DIFFERS),
        ({"base": [float("nan")] * 3}, Fault.OTHER_BASE),
    ],
)
def test_what_the_model_says_names_the_rest(change, fault):
    assert proofs.about_effect(replace(SAID, **change), SAID).fault == fault


def test_an_adapter_that_never_did_anything_is_not_blamed_on_the_load():
    idle = replace(SAID, adapter=SAID.base)

    assert proofs.about_effect(idle, None).fault == Fault.NO_EFFECT
    assert proofs.about_effect(idle, idle).fault == Fault.NO_EFFECT


def test_on_another_base_only_weights_and_effect_are_judged():
    elsewhere = replace(SAID, base=[-9.0, -9.0, -9.0])
    weights = Sketch(1, {"a": "x"}, ["c"], [2.0])

    assert proofs.judge(weights, weights, SAID, elsewhere, own_base=False) == []
    assert [one.fault for one in proofs.judge(weights, weights, SAID, elsewhere)] == [Fault.OTHER_BASE]


def test_noise_that_was_measured_widens_what_is_allowed():
    noisy = replace(SAID, noise=0.02)

    assert proofs.about_effect(replace(SAID, base=[-1.1, -2.1, -3.1]), noisy) is None
    assert replace(SAID, numerics="cuda bfloat16").tolerance > SAID.tolerance
