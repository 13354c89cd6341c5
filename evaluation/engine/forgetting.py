"""What was forgotten: the loss on general text with and without the adapter."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from evaluation.engine.answering import ARMS, arm, batches, halving
from evaluation.engine.loading import Pair
from training.engine.events import EngineError

WINDOW = 1_024  # tokens seen at once; longer texts are read window by window
BATCH_TOKENS = {"cpu": 4_096, "cuda": 16_384}


def encode(pair: Pair, row: dict[str, Any]) -> list[int]:
    """Ids of a plain text with its end, or of a whole conversation through the chat template."""
    if row.get("text") is not None:
        return pair.chat.text(row["text"]).ids
    return pair.chat.encode(pair.chat.render(row["messages"], row.get("tools")))


def losses(
    pair: Pair, rows: Sequence[dict[str, Any]], report: Callable[[int, int], None]
) -> tuple[dict[str, list[float]], list[int]]:
    """Summed token losses of each row by arm, and how many tokens were predicted in it."""
    size = min(WINDOW, pair.context)
    windows = [(index, part) for index, row in enumerate(rows) for part in _windows(encode(pair, row), size)]
    if not windows:
        raise EngineError(
            "No retention row has two tokens or more. Choose another retention set.", code="retention_empty"
        )
    sums = {name: [0.0] * len(rows) for name in ARMS}
    counts = [0] * len(rows)
    done = 0
    for batch in batches([len(part) for _, part in windows], budget=BATCH_TOKENS[pair.device.kind], rows=64, extra=0):
        chosen = [windows[place] for place in batch]
        for name in ARMS:
            with torch.inference_mode(), arm(pair, name):
                found = halving(lambda part: _batch_losses(pair, part), [ids for _, ids in chosen])
            for (index, _), loss in zip(chosen, found, strict=True):
                sums[name][index] += loss
        for index, ids in chosen:
            counts[index] += len(ids) - 1
        done += len(batch)
        report(done, len(windows))
    kept = [index for index, count in enumerate(counts) if count]
    return {name: [sums[name][i] for i in kept] for name in ARMS}, [counts[i] for i in kept]


def _windows(ids: list[int], size: int) -> list[list[int]]:
    parts = [ids[start : start + size] for start in range(0, len(ids), size)]
    return [part for part in parts if len(part) > 1]


def _batch_losses(pair: Pair, rows: list[list[int]]) -> list[float]:
    """Sum of the next-token losses of each row; padding on the right predicts nothing."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [pair.pad] * (width - len(row)) for row in rows], device=pair.device.kind)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=pair.device.kind)
    logits = pair.model(input_ids=ids, attention_mask=mask).logits
    sums = []
    for row in range(len(rows)):  # one row at a time: float32 logits of a whole batch would not fit
        count = int(mask[row].sum()) - 1
        sums.append(float(cross_entropy(logits[row, :count].float(), ids[row, 1 : count + 1], reduction="sum")))
    return sums
