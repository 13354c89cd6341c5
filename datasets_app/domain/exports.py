"""Rows of a version in the shapes of other tools, and what each shape cannot hold."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from datasets_app.domain.formats.base import Message, Row
from datasets_app.domain.purposes import Kind

Shaped = dict[str, Any]


class Shape(StrEnum):
    TRL = "trl"
    OPENAI = "openai"
    OPENAI_PREFERENCE = "openai_preference"
    SHAREGPT = "sharegpt"
    ALPACA = "alpaca"
    CSV = "csv"
    PARQUET = "parquet"


class Loss(StrEnum):
    """What of a row a shape leaves out."""

    TURNS = "turns"
    TOOLS = "tools"
    WEIGHTS = "weights"
    THINKING = "thinking"
    NAMES = "names"


LOSSES = {
    Loss.TURNS: "turns before the last question",
    Loss.TOOLS: "tool calls, tool answers and schemas",
    Loss.WEIGHTS: "weights",
    Loss.THINKING: "thinking",
    Loss.NAMES: "names and ids of turns",
}


@dataclass(frozen=True, slots=True)
class About:
    title: str
    text: str
    ending: str
    kinds: frozenset[Kind]
    loses: frozenset[Loss] = frozenset()


ALL = frozenset(Kind)
TURNS = frozenset({Kind.SFT, Kind.PREFERENCE})
ONLY_THINKING = frozenset({Loss.THINKING})
SHAPES: dict[Shape, About] = {
    Shape.TRL: About("TRL", "messages, or prompt, chosen and rejected. Holds everything.", "jsonl", ALL),
    Shape.OPENAI: About(
        "OpenAI chat", "messages and tools, arguments as text.", "jsonl", frozenset({Kind.SFT}), ONLY_THINKING
    ),
    Shape.OPENAI_PREFERENCE: About(
        "OpenAI preference",
        "input, preferred_output, non_preferred_output.",
        "jsonl",
        frozenset({Kind.PREFERENCE}),
        ONLY_THINKING,
    ),
    Shape.SHAREGPT: About(
        "ShareGPT", "conversations of human and gpt, with system and tools.", "jsonl", TURNS
    ),
    Shape.ALPACA: About(
        "Alpaca",
        "instruction, output and system: the last question and its answer only.",
        "jsonl",
        TURNS,
        frozenset(Loss),
    ),
    Shape.CSV: About(
        "CSV for spreadsheets",
        "Turns as JSON in one cell. Cells that a spreadsheet could take for a formula begin with an apostrophe.",
        "csv",
        ALL,
    ),
    Shape.PARQUET: About("Parquet", "The columns of TRL, turns as lists of structs.", "parquet", ALL),
}  # fmt: skip


def about_row(row: Row) -> Shaped:
    """What a row says about itself, under the names that are read back."""
    found = {"label": row.label, "tags": row.tags, "id": row.source_id, "provenance": row.provenance}
    return {**{name: value for name, value in found.items() if value is not None}, **(row.extras or {})}


def trl(row: Row) -> Shaped:
    if row.kind == Kind.TEXT:
        return {"text": row.text, **about_row(row)}
    tools = {"tools": row.tools} if row.tools else {}
    if row.kind == Kind.PREFERENCE:
        pair = {"prompt": row.messages, "chosen": row.chosen, "rejected": row.rejected}
        return {**pair, **tools, **about_row(row)}
    return {"messages": row.messages, **tools, **about_row(row)}


def openai(row: Row) -> Shaped:
    tools = {"tools": row.tools} if row.tools else {}
    return {"messages": [_openai_turn(turn) for turn in row.messages], **tools, **about_row(row)}


def openai_preference(row: Row) -> Shaped:
    about = about_row(row)
    inner: Shaped = {"messages": [_openai_turn(turn) for turn in row.messages]}
    if row.tools:
        inner["tools"] = row.tools
    if "parallel_tool_calls" in about:
        inner["parallel_tool_calls"] = about.pop("parallel_tool_calls")
    return {
        "input": inner,
        "preferred_output": [_openai_turn(turn) for turn in row.chosen or []],
        "non_preferred_output": [_openai_turn(turn) for turn in row.rejected or []],
        **about,
    }


def _openai_turn(turn: Message) -> Message:
    said = {name: value for name, value in turn.items() if name not in ("thinking", "reasoning_content")}
    if "tool_calls" in said:
        said["tool_calls"] = [_as_text(call) for call in said["tool_calls"]]
    return said


def _as_text(call: dict[str, Any]) -> dict[str, Any]:
    """OpenAI writes the arguments of a call as JSON text."""
    function = call["function"]
    return {**call, "function": {**function, "arguments": orjson.dumps(function["arguments"]).decode()}}


SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def sharegpt(row: Row) -> Shaped:
    tools = {"tools": orjson.dumps(row.tools).decode()} if row.tools else {}
    shaped: Shaped = {"conversations": [_sharegpt_turn(turn) for turn in row.messages], **tools, **about_row(row)}
    if row.kind == Kind.PREFERENCE:
        for name, turns in (("chosen", row.chosen or []), ("rejected", row.rejected or [])):
            said = [_sharegpt_turn(turn) for turn in turns]
            shaped[name] = said[0] if len(said) == 1 else said
    return shaped


def _sharegpt_turn(turn: Message) -> Message:
    calls = turn.get("tool_calls")
    kept = {name: value for name, value in turn.items() if name not in ("role", "content", "tool_calls")}
    if calls and not turn["content"] and not kept and not any("id" in call for call in calls):
        plain = [call["function"] for call in calls]
        value = orjson.dumps(plain[0] if len(plain) == 1 else plain).decode()
        return {"from": "function_call", "value": value}
    said = {"from": SPEAKERS[turn["role"]], "value": turn["content"], **kept}
    return {**said, "tool_calls": calls} if calls else said


def alpaca(row: Row) -> Shaped:
    """The last question and its answer; `lost_in_alpaca` says whether that is all there was."""
    prompt = row.prompt_turns()
    system = next((turn["content"] for turn in prompt if turn["role"] == "system"), "")
    question = next((turn["content"] for turn in reversed(prompt) if turn["role"] == "user"), "")
    shaped: Shaped = {"instruction": question, "input": ""}
    if row.kind == Kind.PREFERENCE:
        for name, turns in (("chosen", row.chosen or []), ("rejected", row.rejected or [])):
            shaped[name] = turns[-1]["content"] if turns else ""
    else:
        shaped["output"] = row.messages[-1]["content"]
    about = {name: value for name, value in about_row(row).items() if name not in (row.extras or {})}
    return {**shaped, **({"system": system} if system else {}), **about}


CSV_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.SFT: ("messages", "tools"),
    Kind.PREFERENCE: ("prompt", "chosen", "rejected", "tools"),
    Kind.TEXT: ("text",),
}
ABOUT_FIELDS = ("label", "tags", "id")


def csv_fields(kind: Kind) -> tuple[str, ...]:
    return (*CSV_FIELDS[kind], *ABOUT_FIELDS)


def csv_cells(row: Row) -> list[str]:
    """One text a column; turns and schemas as JSON, tags with commas between them."""
    shaped = trl(row)
    cells = [shaped.get(name) for name in CSV_FIELDS[row.kind]]
    texts = ["" if cell is None else cell if isinstance(cell, str) else orjson.dumps(cell).decode() for cell in cells]
    return [*texts, row.label or "", ",".join(row.tags or []), row.source_id or ""]


def losses(row: Row) -> set[Loss]:
    """What of this row a shape for single questions and answers cannot hold."""
    turns = [*row.messages, *(row.chosen or []), *(row.rejected or [])]
    asked = [turn for turn in row.prompt_turns() if turn["role"] != "system"]
    answers = max(len(row.chosen or []), len(row.rejected or []))
    found = {Loss.TURNS} if row.kind != Kind.TEXT and (len(asked) != 1 or answers > 1) else set()
    if row.tools or any(turn["role"] == "tool" or turn.get("tool_calls") for turn in turns):
        found.add(Loss.TOOLS)
    if any("weight" in turn for turn in turns):
        found.add(Loss.WEIGHTS)
    if any("thinking" in turn or "reasoning_content" in turn for turn in turns):
        found.add(Loss.THINKING)
    if any("name" in turn or "tool_call_id" in turn for turn in turns):
        found.add(Loss.NAMES)
    return found


AS_JSON: dict[Shape, Callable[[Row], Shaped]] = {
    Shape.TRL: trl,
    Shape.OPENAI: openai,
    Shape.OPENAI_PREFERENCE: openai_preference,
    Shape.SHAREGPT: sharegpt,
    Shape.ALPACA: alpaca,
}


def shapes_of(kind: Kind) -> list[Shape]:
    return [shape for shape, about in SHAPES.items() if kind in about.kinds]
