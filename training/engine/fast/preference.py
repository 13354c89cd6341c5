"""The fast decoder inside TRL's DPO trainer: the reference once, then both answers of each pair in the same pass."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any

import torch

from training.domain.pace import Pace, passes
from training.engine.data import REFERENCE, length
from training.engine.events import emit
from training.engine.fast import pairs
from training.engine.fast.trainer import FastPass
from training.engine.references import References

TELL_SECONDS = 1.0
SAVE_SECONDS = 300.0
# What a step is told by, under TRL's names.
TOLD = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "mean_token_accuracy")


class FastPreference(FastPass):
    """Mixed into a DPO trainer; its loss is the sigmoid of Rafailov et al. 2023 (arXiv:2305.18290), as in TRL."""

    data_collator: Any
    way = "answers"
    tokens_seen = 0

    @property
    def needs_reference(self) -> bool:  # type: ignore[override]
        return self.decoder is not None

    def take_over(self, pace: Pace, kind: str) -> None:
        super().take_over(pace, kind)
        self.data_collator = pairs.collate
        self.noted: list[Any] = []

    # Before the first step

    def refer(
        self, examples: Sequence[Mapping[str, Any]], kept: References, stop: Any, *, seconds: float | None = None
    ) -> None:
        """What the reference says of every answer becomes part of the rows.

        What an attempt before has kept is not computed again. After `seconds`, if given, the rest is said to be 0: a
        rehearsal does not learn.
        """
        sizes = [length(example) for example in examples]
        found = torch.zeros(len(sizes), 2, device=self.accelerator.device)  # type: ignore[attr-defined]
        known = kept.read(len(sizes))
        found[: len(known)] = known.to(found.device)
        if len(known) < len(sizes):
            try:
                self._refer_all(examples, sizes, found, kept, stop, seconds)
            finally:
                kept.keep(found)
        columns = found.cpu().numpy()
        for place, name in enumerate(REFERENCE):
            self.train_dataset = self.train_dataset.add_column(name, columns[:, place])  # type: ignore[has-type]

    def _refer_all(
        self, examples: Sequence[Mapping[str, Any]], sizes: list[int], found: Any, kept: References, stop: Any,
        seconds: float | None,
    ) -> None:  # fmt: skip
        began = told = saved = time.monotonic()
        first = 0
        emit("progress", phase="reference", done=kept.done, total=len(sizes))
        for counts in batched(passes(sizes, self.pace.tokens), self.group.size):
            end = first + sum(counts)
            if end > kept.done:
                found[first:end] = self._side_by_side(examples, first, counts)
                kept.done = end
                self.reference_tokens += sum(sizes[first:end])
            first, now = end, time.monotonic()
            if now - told >= TELL_SECONDS or end == len(sizes):
                told = now
                emit("progress", phase="reference", done=max(end, kept.done), total=len(sizes))
            if now - saved >= SAVE_SECONDS:
                saved = now
                kept.keep(found)
            stop.look()
            if seconds is not None and now - began > seconds:
                break

    def _side_by_side(self, examples: Sequence[Mapping[str, Any]], first: int, counts: Sequence[int]) -> Any:
        """A pass for each card, and what all of them have found."""
        starts = [first, *(first + done for done in accumulate(counts))]
        found = torch.zeros(sum(counts), 2)
        rank = self.group.rank
        if rank < len(counts):
            start, end = starts[rank], starts[rank + 1]
            said = self.reference_of(examples[start:end])
            if self.group.is_alone:
                return said
            found[start - first : end - first] = said.cpu()
        elif self.pace.sharded:
            self.said(self.decoder.idle_answers(self.accelerator.device), None)  # type: ignore[attr-defined]
        return self.group.total(found)

    def reference_of(self, examples: Sequence[Mapping[str, Any]]) -> Any:
        """(pairs, 2): the adapter that was there before, or the base where the adapter is new."""
        batch = pairs.moved(pairs.collate(examples), self.accelerator.device)  # type: ignore[attr-defined]
        adapter = "ref" if "ref" in self.model.peft_config else None  # type: ignore[attr-defined]
        return self.said(pairs.stretch(batch, 0, len(examples)), adapter).view(-1, 2)

    def said(self, given: dict[str, Any], adapter: str | None) -> Any:
        """Log-probabilities of answers, as an adapter or the base alone gives them."""
        with torch.no_grad(), self.accelerator.autocast():  # type: ignore[attr-defined]
            return self.decoder.model(fast=given | {"adapter": adapter})[0]

    # Steps

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """One step, pass by pass: a pair is never split, so each pass adds its share of the mean over pairs."""
        if self.decoder is None:
            return super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        model.train()
        share = self.share
        if share is not None and not share.rows:
            self.noted.append(torch.zeros(len(TOLD), device=self.accelerator.device))  # type: ignore[attr-defined]
            self.tokens_seen += share.all.tokens
            return self._nothing(model)
        inputs = self._prepare_inputs(inputs)  # type: ignore[attr-defined]
        sizes = pairs.lengths(inputs)
        losses, rewards, right = [], [], []
        # The mean over the cards of what each makes of its own is the mean over all pairs.
        among = len(sizes) if share is None else share.all.rows / self.group.size
        counts = passes(sizes, self.pace.tokens)
        first, idle = 0, self._idle_passes(len(counts))
        for count in counts:
            given = pairs.stretch(inputs, first, count)
            with self._part(model, last=first + count == len(sizes) and not idle):
                with self.compute_loss_context_manager():  # type: ignore[attr-defined]
                    said, hits = model(fast=given)
                    scores = self.beta * (said.view(-1, 2) - inputs["reference"][first : first + count])  # type: ignore[attr-defined]
                    loss = -torch.nn.functional.logsigmoid(scores[:, 0] - scores[:, 1]).sum() / among
                self.accelerator.backward(loss)  # type: ignore[attr-defined]
            losses.append(loss.detach())
            rewards.append(scores.detach())
            right.append((hits * (given["owners"] % 2 == 0)).sum())  # TRL counts those of the chosen answers
            first += count
        self._idle(model, idle)
        pairs_in_all = len(sizes) if share is None else share.all.rows
        answers = _chosen(inputs["answers"]) if share is None else share.all.chosen
        self._note(torch.cat(rewards), pairs_in_all, sum(right) / max(1, answers))
        self.tokens_seen += inputs["bounds"][-1] if share is None else share.all.tokens
        return sum(losses)

    def _note(self, rewards: Any, among: int, accuracy: Any) -> None:
        """Left on the card until a log asks for it: each look would stop it."""
        chosen, rejected = rewards.unbind(1)
        margins, better = chosen - rejected, (chosen > rejected).float()
        told = torch.stack([values.sum() / among for values in (chosen, rejected, margins, better)])
        self.noted.append(torch.cat((told, accuracy[None])))

    def log(self, logs: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        if self.decoder is not None and self.noted:
            means = self.group.total(torch.stack(self.noted).mean(0).cpu()).tolist()
            logs |= dict(zip(TOLD, means, strict=True)) | {"num_tokens": self.tokens_seen}
            self.noted = []
        super().log(logs, *args, **kwargs)  # type: ignore[misc]


def batched(counts: list[int], size: int) -> Iterator[list[int]]:
    """So many at a time; the last may be fewer."""
    left = iter(counts)
    while some := list(islice(left, size)):
        yield some


def _chosen(answers: list[int]) -> int:
    """Tokens of all chosen answers."""
    return sum(end - start for start, end in zip(answers[::2], answers[1::2], strict=False))
