"""Which rows were being worked on when it broke: a failure names the row, not only the step."""

from collections.abc import Iterable, Mapping
from typing import Any

from training.engine.data import Example, Prepared

NAMED_ROWS = 8


def sequences(batch: Mapping[str, Any]) -> list[list[int]]:
    """The token ids of every sequence of a batch, without padding; packed ones apart from each other."""
    ids = batch["input_ids"].tolist()
    if "attention_mask" in batch:
        masks = batch["attention_mask"].tolist()
        return [
            [token for token, shown in zip(row, mask, strict=True) if shown]
            for row, mask in zip(ids, masks, strict=True)
        ]
    if "position_ids" not in batch:
        return ids  # type: ignore[no-any-return]
    found: list[list[int]] = []
    for row, places in zip(ids, batch["position_ids"].tolist(), strict=True):
        for token, place in zip(row, places, strict=True):
            if place == 0:
                found.append([])
            found[-1].append(token)
    return found


def rows_of(batch: Mapping[str, Any], prepared: Prepared) -> list[tuple[int, int]]:
    """(row, tokens) of what is in a batch, the longest first. A pair is as long as the longer of its two answers."""
    known: dict[tuple[int, ...], int] = {}
    for example, row in zip(prepared.examples, prepared.rows, strict=True):
        for ids in _sequences_of(example):
            known.setdefault(tuple(ids), row)
    lengths: dict[int, int] = {}
    for ids in sequences(batch):
        found = known.get(tuple(ids))
        if found is not None:
            lengths[found] = max(lengths.get(found, 0), len(ids))
    return sorted(lengths.items(), key=lambda item: -item[1])


def _sequences_of(example: Example) -> Iterable[list[int]]:
    if "prompt_ids" in example:
        return (example["prompt_ids"] + example[name] for name in ("chosen_ids", "rejected_ids"))
    return (example["input_ids"],)


def where(batch: Mapping[str, Any] | None, prepared: Prepared, step: int) -> dict[str, Any]:
    """The step, the first rows of the batch, and the longest of them with its length."""
    known: dict[str, Any] = {"step": step}
    rows = rows_of(batch, prepared) if batch is not None else []
    if rows and batch is not None:
        known |= {
            "rows": [row for row, _ in rows[:NAMED_ROWS]],
            "longest_row": rows[0][0],
            "longest_tokens": rows[0][1],
        }
        known |= {"batch_rows": len(rows), "batch_tokens": sum(map(len, batch["input_ids"].tolist()))}
    return known


def longest(known: Mapping[str, Any]) -> str:
    """The longest row in words, as the end of a sentence; nothing when the batch is not known."""
    if "longest_row" not in known:
        return ""
    return (
        f" The longest row of its batch is row {known['longest_row']:,} with {known['longest_tokens']:,} tokens; "
        f"{known['batch_rows']} rows were in memory, {known['batch_tokens']:,} tokens with their padding."
    )
