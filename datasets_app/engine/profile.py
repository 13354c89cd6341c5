"""The profile of a set of rows, gathered in the same pass that writes them: a few numbers a row, no text."""

import hashlib
from array import array
from collections import Counter
from typing import Any

from datasets_app.domain import hashing, quality
from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.domain.quality import Look, Trait

EXAMPLES = 10
SHORT_ANSWER = 48
MOST_VALUES = 200


class Values:
    """Counts of a label-like value with its first rows; gives up once the values are too many to be labels."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, list[int]] = {}
        self.seen = 0
        self.gave_up = False

    def add(self, value: str, index: int) -> None:
        self.seen += 1
        if self.gave_up:
            return
        self.counts[value] += 1
        rows = self.first.setdefault(value, [])
        if len(rows) < EXAMPLES:
            rows.append(index)
        if len(self.counts) > MOST_VALUES:
            self.gave_up, self.counts, self.first = True, Counter(), {}


class Profile:
    """Everything the findings and charts of a version are made of."""

    def __init__(self) -> None:
        self.rows = 0
        self.kind: Kind | None = None
        self.row_hash, self.context, self.answer = array("q"), array("q"), array("q")
        self.traits, self.prompt_chars, self.answer_chars = array("l"), array("l"), array("l")
        self.turns, self.shape = array("l"), array("l")
        self.shapes: dict[tuple[str, ...], int] = {}
        self.roles: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.systems: Counter[str] = Counter()
        self.kinds_of_hits: Counter[str] = Counter()
        self.previews: list[dict[str, Any]] = []
        self.labels, self.answers = Values(), Values()
        self.json_fields: dict[str, Values] = {}
        self.with_tools = 0
        self._content = hashlib.sha256()

    def add(self, row: Row, canonical: bytes) -> tuple[bytes, tuple[int, int, int]]:
        """Take a row in; returns its digest and the three hashes that are stored beside it."""
        digest = hashlib.sha256(canonical).digest()
        seen = quality.look(row)
        prompt = hashing.prompt_hash(row)
        self._content.update(digest + f"{row.label or ''}\x1f{','.join(row.tags or [])}\n".encode())
        self.row_hash.append(hashing.to_int64(digest))
        self.context.append(hashing.context_hash(row) if prompt else 0)
        self.answer.append(hashing.answer_hash(row) if row.kind == Kind.SFT else 0)
        self._numbers(seen)
        self._values(row, seen)
        self._about(row, seen)
        self.rows += 1
        return digest, (self.row_hash[-1], prompt, hashing.prompt_norm_hash(row))

    def content_hash(self) -> str:
        """sha256 over the rows in their order: equal for equal content, whatever wrote the file."""
        return self._content.hexdigest()

    def _numbers(self, seen: Look) -> None:
        self.traits.append(int(seen.traits))
        self.prompt_chars.append(seen.prompt_chars)
        self.answer_chars.append(seen.answer_chars)
        self.turns.append(seen.turns)
        self.shape.append(self._shape(seen.json_answer))

    def _shape(self, answer: Any) -> int:
        """A small number for each set of fields a JSON answer can have; -1 for answers that are no object."""
        if not isinstance(answer, dict):
            return -1
        names = tuple(sorted(answer))
        if names not in self.shapes and len(self.shapes) >= MOST_VALUES:
            return MOST_VALUES
        return self.shapes.setdefault(names, len(self.shapes))

    def _values(self, row: Row, seen: Look) -> None:
        if row.label is not None:
            self.labels.add(row.label, self.rows)
        if isinstance(seen.json_answer, dict):
            for name, value in list(seen.json_answer.items())[:20]:
                if isinstance(value, str | bool) and len(str(value)) <= SHORT_ANSWER:
                    self.json_fields.setdefault(name, Values()).add(str(value), self.rows)
        elif row.kind == Kind.SFT and 0 < seen.answer_chars <= SHORT_ANSWER:
            self.answers.add(seen.answer.strip(), self.rows)

    def _about(self, row: Row, seen: Look) -> None:
        self.kind = self.kind or row.kind
        for turn in row.messages + (row.chosen or []):
            self.roles[turn["role"]] += 1
        self.tags.update((row.tags or [])[:50])
        self.with_tools += bool(row.tools)
        if row.messages and row.messages[0]["role"] == "system" and len(self.systems) < MOST_VALUES:
            self.systems[row.messages[0]["content"][:400]] += 1
        for hit in seen.hits[:20]:
            self.kinds_of_hits[f"{hit.group}:{hit.kind}"] += 1
            if len(self.previews) < 50:
                self.previews.append({"row": self.rows, "group": hit.group, "kind": hit.kind, "preview": hit.preview})

    def share(self, trait: Trait, among: Trait) -> float:
        """Share of the rows with `among` that have `trait` too."""
        whole = sum(1 for t in self.traits if t & among)
        return sum(1 for t in self.traits if t & among and t & trait) / whole if whole else 0.0
