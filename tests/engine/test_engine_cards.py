"""Runs on several cards, played by processes on the CPU: the same run as on one, and no end that hangs."""

import json
import os
import random
import resource
import shutil
import signal
from pathlib import Path

import pytest

from benchmarks.engine_runs import Runs, at_step
from demo import tickets

pytestmark = [pytest.mark.engine, pytest.mark.slow]
# The order in which gradients are added up is another, and with it the last digits of 32 bits.
NOISE = 2e-3
UNTIMED = {"loss", "grad_norm", "learning_rate", "token_accuracy", "entropy", "reward_chosen", "reward_rejected"}
FAST = {"pace": "fast"}
LIBRARY = {"pace": "library"}
SHARED = {"sharding": "shard"}
# So little that two rows are a pass, and that the weights of the base alone are more.
SMALL_CARD = {"LUTHIER_ENGINE_CARD_BYTES": "13000000"}


@pytest.fixture(scope="module")
def runs(make_runs, tmp_path_factory) -> Runs:
    return make_runs(tmp_path_factory.mktemp("cards"))


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict]]:
    sft = tickets.routing_sets()[0][:27]
    return {"sft": sft, "dpo": pairs(27)}


def pairs(count: int) -> list[dict]:
    rng = random.Random(1)

    def turn(role: str, words: int) -> list[dict]:
        return [{"role": role, "content": " ".join(rng.choices(["ticket", "help", "refund", "no"], k=words))}]

    return [
        {
            "prompt": turn("user", rng.randint(1, 20)),
            "chosen": turn("assistant", rng.randint(1, 12)),
            "rejected": turn("assistant", rng.randint(1, 12)),
        }
        for _ in range(count)
    ]


def curves(told) -> dict[str, list[float]]:
    events = told.of("metrics")
    names = events[0]["each"].keys() & UNTIMED
    return {name: [value for event in events for value in event["each"][name]] for name in sorted(names)}


CASES = {
    # 27 rows: the last step has three, so that of five cards two have none.
    "sft fast": (5, {"method": "sft", "batch_size": 8, **FAST}),
    "sft library": (2, {"method": "sft", "batch_size": 8, **LIBRARY}),
    "sft added up": (3, {"method": "sft", "batch_size": 2, "accumulation": 4, **LIBRARY}),
    "sft packed fast": (2, {"method": "sft", "batch_size": 2, "packing": True, **FAST}),
    "sft packed library": (2, {"method": "sft", "batch_size": 2, "packing": True, **LIBRARY}),
    "dpo fast": (3, {"method": "dpo", "batch_size": 8, "learning_rate": 1e-3, **FAST}),
    "dpo library": (2, {"method": "dpo", "batch_size": 4, "accumulation": 2, "learning_rate": 1e-3, **LIBRARY}),
}


@pytest.mark.parametrize("name", CASES)
def test_several_cards_train_what_one_trains(runs, rows, name):
    cards, recipe = CASES[name]
    data = rows[recipe["method"]]

    one = runs.run(runs.spec(f"{name} one", data, epochs=2, **recipe))
    several = runs.run(runs.spec(f"{name} several", data, epochs=2, devices=cards, **recipe))

    assert one.returncode == several.returncode == 0, several.why
    wanted, found = curves(one), curves(several)
    assert found.keys() == wanted.keys() and {"loss", "grad_norm", "token_accuracy"} <= wanted.keys()
    for figure, values in wanted.items():
        assert found[figure] == pytest.approx(values, rel=NOISE, abs=2e-5), figure
    for figure in ("steps", "tokens", "trained_tokens", "reference_tokens"):
        assert several.one("result")[figure] == one.one("result")[figure], figure
    assert several.one("result")["devices"] == cards


SHARING = {
    # Cards make as many passes as the one with most, and of the last step's three rows not every card has one.
    "sft fast": (5, {"batch_size": 8, **FAST}, {}),
    "sft fast by itself": (2, {"batch_size": 8, "sharding": "auto", **FAST}, SMALL_CARD),
    "sft library": (2, {"batch_size": 2, "accumulation": 4, "dropout": 0.1, **LIBRARY}, {}),
    "sft packed": (2, {"batch_size": 2, "packing": True, "recompute": "always", **FAST}, {}),
    "dpo fast": (3, {"method": "dpo", "batch_size": 8, "learning_rate": 1e-3, **FAST}, SMALL_CARD),
    "dpo library": (2, {"method": "dpo", "batch_size": 4, "learning_rate": 1e-3, **LIBRARY}, {}),
}


@pytest.mark.parametrize("name", SHARING)
def test_cards_that_share_the_weights_train_bit_for_bit_what_cards_that_have_all_of_them_train(runs, rows, name):
    cards, recipe, environment = SHARING[name]
    data = rows[recipe.get("method", "sft")]
    common = {"epochs": 1, "devices": cards, "checkpoint_steps": 2}
    whole = runs.run(
        runs.spec(f"{name} whole weights", data, **common, **recipe | {"sharding": "replicate"}), **environment
    )
    shared = runs.run(runs.spec(f"{name} shared", data, **common, **SHARED | recipe), **environment)

    assert whole.returncode == shared.returncode == 0, shared.why
    assert [told.one("pace")["sharded"] for told in (whole, shared)] == [False, True]
    if whole.one("pace")["tokens"] == shared.one("pace")["tokens"]:
        assert shared.metrics == whole.metrics
        assert shared.weights == whole.weights
    else:  # less room, more passes
        assert curves(shared)["loss"] == pytest.approx(curves(whole)["loss"], rel=NOISE)
    samples = [[(event["step"], event["samples"]) for event in told.of("samples")] for told in (whole, shared)]
    assert samples[0] == samples[1] and len(samples[0]) > 2
    assert len(shared.one("result")["memory_by_card"]) == cards
    proof = shared.one("result")["adapter"]["proof"]
    assert proof["noise"] < 1e-4 and proof["adapter"] != proof["base"]


def others_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


RESUMED = {
    "sft with dropout": (2, {"method": "sft", "batch_size": 2, "accumulation": 2, "dropout": 0.1, "epochs": 1}),
    "sft fast": (3, {"method": "sft", "batch_size": 4, "epochs": 1, **FAST}),
    "dpo fast, weights shared": (2, {"method": "dpo", "batch_size": 4, "epochs": 1, **SHARED, **FAST}),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_run_goes_on_bit_for_bit_the_same_whichever_process_is_killed(runs, rows, name):
    cards, recipe = RESUMED[name]
    spec = runs.spec(f"{name} whole", rows[recipe["method"]], devices=cards, checkpoint_steps=2, **recipe)
    whole = runs.run(spec)
    assert whole.returncode == 0, whole.why

    again = runs.elsewhere(spec, f"{name} again")
    first = runs.run(again, at_step(3, signal.SIGKILL))
    assert first.returncode == -signal.SIGKILL

    def kill_another(event) -> None:
        if event["event"] == "metrics" and event["step"] == 5:
            os.kill(others_of(runs.pid)[-1], signal.SIGKILL)

    second = runs.run(again, kill_another)
    assert second.returncode == 1
    assert second.one("failed")["code"] == "rank_lost"
    assert "SIGKILL" in second.one("failed")["message"] and f"of {cards}" in second.one("failed")["message"]

    third = runs.run(again)
    assert third.one("started")["resumed_from"] == 4
    assert first.metrics | second.metrics | third.metrics == whole.metrics
    assert third.weights == whole.weights


def test_sigterm_saves_the_same_step_for_all_and_nobody_stays_behind(runs, rows):
    spec = runs.spec("stopped whole", rows["sft"], devices=2, batch_size=1, accumulation=6, epochs=1, dropout=0.1)
    whole = runs.run(spec)
    again, left = runs.elsewhere(spec, "stopped"), []

    def stop(event):
        if event["event"] == "metrics" and event["step"] == 2:
            left.extend(others_of(runs.pid))
            return signal.SIGTERM
        return None

    first = runs.run(again, stop)
    second = runs.run(again)

    assert first.returncode == 143 and first.of("checkpoint")[-1]["step"] in {2, 3, 4}
    assert left and not any(Path(f"/proc/{pid}").exists() for pid in left)
    assert first.metrics | second.metrics == whole.metrics
    assert second.weights == whole.weights


@pytest.mark.parametrize("pace", ["fast", "library"])
def test_an_adapter_is_trained_further_on_shared_weights(runs, rows, pace):
    """The reference of the pairs is the adapter that was there before."""
    parent = runs.spec(f"parent {pace}", rows["sft"], epochs=0.5, batch_size=8)
    assert runs.run(parent).returncode == 0
    recipe = {"method": "dpo", "epochs": 0.5, "batch_size": 4, "learning_rate": 1e-3, "devices": 2, "pace": pace}
    whole, shared = (
        runs.run(runs.spec(f"further {pace} {name}", rows["dpo"], parent.output_dir, **recipe | {"sharding": name}))
        for name in ("replicate", "shard")
    )
    assert whole.returncode == shared.returncode == 0, shared.why
    assert (shared.metrics, shared.weights) == (whole.metrics, whole.weights)


# What breaks on another card than the first


def spoilt(base: Path, folder: Path, word: str) -> Path:
    """The base with an embedding that is no number for the first token of one word, and a head without that fault."""
    from safetensors.torch import load_file, save_file

    from datasets_app.engine.rendering import read_tokenizer

    other = Path(shutil.copytree(base, folder))
    path = other / "model.safetensors"
    weights = load_file(path)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    token = read_tokenizer(other).encode(word, add_special_tokens=False).ids[-1]
    weights["model.embed_tokens.weight"][token] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    return other


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_a_loss_that_is_no_number_on_another_card_is_named_with_it_and_its_rows(runs, rows, tmp_path, sharding):
    def row(question: str) -> dict:
        return {"messages": [tickets.message("user", question), tickets.message("assistant", "billing")]}

    base = spoilt(runs.base, tmp_path / "spoilt", " \N{SNOWMAN}")
    # The longest row goes to the first card, the next one to the second.
    data = [*(row("refund") for _ in range(6)), row("word " * 36), row("word " * 20 + "\N{SNOWMAN}")]
    of_it = Runs(tmp_path / "runs", base, runs.start)
    told = of_it.run(of_it.spec("nan", data, epochs=1, batch_size=8, devices=2, sharding=sharding, **FAST))

    failed = told.one("failed")
    assert (told.returncode, failed["code"]) == (1, "nan_loss"), failed
    assert failed["message"].startswith("Card 2 of 2: At step 1")
    assert (failed["where"]["card"], failed["where"]["longest_row"]) == (2, 7)
    assert 6 not in failed["where"]["rows"]


@pytest.mark.parametrize("sharding", ["replicate", "shard"])
def test_memory_that_runs_out_on_another_card_is_named_with_it_and_its_rows(runs, rows, sharding):
    spec = runs.spec(f"oom {sharding}", rows["sft"] * 6, epochs=1, batch_size=160, devices=2, sharding=sharding)

    def take_the_rest(event) -> None:
        if event["event"] == "started":
            (other,) = others_of(runs.pid)
            size = int(Path(f"/proc/{other}/status").read_text().split("VmSize:")[1].split()[0]) * 1024
            resource.prlimit(other, resource.RLIMIT_AS, (size + 24 * 1024**2,) * 2)

    told = runs.run(spec, take_the_rest)

    failed = told.one("failed")
    assert (told.returncode, failed["code"]) == (1, "oom"), failed
    assert failed["message"].startswith("Card 2 of 2: ") and "were in memory" in failed["message"]
    assert failed["where"]["card"] == 2 and failed["where"]["rows"]


def test_weights_that_the_files_name_otherwise_are_read_in_turn(runs, rows, tmp_path):
    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(runs.base, tmp_path / "other"))
    path = base / "model.safetensors"
    # As older files of decoders without their head have them.
    save_file({name.removeprefix("model."): value for name, value in load_file(path).items()}, path, {"format": "pt"})
    recipe = {"epochs": 0.5, "batch_size": 8, "devices": 2, **FAST, **SHARED}
    usual = runs.run(runs.spec("by name", rows["sft"], **recipe))
    of_it = Runs(tmp_path / "runs", base, runs.start)
    spec = of_it.spec("otherwise", rows["sft"], **recipe)
    told = of_it.run(spec)

    assert told.returncode == 0, told.why
    assert told.weights == usual.weights
    assert "reads them all, in turn" in of_it.log_of(spec)
