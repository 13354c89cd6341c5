"""Preference pairs without padding: both answers of a pair side by side, each behind a prompt of its own."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from training.engine.data import ANSWERS, REFERENCE

Batch = dict[str, Any]


def lengths(batch: Batch) -> list[int]:
    """Of each pair of a batch."""
    return [end - start for start, end in pairwise(batch["bounds"][::2])]


def collate(examples: Sequence[Mapping[str, Any]]) -> Batch:
    """All sequences in one row: chosen, rejected, chosen … as the decoder wants them.

    `rows` are the tokens after which those of the answers come, `owners` the sequences they are of. Where sequences
    begin is told twice: to the attention, and in plain numbers to whoever cuts a step into passes without asking the
    card. The first token of a sequence has none before it, so it is never an answer's.
    """
    ids: list[int] = []
    bounds, answers = [0], [0]
    positions: list[Any] = []
    rows: list[Any] = []
    owners: list[Any] = []
    for example in examples:
        for name in ANSWERS:
            start, prompt = bounds[-1], len(example["prompt_ids"])
            ids += example["prompt_ids"] + example[name]
            bounds.append(len(ids))
            positions.append(torch.arange(len(ids) - start))
            rows.append(torch.arange(start + max(prompt, 1) - 1, len(ids) - 1))
            owners.append(torch.full_like(rows[-1], len(owners)))
            answers.append(answers[-1] + len(rows[-1]))
    batch = {
        "input_ids": torch.tensor(ids)[None],
        "position_ids": torch.cat(positions)[None],
        "cu_seq_lens_q": torch.tensor(bounds, dtype=torch.int32),
        "rows": torch.cat(rows),
        "owners": torch.cat(owners),
        "bounds": bounds,
        "answers": answers,
    }
    if REFERENCE[0] in examples[0]:
        batch["reference"] = torch.tensor([[example[name] for name in REFERENCE] for example in examples])
    return batch


def moved(batch: Batch, device: Any) -> Batch:
    """On the device, without waiting for what it is still working on."""
    tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
    if device.type == "cuda":
        tensors = {name: value.pin_memory().to(device, non_blocking=True) for name, value in tensors.items()}
    return batch | tensors


def stretch(batch: Batch, first: int, count: int) -> Batch:
    """So many pairs from the `first` on, for the decoder."""
    one, other = 2 * first, 2 * (first + count)
    bounds = batch["bounds"][one : other + 1]
    tokens, answers = slice(bounds[0], bounds[-1]), slice(batch["answers"][one], batch["answers"][other])
    return {
        "ids": batch["input_ids"][0, tokens],
        "positions": batch["position_ids"][0, tokens],
        "bounds": batch["cu_seq_lens_q"][one : other + 1] - bounds[0],
        "longest": max(end - start for start, end in pairwise(bounds)),
        "rows": batch["rows"][answers] - bounds[0],
        "owners": batch["owners"][answers] - one,
        "count": other - one,
    }
