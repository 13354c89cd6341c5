"""From a record in any accepted format to a row: one small reader per format."""

from collections.abc import Callable
from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import sharegpt
from datasets_app.domain.formats.base import (
    BadRecord,
    Format,
    Message,
    Record,
    Row,
    need,
    need_text,
    optional_text,
)
from datasets_app.domain.formats.messages import must_end_with_assistant, read_messages, read_tools
from datasets_app.domain.purposes import Kind

QUESTIONS = ("input", "question", "prompt", "query", "messages")
ANSWERS = ("expected", "ideal", "answer", "response", "expected_output", "reference")
TAG_FIELDS = ("label", "category", "tags", "id", "tools")


def convert(record: Record, fmt: Format) -> Row:
    """The row this record holds under the format; raises BadRecord naming the first field that does not fit."""
    row = READERS[fmt](record)
    row.label = _scalar(record.get("label", record.get("category")), "label")
    row.source_id = _scalar(record.get("id"), "id")
    row.tags = _tags(record.get("tags"))
    if row.tools is None:
        row.tools = read_tools(record.get("tools"))
    return row


def _chat(record: Record) -> Row:
    messages = read_messages(need(record, "messages", "a list of messages"), "messages")
    must_end_with_assistant(messages, "messages")
    return Row(Kind.SFT, messages)


def _prompt_completion(record: Record) -> Row:
    prompt = _turns(need(record, "prompt", "a text or a list of messages"), "prompt", "user")
    completion = _turns(need(record, "completion", "a text or a list of messages"), "completion", "assistant")
    must_end_with_assistant(completion, "completion")
    return Row(Kind.SFT, prompt + completion)


def _preference(record: Record) -> Row:
    chosen = need(record, "chosen", "a text or a list of messages")
    rejected = need(record, "rejected", "a text or a list of messages")
    prompt = record.get("prompt", record.get("question"))
    if prompt is None:
        return _implicit(chosen, rejected)
    return _pair(_turns(prompt, "prompt", "user"), chosen, rejected)


def _implicit(chosen: Any, rejected: Any) -> Row:
    """A pair whose prompt is what both answers begin with."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        # Cut at a space, so that two answers sharing their first letters do not lend them to the prompt.
        shared = _shared_start(chosen, rejected)
        cut = max(shared.rfind(" "), shared.rfind("\n")) + 1
        prompt: list[Message] = [{"role": "user", "content": shared[:cut].rstrip()}] if shared[:cut].strip() else []
        good, bad = _turns(chosen[cut:], "chosen", "assistant"), _turns(rejected[cut:], "rejected", "assistant")
    else:
        good, bad = read_messages(chosen, "chosen"), read_messages(rejected, "rejected")
        cut = next(
            (n for n, pair in enumerate(zip(good, bad, strict=False)) if pair[0] != pair[1]), min(len(good), len(bad))
        )
        # Equal answers share every turn; the last one is still the answer, not the prompt.
        cut = min(cut, len(good) - 1, len(bad) - 1)
        prompt, good, bad = good[:cut], good[cut:], bad[cut:]
    if not prompt:
        raise BadRecord("prompt", Code.NO_PROMPT, "answers that begin differently", "a prompt, or equal first turns")
    return _ended(Row(Kind.PREFERENCE, prompt, good, bad))


def _shared_start(one: str, other: str) -> str:
    differs = next((n for n, signs in enumerate(zip(one, other, strict=False)) if signs[0] != signs[1]), None)
    return one[: min(len(one), len(other)) if differs is None else differs]


def _pair(prompt: list[Message], chosen: Any, rejected: Any) -> Row:
    good, bad = _answer(chosen, "chosen"), _answer(rejected, "rejected")
    # Some exports repeat the prompt in front of both answers.
    size = len(prompt)
    if good[:size] == prompt and bad[:size] == prompt and min(len(good), len(bad)) > size:
        good, bad = good[size:], bad[size:]
    return _ended(Row(Kind.PREFERENCE, prompt, good, bad))


def _ended(row: Row) -> Row:
    must_end_with_assistant(row.chosen or [], "chosen")
    must_end_with_assistant(row.rejected or [], "rejected")
    return row


def _answer(value: Any, field: str) -> list[Message]:
    """An answer of a pair: a text, a list of messages, or one ShareGPT or OpenAI message."""
    if isinstance(value, dict):
        return sharegpt.read_turns([value], field) if "from" in value else read_messages([value], field)
    return _turns(value, field, "assistant")


def _openai_preference(record: Record) -> Row:
    given = need(record, "input", "an object with messages")
    if not isinstance(given, dict):
        raise BadRecord("input", Code.WRONG_TYPE, given, "an object with messages")
    prompt = read_messages(need(given, "messages", "a list of messages"), "input.messages")
    good = read_messages(need(record, "preferred_output", "a list of messages"), "preferred_output")
    bad = read_messages(need(record, "non_preferred_output", "a list of messages"), "non_preferred_output")
    must_end_with_assistant(good, "preferred_output")
    must_end_with_assistant(bad, "non_preferred_output")
    return Row(Kind.PREFERENCE, prompt, good, bad, tools=read_tools(given.get("tools"), "input.tools"))


def _alpaca(record: Record) -> Row:
    asked = "\n".join(part for part in (need_text(record, "instruction"), optional_text(record, "input")) if part)
    system = optional_text(record, "system")
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for n, pair in enumerate(record.get("history") or []):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(t, str) for t in pair):
            raise BadRecord(f"history[{n}]", Code.WRONG_TYPE, pair, "a list of two texts: question and answer")
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    messages.append({"role": "user", "content": asked})
    if record.get("chosen") is not None and record.get("rejected") is not None:
        return _pair(messages, record["chosen"], record["rejected"])
    return Row(Kind.SFT, [*messages, {"role": "assistant", "content": need_text(record, "output")}])


def _sharegpt(record: Record) -> Row:
    field = (
        "messages" if record.get("conversations") is None and record.get("messages") is not None else "conversations"
    )
    turns = sharegpt.read_turns(need(record, field, "a list of turns"), field)
    system = optional_text(record, "system")
    if system and turns[0]["role"] != "system":
        turns.insert(0, {"role": "system", "content": system})
    if record.get("chosen") is not None and record.get("rejected") is not None:
        return _pair(turns, record["chosen"], record["rejected"])
    must_end_with_assistant(turns, field)
    return Row(Kind.SFT, turns)


def _question_answer(record: Record) -> Row:
    question = next((f for f in QUESTIONS if record.get(f) is not None), QUESTIONS[0])
    answer = next((f for f in ANSWERS if record.get(f) is not None), ANSWERS[0])
    asked = need(record, question, "a text or a list of messages")
    expected = need(record, answer, "the right answer as a text")
    system = optional_text(record, "system")
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages += _turns(asked, question, "user")
    messages += _turns(expected, answer, "assistant")
    must_end_with_assistant(messages, answer)
    return Row(Kind.SFT, messages)


def _text(record: Record) -> Row:
    return Row(Kind.TEXT, [], text=need_text(record, "text"))


def _turns(value: Any, field: str, role: str) -> list[Message]:
    """A text becomes one turn of the role; a list is read as messages."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if not isinstance(value, list):
        raise BadRecord(field, Code.WRONG_TYPE, value, "a text or a list of messages")
    return read_messages(value, field)


def _scalar(value: Any, field: str) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | bool | int | float):
        return str(value)
    raise BadRecord(field, Code.WRONG_TYPE, value, "a text or a number")


def _tags(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return [tag.strip() for tag in value.split(",") if tag.strip()] or None
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise BadRecord("tags", Code.WRONG_TYPE, value, "a list of texts")
    return value


READERS: dict[Format, Callable[[Record], Row]] = {
    Format.OPENAI_CHAT: _chat,
    Format.PROMPT_COMPLETION: _prompt_completion,
    Format.PREFERENCE: _preference,
    Format.OPENAI_PREFERENCE: _openai_preference,
    Format.ALPACA: _alpaca,
    Format.SHAREGPT: _sharegpt,
    Format.QUESTION_ANSWER: _question_answer,
    Format.TEXT: _text,
}

# Fields each format reads; what a file holds besides is counted and shown, never dropped without a word.
FIELDS: dict[Format, frozenset[str]] = {
    Format.OPENAI_CHAT: frozenset({"messages", "parallel_tool_calls"}),
    Format.PROMPT_COMPLETION: frozenset({"prompt", "completion"}),
    Format.PREFERENCE: frozenset({"prompt", "question", "chosen", "rejected"}),
    Format.OPENAI_PREFERENCE: frozenset({"input", "preferred_output", "non_preferred_output"}),
    Format.ALPACA: frozenset({"instruction", "input", "output", "system", "history", "chosen", "rejected"}),
    Format.SHAREGPT: frozenset({"conversations", "messages", "system", "chosen", "rejected"}),
    Format.QUESTION_ANSWER: frozenset({*QUESTIONS, *ANSWERS, "system"}),
    Format.TEXT: frozenset({"text"}),
}


def ignored_fields(record: Record, fmt: Format) -> list[str]:
    return [str(name) for name in record if name not in FIELDS[fmt] and name not in TAG_FIELDS]
