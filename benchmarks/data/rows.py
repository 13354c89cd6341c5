"""One line of the file from its place in the plan, with what there is to say about it in the truth table."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.data import planted, writing
from benchmarks.data.draw import Draw
from benchmarks.data.malformed import damaged
from benchmarks.data.plan import Kind, Plan
from benchmarks.data.shingles import jaccard, text_of, tokens
from benchmarks.data.vocabulary import Language, language
from benchmarks.data.writing import Message

TRAIN, GOLDEN, CHANGE = 0, 1, 2  # streams of random numbers: what a row says, what a golden row says, what is changed
NAMES = {Kind(k): Kind(k).name.lower() for k in Kind}


@dataclass(frozen=True, slots=True)
class Truth:
    kind: str = ""
    of: int = 0  # line, from 1; 0 for none
    jaccard: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Maker:
    """All rows of one seed and plan; any of them can be made by itself."""

    seed: int
    plan: Plan
    malformed: bool

    def line(self, row: int) -> tuple[bytes, Truth]:
        """The bytes of a line without its end, and the truth about it."""
        kind, of = Kind(int(self.plan.kind[row])), int(self.plan.of[row])
        draw = Draw(self.seed, row, CHANGE)
        source = of if kind in (Kind.EXACT, Kind.NEAR, Kind.CONFLICT) else row
        lang, messages = writing.conversation(Draw(self.seed, source, TRAIN), self.seed)
        record: dict[str, Any] = {"id": f"r{row + 1:07d}", "messages": messages}
        truth = Truth(NAMES[kind])
        if kind == Kind.TOOLS:
            record, truth = self._with_tool(record, draw), Truth()
        elif kind == Kind.CONTAMINATED:
            record["messages"], truth = self._leaked(of, messages, draw)
        elif kind != Kind.PLAIN:
            record["messages"], truth = self._changed(kind, of, lang, messages, draw)
        record["tags"] = [lang.code, draw.one(writing.TOPICS)]
        record["split"] = "test" if draw.chance(0.1) else "train"
        if kind == Kind.MALFORMED and self.malformed:
            line, detail = damaged(record, draw)
            return line, Truth("malformed", detail=detail)
        return _written(record, draw), Truth() if kind in (Kind.PLAIN, Kind.MALFORMED) else truth

    def golden_line(self, row: int) -> bytes:
        lang, messages = writing.golden_case(Draw(self.seed, row, GOLDEN), self.seed)
        return orjson.dumps({"id": f"g{row + 1:05d}", "messages": messages, "tags": [lang.code]})

    def _changed(
        self, kind: Kind, of: int, lang: Language, messages: list[Message], draw: Draw
    ) -> tuple[list[Message], Truth]:
        if kind == Kind.NEAR:
            return _near(lang, messages, of, draw)
        if kind == Kind.CONFLICT:
            return self._conflict(lang, messages, of, draw)
        if kind == Kind.EXACT:
            return messages, Truth("exact", of + 1, 1.0)
        return _planted(kind, lang, messages, draw)

    def _conflict(self, lang: Language, messages: list[Message], of: int, draw: Draw) -> tuple[list[Message], Truth]:
        """The same question, or nearly, with an answer of other words, and longer than the question."""
        asked = sum(len(tokens(turn["content"])) for turn in messages[:-1])
        how = draw.one(("same prompt", "other case", "near prompt"))
        changed = [dict(turn) for turn in messages]
        last = changed[-2]
        if how == "other case":
            last["content"] = "  ".join(last["content"].lower().split(" ")) + " ?!"
        elif how == "near prompt" and len(tokens(last["content"])) >= 40:
            changed[-2] = writing.edited([last], lang, 0.001, draw)[0]
        else:
            how = "same prompt"
        writes = writing.code if lang.code == "code" else writing.prose
        changed[-1] = {"role": "assistant", "content": writes(lang, asked + 10, draw)}
        return changed, Truth("conflict", of + 1, jaccard(text_of(messages), text_of(changed)), how)

    def _leaked(self, of: int, messages: list[Message], draw: Draw) -> tuple[list[Message], Truth]:
        """A row that has a question of the golden set in it, one way or another."""
        lang, golden = writing.golden_case(Draw(self.seed, of, GOLDEN), self.seed)
        how = draw.one(("exact", "exact prompt", "normalised", "13-gram", "near"))
        own = {"role": "assistant", "content": messages[-1]["content"]}
        asked = golden[0]["content"]
        if how == "exact":
            leaked = golden
        elif how == "exact prompt":
            leaked = [golden[0], own]
        elif how == "normalised":
            leaked = [{"role": "user", "content": "  ".join(asked.lower().split(" ")) + " !"}, own]
        elif how == "13-gram":
            leaked = writing.with_inserted(messages, lang, _span(asked, lang, draw), draw)
        else:
            leaked = writing.edited(golden, lang, draw.between(0.005, 0.015), draw)
        return leaked, Truth("contaminated", of + 1, jaccard(text_of(golden), text_of(leaked)), how)

    def _with_tool(self, record: dict[str, Any], draw: Draw) -> dict[str, Any]:
        """A call in front of the last answer, with the schema of the tool."""
        words = language("code", self.seed).words
        name, field = str(words[draw.below(2000)]), str(words[draw.below(2000)])
        value = str(words[draw.below(2000)])
        schema = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
        call = {"id": f"call_{draw.below(10**8)}", "type": "function"}
        call_turn = {
            "role": "assistant",
            "content": "",
            "tool_calls": [call | {"function": {"name": name, "arguments": json.dumps({field: value})}}],
        }
        found = {"role": "tool", "name": name, "content": json.dumps({"found": draw.below(1000), field: value})}
        *before, answer = record["messages"]
        tool = {"type": "function", "function": {"name": name, "description": value, "parameters": schema}}
        return record | {"messages": [*before, call_turn, found, answer], "tools": [tool]}


def _near(lang: Language, messages: list[Message], of: int, draw: Draw) -> tuple[list[Message], Truth]:
    rate = draw.between(0.005, 0.10)
    changed = writing.edited(messages, lang, rate, draw)
    alike = jaccard(text_of(messages), text_of(changed))
    return changed, Truth("near", of + 1, alike, f"{rate:.4f} of the words edited")


def _planted(kind: Kind, lang: Language, messages: list[Message], draw: Draw) -> tuple[list[Message], Truth]:
    if kind in (Kind.PII, Kind.SECRET):
        kinds = planted.PERSONAL if kind == Kind.PII else planted.SECRETS
        name = draw.one(tuple(kinds))
        return writing.with_inserted(messages, lang, kinds[name](draw), draw), Truth(NAMES[kind], detail=name)
    if kind == Kind.HARMLESS:
        return writing.with_inserted(messages, lang, planted.harmless(draw), draw), Truth()
    if kind == Kind.INJECTION:
        own = [text for code, text in planted.INJECTIONS if code == lang.code] or [planted.INJECTIONS[0][1]]
        text = draw.one(own)
        return writing.with_inserted(messages, lang, text, draw), Truth("injection", detail=text)
    if kind == Kind.HIDDEN:
        return _hidden(messages, draw)
    return messages, Truth()


def _hidden(messages: list[Message], draw: Draw) -> tuple[list[Message], Truth]:
    """An unseen sign at one to three places of one turn, never at its ends."""
    name = draw.one(tuple(planted.HIDDEN))
    changed = [dict(turn) for turn in messages]
    turn = changed[-1 - draw.below(2)]
    text = turn["content"]
    for _ in range(1 + draw.below(3)):
        at = 1 + draw.below(len(text) - 1)
        text = text[:at] + planted.HIDDEN[name] + text[at:]
    turn["content"] = text
    return changed, Truth("hidden", detail=name)


def _span(text: str, lang: Language, draw: Draw) -> str:
    """Twenty words or more in a row; of texts without spaces, as many signs."""
    words = list(text) if not lang.space else text.split(" ")
    size = min(len(words), (40 if not lang.space else 20) + draw.below(20))
    start = draw.below(len(words) - size + 1)
    return lang.space.join(words[start : start + size])


def _written(record: dict[str, Any], draw: Draw) -> bytes:
    """As different programs write JSON: without spaces, with spaces, with every sign beyond ASCII escaped."""
    style = draw.below(100)
    if style < 88:
        return orjson.dumps(record)
    return json.dumps(record, ensure_ascii=style >= 97).encode()
