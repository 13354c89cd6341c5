"""The fast decoder inside TRL's trainer: same data, same loss, same log; only the forward pass is another."""

from contextlib import nullcontext
from itertools import pairwise
from typing import Any

from training.domain.pace import Card, Pace, Widths, passes
from training.engine import memory
from training.engine.fast.attention import by_sequence, flash, varlen
from training.engine.group import ALONE, Group

IDLE = {"forward": "idle", "answers": "idle_answers"}
ATTENTION = {"varlen": varlen, "flash": flash, "sdpa": by_sequence}


def card(kind: str) -> Card:
    """The card of this process and the best attention it has."""
    if kind != "cuda":
        return Card(kind, memory.card_limit())
    return Card(kind, memory.capacity(kind), _best_attention())


def _best_attention() -> str:
    from importlib.util import find_spec

    if find_spec("torch.nn.attention.varlen") is not None:
        return "varlen"
    return "flash" if find_spec("flash_attn") is not None else "sdpa"


def widths(config: Any, parameters: int) -> Widths:
    """The sizes of a decoder from its config; attributes that a family lacks count as none."""
    heads = getattr(config, "num_attention_heads", 1)
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Widths(
        parameters=parameters,
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", 4 * config.hidden_size),
        layers=config.num_hidden_layers,
        queries=heads * width,
        keys=(getattr(config, "num_key_value_heads", None) or heads) * width,
        vocab=config.vocab_size,
    )


class FastPass:
    """What trainers with the fast pass have in common: the model answers `fast=…` through the decoder."""

    decoder: Any = None
    pace: Pace
    way = "forward"  # the decoder's method that a step is made of
    needs_reference = False
    reference_tokens = 0  # that the reference has read in this attempt
    group: Group = ALONE
    share: Any = None  # of the batch at work, where it is shared out among several processes

    def take_over(self, pace: Pace, kind: str) -> None:
        """Give the model the fast forward pass. Asked without `fast`, it answers as ever."""
        from training.engine.fast.model import FastDecoder

        inner = self.model.base_model.model  # type: ignore[attr-defined]
        self.pace = pace
        self.decoder = FastDecoder(
            inner, ATTENTION[pace.attention], on_gpu=kind == "cuda", recompute=pace.recompute, sharded=pace.sharded
        )
        if pace.sharded:  # the gradient of the head is made on the way: what lies outside of the layers is done with
            inner.set_unshard_in_backward(False)
        usual, quick = inner.forward, getattr(self.decoder, self.way)

        def forward(*args: Any, fast: dict[str, Any] | None = None, **kwargs: Any) -> Any:
            if fast is None:
                return usual(*args, **kwargs)
            return quick(**fast) if fast else nothing(inner)

        inner.forward = forward

    def _part(self, model: Any, *, last: bool) -> Any:
        """Around a pass: gradients go from card to card with the last one of a step, and not before."""
        return nullcontext() if last else self.accelerator.no_sync(model)  # type: ignore[attr-defined]

    def _nothing(self, model: Any) -> Any:
        """The step of a card that has no rows: the others wait for its gradients, which are zero."""
        if self.pace.sharded:
            return self._idle(model, self._idle_passes(0))
        loss = model(fast={})
        self.accelerator.backward(loss)  # type: ignore[attr-defined]
        return loss.detach()

    def _idle_passes(self, own: int) -> int:
        """How many passes other cards make beyond those of this one, where all are needed for each."""
        return self.group.most(own) - own if self.pace.sharded else 0

    def _idle(self, model: Any, passes: int) -> Any:
        """Take part in passes of others: fetch every layer, forward and back, and add nothing to the gradients."""
        import torch

        loss = torch.zeros((), device=self.accelerator.device)  # type: ignore[attr-defined]
        given = getattr(self.decoder, IDLE[self.way])(self.accelerator.device)  # type: ignore[attr-defined]
        for left in range(passes - 1, -1, -1):
            with self._part(model, last=not left):
                with self.compute_loss_context_manager():  # type: ignore[attr-defined]
                    said, _ = model(fast=given)
                self.accelerator.backward(said.sum() * 0.0)  # type: ignore[attr-defined]
        return loss


def nothing(model: Any) -> Any:
    """Zero, by way of everything that is trained."""
    return sum(value.sum() for value in model.parameters() if value.requires_grad) * 0.0


class FastLoss(FastPass):
    """Mixed into an SFT trainer whose batches are one row without padding."""

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """One step, pass by pass: each adds its share to the gradients, and the shares to the loss of the step."""
        if self.decoder is None:
            return super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        model.train()
        share = self.share
        if share is not None and not share.rows:
            self._note(0.0, share.all.tokens)
            return self._nothing(model)
        bounds = inputs["cu_seq_lens_q"].tolist()
        counts = passes([end - start for start, end in pairwise(bounds)], self.pace.tokens)
        inputs = self._prepare_inputs(inputs)  # type: ignore[attr-defined]
        trained = (inputs["labels"] != -100).sum()
        items = trained if num_items_in_batch is None else num_items_in_batch / self.accelerator.num_processes  # type: ignore[attr-defined]
        losses, hits = [], []
        first, idle = 0, self._idle_passes(len(counts))
        for place, count in enumerate(counts, start=1):
            with self._part(model, last=place == len(counts) and not idle):
                with self.compute_loss_context_manager():  # type: ignore[attr-defined]
                    loss, right = model(fast=stretch(inputs, bounds[first : first + count + 1], items))
                self.accelerator.backward(loss)  # type: ignore[attr-defined]
            losses.append(loss.detach())
            hits.append(right.detach())
            first += count
        self._idle(model, idle)
        among, tokens = (trained, bounds[-1]) if share is None else (share.all.trained, share.all.tokens)
        self._note(sum(hits) / among, tokens)
        return sum(losses)

    def _note(self, accuracy: Any, tokens: int) -> None:
        """As TRL keeps its figures, but left on the card until a log asks for them: each look would stop it."""
        self._metrics["train"]["mean_token_accuracy"].append(accuracy)  # type: ignore[attr-defined]
        self._total_train_tokens += tokens  # type: ignore[attr-defined]
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]  # type: ignore[attr-defined]

    def log(self, logs: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        noted = self._metrics["train"]  # type: ignore[attr-defined]
        for name, values in noted.items():
            noted[name] = [float(value) for value in values]
        super().log(logs, *args, **kwargs)  # type: ignore[misc]


def stretch(inputs: dict[str, Any], bounds: list[int], items: Any) -> dict[str, Any]:
    """The rows between the first and the last bound, as the decoder wants them."""
    import torch

    start, end = bounds[0], bounds[-1]
    ids = inputs["input_ids"][0, start:end]
    return {
        "ids": ids,
        "positions": inputs["position_ids"][0, start:end],
        "labels": inputs["labels"][0, start:end],
        "bounds": torch.tensor([bound - start for bound in bounds], dtype=torch.int32, device=ids.device),
        "longest": max(later - earlier for earlier, later in pairwise(bounds)),
        "items": items,
    }
