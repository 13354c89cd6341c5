"""Batches of rows to counts of tokens: natively by plan where that is exact, one by one where it is not."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.compute as pc
from numpy.typing import NDArray

from datasets_app.engine import plans
from datasets_app.engine.batch import Batch, Flag, Part, Role
from datasets_app.engine.bpe import Bpe, Rows, Unsupported, pointer
from datasets_app.engine.chat_template import CLOSE, OPEN, RENDERED_LIMIT, Unshowable, unmarked
from datasets_app.engine.fast_chat import FastChat
from datasets_app.engine.plans import Mode, NoPlan, Plan, Shape
from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer, Pair, Tokens, common_prefix
from datasets_app.engine.token_counts import Counts

MOST_PLANS = 5000
SLOW, REFUSED = -1, -2  # instead of a plan's number
DONE = 0
CHECK_EVERY, CHECK_FIRST = 997, 2
ROLE_NAMES = ["system", "user", "assistant", "tool"]
FIELDS_OF_TURNS = ("name", "tool_call_id")


class RowCounter:
    """Counts batches for one tokenizer. `without_template` counts what the turns say where there is no template."""

    def __init__(self, folder: Path, *, without_template: bool = False) -> None:
        self.why_slow = ""
        self.bpe: Bpe | None = None
        try:
            self.bpe = Bpe(folder / "tokenizer.json")
        except Unsupported as reason:
            self.why_slow = str(reason)
        self.renderer = Renderer(folder) if not without_template or _has_config(folder) else None
        if self.renderer is not None and not self.renderer.text and without_template:
            self.renderer = None
        self.chat = FastChat(folder, self.renderer, self.bpe)
        if self.bpe is None:
            assert self.chat.tokenizer  # unreadable files are told about at once
        self.by_row = self.doubts = 0
        self.trusts_plans = True
        self._plans: dict[bytes, int] = {}
        self._made: list[Plan] = []
        self._checked: list[int] = []
        self._refusals: dict[bytes, Unshowable] = {}
        self._arrays: dict[str, NDArray[Any]] = {}
        self._odd = self._odd_texts()

    def facts(self) -> dict[str, Any]:
        """How the rows were counted: nothing is exact only nearly, but some of it is slow."""
        return {
            "native": self.bpe is not None,
            "why_slow": self.why_slow,
            "has_template": self.renderer is not None and bool(self.renderer.text),
            "rows_one_by_one": self.by_row,
            "rows_in_doubt": self.doubts,
        }

    def close(self) -> None:
        if self.renderer is not None:
            self.renderer.close()

    def count(self, batch: Batch) -> Counts:
        keys, numbers = self._numbers(batch)
        found = _Found(batch, pairs=_is_pairs(batch))
        left = [row for row in range(batch.rows) if numbers[row] == SLOW]
        for row in np.flatnonzero(numbers == REFUSED).tolist():
            found.refuse(row, self._refusals[keys[row]])
        if self.bpe is not None and self._made:
            left += self._natively(batch, numbers, found)
        else:
            left += np.flatnonzero(numbers >= 0).tolist()
        for row in sorted(left):
            self._one(batch, row, int(numbers[row]), found)
        return found.counts()

    # By plan

    def _numbers(self, batch: Batch) -> tuple[list[bytes], NDArray[np.int32]]:
        """For each row its shape as bytes and the number of its plan."""
        counts = (batch.seg_flags & Flag.TRAINED) != 0
        codes = (batch.seg_role | batch.seg_part << 2 | counts << 4).astype(np.uint8).tobytes()
        alone = self._alone(batch)
        bounds = batch.row_seg.tolist()
        keys = [codes[low:high] for low, high in pairwise(bounds)]
        numbers = np.fromiter(
            (SLOW if skip else self._number(key) for key, skip in zip(keys, alone, strict=True)), np.int32, batch.rows
        )
        return keys, numbers

    def _alone(self, batch: Batch) -> list[bool]:
        """Rows with more than roles and words: tools, calls, thinking, names, settings of the template."""
        table = batch.table
        if self.renderer is None or (batch.rows and table.column("kind")[0].as_py() == "text"):
            return [False] * batch.rows
        more = flags_of(pc.is_valid(table.column("tools")))
        more |= flags_of(pc.match_substring(table.column("extras"), "chat_template_kwargs"))
        special = ((batch.seg_flags & (Flag.CALL | Flag.THINKING)) != 0) | (batch.seg_role == Role.TOOL)
        more[batch.seg_row[special]] = True
        for name in FIELDS_OF_TURNS:
            if name in self.renderer.text:
                for column in ("messages", "chosen", "rejected"):
                    more |= flags_of(pc.match_substring(table.column(column), f'"{name}":'))
        return list(more)

    def _number(self, key: bytes) -> int:
        number = self._plans.get(key)
        if number is None:
            wanted = self.trusts_plans and len(self._plans) < MOST_PLANS
            number = self._plans[key] = self._learn(key) if wanted else SLOW
        return number

    def _learn(self, key: bytes) -> int:
        try:
            plan = self._plan(key)
        except Unshowable as refusal:
            self._refusals[key] = refusal
            return REFUSED
        except NoPlan:
            return SLOW
        self._made.append(plan)
        self._checked.append(0)
        self._arrays = {}
        return len(self._made) - 1

    def _plan(self, key: bytes) -> Plan:
        parts = [code >> 2 & 3 for code in key]
        if Part.DOCUMENT in parts:
            return plans.TEXT
        if self.renderer is None:
            return _plain_plan(parts)
        # Only the assistant's turns can have a weight, and only in conversations does it count.
        turns = [(ROLE_NAMES[code & 3], int(bool(code >> 4)) if code & 3 == Role.ASSISTANT else 1) for code in key]
        if Part.REJECTED not in parts:
            return plans.plan(Shape(tuple(turns)), self.renderer, marks_answers=self.renderer.marks_answers)
        asked, first = parts.count(Part.PROMPT), len(parts) - parts.count(Part.REJECTED)
        shape = Shape(tuple(turns[:asked]), tuple(turns[asked:first]), tuple(turns[first:]))
        return plans.plan(shape, self.renderer, marks_answers=self.renderer.marks_answers)

    def _natively(self, batch: Batch, numbers: NDArray[np.int32], found: "_Found") -> list[int]:
        """Count all rows with a plan; returns those that need more care."""
        assert self.bpe is not None
        if not self._arrays:
            self._arrays = _flat(self._made)
        rows, room = batch.rows, len(batch.seg_row) + batch.rows + 1
        out: dict[str, NDArray[Any]] = {
            "status": np.full(rows, 255, np.uint8),
            **{name: np.zeros(rows, np.int32) for name in ("total", "start", "total2")},
            "row_span": np.zeros(rows + 1, np.int64),
            "spans": np.zeros((room, 2), np.int32),
        }
        fixed = {
            "text": batch.text, "seg_start": batch.seg_start, "seg_end": batch.seg_end, "row_seg": batch.row_seg,
            "row_plan": np.maximum(numbers, -1), "odd": self._odd[0], **self._arrays,
        }  # fmt: skip
        held = {name: np.ascontiguousarray(array) for name, array in fixed.items()}
        eos = self.chat.eos_id
        looking = -1 if _is_text(batch) or self.renderer is None else self._odd[1]
        request = Rows(
            **{name: pointer(array) for name, array in (held | out).items()},
            odds=looking,
            rows=rows,
            eos=-1 if eos is None else eos,
            largest=RENDERED_LIMIT,
            span_room=room,
        )
        self.bpe.rows(request)
        done = out["status"] == DONE
        done &= ~self._wrong(batch, numbers, done)
        found.take(done, numbers, self._made, out)
        return np.flatnonzero((numbers >= 0) & ~done).tolist()

    def _wrong(self, batch: Batch, numbers: NDArray[np.int32], done: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Render the first rows of each plan, and some later ones, and look whether the plan says the same."""
        wrong: NDArray[np.bool_] = np.zeros(batch.rows, bool)
        if self.renderer is None or _is_text(batch):
            return wrong
        for number in np.unique(numbers[done]).tolist():
            rows = np.flatnonzero(done & (numbers == number)).tolist()
            seen = self._checked[number]
            picked = rows[: max(0, CHECK_FIRST - seen)] + [
                row for row in rows if (batch.first + row) % CHECK_EVERY == 0
            ]
            self._checked[number] += len(picked)
            if not all(self._agrees(batch, row, self._made[number]) for row in picked):
                wrong[rows] = True
                self.doubts += seen
                self._distrust(number)
        return wrong

    def _distrust(self, number: int) -> None:
        for key, one in self._plans.items():
            if one == number:
                self._plans[key] = SLOW

    def _agrees(self, batch: Batch, row: int, plan: Plan) -> bool:
        said = [batch.segment(n) for n in batch.segments_of(row)]
        record = record_of(batch, row)
        prompt, answer = record["messages"], []
        if plan.mode != Mode.PAIR:
            prompt, answer = prompt[:-1], prompt[-1:]
        asked = [(plan.whole, prompt + (record["chosen"] or answer), False)]
        if plan.ask:
            asked.append((plan.ask, prompt, True))
        if plan.other:
            asked.append((plan.other, prompt + record["rejected"], False))
        try:
            return all(
                plans.write(parts, said) == unmarked(self.chat._render(turns, None, ask=ask))
                for parts, turns, ask in asked
            )
        except Unshowable:
            return False

    # One by one

    def _one(self, batch: Batch, row: int, number: int, found: "_Found") -> None:
        self.by_row += 1
        try:
            if number >= 0 and self.renderer is None:
                found.put(row, self._spoken(batch, row, self._made[number]))
            else:
                found.put(row, read_row(self.chat, record_of(batch, row)))
        except Unshowable as refusal:
            found.refuse(row, refusal)

    def _spoken(self, batch: Batch, row: int, plan: Plan) -> Tokens | Pair:
        """What the turns say, where no template puts them together."""
        said = [batch.segment(n) for n in batch.segments_of(row)]
        ids, asked, other = (self.chat.encode(plans.write(parts, said)) for parts in plan.sequences())
        if plan.mode == Mode.PAIR:
            start = min(common_prefix(asked, ids), common_prefix(asked, other))
            return Pair(ids[:start], ids[start:], other[start:])
        start = common_prefix(asked, ids)
        return Tokens(ids, [place >= start for place in range(len(ids))])

    def _odd_texts(self) -> tuple[NDArray[np.uint8], int]:
        texts = [*(self.renderer.looks_for if self.renderer else []), OPEN, CLOSE]
        if "" in texts:
            texts = [""]  # found in every row: all are rendered one by one
        blob = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)
        return np.frombuffer(blob, np.uint8), len(texts)


class _Found:
    """The counts of one batch in the making."""

    def __init__(self, batch: Batch, *, pairs: bool) -> None:
        self.first, self.rows, self.pairs = batch.first, batch.rows, pairs
        self.total: NDArray[np.int32] = np.zeros(batch.rows, np.int32)
        room = batch.rows if pairs else 0
        self.parts: dict[str, Any] = {name: np.zeros(room, np.int32) for name in ("prompt", "chosen", "rejected")}
        self.shown: NDArray[np.bool_] = np.ones(batch.rows, bool)
        self.native: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None
        self.spans: dict[int, list[tuple[int, int]]] = {}
        self.unshowable: list[dict[str, Any]] = []
        self.last_turn_only = 0

    def refuse(self, row: int, refusal: Unshowable) -> None:
        self.shown[row] = False
        told = {"index": self.first + row, "code": refusal.code, "message": str(refusal)[:300]}
        self.unshowable.append(told)

    def put(self, row: int, tokens: Tokens | Pair) -> None:
        if isinstance(tokens, Tokens):
            self.put_tokens(row, tokens)
            return
        chosen, rejected = len(tokens.chosen), len(tokens.rejected)
        self._pair(row, len(tokens.prompt), chosen, rejected)

    def put_tokens(self, row: int, tokens: Tokens) -> None:
        mask = np.array([False, *tokens.trained, False])
        edges = np.flatnonzero(mask[1:] != mask[:-1]).tolist()
        self.total[row] = len(tokens.ids)
        self.spans[row] = list(zip(edges[::2], edges[1::2], strict=True))
        self.last_turn_only += tokens.last_turn_only

    def _pair(self, row: int, prompt: int, chosen: int, rejected: int) -> None:
        for name, value in (("prompt", prompt), ("chosen", chosen), ("rejected", rejected)):
            self.parts[name][row] = value
        self.total[row] = prompt + max(chosen, rejected)

    def take(
        self,
        done: NDArray[np.bool_],
        numbers: NDArray[np.int32],
        made: Sequence[Plan],
        out: dict[str, NDArray[Any]],
    ) -> None:
        rows = np.flatnonzero(done)
        plan = numbers[rows]
        mode = np.array([one.mode for one in made])[plan]
        silent = np.array([one.silent for one in made])[plan]
        self.last_turn_only += int(np.array([one.last_turn_only for one in made])[plan].sum())
        total, start, total2 = out["total"][rows], out["start"][rows], out["total2"][rows]
        self.total[rows] = total
        if self.pairs:
            self.parts["prompt"][rows] = start
            self.parts["chosen"][rows], self.parts["rejected"][rows] = total - start, total2 - start
            self.total[rows] = np.maximum(total, total2)
            return
        # Rows with one stretch, from where the answer starts to the end; the marked ones bring their own.
        count = np.diff(out["row_span"])[rows]
        single = (mode != Mode.MARKED) & ~silent & (start < total)
        lengths: NDArray[np.int64] = np.zeros(self.rows, np.int64)
        lengths[rows] = np.where(mode == Mode.MARKED, count, single)
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        spans: NDArray[np.int32] = np.zeros((int(bounds[-1]), 2), np.int32)
        spans[bounds[rows[single]]] = np.stack([start, total], axis=1)[single]
        marked = rows[mode == Mode.MARKED]
        for row in marked.tolist():
            low, high = out["row_span"][row], out["row_span"][row + 1]
            spans[bounds[row] : bounds[row + 1]] = out["spans"][low:high]
        self.native = bounds, spans

    def counts(self) -> Counts:
        bounds, spans = self.native or (np.zeros(self.rows + 1, np.int64), np.zeros((0, 2), np.int32))
        if self.spans:
            lists = [self.spans.get(row) or spans[bounds[row] : bounds[row + 1]].tolist() for row in range(self.rows)]
            flat = [span for one in lists for span in one]
            spans = np.array(flat, np.int32).reshape(-1, 2)
            bounds = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
        return Counts(
            total=self.total,
            **self.parts,
            spans=spans,
            row_span=np.asarray(bounds, np.int64),
            shown=self.shown,
            unshowable=sorted(self.unshowable, key=lambda one: one["index"]),
            last_turn_only=self.last_turn_only,
        )


def read_row(chat: ChatTokenizer, row: dict[str, Any]) -> Tokens | Pair:
    """Tokens or Pair of one row, as the trainer makes them."""
    if row["kind"] == "text":
        return chat.text(row["text"] or "")
    if row["kind"] == "preference":
        return chat.pair(row["messages"], row["chosen"], row["rejected"], row["tools"], row["options"])
    return chat.chat(row["messages"], row["tools"], row["options"])


def record_of(batch: Batch, row: int) -> dict[str, Any]:
    """A row as the trainer reads it."""
    return parsed({name: batch.table.column(name)[row].as_py() for name in batch.table.column_names})


def parsed(record: dict[str, Any]) -> dict[str, Any]:
    """The JSON columns of a stored row read, and `options` for its template."""
    for name in ("messages", "chosen", "rejected", "tools"):
        record[name] = orjson.loads(record[name]) if record.get(name) else []
    extras = orjson.loads(record["extras"]) if record.get("extras") else {}
    return record | {"options": extras.get("chat_template_kwargs") or {}}


def flags_of(column: Any) -> NDArray[np.bool_]:
    """A column of booleans, nothing as False; without the detour through pandas that to_numpy takes."""
    whole = pc.fill_null(column, False).cast("uint8").combine_chunks()
    return np.frombuffer(whole.buffers()[1], np.uint8, len(whole), whole.offset).astype(bool)


def _plain_plan(parts: Sequence[int]) -> Plan:
    """Without a template: what the turns say, one below the other; a pair is what its chosen answer makes of it."""
    kept = [place for place, part in enumerate(parts) if part != Part.REJECTED]
    asked = [place for place in kept if parts[place] == Part.PROMPT]
    whole = [one for place in kept for one in (plans.Part(place), plans.Part(plans.FRAGMENT, "\n"))]
    ask = [one for place in asked for one in (plans.Part(place), plans.Part(plans.FRAGMENT, "\n"))]
    if Part.REJECTED not in parts:
        return Plan(Mode.COMPLETION, whole[:-1], ask)
    second = [place for place, part in enumerate(parts) if part in {Part.PROMPT, Part.REJECTED}]
    other = [one for place in second for one in (plans.Part(place), plans.Part(plans.FRAGMENT, "\n"))]
    return Plan(Mode.PAIR, whole[:-1], ask, other[:-1])


def _flat(made: Sequence[Plan]) -> dict[str, NDArray[Any]]:
    """Plans as the arrays that native/bpe.c reads."""
    blob, table, bounds = bytearray(), [], [0]
    for plan in made:
        for sequence in plan.sequences():
            for part in sequence:
                if part.kind == plans.FRAGMENT:
                    start = len(blob)
                    blob += part.text.encode()
                    table.append((part.kind, start, len(blob)))
                else:
                    table.append((part.kind, int(part.left), int(part.right)))
            bounds.append(len(table))
    return {
        "fragments": np.frombuffer(bytes(blob) + b"\0", np.uint8),
        "parts": np.array(table, np.int32).reshape(-1, 3),
        "plan_seq": np.array(bounds, np.int64),
        "plan_mode": np.array([int(plan.mode) for plan in made], np.int32),
    }


def _is_text(batch: Batch) -> bool:
    return bool(len(batch.seg_part) and batch.seg_part[0] == Part.DOCUMENT)


def _is_pairs(batch: Batch) -> bool:
    return bool((batch.seg_part == Part.REJECTED).any())


def _has_config(folder: Path) -> bool:
    return (folder / "tokenizer_config.json").exists() or (folder / "chat_template.jinja").exists()
