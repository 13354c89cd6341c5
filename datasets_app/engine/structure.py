"""What rows are made of: turns, lengths, answers and their format, labels; findings and numbers for the charts."""

from collections import Counter
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datasets_app.domain import endings
from datasets_app.domain.purposes import Kind
from datasets_app.domain.quality import Trait
from datasets_app.engine.batch import ROLES, Batch
from datasets_app.engine.facts import Facts
from datasets_app.engine.gathered import Gathered
from datasets_app.engine.looking import Looks, look
from datasets_app.engine.structure_findings import note_all
from datasets_app.engine.structure_stats import summary
from datasets_app.engine.values import NO_JSON, JsonAnswers, Values

SHORT_ANSWER = 48
MOST_TAGS, MOST_SYSTEMS, SYSTEM_CHARS = 5000, 200, 400


class Structure:
    name = "structure"

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self.kind = ""
        self.labels, self.answers, self.json = Values(), Values(), JsonAnswers()
        self.tags: Counter[str] = Counter()
        self.systems: Counter[int] = Counter()
        self.system_texts: dict[int, str] = {}
        self.roles: NDArray[np.int64] = np.zeros(4, np.int64)
        self.with_tools = 0
        self._unlabelled: list[NDArray[np.int64]] = []
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("traits", "prompts", "answers", "turns")}
        self._shapes: list[NDArray[np.int32]] = []
        self._tag_lists: dict[str, list[str]] = {}

    def take(self, batch: Batch) -> None:
        self.kind = self.kind or str(batch.table.column("kind")[0].as_py())
        seen = look(batch)
        shapes = self._json(batch, seen)
        self._endings(batch, seen)
        self._short_answers(batch, seen, shapes)
        self._about(batch, seen)
        self._labels(batch)
        self._shapes.append(shapes)
        for name, values in (
            ("traits", seen.traits),
            ("prompts", seen.prompt_chars.astype(np.int32)),
            ("answers", seen.answer_chars.astype(np.int32)),
            ("turns", np.minimum(seen.turns, 255).astype(np.uint8)),
        ):
            self._columns[name].append(values)

    def finish(self, facts: Facts) -> None:
        gathered = Gathered(
            purpose=self.purpose,
            kind=self.kind,
            shapes=_joined(self._shapes, np.int32),
            unlabelled=_joined(self._unlabelled, np.int64),
            labels=self.labels,
            answer_values=self.answers,
            json=self.json,
            **{name: _joined(parts, np.int32) for name, parts in self._columns.items()},
        )
        note_all(facts, gathered)
        systems = [(self.system_texts[key], n) for key, n in self.systems.most_common(3)]
        facts.stats.update(
            summary(gathered)
            | {
                "roles": {role: int(self.roles[n]) for role, n in ROLES.items() if self.roles[n]},
                "tags": self.tags.most_common(60),
                "systems": [[text, n] for text, n in systems],
                "system_prompts": len(self.systems),
                "rows_with_tools": self.with_tools,
            }
        )

    def _json(self, batch: Batch, seen: Looks) -> NDArray[np.int32]:
        """The shape of each JSON answer; what only begins as JSON is judged as text."""
        shapes: NDArray[np.int32] = np.full(batch.rows, NO_JSON, np.int32)
        for n in np.flatnonzero(seen.traits & int(Trait.JSON_LIKE)).tolist():
            answer = batch.text[seen.answer_start[n] : seen.answer_end[n]].tobytes()
            shape = NO_JSON
            if answer[-1:] in b"}]":
                shape = self.json.add(answer, int(seen.answer_hash[n]), batch.first + n)
            if shape != NO_JSON:
                seen.traits[n] |= int(Trait.JSON)
                shapes[n] = shape
            else:
                seen.traits[n] |= int((Trait(0), Trait.STOPS, Trait.CUT)[endings.ending(answer.decode())])
        return shapes

    @staticmethod
    def _endings(batch: Batch, seen: Looks) -> None:
        for n in np.flatnonzero(seen.traits & int(Trait.MAYBE_STOPS)).tolist():
            answer = batch.text[seen.answer_start[n] : seen.answer_end[n]].tobytes().decode()
            if endings.stops(answer, len(answer.split(None, endings.LONG_WORDS))):
                seen.traits[n] |= int(Trait.STOPS)

    def _short_answers(self, batch: Batch, seen: Looks, shapes: NDArray[np.int32]) -> None:
        if self.kind != Kind.SFT:
            return
        short = np.flatnonzero((shapes == NO_JSON) & (seen.answer_chars > 0) & (seen.answer_chars <= SHORT_ANSWER))

        def text(n: int) -> str:
            row = short[n]
            return batch.text[seen.answer_start[row] : seen.answer_end[row]].tobytes().decode()

        self.answers.add_many(seen.answer_hash[short], short + batch.first, text)

    def _about(self, batch: Batch, seen: Looks) -> None:
        self.roles += seen.roles
        tools = batch.table.column("tools")
        if tools.null_count < batch.rows:
            self.with_tools += int(pc.sum(pc.greater(pc.binary_length(tools), 2)).as_py() or 0)
        keys, first, counts = np.unique(seen.system_hash, return_index=True, return_counts=True)
        for key, row, n in zip(keys.tolist(), first.tolist(), counts.tolist(), strict=True):
            if key and (key in self.systems or len(self.systems) < MOST_SYSTEMS):
                self.systems[key] += n
                if key not in self.system_texts:
                    self.system_texts[key] = batch.segment(int(seen.system_seg[row]))[:SYSTEM_CHARS]
        for value, n in _counted(batch.table.column("tags")):
            self._tag(value, n)

    def _tag(self, value: str, n: int) -> None:
        listed = self._tag_lists.get(value)
        if listed is None:
            listed = orjson.loads(value)[:50]
            if len(self._tag_lists) < MOST_TAGS:
                self._tag_lists[value] = listed
        for tag in listed:
            if tag in self.tags or len(self.tags) < MOST_TAGS:
                self.tags[tag] += n

    def _labels(self, batch: Batch) -> None:
        labels = batch.table.column("label").combine_chunks()
        if labels.null_count == batch.rows:
            self._unlabelled.append(np.arange(batch.first, batch.first + batch.rows))
            return
        coded = labels.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        names = coded.dictionary.to_pylist()
        self._unlabelled.append(np.flatnonzero(codes < 0) + batch.first)
        for code, name in enumerate(names):
            self.labels.add_rows(name, np.flatnonzero(codes == code) + batch.first)


def _joined(parts: list[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


def _counted(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    if column.null_count == len(column):
        return []
    counted = pc.value_counts(column.drop_null())
    return [(entry["values"], entry["counts"]) for entry in counted.to_pylist()]
