"""Readers of preference pairs: one prompt, a chosen and a rejected answer."""

from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import sharegpt
from datasets_app.domain.formats.base import BadRecord, Message, Record, Row, need, optional_text, tried
from datasets_app.domain.formats.messages import HOLE, must_end_with_assistant, read_messages, read_tools
from datasets_app.domain.formats.turns import EITHER, turns_of
from datasets_app.domain.purposes import Kind

# Names of the good and the bad answer: TRL, Argilla, AutoTrain, H2O. The first whose bad answer is there counts.
ANSWER_NAMES = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("text", "rejected_text"),
    ("answer", "rejected_answer"),
    ("output", "rejected_output"),
)
PROMPT_NAMES = ("prompt", "question", "instruction", "input")


def preference(record: Record) -> Row:
    good, bad = next((names for names in ANSWER_NAMES if record.get(names[1]) is not None), ANSWER_NAMES[0])
    chosen = tried(need, record, good, EITHER)
    rejected = tried(need, record, bad, EITHER)
    name = next((name for name in PROMPT_NAMES if record.get(name) is not None), None)
    if chosen is None or rejected is None:
        return Row(Kind.PREFERENCE, [])  # both faults are noted
    if name is None:
        return _with_system(record, _implicit(chosen, rejected, good, bad))
    prompt = tried(turns_of, record[name], name, "user", default=[HOLE])
    return _with_system(record, pair(prompt, chosen, rejected, good, bad))


def pair(prompt: list[Message], chosen: Any, rejected: Any, good: str = "chosen", bad: str = "rejected") -> Row:
    """A prompt and its two answers. Some exports repeat the prompt in front of both."""
    yes = tried(_answer, chosen, good, default=[HOLE])
    no = tried(_answer, rejected, bad, default=[HOLE])
    size = len(prompt)
    if yes[:size] == prompt and no[:size] == prompt and min(len(yes), len(no)) > size:
        yes, no = yes[size:], no[size:]
    return _ended(Row(Kind.PREFERENCE, prompt, yes, no), good, bad)


def openai_preference(record: Record) -> Row:
    given = need(record, "input", "an object with messages")
    if not isinstance(given, dict):
        raise BadRecord("input", Code.WRONG_TYPE, given, "an object with messages")
    prompt = tried(_openai_turns, given, "messages", "input.messages", default=[HOLE])
    good = tried(_openai_turns, record, "preferred_output", "preferred_output", default=[HOLE])
    bad = tried(_openai_turns, record, "non_preferred_output", "non_preferred_output", default=[HOLE])
    row = _ended(Row(Kind.PREFERENCE, prompt, good, bad), "preferred_output", "non_preferred_output")
    row.tools = tried(read_tools, given.get("tools"), "input.tools")
    if given.get("parallel_tool_calls") is not None:
        row.extras = {"parallel_tool_calls": given["parallel_tool_calls"]}
    return row


def ranked(record: Record) -> Row:
    """Answers with ranks: the best becomes the chosen one, the next best the rejected one."""
    prompt = tried(turns_of, need(record, "prompt", EITHER), "prompt", "user", default=[HOLE])
    answers = need(record, "answers", "a list of answers {answer, rank}")
    if not isinstance(answers, list):
        raise BadRecord("answers", Code.WRONG_TYPE, answers, "a list of answers {answer, rank}")
    ordered = sorted((tried(_ranked, a, f"answers[{n}]", default=(0.0, "")) for n, a in enumerate(answers)), key=_rank)
    if len({rank for rank, _ in ordered}) < 2:
        raise BadRecord("answers", Code.NO_PROMPT, f"{len(ordered)} answers of one rank", "two answers of two ranks")
    best, other = ordered[0], next(answer for answer in ordered if answer[0] > ordered[0][0])
    return pair(prompt, best[1], other[1], "answers", "answers")


def _rank(answer: tuple[float, str]) -> float:
    return answer[0]


def _ranked(answer: Any, field: str) -> tuple[float, str]:
    if not isinstance(answer, dict) or not isinstance(answer.get("answer"), str):
        raise BadRecord(field, Code.WRONG_TYPE, answer, "an object with answer and rank")
    rank = answer.get("rank")
    if isinstance(rank, bool) or not isinstance(rank, int | float):
        raise BadRecord(f"{field}.rank", Code.WRONG_TYPE, rank, "a number, 1 for the best")
    return float(rank), answer["answer"]


def _with_system(record: Record, row: Row) -> Row:
    system = tried(optional_text, record, "system", default="")
    if system and (not row.messages or row.messages[0]["role"] != "system"):
        row.messages = [{"role": "system", "content": system}, *row.messages]
    return row


def _implicit(chosen: Any, rejected: Any, good: str, bad: str) -> Row:
    """A pair whose prompt is what both answers begin with."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        # Cut at a space, so that two answers sharing their first letters do not lend them to the prompt.
        shared = _shared_start(chosen, rejected)
        cut = max(shared.rfind(" "), shared.rfind("\n")) + 1
        prompt: list[Message] = [{"role": "user", "content": shared[:cut].rstrip()}] if shared[:cut].strip() else []
        yes, no = turns_of(chosen[cut:], good, "assistant"), turns_of(rejected[cut:], bad, "assistant")
    else:
        yes = tried(read_messages, chosen, good, default=[HOLE])
        no = tried(read_messages, rejected, bad, default=[HOLE])
        cut = next(
            (n for n, both in enumerate(zip(yes, no, strict=False)) if both[0] != both[1]), min(len(yes), len(no))
        )
        # Equal answers share every turn; the last one is still the answer, not the prompt.
        cut = min(cut, len(yes) - 1, len(no) - 1)
        prompt, yes, no = yes[:cut], yes[cut:], no[cut:]
        if HOLE in yes + no:
            return Row(Kind.PREFERENCE, prompt, yes, no)
    if not prompt:
        raise BadRecord("prompt", Code.NO_PROMPT, "answers that begin differently", "a prompt, or equal first turns")
    return _ended(Row(Kind.PREFERENCE, prompt, yes, no), good, bad)


def _shared_start(one: str, other: str) -> str:
    differs = next((n for n, signs in enumerate(zip(one, other, strict=False)) if signs[0] != signs[1]), None)
    return one[: min(len(one), len(other)) if differs is None else differs]


def _ended(row: Row, good: str, bad: str) -> Row:
    tried(must_end_with_assistant, row.chosen or [], good)
    tried(must_end_with_assistant, row.rejected or [], bad)
    return row


def _openai_turns(record: Record, name: str, field: str) -> list[Message]:
    return read_messages(need(record, name, "a list of messages"), field)


def _answer(value: Any, field: str) -> list[Message]:
    """An answer of a pair: a text, a list of messages, or one ShareGPT or OpenAI message."""
    if isinstance(value, dict):
        return sharegpt.read_turns([value], field) if "from" in value else read_messages([value], field)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "from" in value[0]:
        return sharegpt.read_turns(value, field)
    return turns_of(value, field, "assistant")
