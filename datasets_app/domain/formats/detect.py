"""Which format a file is in, judged by the keys of its first rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datasets_app.domain.formats.base import Format, Record
from datasets_app.domain.formats.convert import ANSWERS, QUESTIONS

UNPAIRED = "unpaired preference (KTO)"
STEPWISE = "stepwise supervision"

KNOWN_COLUMNS = frozenset(
    {
        "messages",
        "conversations",
        "prompt",
        "completion",
        "chosen",
        "rejected",
        "preferred_output",
        "instruction",
        "output",
        "text",
    }
    | set(QUESTIONS)
    | set(ANSWERS)
)


@dataclass(frozen=True, slots=True)
class Detection:
    """The best guess, how many of the looked-at rows agree, and what was seen when nothing fits."""

    format: Format | None
    agreeing: int
    looked_at: int
    unsupported: str | None
    columns: tuple[str, ...]


def detect(records: Iterable[Record]) -> Detection:
    votes: Counter[Format | str | None] = Counter()
    columns: dict[str, None] = {}
    for record in records:
        votes[detect_record(record)] += 1
        columns.update(dict.fromkeys(map(str, list(record)[:50])))
    looked_at = votes.total()
    named = [(vote, n) for vote, n in votes.most_common() if vote is not None]
    if not named:
        return Detection(None, 0, looked_at, None, tuple(columns)[:50])
    best, agreeing = named[0]
    if isinstance(best, Format):
        return Detection(best, agreeing, looked_at, None, tuple(columns)[:50])
    return Detection(None, 0, looked_at, best, tuple(columns)[:50])


def detect_record(record: Record) -> Format | str | None:
    """A format, the name of one that has no trainer here, or None. The first rule that fits wins."""
    keys = {key for key, value in record.items() if value is not None}
    for needed, outcome in RULES:
        if needed <= keys:
            return _refined(record, outcome)
    if keys & set(QUESTIONS) and keys & set(ANSWERS):
        return Format.QUESTION_ANSWER
    return None


def _refined(record: Record, outcome: Format | str) -> Format | str:
    if outcome == Format.PROMPT_COMPLETION and isinstance(record.get("label"), bool):
        return UNPAIRED
    if outcome == Format.OPENAI_CHAT and _speaks_sharegpt(record["messages"]):
        return Format.SHAREGPT
    if outcome == Format.OPENAI_CHAT and record["messages"] and set(ANSWERS) & set(record):
        last = record["messages"][-1] if isinstance(record["messages"], list) else None
        if isinstance(last, dict) and last.get("role") == "user":
            return Format.QUESTION_ANSWER
    return outcome


def _speaks_sharegpt(turns: Any) -> bool:
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict) and "from" in turns[0]


RULES: tuple[tuple[frozenset[str], Format | str], ...] = (
    (frozenset({"preferred_output", "non_preferred_output"}), Format.OPENAI_PREFERENCE),
    (frozenset({"prompt", "completions", "labels"}), STEPWISE),
    (frozenset({"conversations", "kto_tag"}), UNPAIRED),
    (frozenset({"conversations"}), Format.SHAREGPT),
    (frozenset({"instruction", "kto_tag"}), UNPAIRED),
    (frozenset({"instruction", "output"}), Format.ALPACA),
    (frozenset({"instruction", "chosen", "rejected"}), Format.ALPACA),
    (frozenset({"chosen", "rejected"}), Format.PREFERENCE),
    (frozenset({"messages"}), Format.OPENAI_CHAT),
    (frozenset({"prompt", "completion"}), Format.PROMPT_COMPLETION),
    (frozenset({"text"}), Format.TEXT),
)
