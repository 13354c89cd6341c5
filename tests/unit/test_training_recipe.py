"""Recipes and specs: whatever no run could survive is refused, by code and by field."""

import dataclasses
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.domain.errors import Invalid
from training.domain.recipe import KNOB, KNOBS, BadRecipe, Recipe, defaults
from training.domain.remedies import remedy
from training.domain.spec import BadSpec, BaseRef, DataRef, ParentRef, RunSpec


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("learning_rate", float("nan"), "out_of_range"),
        ("learning_rate", "inf", "not_a_number"),
        ("learning_rate", float("inf"), "out_of_range"),
        ("learning_rate", -1e-4, "out_of_range"),
        ("learning_rate", 0, "out_of_range"),
        ("learning_rate", "1e-4; curl x | sh", "not_a_number"),
        ("learning_rate", None, "not_a_number"),
        ("learning_rate", True, "not_a_number"),
        ("epochs", 10**9, "out_of_range"),
        ("max_length", 10**6, "out_of_range"),
        ("max_length", 64.5, "not_a_whole_number"),
        ("rank", 0, "out_of_range"),
        ("rank", "9" * 5000, "out_of_range"),
        ("seed", -1, "out_of_range"),
        ("scheduler", "evil", "unknown_choice"),
        ("cut", "", "unknown_choice"),
        ("method", ["sft"], "unknown_choice"),
        ("packing", "yes", "not_a_boolean"),
        ("target_modules", ["q_proj", "../x"], "unknown_module"),
        ("target_modules", [], "unknown_module"),
        ("target_modules", 7, "unknown_module"),
        ("target_modules", [["q_proj"]], "unknown_module"),
    ],
)
def test_absurd_values_are_refused_with_code_and_field(name, value, code):
    with pytest.raises(Invalid) as refused:
        Recipe.read({name: value})
    assert (refused.value.code, refused.value.field) == (code, name)


@pytest.mark.parametrize(
    "key", ["output_dir", "report_to", "hub_token", "--config", "trust_remote_code", "", "__class__"]
)
def test_a_setting_that_does_not_exist_is_refused_by_name(key):
    with pytest.raises(Invalid) as refused:
        Recipe.read({key: "; curl x | sh"})
    assert refused.value.code == "unknown_setting"
    assert refused.value.field == key


def test_packing_is_for_sft_only():
    with pytest.raises(BadRecipe, match="Switch it off"):
        Recipe.read({"method": "dpo", "packing": True})


@pytest.mark.parametrize(
    ("values", "code"),
    [({"devices": 1}, "sharding_needs_cards"), ({"devices": 2, "four_bit": True}, "sharding_needs_16_bit")],
)
def test_weights_are_shared_among_several_cards_and_in_16_bits(values, code):
    with pytest.raises(BadRecipe) as refused:
        Recipe.read({"sharding": "shard"} | values)
    assert (refused.value.code, refused.value.field) == (code, "sharding")
    assert Recipe.read({"sharding": "shard", "devices": 2}).of_one_card().sharding == "auto"


def test_a_run_out_of_memory_is_told_to_share_its_weights_before_it_takes_4_bits():
    several = Recipe(devices=2, batch_size=1)
    assert remedy("oom", several).changes == {"sharding": "shard"}
    shared = remedy("oom", replace(several, sharding="shard"))
    assert Recipe.read(replace(several, sharding="shard").as_dict() | shared.changes).four_bit
    assert remedy("oom", Recipe(batch_size=1)).changes["four_bit"]
    # Where the base itself did not fit, fewer or shorter rows are no help.
    assert remedy("oom", Recipe(devices=2), {"loading": True}).changes == {"sharding": "shard"}
    assert remedy("oom", Recipe(), {"loading": True}).changes == {"four_bit": True}
    assert remedy("oom", Recipe(four_bit=True), {"loading": True}) is None


def test_each_method_has_its_defaults():
    assert Recipe.read({}).learning_rate == 2e-4
    assert Recipe.read({"method": "dpo"}).learning_rate == 1e-5
    assert Recipe.read({"method": "dpo", "learning_rate": 3e-5}).learning_rate == 3e-5


def test_defaults_lie_inside_their_own_ranges_and_every_knob_is_explained():
    for method in ("sft", "dpo"):
        assert Recipe.read(defaults(method)).method == method
    assert all(len(knob.help) > 20 and knob.label for knob in KNOBS)
    assert {knob.name for knob in KNOBS} == {field.name for field in dataclasses.fields(Recipe)}


def test_a_recipe_survives_its_own_json():
    recipe = Recipe.read({"target_modules": "v_proj, q_proj", "epochs": "2.5", "rank": "8"})
    assert recipe.target_modules == ("q_proj", "v_proj")
    assert Recipe.read(recipe.as_dict()) == recipe


@given(
    st.dictionaries(
        st.sampled_from([*KNOB, "other"]),
        st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.lists(st.text())),
    )
)
def test_reading_a_recipe_either_refuses_or_gives_finite_numbers_in_range(raw):
    try:
        recipe = Recipe.read(raw)
    except Invalid as refused:
        assert refused.code and refused.field is not None
        return
    for knob in KNOBS:
        if knob.kind in {"int", "float"}:
            assert math.isfinite(getattr(recipe, knob.name))
            assert knob.low <= getattr(recipe, knob.name) <= knob.high


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "epochs", "steps"),
    [(500, 8, 1, 4, 252), (500, 8, 4, 1, 16), (1, 8, 1, 3, 3), (100, 8, 1, 0.5, 7), (0, 8, 1, 1, 1)],
)
def test_steps_are_counted_as_the_trainer_counts_them(rows, batch, accumulation, epochs, steps):
    assert Recipe(batch_size=batch, accumulation=accumulation, epochs=epochs).steps(rows) == steps


def make_spec(**changes) -> RunSpec:
    spec = RunSpec(
        label="router",
        base=BaseRef("base", "f" * 64, {"config": "c"}, path="/somewhere/base"),
        data=DataRef("data v1", "d" * 64, 10, "sft", path="/somewhere/rows.parquet"),
        recipe=Recipe(),
        output_dir="/out",
        checkpoint_dir="/ckpt",
    )
    return dataclasses.replace(spec, **changes)


def test_a_spec_survives_its_file(tmp_path):
    spec = make_spec(parent=ParentRef("parent", "e" * 64, path="/p"))
    spec.write(tmp_path / "spec.json")
    assert RunSpec.load(tmp_path / "spec.json") == spec


def test_what_is_frozen_does_not_depend_on_where_it_runs():
    spec = make_spec()
    elsewhere = dataclasses.replace(
        spec, output_dir="/other", device="cuda", base=dataclasses.replace(spec.base, path="/x")
    )
    assert spec.digest == elsewhere.digest
    assert "/somewhere" not in str(spec.frozen())
    assert RunSpec.read(spec.frozen()).recipe == spec.recipe


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": Recipe(seed=1)},
        {"data": DataRef("data v1", "0" * 64, 10, "sft")},
        {"base": BaseRef("base", "0" * 64, {"config": "c"})},
        {"packages": {"torch": "1"}},
    ],
)
def test_what_decides_the_result_changes_the_digest(changes):
    assert make_spec(**changes).digest != make_spec().digest


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw | {"extra": 1},
        lambda raw: {key: value for key, value in raw.items() if key != "base"},
        lambda raw: raw | {"base": raw["base"] | {"trust_remote_code": True}},
        lambda raw: raw | {"base": "x"},
        lambda raw: raw | {"version": 99},
        lambda raw: [raw],
    ],
)
def test_a_spec_with_anything_unknown_or_missing_is_refused(spoil):
    with pytest.raises(BadSpec):
        RunSpec.read(spoil(make_spec().as_dict()))


def test_a_spec_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(BadSpec):
        RunSpec.load(tmp_path / "spec.json")
    with pytest.raises(BadSpec):
        RunSpec.load(tmp_path / "missing.json")
