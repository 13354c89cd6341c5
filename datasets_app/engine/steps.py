"""The steps of a recipe at work: each looks at rows one by one and keeps, changes or drops them.

A step that must know all rows first (sample, split) is told by a survey of those that reach it. Memory is a few bytes
a row: bits for rows that are dropped by number, hashes for those that must be recognised.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain import hashing, provenance, recipes_rows
from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import Row
from datasets_app.domain.recipes import Op, Step
from datasets_app.engine.groups import joined, mixed
from datasets_app.engine.refusal import FileRefused

Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
EXAMPLES, SHOWN_CHARS, SHOWN_TURNS = 3, 700, 8


@dataclass(slots=True)
class Item:
    """A row on its way. `at` is its place in all sources together, `index` its number in its own."""

    at: int
    index: int
    line: int
    row: Row
    row_hash: int | None  # None once the row was changed


@dataclass
class Tally:
    dropped: int = 0
    changed: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """What steps may ask for besides the row."""

    total: int
    rows_of_finding: Callable[[str], Ints]  # places in all sources
    overlapping: Callable[[Step], Ints]
    clusters: Callable[[], Ints]  # (total,) the place of the first row of each row's cluster of near duplicates
    languages: Callable[[], list[str]]  # of each place, by its short name
    by: str = ""
    at: str = ""
    salt: str = ""


class Work:
    """One step. `begin` before every pass over the rows, `take` for every row: the row as it goes on, or None."""

    def __init__(self, step: Step, setting: Setting) -> None:
        self.step, self.args, self.setting = step, step.args, setting
        self.tally = Tally()

    def begin(self) -> None:
        self.tally = Tally()

    def take(self, item: Item) -> Item | None:
        raise NotImplementedError

    def changed(self, item: Item, row: Row, what: str = "", by: str = "", at: str = "") -> Item:
        """The item with its new row, the edit noted in its provenance."""
        if row == item.row:
            return item
        if not recipes_rows.still_whole(row):
            found = f"row {item.index} would no longer end with an answer"
            raise FileRefused(Code.RECIPE_BREAKS_ROW, found)
        own = provenance.edited(
            row.provenance,
            by=by or self.setting.by,
            at=at or self.setting.at,
            what=what or self.step.op.value,
        )
        return Item(item.at, item.index, item.line, replace(row, provenance=own), None)


class Numbered(Work):
    """Drops rows by their place: those of a finding, of an overlap, or named one by one."""

    def __init__(self, step: Step, setting: Setting) -> None:
        super().__init__(step, setting)
        self.gone: Bools = np.zeros(setting.total, dtype=np.bool_)
        places = {
            Op.DROP_FINDING: lambda: setting.rows_of_finding(step.code),
            Op.DROP_OVERLAP: lambda: setting.overlapping(step),
            Op.DROP_ROWS: lambda: np.array(step.args["indices"], dtype=np.int64),
        }[step.op]()
        self.gone[places[places < setting.total]] = True

    def take(self, item: Item) -> Item | None:
        return None if self.gone[item.at] else item


class Dedupe(Work):
    """Keeps the first of rows with the same content."""

    def begin(self) -> None:
        super().begin()
        self.seen: set[int] = set()

    def take(self, item: Item) -> Item | None:
        found = row_hash(item)
        if found in self.seen:
            return None
        self.seen.add(found)
        return item


class DedupeNear(Work):
    """Keeps the first row of each cluster that comes by."""

    def begin(self) -> None:
        super().begin()
        self.seen: Bools = np.zeros(self.setting.total, dtype=np.bool_)
        self.clusters = self.setting.clusters()

    def take(self, item: Item) -> Item | None:
        cluster = self.clusters[item.at]
        if self.seen[cluster]:
            return None
        self.seen[cluster] = True
        return item


class Change(Work):
    """Redacts, strips or maps."""

    def take(self, item: Item) -> Item | None:
        return self.changed(item, self.new(item.row))

    def new(self, row: Row) -> Row:
        if self.step.op == Op.STRIP_HIDDEN:
            return recipes_rows.strip_hidden(row)
        if self.step.op == Op.MAP:
            return recipes_rows.mapped(row, self.args)
        return recipes_rows.redact(row, self.args, self.setting.salt)


class Edit(Work):
    """Puts in answers that people wrote."""

    def __init__(self, step: Step, setting: Setting) -> None:
        super().__init__(step, setting)
        self.edits = {edit["row"]: edit for edit in self.args["edits"]}

    def take(self, item: Item) -> Item | None:
        edit = self.edits.get(item.at)
        if edit is None:
            return item
        turned = edit.get("swap", False)
        row = recipes_rows.turned_round(item.row) if turned else recipes_rows.with_answer(item.row, edit["answer"])
        return self.changed(item, row, by=edit.get("by", ""), at=edit.get("at", ""))


class Filter(Work):
    """Keeps or drops rows that are what it asks for; a row's language is that of the row the recipe began with."""

    def begin(self) -> None:
        super().begin()
        self.languages = self.setting.languages() if self.args["field"] == "language" else []

    def take(self, item: Item) -> Item | None:
        if self.args["field"] == "language":
            fits = self.languages[item.at] in self.args["values"]
        else:
            fits = recipes_rows.matches(item.row, self.args)
        return item if fits == self.args["keep"] else None


class Surveyed(Work):
    """Looks at all rows that reach it, decides, and then drops by place."""

    def __init__(self, step: Step, setting: Setting) -> None:
        super().__init__(step, setting)
        self.kept: Bools | None = None
        self.report: dict[str, Any] = {}
        self._at: list[int] = []
        self._hash: list[int] = []
        self._label: list[str | None] = []

    def note(self, item: Item) -> None:
        self._at.append(item.at)
        self._hash.append(self.key(item))
        if self.args.get("by_label"):
            self._label.append(item.row.label)

    def key(self, item: Item) -> int:
        return row_hash(item)

    def decide(self) -> None:
        places, hashes = np.array(self._at, dtype=np.int64), np.array(self._hash, dtype=np.int64)
        self.kept = np.zeros(self.setting.total, dtype=np.bool_)
        self.kept[places[self.choose(places, hashes)]] = True
        self._at, self._hash, self._label = [], [], []

    def choose(self, places: Ints, hashes: Ints) -> Any:
        """Which of the surveyed rows stay: an index or a mask into `places`."""
        raise NotImplementedError

    def take(self, item: Item) -> Item | None:
        assert self.kept is not None, "surveyed before"
        return item if self.kept[item.at] else None


class Sample(Surveyed):
    """The rows with the smallest hashes under the seed: the same rows whatever stands around them."""

    def choose(self, places: Ints, hashes: Ints) -> Any:
        wanted = self.args.get("n") or max(1, round(self.args["share"] * len(places)))
        order = np.lexsort((places, mixed(hashes, self.args["seed"])))
        if not self.args["by_label"] or wanted >= len(places):
            return order[:wanted]
        return self._by_label(order, wanted)

    def _by_label(self, order: Ints, wanted: int) -> Ints:
        """Each label in its share; what rounding leaves over goes to the largest remainders."""
        names, codes = np.unique([label or "" for label in self._label], return_inverse=True)
        shares = np.bincount(codes, minlength=len(names)) * wanted / len(order)
        seats = np.floor(shares).astype(np.int64)
        for n in np.argsort(-(shares - seats), kind="stable")[: wanted - int(seats.sum())]:
            seats[n] += 1
        ordered = codes[order]
        return np.sort(np.concatenate([order[ordered == n][: seats[n]] for n in range(len(names))]))


class Split(Surveyed):
    """One part of several: rows of one group, equal rows and near duplicates are always in the same."""

    def __init__(self, step: Step, setting: Setting) -> None:
        super().__init__(step, setting)
        self._content: list[int] = []

    def note(self, item: Item) -> None:
        super().note(item)
        self._content.append(row_hash(item))

    def key(self, item: Item) -> int:
        row, by = item.row, self.args["by"]
        value = {"label": row.label, "tag": row.tags[0] if row.tags else None, "source_id": row.source_id}.get(by)
        if value is not None:
            return hashing.to_int64(hashing.hashlib.sha256(value.encode()).digest())
        return (hashing.prompt_norm_hash(row) if by == "prompt" else 0) or row_hash(item)

    def choose(self, places: Ints, hashes: Ints) -> Any:
        roots = joined(hashes, np.array(self._content, dtype=np.int64), self.setting.clusters()[places])
        # The smallest hash of a group names it, so that a row stays in its part when the set grows.
        order = np.lexsort((hashes, roots))
        first = np.concatenate([[True], roots[order][1:] != roots[order][:-1]])
        names: Ints = np.empty(len(roots), dtype=np.int64)
        names[order] = hashes[order][first][np.cumsum(first) - 1]
        fraction = mixed(names, self.args["seed"]) / 2.0**64
        bounds = np.cumsum([part["share"] for part in self.args["parts"]])[:-1]
        parts = np.searchsorted(bounds, fraction, side="right")
        sizes = np.bincount(parts, minlength=len(self.args["parts"]))
        self.report = {"parts": {p["name"]: int(n) for p, n in zip(self.args["parts"], sizes, strict=True)}}
        if not self.args.get("part"):
            return np.ones(len(places), dtype=np.bool_)
        return parts == [part["name"] for part in self.args["parts"]].index(self.args["part"])


WORKS: dict[Op, type[Work]] = {
    Op.DEDUPE: Dedupe,
    Op.DEDUPE_NEAR: DedupeNear,
    Op.DROP_FINDING: Numbered,
    Op.DROP_OVERLAP: Numbered,
    Op.DROP_ROWS: Numbered,
    Op.REDACT: Change,
    Op.MASK_SECRETS: Change,
    Op.STRIP_HIDDEN: Change,
    Op.MAP: Change,
    Op.FILTER: Filter,
    Op.SAMPLE: Sample,
    Op.SPLIT: Split,
    Op.EDIT: Edit,
}


class Unchanged(Work):
    """Steps that are about where rows come from: done by reading; a merge may also drop duplicates."""

    def take(self, item: Item) -> Item | None:
        return item


def work_of(step: Step, setting: Setting) -> Work:
    if step.op == Op.MERGE and step.args["duplicates"] == "drop":
        return Dedupe(step, setting)
    return WORKS.get(step.op, Unchanged)(step, setting)


def counted(work: Work, item: Item) -> Item | None:
    """`take`, with what it did in the tally: rows dropped, rows changed, the first few as examples."""
    left, tally = work.take(item), work.tally
    if left is item:
        return item
    if left is None:
        tally.dropped += 1
    else:
        tally.changed += 1
    if len(tally.examples) < EXAMPLES:
        after = shown(left.row) if left is not None else None
        tally.examples.append({"index": item.index, "line": item.line, "before": shown(item.row), "after": after})
    return left


def row_hash(item: Item) -> int:
    if item.row_hash is None:
        canonical = hashing.canonical(item.row)
        item.row_hash = hashing.to_int64(hashing.hashlib.sha256(canonical).digest())
    return item.row_hash


def shown(row: Row) -> dict[str, Any]:
    """A row as previews show it: the first turns, long texts cut."""

    def cut(turns: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return [{**turn, "content": short(turn["content"])} for turn in (turns or [])[:SHOWN_TURNS]]

    return {
        "messages": cut(row.messages),
        "chosen": cut(row.chosen),
        "rejected": cut(row.rejected),
        "text": short(row.text) if row.text else None,
        "label": row.label,
        "tags": row.tags,
    }


def short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + " …"


def found_rows(folder: Path, code: str) -> Ints:
    """All rows of a finding of a stored version; none when it was not found there."""
    path = folder / "found" / f"{code}.npy"
    return np.load(path, allow_pickle=False) if path.is_file() else np.zeros(0, np.int64)
