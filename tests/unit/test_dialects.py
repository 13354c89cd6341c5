"""Specs of TRL, Axolotl and LLaMA-Factory: written from our recipes, read into them, refused in plain words."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.domain import dialects
from training.domain.dialects import About
from training.domain.dialects.notes import Kind
from training.domain.knobs import ALL_LINEAR, KNOBS, MODULES, Method
from training.domain.recipe import Recipe

pytestmark = pytest.mark.slow  # properties, and children under limits: whole seconds together

SPECS = Path(__file__).resolve().parents[1] / "factories" / "specs"
TOOLS = ["trl", "axolotl", "llama_factory"]
ABOUT = About("Tickets, first try", "acme/base", "a1b2c3", "f" * 64, "Tickets v3", "c" * 64, 120)
# What a tool has no word for; all other knobs must come back as they went.
WORDLESS = {"pace", "devices", "sharding"}


def strategy(knob):
    match knob.kind:
        case "int":
            return st.integers(int(knob.low), int(knob.high))
        case "float":
            return st.floats(knob.low, knob.high, allow_nan=False)
        case "bool":
            return st.booleans()
        case "modules":
            return st.one_of(st.just((ALL_LINEAR,)), st.lists(st.sampled_from(MODULES), min_size=1, unique=True))
    return st.sampled_from([name for name, _ in knob.choices])


@st.composite
def recipes(draw):
    method = draw(st.sampled_from(list(Method)))
    values = {knob.name: draw(strategy(knob)) for knob in KNOBS if method in knob.methods}
    if values["devices"] == 1 or values["four_bit"]:
        values["sharding"] = draw(st.sampled_from(["auto", "replicate"]))
    return Recipe.read(values | {"method": method.value})


def carried(tool: str, recipe: Recipe) -> set[str]:
    """Knobs of the method that the tool has a word for at the value they have."""
    names = {knob.name for knob in KNOBS if recipe.method in knob.methods} - WORDLESS
    if tool != "axolotl" and (tool != "trl" or recipe.cut == "drop"):
        names -= {"cut"}
    return names


@pytest.mark.parametrize("tool", TOOLS)
@given(recipe=recipes())
@example(recipe=Recipe())
@example(recipe=Recipe(warmup=0.0, learning_rate=1e-08, epochs=0.01, seed=2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_recipe_comes_back_from_every_tool(tool, recipe):
    written = dialects.write(tool, recipe, ABOUT)
    reading = dialects.read(written.text)

    assert (reading.dialect, reading.refused) == (tool, [])
    back = Recipe.read(reading.recipe)
    names = carried(tool, recipe)
    assert {name: getattr(back, name) for name in names} == {name: getattr(recipe, name) for name in names}
    assert (reading.base, reading.revision) == ("acme/base", "a1b2c3")


@given(recipe=recipes())
@settings(max_examples=60, deadline=None)
def test_our_own_spec_loses_nothing(recipe):
    reading = dialects.read(dialects.write("luthier", recipe, ABOUT).text)

    assert reading.refused == []
    assert Recipe.read(reading.recipe) == recipe
    assert (reading.base, reading.fingerprint, reading.data) == ("acme/base", "f" * 64, "Tickets v3")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_rows_of_a_step_stand_in_every_file(tool):
    written = dialects.write(tool, Recipe(batch_size=4, accumulation=6), ABOUT)

    assert "4 rows at once × 6 accumulated × 1 GPU = 24 a step" in written.text
    assert written.batch.rows == 24


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_tool_cannot_say_is_said_in_words(tool):
    written = dialects.write(tool, Recipe(pace="library"), ABOUT)

    assert "pace" in {one.knob for one in written.lost}
    assert all(one.text in written.text for one in written.lost)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_name_cannot_leave_the_comment_it_stands_in(tool):
    wicked = About("a\ntrust_remote_code: true", "b: [", data="x\u2028y: 1", content_hash="c", rows=1)

    reading = dialects.read(dialects.write(tool, Recipe(), wicked).text)

    assert (reading.refused, reading.base) == ([], "b: [")
    assert not [note for note in reading.notes if note.key == "trust_remote_code"]


def test_pairs_and_plain_texts_are_told_to_llama_factory():
    pairs = dialects.write("llama_factory", Recipe(method="dpo", learning_rate=1e-5), ABOUT).text
    assert '"tickets_v3": {"file_name": "tickets-v3.jsonl", "formatting": "sharegpt", "ranking": true}' in pairs

    texts = dialects.write("llama_factory", Recipe(), replace(ABOUT, kind="text"))
    assert "stage: pt" in " ".join(one.text for one in texts.lost)


def told(reading, kind):
    return {note.key: note.text for note in reading.of(kind)}


def test_a_file_of_trl_is_read_as_trl_would_run_it():
    reading = dialects.read((SPECS / "trl_sft.yaml").read_text())

    assert (reading.dialect, reading.refused, reading.base) == ("trl", [], "Qwen/Qwen2.5-0.5B-Instruct")
    assert reading.recipe == {
        "method": "sft", "epochs": 1.0, "learning_rate": 2e-4, "rank": 32, "alpha": 16, "dropout": 0.05,
        "target_modules": (ALL_LINEAR,), "batch_size": 2, "accumulation": 8, "max_length": 2048, "cut": "refuse",
        "warmup": 0.1, "scheduler": "cosine", "packing": True, "seed": 42, "checkpoint_steps": 0, "pace": "auto",
        "recompute": "always", "devices": 1, "sharding": "auto", "four_bit": True,
    }  # fmt: skip
    assert "with every checkpoint" in told(reading, Kind.IGNORED)["eval_steps"]
    # What the file leaves to the tool is taken from the tool, and said.
    assert "LoRA dropout: 0.05, which is what TRL takes" in " ".join(note.text for note in reading.translated)


def test_a_file_of_axolotl_with_a_template_of_its_own_is_refused_by_name():
    text = (SPECS / "axolotl_dpo.yaml").read_text()
    reading = dialects.read(text)

    assert {note.key: note.code for note in reading.refused} == {
        "chat_template": "template", "warmup_steps": "steps_not_share"
    }  # fmt: skip
    assert "“llama3” is a template of Axolotl's own" in told(reading, Kind.REFUSED)["chat_template"]
    assert reading.removable == ["chat_template", "warmup_steps"]

    decided = dialects.read(text, without=reading.removable)

    assert decided.refused == []
    assert decided.recipe | {"dropout": 0.05} == decided.recipe
    names = ("method", "beta", "learning_rate", "four_bit", "cut", "warmup")
    assert {name: decided.recipe[name] for name in names} == {
        "method": "dpo", "beta": 0.1, "learning_rate": 5e-6, "four_bit": True, "cut": "refuse", "warmup": 0.03,
    }  # fmt: skip
    assert told(decided, Kind.IGNORED)["chat_template"] == "Left out because you decided so."


def test_a_file_of_llama_factory_names_all_that_is_refused_at_once():
    reading = dialects.read((SPECS / "llama_factory_sft.yaml").read_text())

    assert {note.key: note.code for note in reading.refused} == {
        "trust_remote_code": "remote_code",
        "template": "template",
    }
    assert reading.recipe["target_modules"] == ("q_proj", "v_proj")
    assert (reading.recipe["alpha"], reading.recipe["max_length"]) == (16, 2048)
    assert reading.recipe["checkpoint_steps"] == 500
    assert "smaller version" in told(reading, Kind.IGNORED)["max_samples"]
    assert reading.batch.rows == 8


TRL_BARE = "model_name_or_path: a/b\nuse_peft: true\n"
REFUSALS = {
    "all weights, by leaving LoRA out": ("model_name_or_path: a/b\nlora_r: 8\n", "use_peft", "full_fine_tuning"),
    "all weights, said": ("stage: sft\nfinetuning_type: full\n", "finetuning_type", "full_fine_tuning"),
    "all weights of Axolotl": ("base_model: a/b\nsequence_len: 512\n", "adapter", "full_fine_tuning"),
    "code of a model": (TRL_BARE + "trust_remote_code: true\n", "trust_remote_code", "remote_code"),
    "a typing error": (TRL_BARE + "leraning_rate: 1e-4\n", "leraning_rate", "unknown_key"),
    "another tool's word": (TRL_BARE + "micro_batch_size: 4\n", "micro_batch_size", "unknown_key"),
    "a value out of range": (TRL_BARE + "learning_rate: 7\n", "learning_rate", "out_of_range"),
    "a text for a number": (TRL_BARE + "lora_r: many\n", "lora_r", "not_a_number"),
    "8 bits": (TRL_BARE + "load_in_8bit: true\n", "load_in_8bit", "eight_bit"),
    "steps for epochs": (TRL_BARE + "max_steps: 500\n", "max_steps", "steps_not_epochs"),
    "an unknown curve": (TRL_BARE + "lr_scheduler_type: polynomial\n", "lr_scheduler_type", "unknown_choice"),
    "another loss": (TRL_BARE + "loss_type: [ipo]\nbeta: 0.1\n", "loss_type", "other_loss"),
    "another method": ("stage: ppo\nfinetuning_type: lora\n", "stage", "other_method"),
    "embeddings": (TRL_BARE + "lora_modules_to_save: [lm_head]\n", "lora_modules_to_save", "other_layers"),
    "an older spec of ours": ("version: 0\nrecipe: {rank: 8}\n", "version", "spec_version"),
    "a newer spec of ours": ("version: 9\nrecipe: {rank: 8}\n", "version", "spec_version"),
    "no version": ("recipe: {rank: 8}\n", "version", "spec_version"),
    "an unknown setting of ours": ("version: 1\nrecipe: {rnak: 8}\n", "rnak", "unknown_setting"),
    "a setting without its method": (
        "version: 1\nrecipe: {method: dpo, packing: true}\n",
        "packing",
        "other_method_only",
    ),
    "two that do not agree": ("base_model: a\nadapter: qlora\nload_in_4bit: false\n", "load_in_4bit", "contradiction"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_is_named_with_what_to_do(name):
    text, key, code = REFUSALS[name]

    (note,) = [note for note in dialects.read(text).refused if note.key == key]

    assert note.code == code
    assert len(note.text) > 20


def test_a_key_that_is_nearly_right_comes_with_the_right_one():
    (note,) = dialects.read(TRL_BARE + "leraning_rate: 1e-4\n").refused
    assert "Did you mean “learning_rate”?" in note.text

    (note,) = dialects.read("version: 1\nrecipe: {rnak: 8}\n").refused
    assert "Did you mean “rank”?" in note.text


def test_gpus_of_another_machine_become_accumulation():
    text = TRL_BARE + "per_device_train_batch_size: 4\ngradient_accumulation_steps: 2\n"

    assert dialects.read(text, gpus=8).recipe["accumulation"] == 16
    assert dialects.read(text, gpus=8).batch.rows == 64


def test_the_total_batch_of_axolotl_becomes_accumulation():
    text = "base_model: a\nadapter: lora\nmicro_batch_size: 2\nbatch_size: 16\n"

    assert dialects.read(text).recipe["accumulation"] == 8


def test_lora_on_a_quantised_base_is_qlora_by_any_name():
    for text in ("adapter: qlora\n", "adapter: qlora\nload_in_4bit: true\n", "adapter: lora\nload_in_4bit: true\n"):
        assert dialects.read("base_model: a\n" + text).recipe["four_bit"] is True
    assert dialects.read("base_model: a\nadapter: lora\nload_in_4bit: false\n").recipe["four_bit"] is False


def test_packing_that_lets_rows_see_each_other_is_told():
    text = "stage: sft\nfinetuning_type: lora\npacking: true\n"

    assert "kept apart" in told(dialects.read(text), Kind.TRANSLATED)["packing"]
    assert dialects.read(text + "neat_packing: true\n").recipe["packing"] is True


def test_secrets_in_a_spec_are_not_quoted():
    reading = dialects.read(TRL_BARE + "hub_token: hf_abcdefghijklmnop\n")

    assert "hf_abc" not in repr(reading)
    assert told(reading, Kind.REFUSED).keys() == {"hub_token"}


def test_a_frozen_spec_of_a_run_is_read_as_json():
    base = {"name": "b", "fingerprint": "ff", "parts": {}}
    text = json.dumps({"version": 1, "label": "run 4", "base": base, "recipe": {"rank": 4}})

    reading = dialects.read(text)

    assert (reading.dialect, reading.name, reading.base, reading.recipe["rank"]) == ("luthier", "run 4", "b", 4)


def test_a_text_that_no_tool_writes_asks_whose_it_is():
    with pytest.raises(dialects.UnknownDialect, match="Say whose it is"):
        dialects.read("colour: green\n")
    assert dialects.read(TRL_BARE + "colour: green\n", tool="trl").refused[0].key == "colour"


HELD_OUT = replace(ABOUT, validation="Tickets v3 held out v1", validation_hash="d" * 64)


@pytest.mark.parametrize("tool", ["trl", "axolotl", "llama_factory", "luthier"])
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_validation_data_goes_out_and_comes_back_in_the_words_of_every_tool(tool, method):
    recipe = Recipe.read({"method": method, "checkpoint_steps": 40})
    written = dialects.write(tool, recipe, HELD_OUT)
    again = dialects.read(written.text, tool=tool)
    assert again.refused == []
    # TRL names a folder and a split, the others a file or a name.
    wanted = {
        "trl": "./tickets-v3 validation", "axolotl": "tickets-v3-held-out-v1.jsonl",
        "llama_factory": "tickets_v3_held_out_v1", "luthier": "Tickets v3 held out v1",
    }  # fmt: skip
    assert again.validation == wanted[tool]
    assert (again.validation_hash == "d" * 64) is (tool == "luthier")
    if tool != "luthier":
        assert "40" in written.text.split("eval_steps")[1].split("\n")[0]
        assert "mean over tokens" in " ".join(one.text for one in written.lost)
        assert "tickets-v3-held-out-v1" in written.text or "tickets-v3/validation.jsonl" in written.text


@pytest.mark.parametrize("tool", ["trl", "axolotl", "llama_factory", "luthier"])
def test_without_validation_data_nothing_is_said_of_it(tool):
    written = dialects.write(tool, Recipe(), ABOUT)
    assert "eval" not in written.text and "validation" not in written.text.replace("val_set_size", "")
    assert dialects.read(written.text, tool=tool).validation == ""


def test_a_part_that_a_tool_puts_aside_by_itself_is_named_with_what_to_do():
    text = "base_model: x\nadapter: lora\nlora_target_linear: true\nval_set_size: {}\n"
    told_of = told(dialects.read(text.format(0.05)), Kind.IGNORED)["val_set_size"]
    assert "5% of the rows" in told_of and "Split the version" in told_of
    assert "500 rows" in told(dialects.read(text.format(500)), Kind.IGNORED)["val_set_size"]
    assert "No part" in told(dialects.read(text.format(0)), Kind.TAKEN)["val_set_size"]


def test_a_split_of_trl_is_read_only_where_it_is_asked_for():
    text = "use_peft: true\ndataset_name: org/tickets\ndataset_test_split: test\n"
    assert dialects.read(text).validation == ""
    assert "eval_strategy" in told(dialects.read(text), Kind.IGNORED)["dataset_test_split"]
    asked = dialects.read(text + "eval_strategy: epoch\n")
    assert asked.validation == "org/tickets test"
    assert "held out" in told(dialects.read(text + "eval_strategy: no\n"), Kind.TAKEN)["eval_strategy"]
