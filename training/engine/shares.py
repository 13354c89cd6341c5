"""A trainer that is one of several: every process draws the same batch and computes its share of the rows.

The library would deal out whole batches instead, and with them another number of rows a step, another order and another
end of the epoch. Here everything but the time is as on one card, with any number of cards.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

from training.domain.sharing import shares
from training.engine.data import ANSWERS, IGNORED, answer_tokens, length, trained
from training.engine.group import ALONE, Group

KEY = "share"  # under which a batch carries what it is a share of
# What TRL's means of a batch are over, by the figure's name; of all others over its rows.
MEANS = {
    "entropy": "trained",
    "mean_token_accuracy": "chosen",
    "logits/chosen": "chosen",
    "logits/rejected": "rejected",
}


@dataclass(frozen=True)
class Sums:
    """Of some rows: how many, their tokens, those that are trained on, and of pairs those of either answer."""

    rows: int
    tokens: int
    chosen: int
    rejected: int

    @property
    def trained(self) -> int:
        return self.chosen + self.rejected

    @classmethod
    def of(cls, examples: Sequence[Mapping[str, Any]]) -> "Sums":
        if examples and "chosen_ids" in examples[0]:
            chosen, rejected = (sum(answer_tokens(one, name) for one in examples) for name in ANSWERS)
        else:
            chosen, rejected = sum(map(trained, examples)), 0
        return cls(len(examples), sum(map(length, examples)), chosen, rejected)

    @classmethod
    def over(cls, parts: Iterable["Sums"]) -> "Sums":
        return cls(*(sum(column) for column in zip(*map(astuple, parts), strict=True)))


@dataclass(frozen=True)
class Share:
    """Of a batch: what lies in this share, and in all of them together."""

    mine: Sums
    all: Sums

    @property
    def rows(self) -> int:
        return self.mine.rows

    def of(self, name: str, step: Sums) -> float:
        """What a mean over this share counts for in the mean over the step."""
        over = MEANS.get(name, "rows")
        whole = getattr(step, over)
        return getattr(self.mine, over) / whole if whole else 0.0


class Collator:
    """Around the trainer's own: of the rows of a batch it is given this process's share."""

    def __init__(self, collate: Callable[[Sequence[Any]], dict[str, Any]], group: Group) -> None:
        self.collate, self.group = collate, group

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        lengths = [length(one) for one in examples]
        mine = [examples[row] for row in shares(lengths, self.group.size)[self.group.rank]]
        share = Share(Sums.of(mine), Sums.of(examples))
        # Whoever has none takes part in every exchange all the same, with the shortest row, which counts for nothing.
        taken = mine or [_mute(examples[lengths.index(min(lengths))])]
        return self.collate(taken) | {KEY: share}


def _mute(example: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(example) | {"labels": [IGNORED] * len(example["labels"])} if "labels" in example else example


class Together:
    """Mixed into a trainer, outside of the fast pass and of TRL."""

    group: Group = ALONE
    data_collator: Any
    share: Share | None = None  # of the batch at work; None where a step is one batch on one card
    step: Sums | None = None  # of all batches of the step at work

    def join(self, group: Group) -> None:
        """Before the first batch is drawn."""
        self.group = group
        if group.is_alone and self.args.gradient_accumulation_steps == 1:  # type: ignore[attr-defined]
            return
        self.data_collator = Collator(self.data_collator, group)
        if not group.is_alone:
            self.accelerator.prepare_data_loader = self._whole_batches  # type: ignore[attr-defined]

    def _whole_batches(self, loader: Any, **_: Any) -> Any:
        """As accelerate prepares it for one process: all draw the same rows in the same order."""
        from accelerate.data_loader import prepare_data_loader

        accelerator: Any = self.accelerator  # type: ignore[attr-defined]
        prepared = prepare_data_loader(
            loader,
            accelerator.device,
            num_processes=1,
            process_index=0,
            put_on_device=accelerator.device_placement,
            use_seedable_sampler=accelerator.use_seedable_sampler,
            data_seed=accelerator.dataloader_config.data_seed,
            non_blocking=accelerator.non_blocking,
        )
        accelerator._dataloaders.append(prepared)
        return prepared

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Rows of like length are drawn from numbers of their own: those of this process are spent on dropout, and an
        attempt that goes on in a later epoch must draw the same."""
        sampler = super()._get_train_sampler(*args, **kwargs)  # type: ignore[misc]
        if getattr(sampler, "generator", self) is None and hasattr(sampler, "lengths"):
            import torch

            numbers, seed = torch.Generator(), self.args.data_seed  # type: ignore[attr-defined]
            sampler.generator = numbers.manual_seed(seed)
            sampler.set_epoch = lambda epoch: numbers.manual_seed(seed + epoch)
        return sampler

    @property
    def _shares_out(self) -> bool:
        return isinstance(self.data_collator, Collator)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        batches, items = super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]
        self.step = Sums.over(batch[KEY].all for batch in batches) if batches and self._shares_out else None
        return batches, items

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.share = inputs.pop(KEY, None)
        return super().training_step(model, inputs, *args, **kwargs)  # type: ignore[misc]

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The library's own loss of this share, so that the mean over the processes is the loss of the whole batch."""
        if self.share is None:
            return super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[misc]
        noted = self._metrics["train"]  # type: ignore[attr-defined]
        before = {name: len(values) for name, values in noted.items()}
        seen = self._total_train_tokens  # type: ignore[has-type]
        with self._by_itself():
            loss = super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[misc]
        self._total_train_tokens = seen + self.share.all.tokens
        for name, values in noted.items():
            if name != "num_tokens" and len(values) > before.get(name, 0):
                weight = self._weight(self.share, name)
                values[-1] = weight * float(values[-1]) if weight else 0.0
        noted["num_tokens"] = [self._total_train_tokens]
        # Of SFT the library knows how many tokens all processes train on; of DPO it takes the mean over these pairs.
        return loss if "labels" in inputs else loss * self.group.size * self._weight(self.share, "loss")

    def _weight(self, share: Share, name: str) -> float:
        """For the mean over the batches of a step to be the mean over all that is in it, whatever lies together."""
        batches = self.current_gradient_accumulation_steps  # type: ignore[attr-defined]
        return share.of(name, self.step) * batches if self.step else share.of(name, share.all)

    def store_flos(self) -> None:
        """The library would ask all processes, and when it saves there is only one."""
        if self.group.is_alone:
            super().store_flos()  # type: ignore[misc]

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        """The library's figures are of this share alone: it gathers rows as if all processes had as many."""
        accelerator: Any = self.accelerator  # type: ignore[attr-defined]
        accelerator.gather = accelerator.gather_for_metrics = _as_it_is
        try:
            yield
        finally:
            del accelerator.gather, accelerator.gather_for_metrics

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """What each process has noted of its shares, together."""
        noted = self._metrics["train"]  # type: ignore[attr-defined]
        names = sorted(name for name in noted if name != "num_tokens") if not self.group.is_alone else []
        if names:
            import torch

            values = torch.tensor([[float(one) for one in noted[name]] for name in names], dtype=torch.float64)
            for name, row in zip(names, self.group.total(values).tolist(), strict=True):
                noted[name] = row
        super().log(logs, *args, **kwargs)  # type: ignore[misc]


def _as_it_is(value: Any, *_: Any, **__: Any) -> Any:
    return value
