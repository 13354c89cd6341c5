"""DPO on the fast pass against TRL's own, through the product's trainers: CPU, 32 bit, pairs of different lengths."""

import json
import random
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from tests.engine.test_engine_fast import model as tiny_decoder
from training.domain.recipe import Recipe
from training.domain.spec import BaseRef, DataRef, ParentRef, RunSpec
from training.engine import trainers
from training.engine.checkpoints import Checkpoints
from training.engine.data import Prepared, length
from training.engine.events import Stopped
from training.engine.fast import pairs
from training.engine.fast.attention import by_sequence
from training.engine.fast.functions import Head, Kernels
from training.engine.fast.model import FastDecoder
from training.engine.hashing import folder_digest
from training.engine.manifest import Origin
from training.engine.model import Device
from training.engine.progress import METRICS, Progress
from training.engine.references import References
from training.engine.watch import StopFlag

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
CPU = Device("cpu", "test")


def made_up(count: int = 6, seed: int = 5) -> list[dict]:
    """Pairs of tokens that say nothing, with prompts and answers of different lengths; one pair has no prompt."""
    rng = random.Random(seed)

    def some(low: int, high: int) -> list[int]:
        return [rng.randrange(5, 200) for _ in range(rng.randint(low, high))]

    found = [
        {"prompt_ids": some(3, 12), "chosen_ids": some(1, 14), "rejected_ids": some(1, 14)} for _ in range(count - 1)
    ]
    return [*found, {"prompt_ids": [], "chosen_ids": some(2, 6), "rejected_ids": some(2, 6)}]


class Bench:
    """Trainers as the product builds them, on the tiny base."""

    def __init__(self, base, facts, folder) -> None:
        self.base, self.facts, self.folder = base, facts, folder
        self.examples = made_up()

    def spec(self, name: str, pace: str, parent=None, **recipe) -> RunSpec:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        chosen = {"method": "dpo", "rank": 4, "alpha": 8, "batch_size": len(self.examples), "beta": 0.3} | recipe
        return RunSpec(
            label=name,
            base=BaseRef("tiny", self.facts["fingerprint"], self.facts["parts"], path=str(self.base)),
            data=DataRef("pairs", "0" * 64, len(self.examples), "preference"),
            recipe=Recipe.read(chosen | {"pace": pace}),
            parent=ParentRef("parent", folder_digest(parent), str(parent)) if parent else None,
            output_dir=str(home / "out"),
            checkpoint_dir=str(home / "ckpt"),
        )

    def build(self, pace: str, parent=None, **recipe):
        spec = self.spec(f"{pace}-{len(list(self.folder.iterdir()))}", pace, parent, **recipe)
        self.store = Checkpoints(Path(spec.checkpoint_dir), Origin.of(spec))
        prepared = Prepared(examples=self.examples, rows=list(range(len(self.examples))))
        trainer = trainers.build(spec, prepared, CPU, self.store, Progress(spec.recipe, StopFlag()))
        torch.manual_seed(7)
        for name, parameter in trainer.model.named_parameters():
            if ".default." in name:  # an adapter that has learned something; of a parent, more than it knew
                parameter.data.add_(0.05 * torch.randn(parameter.shape))
        return trainer

    def step(self, trainer) -> tuple[float, dict, dict]:
        """Loss, gradients and what is told of one step over all pairs."""
        if trainer.needs_reference:
            trainer.refer(self.examples, References(self.store), StopFlag())
        batch = trainer.data_collator([trainer.train_dataset[place] for place in range(len(self.examples))])
        trainer.current_gradient_accumulation_steps = 1  # what the loop of training says
        loss = trainer.training_step(trainer.model, batch, None)
        grads = {name: one.grad.clone() for name, one in trainer.model.named_parameters() if one.grad is not None}
        logs: dict = {"loss": float(loss)}
        trainer.log(logs)
        return float(loss), grads, logs


@pytest.fixture
def bench(tiny_base, tiny_facts, tmp_path):
    return Bench(tiny_base, tiny_facts, tmp_path)


@pytest.mark.parametrize(
    ("tokens", "recompute", "from_parent"), [(8192, "auto", False), (40, "always", False), (40, "auto", True)]
)
def test_loss_every_gradient_and_what_is_told_equal_the_librarys(bench, tiny_adapter, tokens, recompute, from_parent):
    """In one pass or in several, with activations kept or made again, from nothing or from an adapter."""
    parent, rank = (tiny_adapter, 32) if from_parent else (None, 4)
    library = bench.build("library", parent, rank=rank)
    expected, wanted, told = bench.step(library)
    quick = bench.build("fast", parent, rank=rank, recompute=recompute)
    assert quick.decoder.recompute is (recompute == "always")
    object.__setattr__(quick.pace, "tokens", tokens)

    loss, found, said = bench.step(quick)

    assert abs(expected - 0.6931) > 0.01  # the adapter differs from its reference
    assert loss == pytest.approx(expected, rel=1e-5)
    assert found.keys() == wanted.keys() and all(".default." in name for name in wanted)
    for name, gradient in wanted.items():
        assert gradient.norm() > 0
        assert (found[name] - gradient).norm() <= 2e-5 * gradient.norm(), name
    for name in METRICS.keys() - {"entropy", "grad_norm", "learning_rate"}:
        assert said[name] == pytest.approx(told[name], rel=2e-5, abs=1e-6), name
    assert said["num_tokens"] == told["num_tokens"] == sum(map(length, bench.examples))


def test_no_pair_sees_another(bench):
    """Other words in one pair, of the same length, and all others are as before, bit for bit."""
    quick = bench.build("fast")
    before = quick.reference_of(bench.examples)
    other = [dict(example) for example in bench.examples]
    for name in ("prompt_ids", "chosen_ids"):
        other[2][name] = [token + 1 for token in other[2][name]]
    after = quick.reference_of(other)

    assert torch.equal(before[[0, 1, 3, 4, 5]], after[[0, 1, 3, 4, 5]])
    assert not torch.isclose(before[2], after[2]).any()


def test_the_reference_is_the_base_and_no_part_of_what_is_trained(bench):
    quick = bench.build("fast")
    before = quick.reference_of(bench.examples)
    for name, parameter in quick.model.named_parameters():
        if ".default." in name:
            parameter.data.mul_(3)
    assert torch.equal(quick.reference_of(bench.examples), before)
    base = quick.model.get_base_model()
    with torch.no_grad(), quick.model.disable_adapter():
        example = bench.examples[0]
        ids = torch.tensor([example["prompt_ids"] + example["chosen_ids"]])
        logs = base(input_ids=ids).logits[0].log_softmax(-1)
    start = len(example["prompt_ids"])
    own = sum(float(logs[place - 1, ids[0, place]]) for place in range(start, ids.shape[1]))
    assert float(before[0, 0]) == pytest.approx(own, rel=1e-5)


class StopsAt(StopFlag):
    """Somebody wants an end at the second look."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        if self.looks == 2:
            raise Stopped


def test_a_reference_that_was_interrupted_goes_on_and_ends_the_same(bench):
    whole = bench.build("fast")
    object.__setattr__(whole.pace, "tokens", 40)
    whole.refer(bench.examples, References(bench.store), StopFlag())
    quick = bench.build("fast")
    object.__setattr__(quick.pace, "tokens", 40)
    with pytest.raises(Stopped):
        quick.refer(bench.examples, References(bench.store), StopsAt())
    assert "ref_chosen_logps" not in quick.train_dataset.column_names

    before = quick.reference_tokens
    quick.refer(bench.examples, References(bench.store), StopFlag())

    assert 0 < before < whole.reference_tokens == sum(map(length, bench.examples))
    assert quick.reference_tokens == whole.reference_tokens  # what was read before the end was not read again
    for name in ("ref_chosen_logps", "ref_rejected_logps"):
        assert quick.train_dataset[name][:] == whole.train_dataset[name][:]


def test_a_kept_reference_is_not_computed_again_unless_it_is_spoilt_or_foreign(bench, capsys):
    quick = bench.build("fast")
    quick.refer(bench.examples, References(bench.store), StopFlag())
    path, count = References(bench.store).path, len(bench.examples)
    good = path.read_bytes()
    assert len(References(bench.store).read(count)) == count

    again = bench.store.staging.parent
    others = Checkpoints(again, "another spec")
    assert len(References(others).read(count)) == 0
    for place in (len(good) - 3, 12):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        assert len(References(bench.store).read(count)) == 0
    path.write_bytes(good)
    assert len(References(bench.store).read(count - 1)) == 0
    said = capsys.readouterr().err
    for why in ("of another run", "another checksum", "another size"):
        assert why in said


def test_a_disk_that_is_full_ends_nothing(bench, capsys, monkeypatch):
    def full(_made):
        raise OSError(28, "No space left on device")

    quick = bench.build("fast")
    monkeypatch.setattr(bench.store, "keep_beside", full)
    quick.refer(bench.examples, References(bench.store), StopFlag())

    warnings = [line for line in capsys.readouterr().out.splitlines() if '"warning"' in line]
    assert json.loads(warnings[0])["code"] == "disk_full"
    assert not References(bench.store).path.exists()
    assert "ref_chosen_logps" in quick.train_dataset.column_names


def test_with_a_base_in_16_bit_sums_and_gradients_of_the_adapter_stay_in_32():
    """As on a card: what 16 bit cost is noise of a few per cent, and nothing is of the wrong type."""
    given = pairs.collate(made_up())
    found = {}
    for kind in (torch.float32, torch.bfloat16):
        wrapped = tiny_decoder("llama")
        for name, parameter in wrapped.named_parameters():
            if "lora_" not in name:
                parameter.data = parameter.data.to(kind)
        given["input_ids"] = given["input_ids"] % 100
        decoder = FastDecoder(wrapped.base_model.model, by_sequence, on_gpu=False, recompute=False)
        said, _ = decoder.answers(**pairs.stretch(given, 0, 6))
        (said * torch.linspace(-1, 1, 12)).sum().backward()
        grads = [one.grad for one in wrapped.parameters() if one.grad is not None]
        assert said.dtype == torch.float32 and {grad.dtype for grad in grads} == {torch.float32}
        found[kind] = said.detach(), torch.cat([grad.flatten() for grad in grads])
    (exact, wanted), (rough, near) = found.values()
    assert 0 < (rough - exact).norm() < 0.02 * exact.norm()
    assert 0 < (near - wanted).norm() < 0.1 * wanted.norm()


def test_what_is_no_number_is_not_kept(bench):
    bench.build("fast")
    kept = References(bench.store)
    kept.done = 2
    kept.keep(torch.tensor([[1.0, 2.0], [float("nan"), 3.0]]))
    assert not kept.path.exists()


def test_slopes_of_rows_are_not_rounded_to_the_precision_of_the_base():
    """In 16 bit the gradient of a row times its slope is rounded once."""
    torch.manual_seed(1)
    h = torch.randn(8, 32, dtype=torch.bfloat16, requires_grad=True)
    weight, head = torch.ones(32, dtype=torch.bfloat16), torch.randn(50, 32, dtype=torch.bfloat16)
    rows, targets, slopes = torch.tensor([1, 4, 6]), torch.tensor([3, 9, 40]), torch.tensor([1.003, -0.777, 1e-3])

    def gradient(given):
        h.grad = None
        losses, _ = Head.apply(h, rows, targets, weight, 1e-6, head, Kernels(False))
        losses.backward(given)
        return h.grad.clone()

    plain, scaled = gradient(torch.ones(3)), gradient(slopes)
    assert torch.equal(scaled[rows], (plain[rows].float() * slopes[:, None]).bfloat16())
    assert not plain[[0, 2, 3, 5, 7]].any()
