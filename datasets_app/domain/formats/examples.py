"""Readers of examples to learn from: chats, prompts with completions, Alpaca, ShareGPT, questions, segments, text."""

from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import sharegpt
from datasets_app.domain.formats.base import BadRecord, Message, Record, Row, need, need_text, optional_text, tried
from datasets_app.domain.formats.messages import HOLE, must_end_with_assistant, read_messages
from datasets_app.domain.formats.pairs import pair
from datasets_app.domain.formats.turns import EITHER, turns_of
from datasets_app.domain.purposes import Kind

QUESTIONS = ("input", "question", "prompt", "query", "messages")
ANSWERS = ("expected", "ideal", "answer", "response", "expected_output", "reference")


def chat(record: Record) -> Row:
    messages = read_messages(need(record, "messages", "a list of messages"), "messages")
    tried(must_end_with_assistant, messages, "messages")
    return Row(Kind.SFT, messages)


def prompt_completion(record: Record) -> Row:
    prompt = tried(needed_turns, record, "prompt", "user", default=[HOLE])
    completion = tried(needed_turns, record, "completion", "assistant", default=[HOLE])
    tried(must_end_with_assistant, completion, "completion")
    return Row(Kind.SFT, system_turn(record, prompt) + prompt + completion)


def alpaca(record: Record) -> Row:
    instruction = tried(need_text, record, "instruction", default="")
    asked = "\n".join(part for part in (instruction, tried(optional_text, record, "input", default="")) if part)
    messages = system_turn(record, []) + tried(_history, record, default=[])
    messages.append({"role": "user", "content": asked})
    if record.get("chosen") is not None and record.get("rejected") is not None:
        return pair(messages, record["chosen"], record["rejected"])
    output = tried(need_text, record, "output", default="")
    return Row(Kind.SFT, [*messages, {"role": "assistant", "content": output}])


def _history(record: Record) -> list[Message]:
    history = record.get("history")
    if history is None or history == "":
        return []
    if not isinstance(history, list | tuple):
        raise BadRecord("history", Code.WRONG_TYPE, history, "a list of pairs: question and answer")
    messages: list[Message] = []
    for n, asked in enumerate(history):
        if not isinstance(asked, list | tuple) or len(asked) != 2 or not all(isinstance(t, str) for t in asked):
            raise BadRecord(f"history[{n}]", Code.WRONG_TYPE, asked, "a list of two texts: question and answer")
        messages += [{"role": "user", "content": asked[0]}, {"role": "assistant", "content": asked[1]}]
    return messages


def share_gpt(record: Record) -> Row:
    field = (
        "messages" if record.get("conversations") is None and record.get("messages") is not None else "conversations"
    )
    turns = sharegpt.read_turns(need(record, field, "a list of turns"), field)
    turns = system_turn(record, turns) + turns
    if record.get("chosen") is not None and record.get("rejected") is not None:
        return pair(turns, record["chosen"], record["rejected"])
    tried(must_end_with_assistant, turns, field)
    return Row(Kind.SFT, turns)


def question_answer(record: Record) -> Row:
    question = next((f for f in QUESTIONS if record.get(f) is not None), QUESTIONS[0])
    answer = next((f for f in ANSWERS if record.get(f) is not None), ANSWERS[0])
    asked = tried(needed_turns, record, question, "user", default=[HOLE])
    expected = tried(needed_turns, record, answer, "assistant", "the right answer as a text", default=[HOLE])
    messages = system_turn(record, asked) + asked + expected
    tried(must_end_with_assistant, messages, answer)
    return Row(Kind.SFT, messages)


def text(record: Record) -> Row:
    return Row(Kind.TEXT, [], text=need_text(record, "text"))


def input_output(record: Record) -> Row:
    """Segments as turns: what is trained becomes the assistant's, what is not the user's; neighbours are joined."""
    segments = need(record, "segments", "a list of segments {label, text}")
    if not isinstance(segments, list) or not segments:
        code = Code.EMPTY_LIST if segments == [] else Code.WRONG_TYPE
        raise BadRecord("segments", code, segments, "a list of segments {label, text}")
    messages: list[Message] = []
    for n, segment in enumerate(segments):
        trained, said = tried(_segment, segment, f"segments[{n}]", default=(True, ""))
        role = "assistant" if trained else "user"
        if messages and messages[-1]["role"] == role:
            messages[-1] = {"role": role, "content": messages[-1]["content"] + said}
        else:
            messages.append({"role": role, "content": said})
    tried(must_end_with_assistant, messages, "segments")
    return Row(Kind.SFT, messages)


def _segment(segment: Any, field: str) -> tuple[bool, str]:
    if not isinstance(segment, dict):
        raise BadRecord(field, Code.WRONG_TYPE, segment, "an object with label and text")
    if not isinstance(segment.get("label"), bool):
        raise BadRecord(f"{field}.label", Code.WRONG_TYPE, segment.get("label"), "true or false")
    if not isinstance(segment.get("text"), str):
        raise BadRecord(f"{field}.text", Code.WRONG_TYPE, segment.get("text"), "a text")
    return segment["label"], segment["text"]


def needed_turns(record: Record, field: str, role: str, expected: str = EITHER) -> list[Message]:
    return turns_of(need(record, field, expected), field, role)


def system_turn(record: Record, following: list[Message]) -> list[Message]:
    """The row's own system text as its first turn, unless the turns begin with one."""
    system = tried(optional_text, record, "system", default="")
    if not system or (following and following[0]["role"] == "system"):
        return []
    return [{"role": "system", "content": system}]
