"""Rows that a run is looked at with and does not learn from: which of them are read, and their tokens."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets_app.engine.rendering import ChatTokenizer
from training.domain import looks
from training.domain.recipe import Cut, Method
from training.domain.spec import RunSpec
from training.engine import data
from training.engine.data import Example, Prepared, Preparer
from training.engine.events import EngineError, emit


@dataclass
class HeldOut:
    """The examples of every look, always the same ones, and what was done to get them."""

    examples: list[Example] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def prepare(spec: RunSpec, chat: ChatTokenizer, trained_on: Prepared) -> HeldOut | None:
    """What is read at each look; None for a run without validation data, or whose rows all teach nothing."""
    if spec.validation is None:
        return None
    path = Path(spec.validation.path)
    total = data.count_rows(path)
    if total != spec.validation.rows:
        raise EngineError(
            f"The validation data has {total} rows, but the run was frozen with {spec.validation.rows}.",
            code="data_changed",
        )
    order = looks.drawn(spec.validation.content_hash, total)
    done = _tokens(spec, chat, path, order)
    held = _within(done, order, trained_on.tokens, total, spec.recipe.epochs)
    emit("validation_data", **held.report)
    if held.examples:
        return held
    text = "No row of the validation data can be read within the longest row, so there is no validation loss."
    emit("warning", code="no_validation", message=text)
    return None


def _tokens(spec: RunSpec, chat: ChatTokenizer, path: Path, order: list[int]) -> Prepared:
    """Nothing here ends a run: what is too long is cut where the run cuts, and left out otherwise."""
    cut = Cut.CUT if spec.recipe.cut == Cut.CUT else Cut.DROP
    preparer = Preparer(chat, spec.recipe.max_length, cut)
    for row in data.read_rows_at(path, order):
        preparer.add(row, preference=spec.recipe.method == Method.DPO)
    return preparer.done


def _within(done: Prepared, order: list[int], trained_on: int, total: int, epochs: float) -> HeldOut:
    """As many rows, in the order they were drawn, as a look may take."""
    place = {row: rank for rank, row in enumerate(order)}
    drawn = sorted(range(len(done.rows)), key=lambda at: place[done.rows[at]])
    sizes = [data.length(done.examples[at]) for at in drawn]
    count = looks.rows_read(sizes, trained_on)
    kept = [done.examples[at] for at in drawn[:count]]
    report = {
        "rows": count,
        "of": total,
        "tokens": sum(sizes[:count]),
        "run_tokens": round(trained_on * epochs),
        "trained_tokens": sum(map(data.trained, kept)),
        "left_out": len(done.dropped) + len(done.unshowable) + len(done.untrained),
        "cut": len(done.cut),
    }
    return HeldOut(kept, report)
