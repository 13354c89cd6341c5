"""Formats whose rows belong together: judged answers that become pairs, chained rows that become conversations.

Both read a file in one pass and hold a bounded amount of it; what finds no partner is a bad row, never lost.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Format, Record, optional_text
from datasets_app.domain.formats.examples import ANSWERS, QUESTIONS
from datasets_app.domain.formats.judged import as_half

HELD_BYTES = 64 * 1024 * 1024


class Grouped(NamedTuple):
    """A record made of several, at the line of its last one; or a record that could not be used, and why."""

    line: int
    record: dict[str, Any] | None
    bad: BadRecord | None = None


class TooMuchHeld(ValueError):
    """The rows that belong together are too many to be held at once."""


class Grouper(Protocol):
    def take(self, line: int, record: Record) -> Iterator[Grouped]: ...

    def finish(self) -> Iterator[Grouped]: ...


class Pairing:
    """A good and a bad answer to the same prompt become a pair; the oldest lone answers are given up first."""

    def __init__(self, most_bytes: int = HELD_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._waiting: OrderedDict[tuple[bytes, bool], list[tuple[int, Record]]] = OrderedDict()

    def take(self, line: int, record: Record) -> Iterator[Grouped]:
        try:
            prompt, verdict, row = as_half(record)
        except BadRecord as bad:
            yield Grouped(line, dict(record), bad)
            return
        others = self._waiting.get((prompt, not verdict))
        if not others:
            self._waiting.setdefault((prompt, verdict), []).append((line, record))
            self._held += 2 * len(prompt) + len(orjson.dumps(row.messages[-1])) + 500
            yield from self._shed()
            return
        _, other = others.pop(0)
        if not others:
            del self._waiting[(prompt, not verdict)]
        yes, no = (row, as_half(other)[2]) if verdict else (as_half(other)[2], row)
        about = {name: record[name] for name in ABOUT if record.get(name) is not None}
        pair = {"prompt": row.messages[:-1], "chosen": yes.messages[-1:], "rejected": no.messages[-1:]}
        yield Grouped(line, {**about, **pair})

    def finish(self) -> Iterator[Grouped]:
        left = sorted((one for waiting in self._waiting.values() for one in waiting), key=lambda one: one[0])
        self._waiting.clear()
        for line, record in left:
            yield Grouped(line, dict(record), _alone())

    def _shed(self) -> Iterator[Grouped]:
        while self._held > self._most and self._waiting:
            (prompt, _), waiting = self._waiting.popitem(last=False)
            for line, record in waiting:
                self._held -= 2 * len(prompt) + 500
                yield Grouped(line, dict(record), _alone())
            self._held = max(0, self._held if self._waiting else 0)


ABOUT = ("id", "tags", "category", "tools", "chat_template_kwargs", "parallel_tool_calls")


def _alone() -> BadRecord:
    return BadRecord("label", Code.UNPAIRED_ROW, "no opposite label to this prompt", "a good and a bad answer to it")


class Chaining:
    """Rows that name their parent become conversations, one for each row that is nobody's parent."""

    def __init__(self, most_bytes: int = HELD_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._rows: dict[str, tuple[int, Record]] = {}

    def take(self, line: int, record: Record) -> Iterator[Grouped]:
        try:
            name = _identifier(record, "id")
            if name is None:
                raise BadRecord("id", Code.MISSING_FIELD, "nothing", "the id that other rows name as parent_id")
            if name in self._rows:
                raise BadRecord("id", Code.BROKEN_CHAIN, f"“{name[:80]}” a second time", "each id once")
            _said(record)
            _identifier(record, "parent_id")
        except BadRecord as bad:
            yield Grouped(line, dict(record), bad)
            return
        self._rows[name] = (line, record)
        self._held += sum(len(v) for v in record.values() if isinstance(v, str)) + 600
        if self._held > self._most:
            raise TooMuchHeld(f"more than {self._most // 1_000_000} MB of chained rows")

    def finish(self) -> Iterator[Grouped]:
        parents = {_identifier(record, "parent_id") for _, record in self._rows.values()}
        used: set[str] = set()
        for name, (line, record) in self._rows.items():
            if name in parents:
                continue
            try:
                chain = self._chain(name)
            except BadRecord as bad:
                yield Grouped(line, dict(record), bad)
                continue
            used.update(chain)
            yield Grouped(line, self._conversation(record, chain))
        for name, (line, record) in self._rows.items():  # only rows in a circle are nobody's end
            if name in parents and name not in used:
                yield Grouped(line, dict(record), self._why(name))

    def _why(self, name: str) -> BadRecord:
        try:
            self._chain(name)
        except BadRecord as bad:
            return bad
        return BadRecord("parent_id", Code.BROKEN_CHAIN, "rows that follow it are bad", "a chain of good rows")

    def _chain(self, name: str) -> list[str]:
        """Ids from the first row of the conversation to this one."""
        chain, seen = [name], {name}
        while (parent := _identifier(self._rows[chain[-1]][1], "parent_id")) is not None:
            if parent in seen:
                raise BadRecord("parent_id", Code.BROKEN_CHAIN, "rows that are each other's parents", "a first row")
            if parent not in self._rows:
                raise BadRecord("parent_id", Code.BROKEN_CHAIN, f"no row “{parent[:80]}”", "the id of a good row")
            chain.append(parent)
            seen.add(parent)
        return chain[::-1]

    def _conversation(self, record: Record, chain: list[str]) -> dict[str, Any]:
        turns = [turn for name in chain for turn in _turns(self._rows[name][1])]
        system = optional_text(self._rows[chain[0]][1], "system")
        about = {name: record[name] for name in (*ABOUT, "label") if record.get(name) is not None}
        said = {"messages": turns[:-1], ANSWERS[0]: turns[-1]["content"]}
        return {**about, **said, **({"system": system} if system else {})}


def _said(record: Record) -> tuple[str, str]:
    asked = next((f for f in (*QUESTIONS, "instruction") if record.get(f) is not None), "prompt")
    answer = next((f for f in (*ANSWERS, "output") if record.get(f) is not None), "answer")
    for name in (asked, answer):
        if not isinstance(record.get(name), str):
            code = Code.MISSING_FIELD if record.get(name) is None else Code.WRONG_TYPE
            raise BadRecord(name, code, record.get(name), "a text")
    return record[asked], record[answer]


def _turns(record: Record) -> list[dict[str, str]]:
    asked, answer = _said(record)
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def _identifier(record: Mapping[str, Any], field: str) -> str | None:
    value = record.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a text or a whole number")
    return str(value)


def grouper_of(fmt: Format, most_bytes: int = HELD_BYTES) -> Grouper | None:
    """Who puts the records of this format together; None when each stands for itself."""
    if fmt == Format.KTO_PAIRS:
        return Pairing(most_bytes)
    return Chaining(most_bytes) if fmt == Format.CHAINED else None
