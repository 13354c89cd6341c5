"""Readers of judged answers (KTO): a prompt, one answer, and whether it is a good one."""

from typing import Any

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import examples
from datasets_app.domain.formats.base import BadRecord, Record, Row
from datasets_app.domain.formats.pairs import preference


def verdict_of(record: Record) -> bool:
    """Whether the answer is a good one: `label` of TRL, `kto_tag` of LLaMA-Factory; "true" and 1 of tables, too."""
    name = "kto_tag" if record.get("kto_tag") is not None else "label"
    value = record.get(name)
    known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if known is None or isinstance(value, list | dict | float):
        code = Code.MISSING_FIELD if value is None else Code.WRONG_TYPE
        raise BadRecord(name, code, value, "true for a good answer, false for a bad one")
    return known


def plain(record: Record) -> Row:
    """The example behind a judgement, whichever of the three shapes it is written in."""
    if record.get("conversations") is not None:
        return examples.share_gpt(record)
    if record.get("messages") is not None:
        return examples.chat(record)
    return examples.alpaca(record) if record.get("instruction") is not None else examples.prompt_completion(record)


def good(record: Record) -> Row:
    if not verdict_of(record):
        raise BadRecord("label", Code.UNWANTED_ANSWER, "false: a bad answer", "true: an answer to learn")
    return plain(record)


def paired(record: Record) -> Row:
    """One pair, as `Pairing` has put it together: {"prompt", "chosen", "rejected"} in messages."""
    if record.get("chosen") is not None or record.get("rejected") is not None:
        return preference(record)
    verdict_of(record)
    plain(record)
    raise BadRecord("label", Code.UNPAIRED_ROW, "one answer by itself", "a good and a bad answer to the same prompt")


def as_half(record: Record) -> tuple[bytes, bool, Row]:
    """What two halves of a pair must share (prompt, tools), the verdict, and the example."""
    verdict, row = verdict_of(record), plain(record)
    key: list[Any] = [row.messages[:-1], record.get("tools")]
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS), verdict, row
