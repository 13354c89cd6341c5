"""The rows of a dataset version, read in stretches and turned into tokens under the run's cut policy."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets_app.engine.chat_template import Unshowable
from datasets_app.engine.rendering import ChatTokenizer, Pair, Tokens
from training.domain.recipe import Cut
from training.engine.events import EngineError

COLUMNS = ["index", "kind", "messages", "chosen", "rejected", "tools", "text"]
EXTRAS = "extras"  # what a row carries besides; versions of older files have none
IGNORED = -100  # the label that TRL leaves out of the loss
NAMED_ROWS = 20
ANSWERS = ("chosen_ids", "rejected_ids")
REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")  # of a pair, as TRL calls these columns

Row = dict[str, Any]
Example = dict[str, list[int]]


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a rows.parquet in order, JSON columns parsed; a thousand in memory at a time."""
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000, columns=_columns(file)):
                yield from map(_parsed, batch.to_pylist())
    except OSError as problem:
        raise EngineError(f"The dataset cannot be read: {problem}", code="data_missing") from problem


def read_rows_at(path: Path, indices: Iterable[int]) -> Iterator[Row]:
    """The rows of these numbers, in order; only their groups are read."""
    from pyarrow import parquet

    wanted = sorted(set(indices))
    try:
        with parquet.ParquetFile(path) as file:
            columns, first = _columns(file), 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                here = [index - first for index in wanted if first <= index < first + rows]
                if here:
                    yield from map(_parsed, file.read_row_group(group, columns=columns).take(here).to_pylist())
                first += rows
    except OSError as problem:
        raise EngineError(f"The dataset cannot be read: {problem}", code="data_missing") from problem


def _columns(file: Any) -> list[str]:
    return [*COLUMNS, EXTRAS] if EXTRAS in file.schema_arrow.names else COLUMNS


def count_rows(path: Path) -> int:
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(path).num_rows)
    except OSError as problem:
        raise EngineError(f"The dataset cannot be read: {problem}", code="data_missing") from problem


def _parsed(row: Row) -> Row:
    for name in ("messages", "chosen", "rejected", "tools"):
        row[name] = json.loads(row[name]) if row[name] else []
    row["options"] = (json.loads(row.pop(EXTRAS, None) or "{}")).get("chat_template_kwargs") or {}
    return row


def length(example: Mapping[str, Any]) -> int:
    """Tokens that an example takes; of a pair both answers count, each with the prompt."""
    if "input_ids" in example:
        return len(example["input_ids"])
    return sum(len(example["prompt_ids"]) + len(example[name]) for name in ANSWERS)


def trained(example: Mapping[str, Any]) -> int:
    """Tokens of an example that the loss is a mean over; the first of a sequence has none before it."""
    if "labels" not in example:
        return sum(answer_tokens(example, name) for name in ANSWERS)
    first, found = 0, 0
    for size in example.get("seq_lengths") or [len(example["labels"])]:
        found += sum(label != IGNORED for label in example["labels"][first + 1 : first + size])
        first += size
    return found


def answer_tokens(example: Mapping[str, Any], name: str) -> int:
    """Of one answer of a pair; where there is no prompt, nothing comes before its first token."""
    return len(example[name]) - (not example["prompt_ids"])


def sequence(chat: ChatTokenizer, row: Row) -> Tokens:
    """One SFT sequence: a conversation, or plain text."""
    if row["kind"] == "text":
        return chat.text(row["text"] or "")
    return chat.chat(row["messages"], row["tools"], row["options"])


def pair(chat: ChatTokenizer, row: Row) -> Pair:
    return chat.pair(row["messages"], row["chosen"], row["rejected"], row["tools"], row["options"])


@dataclass
class Prepared:
    """What is trained on, and what was done to the rows on the way."""

    examples: list[Example] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # which row each example is
    dropped: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    unshowable: list[int] = field(default_factory=list)
    untrained: list[int] = field(default_factory=list)
    last_turn_only: int = 0
    tokens: int = 0
    trained_tokens: int = 0

    def report(self) -> dict[str, Any]:
        """Counts, and the first rows of each kind by number."""
        lists = {name: getattr(self, name) for name in ("dropped", "cut", "unshowable", "untrained")}
        return {
            "rows": len(self.examples),
            "tokens": self.tokens,
            "trained_tokens": self.trained_tokens,
            "last_turn_only": self.last_turn_only,
            **{name: len(rows) for name, rows in lists.items()},
            **{f"{name}_rows": rows[:NAMED_ROWS] for name, rows in lists.items()},
        }


class Preparer:
    """Turns rows into examples for a trainer; what does not fit is decided by the cut policy, never in silence."""

    def __init__(self, chat: ChatTokenizer, limit: int, cut: str) -> None:
        self.chat, self.limit, self.cut, self.done = chat, limit, cut, Prepared()

    def add(self, row: Row, *, preference: bool) -> None:
        if (row["kind"] == "preference") != preference:
            wanted = "preference rows" if preference else "chats or plain text"
            raise EngineError(
                f"Row {row['index']} is of kind {row['kind']}; this method needs {wanted}.",
                code="wrong_kind",
                where={"rows": [row["index"]]},
            )
        try:
            self._add_pair(row) if preference else self._add_sequence(row)
        except Unshowable as problem:
            if self.cut == Cut.REFUSE or problem.failure == "template_forbidden":
                where = {"rows": [row["index"]]}
                raise EngineError(f"Row {row['index']}: {problem}", code=problem.failure, where=where) from problem
            self.done.unshowable.append(row["index"])

    def _add_sequence(self, row: Row) -> None:
        found = sequence(self.chat, row)
        if not self._fits(row, len(found.ids)):
            return
        ids, trained = found.ids[: self.limit], found.trained[: self.limit]
        if not any(trained):
            self.done.untrained.append(row["index"])
            return
        labels = [token if flag else IGNORED for token, flag in zip(ids, trained, strict=True)]
        self._keep(row, {"input_ids": ids, "labels": labels})
        self.done.last_turn_only += found.last_turn_only
        self.done.tokens += len(ids)
        self.done.trained_tokens += sum(trained)

    def _add_pair(self, row: Row) -> None:
        found = pair(self.chat, row)
        prompt = found.prompt
        if not self._fits(row, len(prompt) + max(len(found.chosen), len(found.rejected))):
            return
        room = max(0, self.limit - len(prompt))
        chosen, rejected = found.chosen[:room], found.rejected[:room]
        if not chosen or not rejected:
            self.done.untrained.append(row["index"])
            return
        self._keep(row, {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
        self.done.tokens += 2 * len(prompt) + len(chosen) + len(rejected)
        self.done.trained_tokens += len(chosen) + len(rejected)

    def _keep(self, row: Row, example: Example) -> None:
        self.done.examples.append(example)
        self.done.rows.append(row["index"])

    def _fits(self, row: Row, length: int) -> bool:
        """True when the row is to be used; a row that is too long is refused, dropped or noted as cut."""
        if length <= self.limit:
            return True
        if self.cut == Cut.REFUSE:
            raise EngineError(
                f"Row {row['index']} has {length} tokens and the longest allowed is {self.limit}. "
                "Raise the longest row, or decide to leave such rows out or to cut them.",
                code="answer_cut",
                where={"rows": [row["index"]], "longest_row": row["index"], "longest_tokens": length},
            )
        if self.cut == Cut.DROP:
            self.done.dropped.append(row["index"])
            return False
        self.done.cut.append(row["index"])
        return True

    def finish(self) -> Prepared:
        if not self.done.examples:
            raise EngineError(
                "No row is left that would teach anything.",
                code="no_trained_tokens",
                detail=str(self.done.report()),
            )
        return self.done
