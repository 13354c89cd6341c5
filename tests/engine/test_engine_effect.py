"""The effect proof on a real model: made by a run, kept by honest loads, and broken by every wrong one; and probes."""

import json
import shutil
from pathlib import Path

import pytest

from datasets_app.engine.rendering import read_tokenizer
from evaluation.engine import spec as specs
from evaluation.engine.drift_spec import ProbeSpec
from projects import artefacts
from tests.engine.conftest import run_fork
from training.domain.adapters import CONFIG, WEIGHTS
from training.engine import hashing
from training.engine.events import EngineError

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def made(tiny_base, tiny_facts, torch_server, tmp_path_factory):
    """The directory of a trained adapter, and what its run told of it."""
    from demo import tickets
    from tests.engine.conftest import Engine

    engine = Engine(tmp_path_factory.mktemp("effect"), tiny_base, tiny_facts, torch_server)
    spec = engine.spec(tickets.routing_sets()[0][:64], epochs=1, rank=8, alpha=16)
    told = engine.run(spec)
    assert told.returncode == 0, told.events[-1]
    return Path(spec.output_dir), told.one("result")["adapter"]


def stored(told):
    return {"weights": told["anatomy"], "observed": {told["proof"]["numerics"]: told["proof"]}}


def wanted(base, adapter, revision, proof, **fields):
    return specs.EvaluationSpec(
        base=str(base), parts=hashing.base_parts(base), revision=revision, adapter=str(adapter),
        manifest=artefacts.manifest_of(adapter), questions="", items="", graders=[], primary="", max_new_tokens=1,
        seed=0, device="cpu", proof=proof, **fields,
    )  # fmt: skip


@pytest.fixture
def load(tiny_base, tiny_facts, made):
    """Load as an evaluation does; the proof of it, or the code of the refusal."""
    from evaluation.engine import loading

    def load(adapter=made[0], base=tiny_base, proof=None, **fields):
        proof = stored(made[1]) if proof is None else proof
        try:
            return loading.load(wanted(base, adapter, tiny_facts["fingerprint"], proof, **fields)).proof
        except EngineError as refused:
            return refused.code

    return load


def test_the_proof_of_the_run_is_what_the_next_load_reads(load, made):
    found = load()

    assert found["faults"] == []
    assert found["apart"] <= 1e-4
    assert found["effect"] > 0.1
    assert len(made[1]["anatomy"]["components"]) == made[1]["rank"] == 8


@pytest.mark.parametrize("recipe", [{"pace": "fast"}, {"pace": "fast", "packing": True, "batch_size": 1}])
def test_a_run_that_took_the_fast_pass_proves_what_any_load_reads(engine, routing, load, recipe):
    spec = engine.spec(routing[0][:32], epochs=1, rank=8, alpha=16, **recipe)
    told = engine.run(spec).one("result")["adapter"]

    found = load(adapter=Path(spec.output_dir), proof=stored(told))

    assert (found["faults"], found["apart"] <= 1e-4, found["effect"] > 0.1) == ([], True, True), found


def test_without_a_proof_the_first_load_tells_what_to_store(load, capsys):
    assert load(proof={})["apart"] is None
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [event["event"] for event in events] == ["anatomy", "proof"]
    again = {"weights": events[0]["anatomy"], "observed": {events[1]["observed"]["numerics"]: events[1]["observed"]}}
    assert events[1]["first"]
    assert load(proof=again)["apart"] == 0.0


def copied(made, tmp_path, **config):
    place = Path(shutil.copytree(made[0], tmp_path / "adapter"))
    raw = json.loads((place / CONFIG).read_text())
    (place / CONFIG).write_text(json.dumps(raw | config))
    return place


def test_wrong_scaling_and_a_flipped_bit_are_named(load, made, tmp_path):
    assert load(copied(made, tmp_path, lora_alpha=32)) == "wrong_scaling"
    place = copied(made, tmp_path / "bit")
    data = bytearray((place / WEIGHTS).read_bytes())
    data[-4] ^= 1
    (place / WEIGHTS).write_bytes(data)
    assert load(place) == "flipped_bit"


def test_another_base_is_named_unless_it_is_meant(load, tiny_base, tmp_path):
    from safetensors.torch import load_file, save_file

    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    name = next(name for name in weights if name.endswith("gate_proj.weight"))
    weights[name] = weights[name] * 1.2
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})

    assert load(base=other) == "other_base"
    assert load(base=other, own_base=False)["faults"] == []


def test_an_adapter_that_the_server_leaves_aside_is_named(load, monkeypatch):
    from evaluation.engine import loading

    usual = loading.with_adapter

    def idle(plain, folder):
        model = usual(plain, folder)
        model.base_model.disable_adapter_layers()
        return model

    monkeypatch.setattr(loading, "with_adapter", idle)
    assert load() == "adapter_not_applied"


# Probes


def probed(server, tmp_path, made, facts, own, other, **fields):
    rows = [
        {"index": n, "messages": [{"role": "user", "content": f"route this ticket as json : {what}"}], "tools": None,
         "expected": '{"queue": "billing", "priority": "low"}'}
        for n, what in enumerate(["the vpn drops", "refund my invoice", "the printer is stuck"] * 4)
    ]  # fmt: skip
    specs.write_lines(tmp_path / "questions.jsonl", iter(rows))
    spec = ProbeSpec(
        **{
            "own": str(own), "own_parts": hashing.base_parts(own), "other": str(other),
            "other_parts": hashing.base_parts(other), "adapter": str(made[0]),
            "manifest": artefacts.manifest_of(made[0]), "revision": facts["fingerprint"],
            "questions": str(tmp_path / "questions.jsonl"), "readings": str(tmp_path / "readings.jsonl"), "seed": 0,
            "reloads": 2, "proof": stored(made[1]), "device": "cpu",
        } | fields
    )  # fmt: skip
    spec.write(tmp_path / "probe.json")
    told = run_fork(server, ["-m", "evaluation.engine.drifting", str(tmp_path / "probe.json")], tmp_path)
    assert told.events, (tmp_path / "fork.log").read_text()
    return told.events


def test_the_identical_version_reads_no_drift_at_all(torch_server, tmp_path, made, tiny_base, tiny_facts):
    events = probed(torch_server, tmp_path, made, tiny_facts, tiny_base, tiny_base, identical=True, describe=["own"])
    figures = events[-1]["figures"]

    assert events[-1]["event"] == "result", events[-1]
    assert (figures["reloads"], figures["adapter"]["high"], figures["base"]["high"]) == ([0.0, 0.0], 0.0, 0.0)
    assert figures["verdict"] == "compatible"
    assert figures["effect"]["own"] == figures["effect"]["other"] > 0
    assert [event["which"] for event in events if event["event"] == "base_anatomy"] == ["own"]
    assert len(list(specs.read_lines(tmp_path / "readings.jsonl"))) == figures["prompts"] == 12


def test_a_template_that_writes_otherwise_is_measured_and_other_tokens_are_refused(
    torch_server, tmp_path, made, tiny_base, tiny_facts
):
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    template = other / "chat_template.jinja"
    template.write_text(template.read_text().replace("message['content'] +", "'note : ' + message['content'] +"))
    figures = probed(torch_server, tmp_path, made, tiny_facts, tiny_base, other)[-1]["figures"]
    assert figures["verdict"] == "drifted"

    raw = json.loads((other / "tokenizer.json").read_text())
    vocab, (one, *_, two) = raw["model"]["vocab"], read_tokenizer(other).encode('{"queue": "billing"').tokens
    vocab[one], vocab[two] = vocab[two], vocab[one]
    (other / "tokenizer.json").write_text(json.dumps(raw))
    last = probed(torch_server, tmp_path, made, tiny_facts, tiny_base, other)[-1]
    assert (last["event"], last["code"]) == ("failed", "tokenizer_differs")
