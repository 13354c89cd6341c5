"""Answers to the same prompts while a model learns: they come on time, change nothing, and say what they are."""

from dataclasses import replace

import pytest

from datasets_app.engine.rendering import ChatTokenizer
from demo import tickets
from training.engine import gauges, samples
from training.engine.watch import StopFlag

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_a_run_answers_at_its_start_at_every_checkpoint_and_at_its_end(engine):
    rows = tickets.routing_sets()[0][:48]
    told = engine.run(engine.spec(rows, "watched", epochs=1, batch_size=4, checkpoint_steps=5))
    found = told.of("samples")

    assert told.returncode == 0, told.events[-1]
    assert [event["step"] for event in found] == [0, 5, 10, 12]
    assert [one["row"] for one in found[0]["samples"]] == [8, 24, 40]
    for event in found:
        for one in event["samples"]:
            assert one["expected"] == rows[one["row"]]["messages"][-1]["content"]
            assert one["prompt"] == rows[one["row"]]["messages"][-2]["content"]
    before, after = ([one["answer"] for one in event["samples"]] for event in (found[0], found[-1]))
    assert before != after
    read = [event["gauges"] for event in told.of("metrics")]
    assert all(one["memory_bytes"] > 50_000_000 for one in read)
    assert all(0 <= one["device_use"] <= 1 for one in read if "device_use" in one)
    assert told.of("metrics")[-1]["each"]["seconds"][-1] > 0.2 and "device_use" in read[-1]


def test_answers_side_by_side_are_those_of_each_alone(asking, engine):
    from training.engine import model as models

    ours, _ = asking
    base = models.load_base(str(engine.base), models.Device("cpu", ""), four_bit=False)
    together = ours.ask(base, 0)
    prompts, alone = ours.prompts, []
    for prompt in prompts:
        ours.prompts = [prompt]
        alone += ours.ask(base, 0)
    assert len({len(prompt.ids) for prompt in prompts}) > 1, "prompts of one length need no padding"
    assert together == alone and any(one["answer"] for one in together)
    assert ours.told()["samples_taken"] == 4


class Model:
    """As much of a model as is asked; `generate` does what a test wants."""

    training, device, generation_config = True, "cpu", None

    def __init__(self, generate):
        self.generate, self.modes = generate, []

    def eval(self):
        self.modes.append("eval")

    def train(self, mode=True):
        self.modes.append(mode)


@pytest.fixture
def asking(engine):
    spec = engine.spec(tickets.routing_sets()[0][:6], "asked")
    asking = samples.Samples(StopFlag())
    asking.choose(ChatTokenizer(engine.base), spec)
    return asking, spec


def test_what_goes_wrong_ends_nothing_and_is_not_tried_again(asking, capsys):
    def too_big(**_):
        raise RuntimeError("no room")

    ours, _ = asking
    model = Model(too_big)
    ours.take(model, 5)
    ours.take(model, 10)
    said = capsys.readouterr()
    assert said.out == "" and "no samples at step 5: RuntimeError: no room" in said.err
    assert model.modes == ["eval", True] and ours.prompts == []


def test_nobody_is_asked_while_the_process_is_to_end(asking, capsys):
    ours, _ = asking
    ours.stop.asked = True
    ours.take(Model(None), 5)
    assert capsys.readouterr().out == ""


def test_random_numbers_are_as_before(asking, capsys):
    import torch

    def roll(**asked):
        torch.rand(3)
        return asked["input_ids"]

    ours, _ = asking
    torch.manual_seed(4)
    expected = torch.rand(2).tolist()
    torch.manual_seed(4)
    ours.take(Model(roll), 5)
    assert torch.rand(2).tolist() == expected
    assert '"step": 5' in capsys.readouterr().out


def test_prompts_that_are_too_long_or_no_questions_are_left_out(asking, engine):
    _, spec = asking
    chat = ChatTokenizer(engine.base)
    assert len(samples.choose(chat, spec)) == 3
    short = replace(spec, recipe=replace(spec.recipe, max_length=8))
    assert samples.choose(chat, short) == []
    preferences = engine.spec(tickets.preference_rows(6), "pairs", method="dpo")
    assert samples.choose(chat, preferences)[0].expected


def test_a_driver_that_is_not_there_tells_nothing(tmp_path):
    assert gauges.ask(str(tmp_path / "no-such-program")) == {}


def test_a_driver_is_heard(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "smi"
    program.write_text('#!/bin/sh\necho "0, GPU-1, NVIDIA H200, 143771, 1000, 41, 87, 512.5"\n')
    program.chmod(0o755)
    assert gauges.ask(str(program)) == {"device_use": 0.87, "temperature": 41.0, "power_watts": 512.5}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gauges.ask(str(program)) == {}


def test_of_several_cards_the_driver_is_heard_about_each(tmp_path, monkeypatch):
    program = tmp_path / "smi"
    lines = [f"{n}, GPU-{n}, NVIDIA H200, 143771, {1000 * (n + 1)}, 41, {80 + n}, 512.5" for n in range(3)]
    program.write_text("#!/bin/sh\n" + "".join(f'echo "{line}"\n' for line in lines))
    program.chmod(0o755)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    told = gauges.ask(str(program))
    assert (told["device_use"], told["device_use_1"], told["device_use_2"]) == (0.82, 0.82, 0.80)
    assert (told["memory_bytes_1"], told["memory_bytes_2"]) == (3000 * 2**20, 1000 * 2**20)
    assert "device_use_3" not in told
