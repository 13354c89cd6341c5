"""The loss over validation rows: what a plain computation says, on every way a run may take, and nothing disturbed."""

import json
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engine_runs import Runs, at_step
from demo import tickets
from tests.engine.rows import looked_at_with
from training.domain import looks
from training.domain.spec import DataRef

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
FAST = {"pace": "fast"}
LIBRARY = {"pace": "library"}
SHARED = {"sharding": "shard"}


@pytest.fixture(scope="module")
def runs(make_runs, tmp_path_factory) -> Runs:
    return make_runs(tmp_path_factory.mktemp("validation"))


def turns(role: str, words: int, rng: random.Random) -> list[dict]:
    return [{"role": role, "content": " ".join(rng.choices(["ticket", "help", "refund", "no"], k=words))}]


def pairs(count: int, seed: int) -> list[dict]:
    rng = random.Random(seed)
    return [
        {
            "prompt": turns("user", rng.randint(1, 20), rng),
            "chosen": turns("assistant", rng.randint(1, 12), rng),
            "rejected": turns("assistant", rng.randint(1, 12), rng),
        }
        for _ in range(count)
    ]


TRAINED = {"sft": tickets.routing_sets()[0][:24], "dpo": pairs(24, 1)}
HELD_OUT = {"sft": tickets.routing_sets()[0][100:113], "dpo": pairs(13, 2)}


def told(result) -> dict[int, dict[str, float]]:
    return {event["step"]: event["values"] for event in result.of("validation")}


def run_of(runs: Runs, name: str, method: str = "sft", validation=None, **recipe):
    spec = runs.spec(name, TRAINED[method], epochs=1, **{"method": method, "learning_rate": 1e-2, **recipe})
    return looked_at_with(spec, validation or HELD_OUT[method])


def done(runs: Runs, spec):
    found = runs.run(spec)
    assert found.returncode == 0, found.why + runs.log_of(spec)
    return found


# What the figures are


def load(base: Path, adapter: str = ""):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32").eval()
    return PeftModel.from_pretrained(model, adapter).eval() if adapter else model


def examples(spec) -> list[dict]:
    from contextlib import closing

    from datasets_app.engine.renderer import Renderer
    from datasets_app.engine.rendering import ChatTokenizer
    from training.engine import data

    with closing(Renderer(Path(spec.base.path))) as renderer:
        chat = ChatTokenizer(Path(spec.base.path), renderer)
        preparer = data.Preparer(chat, spec.recipe.max_length, "drop")
        for row in data.read_rows(Path(spec.validation.path)):
            preparer.add(row, preference=spec.recipe.method == "dpo")
    return preparer.done.examples


def plain_loss(model, rows: list[dict]) -> float:
    """Row by row, by the loss that transformers itself computes from labels, weighted by the tokens it is over."""
    import torch

    total = tokens = 0
    for row in rows:
        labels = torch.tensor([row["labels"]])
        count = int((labels[:, 1:] != -100).sum())
        with torch.no_grad():
            total += model(input_ids=torch.tensor([row["input_ids"]]), labels=labels).loss.item() * count
        tokens += count
    return total / tokens


def answer(model, prompt: list[int], said: list[int]) -> float:
    import torch

    labels = torch.tensor([[-100] * len(prompt) + said])
    with torch.no_grad():
        loss = model(input_ids=torch.tensor([prompt + said]), labels=labels).loss.item()
    return -loss * len(said)


def plain_preference(model, base, rows: list[dict], beta: float) -> tuple[float, float]:
    import math

    losses, right = [], 0
    for row in rows:
        chosen, rejected = (
            answer(model, row["prompt_ids"], row[name]) - answer(base, row["prompt_ids"], row[name])
            for name in ("chosen_ids", "rejected_ids")
        )
        margin = beta * (chosen - rejected)
        losses.append(math.log1p(math.exp(-margin)))
        right += margin > 0
    return sum(losses) / len(losses), right / len(losses)


WAYS = {
    "fast": {"batch_size": 8, **FAST},
    "fast packed": {"batch_size": 2, "packing": True, **FAST},
    "library": {"batch_size": 4, "accumulation": 2, **LIBRARY},
    "library packed": {"batch_size": 2, "packing": True, **LIBRARY},
    "library with dropout": {"batch_size": 8, "dropout": 0.2},
}


@pytest.mark.parametrize("name", WAYS)
def test_the_loss_is_that_of_a_plain_computation_row_by_row(runs, name):
    spec = run_of(runs, name, **WAYS[name])
    result = done(runs, spec)
    found, rows = told(result), examples(spec)

    assert min(found) == 0 and max(found) == result.one("result")["steps"]
    assert found[0]["validation_loss"] == pytest.approx(plain_loss(load(runs.base), rows), rel=1e-5)
    trained = load(runs.base, spec.output_dir)
    assert found[max(found)]["validation_loss"] == pytest.approx(plain_loss(trained, rows), rel=1e-5)
    assert found[max(found)]["validation_loss"] < found[0]["validation_loss"]
    assert 0 <= found[0]["validation_token_accuracy"] <= 1
    card = (Path(spec.output_dir) / "README.md").read_text()
    assert f"{found[max(found)]['validation_loss']:.4f} on validation v1" in card
    about = result.one("validation_data")
    assert (about["rows"], about["of"], about["left_out"]) == (13, 13, 0)
    assert about["trained_tokens"] == sum(sum(label != -100 for label in row["labels"][1:]) for row in rows)


@pytest.mark.parametrize("name", ["fast", "library"])
def test_of_pairs_it_is_the_loss_of_the_method_and_the_share_in_the_right_order(runs, name):
    way = {"fast": FAST, "library": LIBRARY}[name]
    spec = run_of(runs, f"dpo {name}", "dpo", batch_size=8, **way)
    result = done(runs, spec)
    found = told(result)

    assert found[0]["validation_loss"] == pytest.approx(0.693147, rel=1e-4)
    loss, right = plain_preference(load(runs.base, spec.output_dir), load(runs.base), examples(spec), 0.1)
    last = found[max(found)]
    assert last["validation_loss"] == pytest.approx(loss, rel=1e-4)
    assert last["validation_reward_accuracy"] == pytest.approx(right)


def test_the_reference_of_a_run_that_goes_on_from_an_adapter_is_that_adapter(runs):
    parent = runs.spec("parent", TRAINED["sft"][:8], epochs=1)
    done(runs, parent)
    for name, way in {"fast": FAST, "library": LIBRARY}.items():
        spec = runs.spec(
            f"grown {name}", TRAINED["dpo"], parent.output_dir, method="dpo", epochs=1, batch_size=8, **way
        )
        spec = looked_at_with(spec, HELD_OUT["dpo"])
        found = told(done(runs, spec))
        grown, before = load(runs.base, spec.output_dir), load(runs.base, parent.output_dir)
        loss, right = plain_preference(grown, before, examples(spec), 0.1)
        assert found[0]["validation_loss"] == pytest.approx(0.693147, rel=1e-4)
        assert found[max(found)]["validation_loss"] == pytest.approx(loss, rel=1e-4)
        assert found[max(found)]["validation_reward_accuracy"] == pytest.approx(right)


# Nothing is disturbed


UNDISTURBED = {
    "fast": {"batch_size": 4, **FAST},
    "dropout": {"batch_size": 2, "accumulation": 2, "dropout": 0.2},
    "dpo fast": {"method": "dpo", "batch_size": 4, **FAST},
    "dpo dropout": {"method": "dpo", "batch_size": 4, "dropout": 0.2},
}


@pytest.mark.parametrize("name", UNDISTURBED)
def test_a_run_that_is_looked_at_is_byte_for_byte_the_run_that_is_not_and_so_is_one_that_was_killed(runs, name):
    looked = run_of(runs, f"{name} looked at", checkpoint_steps=2, **UNDISTURBED[name])
    alone = replace(runs.elsewhere(looked, f"{name} alone"), validation=None)
    again = runs.elsewhere(looked, f"{name} killed")

    first, second = done(runs, looked), done(runs, alone)
    broken = runs.run(again, at_step(3, signal.SIGKILL))
    resumed = done(runs, again)

    assert broken.returncode == -signal.SIGKILL
    assert first.metrics == second.metrics and first.weights == second.weights
    assert broken.metrics | resumed.metrics == first.metrics and resumed.weights == first.weights
    assert sorted(told(first)) == [0, 2, 4, first.one("result")["steps"]]
    assert told(resumed) == told(first)  # those before the checkpoint are said again
    assert not second.of("validation") and "looks" not in second.one("result")
    assert first.one("result")["looks"] == 4 and first.one("result")["look_seconds"] > 0
    assert first.one("result")["stages"]["validation"] > 0


def test_a_run_that_is_stopped_saves_at_once_and_looks_when_it_goes_on(runs):
    spec = run_of(runs, "stopped", batch_size=2, dropout=0.1)
    whole = done(runs, replace(runs.elsewhere(spec, "not stopped")))
    first = runs.run(spec, at_step(4, signal.SIGTERM))
    saved = first.of("checkpoint")[-1]["step"]
    second = done(runs, spec)

    assert first.returncode == 143 and set(told(first)) == {0}
    assert set(told(second)) == {0, saved, 12}
    assert first.metrics | second.metrics == whole.metrics and second.weights == whole.weights
    assert told(second)[12] == told(whole)[12]


def test_looks_are_spread_over_a_run_without_checkpoints_and_one_that_goes_on_has_the_same(runs):
    short = HELD_OUT["sft"][:1]
    spec = run_of(runs, "spread", validation=short, batch_size=2)
    broken = runs.elsewhere(replace(spec, recipe=replace(spec.recipe, checkpoint_steps=5)), "spread, killed")
    whole = done(runs, spec)
    runs.run(broken, at_step(7, signal.SIGKILL))
    resumed = done(runs, broken)

    about = whole.one("validation_data")
    spaced = looks.spacing(12, about["run_tokens"], about["tokens"])
    assert 1 < spaced < 6
    assert sorted(told(whole)) == sorted({*range(0, 12, spaced), 12})
    assert told(whole).items() <= told(resumed).items()
    assert set(told(resumed)) - set(told(whole)) == {5, 10} - set(told(whole))


# Several cards


CARDS = {
    "fast": (3, {"batch_size": 8, **FAST}),
    "library": (2, {"batch_size": 4, "accumulation": 2, **LIBRARY}),
    "dpo library": (2, {"method": "dpo", "batch_size": 4, "learning_rate": 1e-3, **LIBRARY}),
    "fast, weights shared": (5, {"batch_size": 8, **SHARED, **FAST}),
    "library, weights shared": (2, {"batch_size": 8, **SHARED, **LIBRARY}),
    "dpo fast, weights shared": (3, {"method": "dpo", "batch_size": 8, "learning_rate": 1e-3, **SHARED, **FAST}),
}


@pytest.mark.parametrize("name", CARDS)
def test_several_cards_come_to_the_figures_of_one(runs, name):
    cards, recipe = CARDS[name]
    one_card = {key: value for key, value in recipe.items() if key != "sharding"}
    # So little room that there are more passes than cards, and in the last round fewer.
    small = {"LUTHIER_ENGINE_CARD_BYTES": "13000000"} if recipe["pace"] == "fast" else {}
    alone = runs.run(run_of(runs, f"{name} one", checkpoint_steps=2, **one_card), **small)
    spec = run_of(runs, f"{name} several", checkpoint_steps=2, devices=cards, **recipe)
    several = runs.run(spec, **small)

    assert alone.returncode == several.returncode == 0, several.why
    wanted, found = told(alone), told(several)
    assert found.keys() == wanted.keys() and len(wanted) >= 3
    # Before the first step nothing differs but the order of sums; then the gradients were added up in another order.
    assert found[0] == pytest.approx(wanted[0], rel=1e-6)
    for step, values in wanted.items():
        assert found[step]["validation_loss"] == pytest.approx(values["validation_loss"], rel=2e-3)
    unseen = replace(runs.elsewhere(spec, f"{name} not looked at"), validation=None)
    assert runs.run(unseen, **small).weights == several.weights


def test_a_base_in_4_bits_is_looked_at_and_learns_the_same(runs):
    spec = run_of(runs, "four bits", four_bit=True, batch_size=4, checkpoint_steps=3, rank=8)
    looked = done(runs, spec)
    alone = done(runs, replace(runs.elsewhere(spec, "four bits alone"), validation=None))

    assert looked.one("pace")["path"] == "library"
    assert looked.metrics == alone.metrics and looked.weights == alone.weights
    found = told(looked)
    assert set(found) == {0, 3, 6} and found[6]["validation_loss"] < found[0]["validation_loss"]


# Which rows


def test_of_many_rows_a_part_is_read_and_it_is_said(runs):
    spec = run_of(runs, "many", validation=tickets.routing_sets()[0][24:424], batch_size=8)
    about = done(runs, spec).one("validation_data")
    assert (about["rows"], about["of"]) == (100, 400)  # a tenth of the epoch's tokens is less


def test_rows_that_are_too_long_are_left_out_and_without_any_there_is_no_validation_loss(runs):
    long = [{"messages": [*turns("user", 300, random.Random(1)), *turns("assistant", 3, random.Random(2))]}]
    some = done(runs, run_of(runs, "some too long", validation=[*HELD_OUT["sft"], *long], batch_size=8))
    none = done(runs, run_of(runs, "all too long", validation=long, batch_size=8))

    assert (some.one("validation_data")["rows"], some.one("validation_data")["left_out"]) == (13, 1)
    assert none.one("warning")["code"] == "no_validation"
    assert not none.of("validation") and none.one("result")["steps"] == 3


def test_data_that_is_not_what_was_frozen_is_refused(runs):
    spec = run_of(runs, "changed", batch_size=8)
    told_by = runs.run(replace(spec, validation=replace(spec.validation, rows=99)))
    assert told_by.one("failed")["code"] == "data_changed"


def test_the_spec_of_a_run_without_validation_is_written_as_ever(runs):
    spec = runs.spec("as ever", TRAINED["sft"])
    assert "validation" not in spec.frozen()
    held = looked_at_with(spec, HELD_OUT["sft"])
    assert held.frozen()["validation"] == {
        "label": "validation v1",
        "content_hash": "1" * 64,
        "rows": 13,
        "kind": "sft",
    }
    assert held.digest != spec.digest and type(held).read(json.loads(json.dumps(held.as_dict()))) == held
    assert isinstance(type(held).read(held.frozen()).validation, DataRef)
