"""The real engine on a real tiny model: both arms, what it refuses to load, and how it ends."""

import json
import shutil
import signal
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from evaluation.engine import spec as specs
from projects import artefacts
from tests.engine.conftest import fork
from training.engine.events import EngineError

pytestmark = [
    pytest.mark.engine,
    # The libraries warn each other about their next major versions.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
TICKETS = ["the vpn tunnel drops", "refund my invoice", "the printer tray is stuck again since tuesday", "hello"]


REVISION = "0" * 40


@pytest.fixture(scope="module")
def loud_adapter(tiny_base, tmp_path_factory):
    """An adapter whose weights are drawn, not trained: it changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base, dtype="float32"), config)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.3)
    folder = tmp_path_factory.mktemp("adapters") / "loud"
    model.save_pretrained(folder, save_embedding_layers=False)
    named = {"revision": REVISION, "base_model_name_or_path": "tiny"}
    written = json.loads((folder / "adapter_config.json").read_text()) | named
    (folder / "adapter_config.json").write_text(json.dumps(written))
    return folder


@pytest.fixture
def adapter(loud_adapter, tmp_path):
    """A copy of the adapter that a test may damage."""
    return Path(shutil.copytree(loud_adapter, tmp_path / "adapter"))


@pytest.fixture
def base(tiny_base, tmp_path):
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


def make_spec(tmp_path, base, adapter, **fields):
    from training.engine import hashing

    rows = [
        {
            "index": index,
            "row_id": f"row-{index}",
            "messages": [{"role": "user", "content": f"route this ticket as json : {text}"}],
            "tools": None,
            "prompt": text,
            "expected": '{"queue": "billing"}',
        }
        for index, text in enumerate(fields.pop("tickets", TICKETS))
    ]
    specs.write_lines(tmp_path / "questions.jsonl", iter(rows))
    return specs.EvaluationSpec(
        **{
            "base": str(base),
            "parts": hashing.base_parts(base),
            "revision": REVISION,
            "adapter": str(adapter),
            "manifest": artefacts.manifest_of(adapter),
            "questions": str(tmp_path / "questions.jsonl"),
            "items": str(tmp_path / "items.jsonl"),
            "graders": ["exact_match", "json_valid", "json_fields", "rouge_l"],
            "primary": "exact_match",
            "max_new_tokens": 12,
            "seed": 0,
            "device": "cpu",  # exact comparisons below are those of 32 bit
        }
        | fields
    )


@pytest.fixture
def start(torch_server, tmp_path):
    """Begin an evaluation as a child, whose log lies beside the spec."""

    def begin(spec):
        spec.write(tmp_path / "spec.json")
        with (tmp_path / "engine.log").open("ab") as log:
            return fork(torch_server, ["-m", "evaluation.engine", str(tmp_path / "spec.json")], log)

    return begin


def finish(child):
    with child:
        return [json.loads(line) for line in child.stdout]


def refusal(spec):
    from evaluation.engine import loading
    from projects.domain.errors import Refused

    with pytest.raises(Refused) as caught:
        loading.load(spec)
    return caught.value.code


def test_an_evaluation_answers_grades_and_measures_forgetting(start, base, adapter, tmp_path):
    general = [{"text": "the invoice is a billing topic " * 5}, {"messages": [{"role": "user", "content": "hi"}]}]
    specs.write_lines(tmp_path / "retention.jsonl", iter(general))
    spec = make_spec(tmp_path, base, adapter, retention=str(tmp_path / "retention.jsonl"))
    child = start(spec)
    events = finish(child)
    assert child.returncode == 0, events[-1]
    assert [event["event"] for event in events][:4] == ["progress", "anatomy", "proof", "started"]
    summary = events[-1]["summary"]
    assert events[-1]["event"] == "result"
    assert summary["n"] == sum(summary["changes"].values()) == len(TICKETS)
    assert summary["graders"].keys() == {"exact_match", "json_valid", "json_fields", "rouge_l"}
    assert summary["effect"] > 0
    assert summary["too_long"] == 0
    assert set(summary["seconds"]) == {"base", "adapter", "total"}
    assert summary["tokens"]["prompt"] > 0
    assert summary["retention"]["rows"] == 2
    assert summary["retention"]["base_loss"] != summary["retention"]["adapter_loss"]
    items = list(specs.read_lines(Path(spec.items)))
    assert sorted(item["index"] for item in items) == [0, 1, 2, 3]
    assert any(item["base_output"] != item["adapter_output"] for item in items)


def test_the_base_arm_is_the_plain_base_and_padding_changes_nothing(base, adapter, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    from evaluation.engine import answering, loading

    spec = make_spec(tmp_path, base, adapter)
    pair = loading.load(spec)
    prompts = [answering.encode(pair, question) for question in specs.read_lines(Path(spec.questions))]
    found = answering.answer_all(pair, prompts, max_new_tokens=12, budget=None, meter=answering.Meter())
    batch, answers = next(found)
    assert len(batch) == len(TICKETS)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype="float32").eval()
    for index, answer in zip(batch, answers["base"], strict=True):
        ids = torch.tensor([prompts[index]])
        with torch.inference_mode():
            alone = plain.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
        said = pair.chat.tokenizer.decode(alone[0, len(prompts[index]) :].tolist(), skip_special_tokens=True)
        assert answer.text == said.strip()


def test_the_retention_loss_is_the_models_own(base, adapter, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    from evaluation.engine import forgetting, loading

    pair = loading.load(make_spec(tmp_path, base, adapter))
    rows = [{"text": "the docking station is a hardware topic"}, {"text": "billing : refund , invoice " * 30}]
    seen = []
    sums, counts = forgetting.losses(pair, rows, lambda done, total: seen.append((done, total)))
    plain = AutoModelForCausalLM.from_pretrained(base, dtype="float32").eval()
    for place, row in enumerate(rows):
        ids = torch.tensor([forgetting.encode(pair, row)])
        with torch.inference_mode():
            loss = float(plain(input_ids=ids, labels=ids).loss)
        assert sums["base"][place] / counts[place] == pytest.approx(loss, rel=1e-4)
    assert seen[-1] == (2, 2)
    assert sums["adapter"] != sums["base"]


def test_a_prompt_longer_than_the_context_counts_as_wrong_in_both_arms(start, base, adapter, tmp_path):
    spec = make_spec(tmp_path, base, adapter, tickets=["short", "long " * 2_000])
    child = start(spec)
    events = finish(child)
    assert child.returncode == 0, events[-1]
    assert events[-1]["summary"]["too_long"] == 1
    items = {item["index"]: item for item in specs.read_lines(Path(spec.items))}
    assert items[1]["base_output"] == items[1]["adapter_output"] == ""
    assert items[1]["outcome"] == "both_wrong"


def rewrite_weights(folder, change):
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    save_file({name: change(name, tensor) for name, tensor in load_file(path).items()}, path)


def test_what_training_writes_is_what_evaluation_loads(engine, routing, tmp_path):
    from evaluation.engine import answering, loading

    spec = engine.spec(routing[0][:32], epochs=1, rank=4, alpha=8)
    told = engine.run(spec)
    assert told.returncode == 0, told.events
    pair = loading.load(make_spec(tmp_path, engine.base, Path(spec.output_dir), revision=engine.facts["fingerprint"]))
    asked = [answering.encode(pair, question) for question in specs.read_lines(tmp_path / "questions.jsonl")]
    assert answering.prove_effect(pair, asked) > 0


def test_an_adapter_that_changes_nothing_is_refused(start, base, adapter, tmp_path):
    rewrite_weights(adapter, lambda name, tensor: tensor * 0 if "lora_B" in name else tensor)
    child = start(make_spec(tmp_path, base, adapter))
    last = finish(child)[-1]
    assert (child.returncode, last["event"], last["code"]) == (1, "failed", "adapter_no_effect")


def test_weights_that_are_not_finite_are_refused(base, adapter, tmp_path):
    rewrite_weights(adapter, lambda name, tensor: tensor + float("nan"))
    assert refusal(make_spec(tmp_path, base, adapter)) == "adapter_invalid"


def test_an_adapter_of_another_shape_is_refused_by_name(base, adapter, tmp_path):
    rewrite_weights(adapter, lambda name, tensor: tensor[:, :-1].contiguous() if "lora_A" in name else tensor)
    assert refusal(make_spec(tmp_path, base, adapter)) == "adapter_mismatch"


def test_an_adapter_with_weights_the_base_has_no_place_for_is_refused(base, adapter, tmp_path):
    from safetensors.torch import load_file, save_file

    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    save_file(tensors | {name.replace("layers.0", "layers.77"): tensors[name].clone()}, path)
    assert refusal(make_spec(tmp_path, base, adapter)) == "adapter_mismatch"


def test_one_flipped_bit_in_the_adapter_is_found(base, adapter, tmp_path):
    spec = make_spec(tmp_path, base, adapter)
    path = adapter / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert refusal(spec) == "adapter_damaged"


def test_an_adapter_of_another_base_version_is_refused(base, adapter, tmp_path):
    assert refusal(make_spec(tmp_path, base, adapter, revision="1" * 40)) == "wrong_base"


def test_a_pickle_beside_the_adapter_is_refused(base, adapter, tmp_path):
    spec = make_spec(tmp_path, base, adapter)
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x04.")
    assert refusal(spec) == "only_safetensors"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_base_that_is_not_the_registered_one_is_refused(base, adapter, tmp_path, name):
    spec = make_spec(tmp_path, base, adapter)
    (base / name).write_bytes((base / name).read_bytes() + b" ")
    assert refusal(spec) == "base_changed"


def test_sigterm_ends_it_with_143(start, base, adapter, tmp_path):
    spec = make_spec(tmp_path, base, adapter, tickets=[f"ticket {n}" for n in range(2_000)], max_new_tokens=400)
    child = start(spec)
    for line in child.stdout:
        if json.loads(line)["event"] == "started":
            break
    child.send_signal(signal.SIGTERM)
    child.wait(15)
    child.stdout.close()
    assert child.returncode == 143


@pytest.mark.parametrize(
    ("asked", "code"), [("5000", "template_limit"), ("__class__", "template_forbidden"), ("hello", None)]
)
def test_a18_a_golden_row_that_sets_off_its_template_ends_the_evaluation_with_its_code(tmp_path, asked, code):
    from evaluation.engine import answering
    from tests.unit.test_training_rendering import make_chat

    make_chat(tmp_path, "{{ messages[0][messages[0].content] }}{{ 'x' * (messages[0].content|int * 1000) }}")
    with closing(Renderer(tmp_path)) as renderer:
        pair = SimpleNamespace(chat=ChatTokenizer(tmp_path, renderer))
        question = {"index": 6, "messages": [{"role": "user", "content": asked}]}
        if code is None:
            assert answering.encode(pair, question) == []
            return
        with pytest.raises(EngineError) as failed:
            answering.encode(pair, question)
    assert failed.value.code == code
    assert str(failed.value).startswith("Golden row 7: ")
