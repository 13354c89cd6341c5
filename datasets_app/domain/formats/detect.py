"""Which format a file is in, judged by the keys of its first rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Format, Record
from datasets_app.domain.formats.examples import ANSWERS, QUESTIONS
from datasets_app.domain.formats.judged import as_half
from datasets_app.domain.formats.pairs import ANSWER_NAMES

UNPAIRED = "unpaired preference (KTO)"
STEPWISE = "stepwise supervision"
PRETOKENISED = "pre-tokenised rows"
PROMPT_ONLY = "prompts without answers"
REFUSED_AS = {
    UNPAIRED: Code.UNPAIRED_ROWS,
    STEPWISE: Code.STEPWISE_ROWS,
    PRETOKENISED: Code.PRETOKENISED,
    PROMPT_ONLY: Code.PROMPT_ONLY,
}

KNOWN_COLUMNS = (
    frozenset({"messages", "conversations", "prompt", "completion", "preferred_output", "instruction", "text"})
    | {"segments", "answers", "input_ids", *QUESTIONS, *ANSWERS}
    | {name for names in ANSWER_NAMES for name in names}
)


@dataclass(frozen=True, slots=True)
class Detection:
    """The best guess, how many of the looked-at rows agree, and what was seen when nothing fits."""

    format: Format | None
    agreeing: int
    looked_at: int
    unsupported: str | None
    columns: tuple[str, ...]

    @property
    def code(self) -> Code:
        """What the file is refused with when there is no format."""
        return REFUSED_AS.get(self.unsupported or "", Code.FORMAT_UNKNOWN)


def detect(records: Iterable[Record]) -> Detection:
    votes: Counter[Format | str | None] = Counter()
    columns: dict[str, None] = {}
    seen: list[Record] = []
    for record in records:
        votes[detect_record(record)] += 1
        columns.update(dict.fromkeys(map(str, list(record)[:50])))
        seen.append(record)
    looked_at, names = votes.total(), tuple(columns)[:50]
    named = [(vote, n) for vote, n in votes.most_common() if vote is not None]
    if not named:
        return Detection(None, 0, looked_at, None, names)
    best, agreeing = named[0]
    if best == UNPAIRED and holds_pairs(seen):
        return Detection(Format.KTO_PAIRS, agreeing, looked_at, None, names)
    if best == Format.QUESTION_ANSWER and {"id", "parent_id"} <= set(names):
        return Detection(Format.CHAINED, agreeing, looked_at, None, names)
    if isinstance(best, Format):
        return Detection(best, agreeing, looked_at, None, names)
    return Detection(None, 0, looked_at, best, names)


def detect_record(record: Record) -> Format | str | None:
    """A format, the name of one that has no trainer here, or None. The first rule that fits wins."""
    keys = {key for key, value in record.items() if value is not None}
    for needed, outcome in RULES:
        if needed <= keys:
            return _refined(record, outcome)
    if keys & set(QUESTIONS) and keys & set(ANSWERS):
        return Format.QUESTION_ANSWER
    return PROMPT_ONLY if "prompt" in keys else None


def holds_pairs(records: Iterable[Record]) -> bool:
    """Whether some prompt has both a good and a bad answer among these judged rows."""
    verdicts: dict[bytes, bool] = {}
    for record in records:
        try:
            prompt, verdict, _ = as_half(record)
        except BadRecord:
            continue
        if verdicts.setdefault(prompt, verdict) != verdict:
            return True
    return False


def _refined(record: Record, outcome: Format | str) -> Format | str:
    if outcome == Format.PROMPT_COMPLETION and _is_verdict(record.get("label")):
        return UNPAIRED
    if outcome == Format.RANKED and not _holds_ranks(record["answers"]):
        return PROMPT_ONLY
    if outcome == Format.OPENAI_CHAT and _speaks_sharegpt(record["messages"]):
        return Format.SHAREGPT
    if outcome == Format.OPENAI_CHAT and record["messages"] and set(ANSWERS) & set(record):
        last = record["messages"][-1] if isinstance(record["messages"], list) else None
        if isinstance(last, dict) and last.get("role") == "user":
            return Format.QUESTION_ANSWER
    return outcome


def _is_verdict(label: Any) -> bool:
    return isinstance(label, bool) or label in ("True", "False", "true", "false")


def _holds_ranks(answers: Any) -> bool:
    return isinstance(answers, list) and bool(answers) and isinstance(answers[0], dict) and "rank" in answers[0]


def _speaks_sharegpt(turns: Any) -> bool:
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict) and "from" in turns[0]


RULES: tuple[tuple[frozenset[str], Format | str], ...] = (
    (frozenset({"input_ids"}), PRETOKENISED),
    (frozenset({"preferred_output", "non_preferred_output"}), Format.OPENAI_PREFERENCE),
    (frozenset({"prompt", "completions", "labels"}), STEPWISE),
    (frozenset({"conversations", "kto_tag"}), UNPAIRED),
    (frozenset({"messages", "kto_tag"}), UNPAIRED),
    (frozenset({"conversations"}), Format.SHAREGPT),
    (frozenset({"instruction", "kto_tag"}), UNPAIRED),
    (frozenset({"instruction", "chosen", "rejected"}), Format.ALPACA),
    *((frozenset(names), Format.PREFERENCE) for names in ANSWER_NAMES if names != ("text", "rejected_text")),
    (frozenset({"rejected_text"}), Format.PREFERENCE),
    (frozenset({"instruction", "output"}), Format.ALPACA),
    (frozenset({"messages"}), Format.OPENAI_CHAT),
    (frozenset({"segments"}), Format.INPUT_OUTPUT),
    (frozenset({"prompt", "answers"}), Format.RANKED),
    (frozenset({"prompt", "completion"}), Format.PROMPT_COMPLETION),
    (frozenset({"text"}), Format.TEXT),
)
