"""The loss over held-out rows while a run learns from others; nothing of the run changes by it.

The rows go through the model as those of a step do, without gradients: through the fast decoder, or through the model's
own forward pass. Several cards share them, and all of them come to the same figures.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from training.domain import looks
from training.engine import randomness
from training.engine.data import IGNORED, Example, length
from training.engine.events import emit, log
from training.engine.fast import pairs
from training.engine.fast.trainer import stretch
from training.engine.naming import is_out_of_memory

if TYPE_CHECKING:
    from training.engine.held_out import HeldOut
    from training.engine.stages import Stages
    from training.engine.watch import StopFlag

TELL_SECONDS = 2.0
LOGIT_ROWS = 4096  # rows of logits in 32 bit at a time
# What a pass adds up: loss, what was right, how much of either there is; and at the end of a look, cards without room.
SUMS = 4

Read = Callable[[Sequence[Example], int], Any]


class Validation:
    """Looks of a trainer at held-out examples; `told` are those of this run, earlier attempts included."""

    def __init__(self, trainer: Any, held_out: "HeldOut", stop: "StopFlag", stages: "Stages") -> None:
        examples, self.report = held_out.examples, held_out.report
        self.trainer, self.stop, self.stages, self.group = trainer, stop, stages, trainer.group
        self.is_fast = trainer.decoder is not None
        self.of_pairs = "chosen_ids" in examples[0]
        self.batches = list(self._batched(sorted(examples, key=length)))
        self.told: list[dict[str, Any]] = []
        self.taken, self.seconds, self.given_up = 0, 0.0, False
        self.known: dict[int, Any] = {}  # by batch, what the reference says of its pairs

    def is_due(self, step: int, total: int) -> bool:
        """By the steps alone: all cards, and whoever goes on with the run, come to the same."""
        return step % looks.spacing(total, self.report["run_tokens"], self.report["tokens"]) == 0

    def look(self, step: int, between: Callable[[], None] = lambda: None) -> None:
        """Tell the figures of this step, once. `between` is called before every pass."""
        if self.given_up or any(one["step"] == step for one in self.told):
            return
        began = time.monotonic()
        with self.stages.aside("validation"), self._undisturbed():
            sums = self._sums(between)
        took = time.monotonic() - began
        self.seconds += took
        if sums is None:
            return  # somebody wants the process to end
        loss, right, count, without_room = sums.tolist()
        if without_room:
            self._give_up(step)
            return
        self.taken += 1
        one = {"step": step, "loss": loss / count, "right": right / count}
        self.told.append(one)
        self.tell(one, seconds=round(took, 3))
        log(f"step {step}  validation loss {one['loss']:.4f}  {took:.1f} s")

    def tell(self, one: Mapping[str, Any], **more: float) -> None:
        of_right = "validation_reward_accuracy" if self.of_pairs else "validation_token_accuracy"
        emit("validation", step=one["step"], values={"validation_loss": one["loss"], of_right: one["right"]}, **more)

    def say_again(self) -> None:
        for one in self.told:
            self.tell(one)

    def summary(self) -> dict[str, Any]:
        """For the result: what a projection of the next run has to know."""
        return {"looks": self.taken, "look_seconds": round(self.seconds, 4)}

    def _give_up(self, step: int) -> None:
        self.given_up = True
        text = f"At step {step} the device had no room for the validation rows, so the validation loss ends there."
        emit("warning", code="no_validation", message=text)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Random numbers and the training mode are afterwards as before."""
        model = self.trainer.model
        state, training = randomness.capture(), model.training
        model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            model.train(training)
            randomness.restore(state)

    # Passes

    def _batched(self, examples: list[Example]) -> Iterator[list[Example]]:
        """As many rows at a time as a step takes tokens; with padding the longest counts for all."""
        pads = not self.is_fast and not getattr(self.trainer.collate, "padding_free", False)
        batch: list[Example] = []
        tokens = 0
        for example in examples:
            size = length(example)
            after = (len(batch) + 1) * size if pads else tokens + size
            if batch and after > self.trainer.pass_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append(example)
            tokens += size
        yield batch

    def _sums(self, between: Callable[[], None]) -> Any:
        """The sums over all batches and all cards; None when the process is to end."""
        group, total = self.group, torch.zeros(SUMS, dtype=torch.float64)
        told = time.monotonic()
        for first in range(0, len(self.batches), group.size):
            between()
            (stops,) = group.decide(self.stop.asked)
            if stops:
                return None
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                emit("progress", phase="validating", done=first, total=len(self.batches))
            total += self._mine(first + group.rank, first)
        between()
        return group.total(total)

    def _mine(self, place: int, first: int) -> Any:
        """What this card adds in a round. Of a base whose weights are shared every pass takes all cards, so whoever has
        no batch reads the first one along, and adds nothing."""
        shares = self.trainer.is_sharded
        nothing = torch.zeros(SUMS, dtype=torch.float64)
        if place >= len(self.batches):
            if shares:
                self._read(first)
            return nothing
        try:
            return torch.cat((self._read(place).cpu().double(), nothing[:1]))
        except (MemoryError, RuntimeError) as problem:
            if shares or not is_out_of_memory(problem):
                raise  # the other cards are in the middle of this pass
            log(f"no room for validation: {problem}"[:500])
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        nothing[-1] = 1
        return nothing

    def _read(self, place: int) -> Any:
        """(3,): loss, right, count of one batch."""
        batch = self.batches[place]
        with self.trainer.accelerator.autocast():
            if self.of_pairs:
                return self._pairs(batch, place)
            return self._fast_rows(batch) if self.is_fast else self._rows(batch)

    def _fast_rows(self, examples: Sequence[Example]) -> Any:
        inputs = self.trainer._prepare_inputs(self.trainer.collate(examples))
        bounds = inputs["cu_seq_lens_q"].tolist()
        loss, hits = self.trainer.decoder.model(fast=stretch(inputs, bounds, 1))
        return torch.stack((loss.double(), hits.double(), (inputs["labels"] != IGNORED).sum().double()))

    def _rows(self, examples: Sequence[Example]) -> Any:
        inputs = dict(self.trainer._prepare_inputs(self.trainer.collate(examples)))
        labels = inputs.pop("labels")
        logits = self.trainer.model(**inputs, use_cache=False).logits
        losses, hits, _ = _each(logits, labels, labels != IGNORED)
        return torch.stack((losses.double().sum(), hits.double().sum(), losses.new_tensor(len(losses)).double()))

    # Pairs

    def _pairs(self, examples: Sequence[Example], place: int) -> Any:
        """The loss of Rafailov et al. 2023 (arXiv:2305.18290), and how many pairs are in the right order by it."""
        said = self._fast_answers if self.is_fast else self._answers
        if place not in self.known:
            self.known[place] = said(examples, reference=True)
        scores = self.trainer.beta * (said(examples, reference=False) - self.known[place])
        margins = (scores[:, 0] - scores[:, 1]).double()
        loss = -torch.nn.functional.logsigmoid(margins).sum()
        return torch.stack((loss, (margins > 0).double().sum(), margins.new_tensor(len(margins))))

    def _fast_answers(self, examples: Sequence[Example], *, reference: bool) -> Any:
        if reference:
            return self.trainer.reference_of(examples)
        batch = pairs.moved(pairs.collate(examples), self.trainer.accelerator.device)
        return self.trainer.said(pairs.stretch(batch, 0, len(examples)), "default").view(-1, 2)

    def _answers(self, examples: Sequence[Example], *, reference: bool) -> Any:
        """(pairs, 2): log-probabilities of chosen and rejected, by the model's own forward pass."""
        model = self.trainer.model
        inputs = self.trainer._prepare_inputs(self.trainer.collate(examples))
        with _as_reference(model, wanted=reference):
            logits = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).logits
        losses, _, owners = _each(logits, inputs["input_ids"], inputs["completion_mask"].bool())
        sums = torch.zeros(len(logits), dtype=torch.float64, device=losses.device)
        return -sums.index_add(0, owners, losses.double()).view(2, -1).t()


@contextmanager
def _as_reference(model: Any, *, wanted: bool) -> Iterator[None]:
    """The adapter that was there before, or the base where the adapter is new."""
    if not wanted:
        yield
    elif "ref" in model.peft_config:
        model.set_adapter("ref")
        try:
            yield
        finally:
            model.set_adapter("default")
    else:
        with model.disable_adapter():
            yield


def _each(logits: Any, targets: Any, counts: Any) -> tuple[Any, Any, Any]:
    """Of each token that counts: its loss in 32 bit, if it was the likeliest, and in which row it is.

    `logits` are (rows, tokens, vocabulary), `targets` and `counts` (rows, tokens): each token is foretold by the one
    before it.
    """
    rows, places = counts[:, 1:].nonzero(as_tuple=True)
    wanted = targets[rows, places + 1]
    losses, hits = [], []
    for first in range(0, max(1, len(rows)), LOGIT_ROWS):
        part = slice(first, first + LOGIT_ROWS)
        some = logits[rows[part], places[part]].float()
        losses.append(torch.nn.functional.cross_entropy(some, wanted[part], reduction="none"))
        hits.append(some.argmax(-1) == wanted[part])
    return torch.cat(losses), torch.cat(hits), rows
