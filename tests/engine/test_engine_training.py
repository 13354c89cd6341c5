"""Real runs of a tiny model through TRL and PEFT: they learn, they survive, and they never lie about what they did."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from datasets_app.engine.rendering import ChatTokenizer
from demo import tickets
from tests.engine.conftest import REPO, child_env

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def exact_match(base: Path, adapter: str, rows: list[dict]) -> float:
    """The share of rows that are answered word for word, as anybody would load base and adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype="float32")
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    asked = [
        tokenizer.apply_chat_template(row["messages"][:1], tokenize=False, add_generation_prompt=True) for row in rows
    ]
    batch = tokenizer(asked, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    out = model.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=32, **ends)
    answers = tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
    pairs = zip(answers, rows, strict=True)
    return sum(answer == row["messages"][1]["content"] for answer, row in pairs) / len(rows)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the libraries to each other
def test_sft_teaches_routing_and_leaves_a_clean_adapter(engine, routing):
    train, held_out = routing
    spec = engine.spec(train, epochs=4, rank=32, alpha=64, warmup=0.02)

    told = engine.run(spec)

    assert told.returncode == 0
    assert told.one("started") | {"device_name": ""} == {
        "event": "started",
        "device": "cuda" if shutil.which("nvidia-smi") else "cpu",
        "device_name": "",
        "total": 252,
        "resumed_from": 0,
        "refused": {},
    }
    assert told.losses[252] < 0.1 < told.losses[1]
    assert told.one("data")["trained_tokens"] < told.one("data")["tokens"] / 2  # the answers only
    assert exact_match(engine.base, "", held_out) < 0.10
    assert exact_match(engine.base, spec.output_dir, held_out) > 0.80
    check_adapter(Path(spec.output_dir), spec)


def check_adapter(folder: Path, spec) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "MANIFEST.json",
    }
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-help-desk"
    assert config["revision"] == spec.base.fingerprint
    assert config["target_modules"] == sorted(config["target_modules"])
    everything = "".join(path.read_text() for path in folder.iterdir() if path.suffix in {".json", ".md"})
    assert str(spec.base.path) not in everything, "a path of this machine has leaked into the adapter"
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nbase_model:") and spec.base.fingerprint in card and spec.digest in card


def test_the_same_spec_gives_the_same_adapter_and_another_seed_another(engine, routing):
    rows = routing[0][:40]
    spec = engine.spec(rows, epochs=1, dropout=0.05)
    first = engine.run(spec)
    again = engine.run(engine.elsewhere(spec, "again"))
    other = engine.run(engine.spec(rows, "other", epochs=1, dropout=0.05, seed=1))

    assert first.weights == again.weights != other.weights
    assert first.losses == again.losses


@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_run_goes_on_from_a_whole_checkpoint_and_ends_bit_for_bit_the_same(engine, routing, torn):
    spec = engine.spec(routing[0][:120], epochs=2, dropout=0.05, checkpoint_steps=10)  # 30 steps
    whole = engine.run(spec)
    lost = engine.elsewhere(spec, "lost")

    killed = engine.run_until(lost, 24, signal.SIGKILL)
    if torn:
        weights = Path(lost.checkpoint_dir) / "ckpt-20" / "adapter_model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1  # one flipped bit, which safetensors would load without a word
        weights.write_bytes(data)
    resumed = engine.run(lost)

    assert killed.returncode == -signal.SIGKILL
    assert resumed.one("started")["resumed_from"] == (10 if torn else 20)
    assert resumed.weights == whole.weights
    assert resumed.losses == whole.losses  # those before the checkpoint are said again
    assert resumed.one("result")["tokens"] == whole.one("result")["tokens"]
    assert sorted(path.name for path in Path(lost.checkpoint_dir).iterdir()) == ["ckpt-10", "ckpt-20"]
    assert resumed.one("started")["refused"] == (
        {"20": "adapter_model.safetensors has another checksum"} if torn else {}
    )


def test_sigterm_saves_what_was_done_and_exits_143(engine, routing):
    spec = engine.spec(routing[0][:200], epochs=4)  # 100 steps, no checkpoint of its own for five minutes

    stopped = engine.run_until(spec, 5, signal.SIGTERM)

    assert stopped.returncode == 143
    assert not stopped.of("result") and not stopped.of("failed")
    (saved,) = stopped.of("checkpoint")
    assert saved["step"] >= 5
    assert (Path(saved["path"]) / "MANIFEST.json").exists()
    resumed = engine.run(spec)
    assert resumed.one("started")["resumed_from"] == saved["step"]
    assert resumed.returncode == 0


def test_dpo_learns_the_preference(engine):
    spec = engine.spec(tickets.preference_rows(60), method="dpo", epochs=2, learning_rate=5e-4, rank=8, alpha=16)

    told = engine.run(spec)

    assert told.returncode == 0
    metrics = told.of("metrics")
    assert metrics[0]["values"]["loss"] == pytest.approx(0.6931, abs=1e-3)  # ln 2: no preference yet
    assert metrics[-1]["values"]["reward_margin"] > 0.3
    assert metrics[-1]["values"]["reward_accuracy"] == 1.0


def test_dpo_goes_on_from_an_sft_adapter(engine, routing):
    parent = engine.run(engine.spec(routing[0][:40], "parent", epochs=1, rank=8))
    from training.domain.spec import ParentRef
    from training.engine.hashing import folder_digest

    path = parent.one("result")["path"]
    spec = engine.spec(tickets.preference_rows(16), "child", method="dpo", epochs=1, rank=8, learning_rate=5e-4)
    told = engine.run(replace(spec, parent=ParentRef("parent", folder_digest(Path(path)), path)))

    assert told.returncode == 0
    assert told.of("metrics")[0]["values"]["loss"] == pytest.approx(0.6931, abs=1e-3)  # the parent is the reference
    assert set(told.one("result")["adapter"]["files"]) >= {"adapter_model.safetensors", "README.md"}
    assert told.weights != parent.weights


def test_packed_rows_do_not_see_each_other(engine, routing):
    """Packing changes how rows share a sequence, not what is learned from them: the first loss of all rows is equal."""
    rows = routing[0][:8]
    alone = engine.run(engine.spec(rows, "alone", epochs=1, batch_size=8))
    packed = engine.run(engine.spec(rows, "packed", epochs=1, batch_size=8, packing=True))

    assert packed.losses[1] == pytest.approx(alone.losses[1], rel=1e-4)
    assert packed.one("result")["tokens"] == alone.one("result")["tokens"]


def test_the_fast_pass_goes_the_same_way_as_the_librarys(engine, routing):
    """Same rows in the same order, so the same losses, within what sums in another order make."""
    rows = routing[0][:64]
    told = {
        pace: engine.run(engine.spec(rows, pace, epochs=2, rank=8, accumulation=2, pace=pace))
        for pace in ("library", "fast")
    }

    assert [told[pace].one("pace")["path"] for pace in told] == ["library", "fast"]
    assert told["fast"].losses.keys() == told["library"].losses.keys()
    for step, loss in told["library"].losses.items():
        assert told["fast"].losses[step] == pytest.approx(loss, rel=2e-3)
    accuracies = [[event["values"]["token_accuracy"] for event in one.of("metrics")] for one in told.values()]
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.02)
    # The library counts padding as tokens; the fast pass has none.
    assert told["fast"].one("result")["tokens"] <= told["library"].one("result")["tokens"]


def test_pairs_go_the_same_way_on_the_fast_pass_and_the_reference_reads_them_once(engine):
    rows = tickets.preference_rows(24)
    recipe = {"method": "dpo", "epochs": 2, "rank": 8, "batch_size": 4, "accumulation": 2, "learning_rate": 5e-4}
    library, fast = (engine.run(engine.spec(rows, pace, pace=pace, **recipe)) for pace in ("library", "fast"))

    assert [one.one("pace")["path"] for one in (library, fast)] == ["library", "fast"]
    assert fast.losses.keys() == library.losses.keys()
    for step, loss in library.losses.items():
        assert fast.losses[step] == pytest.approx(loss, rel=2e-3)
    for name in ("reward_chosen", "reward_rejected", "reward_margin", "reward_accuracy", "token_accuracy"):
        values = [[event["values"][name] for event in one.of("metrics")] for one in (library, fast)]
        assert values[1] == pytest.approx(values[0], rel=0.02, abs=2e-3), name
    result = fast.one("result")
    assert result["tokens"] == library.one("result")["tokens"] == 2 * fast.one("data")["tokens"]
    assert result["reference_tokens"] == fast.one("data")["tokens"]
    assert library.one("result")["reference_tokens"] == 0
    told = [event for event in fast.of("progress") if event["phase"] == "reference"]
    assert (told[0]["done"], told[-1]["done"], told[-1]["total"]) == (0, 24, 24)
    assert {"reference", "training"} <= result["stages"].keys()
    assert "reference" not in library.one("result")["stages"]


@pytest.mark.parametrize(
    ("cut", "code", "kept"), [("refuse", "answer_cut", None), ("drop", None, 9), ("cut", "no_trained_tokens", 9)]
)
def test_a_row_that_is_too_long_is_never_cut_in_silence(engine, routing, cut, code, kept):
    rows = [dict(row) for row in routing[0][:10]]
    rows[3] = {"messages": [tickets.message("user", "word " * 300), tickets.message("assistant", "billing")]}
    spec = engine.spec(rows, cut=cut, epochs=1)

    told = engine.run(spec)

    if cut == "refuse":
        assert told.returncode == 1
        assert told.one("failed")["code"] == code
        assert told.one("failed")["message"].startswith("Row 3 has")
        return
    report = told.one("data")
    assert told.returncode == 0
    assert report["rows"] == kept
    assert report["dropped_rows" if cut == "drop" else "untrained_rows"] == [3]


def test_every_answer_of_a_conversation_is_trained_where_the_template_marks_them(engine):
    chat = ChatTokenizer(engine.base)
    turns = [("user", "first"), ("assistant", "one"), ("user", "second"), ("assistant", "two")]
    tokens = chat.chat([tickets.message(role, text) for role, text in turns])
    trained = chat.tokenizer.decode(
        [token for token, flag in zip(tokens.ids, tokens.trained, strict=True) if flag], skip_special_tokens=False
    )
    assert trained == "one<|end|>two<|end|>"
    assert not tokens.last_turn_only


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_what_is_counted_without_torch_is_what_transformers_makes(engine, routing):
    from transformers import AutoTokenizer

    chat, theirs = ChatTokenizer(engine.base), AutoTokenizer.from_pretrained(engine.base)
    for row in routing[0][:20]:
        messages = row["messages"]
        asked = theirs.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=True)["input_ids"]
        assert chat.chat(messages).ids == theirs.apply_chat_template(messages, return_dict=True)["input_ids"]
        assert chat.prompt_ids(messages[:1]) == asked
        assert chat.chat(messages).trained.index(True) == len(asked)


def test_the_engine_does_not_outlive_its_parent(engine, routing):
    spec = engine.spec(routing[0][:200], epochs=50)
    path = Path(spec.output_dir).parent / "spec.json"
    spec.write(path)
    program = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
    command = [sys.executable, "-c", program, sys.executable, "-m", "training.engine", str(path)]
    with subprocess.Popen(
        command, cwd=REPO, env=child_env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        engine_pid = int(parent.stdout.readline())
        for line in parent.stdout:  # the engine shares this pipe
            if '"metrics"' in line:
                break
        parent.kill()
        parent.stdout.read()  # ends when the last writer has closed it, which a process does a little before it is gone
    deadline = time.monotonic() + 10
    while not is_gone(engine_pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert is_gone(engine_pid)


def is_gone(pid: int) -> bool:
    """Where nobody collects orphans, a dead one stays listed."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_changed_base_is_refused_before_anything_is_trained(engine, routing):
    spec = engine.spec(routing[0][:8], epochs=1)
    changed = replace(spec, base=replace(spec.base, parts=spec.base.parts | {"tokenizer": "0" * 64}))

    told = engine.run(changed)

    assert told.returncode == 1
    assert told.one("failed")["code"] == "base_changed"
    assert "tokenizer changed" in told.one("failed")["message"]


def test_a_loss_that_is_no_number_ends_the_run_at_once(engine, routing):
    spec = engine.spec(
        routing[0][:64], epochs=4, learning_rate=0.1, rank=64, alpha=2048, scheduler="constant", warmup=0
    )
    told = engine.run(spec)
    # A rate this absurd either blows up, which must be named, or is survived; it may not end in broken weights.
    if told.returncode:
        assert told.one("failed")["code"] in {"nan_loss", "adapter_invalid"}
    else:
        assert told.one("result")["final_loss"] is not None
