"""What mends a bad row in one click: pure functions from the text of a row to its mended text, or None.

None of them is applied unless a person has asked for it by name, and every row it changes says so in its provenance.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord

Mend = Callable[[str], str | None]
REPLACED = "\ufffd"
_ODD_BYTES = re.compile("[\udc80-\udcff]")

ROLE_ALIASES = {
    "human": "user", "customer": "user", "client": "user", "prompter": "user", "question": "user", "person": "user",
    "bot": "assistant", "gpt": "assistant", "ai": "assistant", "model": "assistant", "chatgpt": "assistant",
    "agent": "assistant", "chatbot": "assistant", "answer": "assistant", "robot": "assistant", "llm": "assistant",
    "instruction": "system", "context": "system", "observation": "tool", "ipython": "tool", "tool_response": "tool",
}  # fmt: skip
TURN_LISTS = ("messages", "conversations", "prompt", "completion", "chosen", "rejected", "preferred_output",
              "non_preferred_output")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fix:
    """`opt_in`: it guesses what was meant, so the page counts what it replaces before anybody agrees."""

    name: str
    title: str
    explanation: str
    codes: frozenset[Code]
    mend: Mend
    opt_in: bool = False


def loads(text: str) -> Any:
    """The text as JSON, or None."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _outside_strings(text: str, change: Callable[[str], str]) -> str:
    """`change` applied to everything that stands outside of JSON strings."""
    pieces = re.split(r'("[^"\\]*(?:\\.[^"\\]*)*")', text)
    return "".join(piece if n % 2 else change(piece) for n, piece in enumerate(pieces))


def trailing_comma(text: str) -> str | None:
    """{"a": 1,} and a comma after the object, as a line cut out of a list has it."""
    less = _outside_strings(text.strip(), lambda part: re.sub(r",(\s*[}\]])", r"\1", part)).rstrip().rstrip(",")
    return _if_json(less, text)


def nan_to_null(text: str) -> str | None:
    name = re.compile(r"(?<![\w.])-?(?:NaN|Infinity|nan|inf)(?![\w.])")
    return _if_json(_outside_strings(text, lambda part: name.sub("null", part)), text)


def python_words(text: str) -> str | None:
    """None, True and False of Python outside of strings."""
    words = {"None": "null", "True": "true", "False": "false"}
    spelt = re.compile(r"(?<![\w.])(None|True|False)(?![\w.])")
    return _if_json(_outside_strings(text, lambda part: spelt.sub(lambda m: words[m[1]], part)), text)


def straight_quotes(text: str) -> str | None:
    """Typographic quotes around names and values, as word processors write them."""
    curly = re.compile(r"[\u201c\u201d\u201e\u00ab\u00bb]")
    return _if_json(curly.sub('"', text), text) if loads(text) is None else None


def python_quotes(text: str) -> str | None:
    """A row printed by Python: single quotes, None, True, False. Only literals are read; nothing is run."""
    import ast

    if len(text) > 1_000_000 or text.count("[") + text.count("{") + text.count("(") > 2000:
        return None
    try:
        value = ast.literal_eval(text.strip().rstrip(","))
        return dumps(value) if isinstance(value, dict) else None
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, orjson.JSONEncodeError):
        return None


def strip_marks(text: str) -> str | None:
    """Byte order marks and NUL characters, written out or escaped."""
    less = text.replace("\ufeff", "").replace("\x00", "")
    less = re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1", less)
    return less if less != text else None


def as_cp1252(text: str) -> str | None:
    """Bytes that are no UTF-8, read as Windows-1252: “\\udc93” stands for the byte 0x93."""
    found, count = _ODD_BYTES.subn(_of_byte, text)
    return found if count else None


def _of_byte(sign: re.Match[str]) -> str:
    return bytes([ord(sign[0]) - 0xDC00]).decode("cp1252", "replace")


def replaced(text: str) -> int:
    """How many bytes `as_cp1252` would have to guess."""
    return len(_ODD_BYTES.findall(text))


def role_alias(text: str) -> str | None:
    return _each_turn(text, _known_role)


def _known_role(turn: dict[str, Any]) -> dict[str, Any]:
    key = "role" if "role" in turn else "from"
    speaker = turn.get(key)
    if not isinstance(speaker, str):
        return turn
    plain = speaker.strip().lower()
    known = ROLE_ALIASES.get(plain, plain)
    return {**turn, key: known} if known in ("system", "user", "assistant", "tool") else turn


def number_weight(text: str) -> str | None:
    return _each_turn(text, _plain_weight)


def _plain_weight(turn: dict[str, Any]) -> dict[str, Any]:
    weight = turn.get("weight")
    if weight is not None and (turn.get("role") or turn.get("from")) not in ("assistant", "gpt"):
        return {key: value for key, value in turn.items() if key != "weight"}
    known = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "true": 1, "false": 0}.get(str(weight).strip().lower())
    return turn if known is None else {**turn, "weight": known}


def text_content(text: str) -> str | None:
    """Content that is a number, or a list of bare strings or of text parts, becomes one text."""
    return _each_turn(text, _as_text)


def _as_text(turn: dict[str, Any]) -> dict[str, Any]:
    content = turn.get("content")
    if isinstance(content, int | float) and not isinstance(content, bool):
        return {**turn, "content": str(content)}
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        return {**turn, "content": content["text"]}
    if isinstance(content, list) and content and all(isinstance(part, str) for part in content):
        return {**turn, "content": "\n".join(content)}
    return turn


def bare_text(text: str) -> str | None:
    """Turns that are bare strings become user and assistant in turn."""
    record = loads(text)
    turns = record.get("messages") if isinstance(record, dict) else None
    if not isinstance(turns, list) or len(turns) < 2 or not all(isinstance(turn, str) for turn in turns):
        return None
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    return dumps({**record, "messages": messages})


def without_last_user(text: str) -> str | None:
    """Turns after the last answer are left out: there is nothing to learn from them."""
    return _each_list(text, _until_answer)


def _until_answer(turns: list[Any]) -> list[Any]:
    said = [(turn.get("role") or turn.get("from")) if isinstance(turn, dict) else None for turn in turns]
    answers = [n for n, speaker in enumerate(said) if speaker in ("assistant", "gpt")]
    return turns[: answers[-1] + 1] if answers and all(said) else turns


def first_of_twins(text: str) -> str | None:
    """A key given twice with equal values in one object: one of the two is left out."""
    import json

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for name, value in items:
            if name in known and known[name] != value:
                raise ValueError(name)
            known[name] = value
        return known

    if len(text) > 1_000_000 or text.count("[") + text.count("{") > 2000:
        return None
    try:
        value = json.loads(text, object_pairs_hook=pairs)
        mended = dumps(value) if isinstance(value, dict) else None
    except (ValueError, RecursionError, TypeError):
        return None
    return mended


def _each_turn(text: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str | None:
    return _each_list(text, lambda turns: [change(turn) if isinstance(turn, dict) else turn for turn in turns])


def _each_list(text: str, change: Callable[[list[Any]], list[Any]]) -> str | None:
    """The row with every list of turns changed; None when that changes nothing."""
    record = loads(text)
    if not isinstance(record, dict):
        return None
    lists = {key: change(value) for key, value in record.items() if key in TURN_LISTS and isinstance(value, list)}
    mended = record | lists
    inner = record.get("input")
    if isinstance(inner, dict) and isinstance(inner.get("messages"), list):
        mended["input"] = {**inner, "messages": change(inner["messages"])}
    return dumps(mended) if mended != record else None


def _if_json(mended: str, text: str) -> str | None:
    return mended if mended != text and isinstance(loads(mended), dict) else None


C = Code
FIXES: dict[str, Fix] = {
    fix.name: fix
    for fix in (
        Fix("trailing_comma", "Remove the extra comma", "A comma before a closing bracket, or after the row.",
            frozenset({C.INVALID_JSON}), trailing_comma),
        Fix("nan_to_null", "Write null for NaN and Infinity", "JSON has no such numbers.",
            frozenset({C.NOT_A_NUMBER, C.INVALID_JSON}), nan_to_null),
        Fix("python_words", "Write null, true and false", "None, True and False are Python's words.",
            frozenset({C.INVALID_JSON}), python_words),
        Fix("straight_quotes", "Use straight quotes", "Typographic quotes around names and values.",
            frozenset({C.INVALID_JSON}), straight_quotes),
        Fix("python_quotes", "Read as printed by Python", "Single quotes, None, True, False: written again as JSON.",
            frozenset({C.INVALID_JSON}), python_quotes),
        Fix("strip_marks", "Remove invisible marks", "Byte order marks and NUL characters.",
            frozenset({C.NUL_CHARACTER, C.INVALID_JSON}), strip_marks),
        Fix("as_cp1252", "Read the odd bytes as Windows-1252", "Each byte that is not UTF-8 becomes the letter it "
            "stands for in Windows-1252. How many are replaced is shown first.",
            frozenset({C.INVALID_UTF8}), as_cp1252, opt_in=True),
        Fix("first_of_twins", "Keep one of the equal keys", "Only where both have the same value.",
            frozenset({C.DUPLICATE_KEY}), first_of_twins),
        Fix("role_alias", "Use the known names of roles", "bot, model, AI … become assistant; human, customer … user.",
            frozenset({C.UNKNOWN_ROLE}), role_alias),
        Fix("number_weight", "Write weights as 0 and 1", "On assistant turns; those of other turns are removed.",
            frozenset({C.WEIGHT_INVALID}), number_weight),
        Fix("text_content", "Turn the content into text", "Numbers and lists of strings become one text.",
            frozenset({C.WRONG_TYPE, C.CONTENT_NOT_TEXT}), text_content),
        Fix("bare_text", "Read bare strings as turns", "User and assistant in turn, the first is the user's.",
            frozenset({C.WRONG_TYPE}), bare_text),
        Fix("without_last_user", "Drop what follows the last answer", "Nothing can be learnt from it.",
            frozenset({C.LAST_TURN_NOT_ASSISTANT}), without_last_user),
    )
}  # fmt: skip


def known(names: Iterable[str]) -> list[Fix]:
    """The fixes of these names, in the order in which they are applied; unknown names are left out."""
    wanted = set(names)
    return [fix for name, fix in FIXES.items() if name in wanted]


def mend(text: str, fixes: Iterable[Fix]) -> tuple[str, list[str]]:
    """The text after all fixes that change it, and their names."""
    applied = []
    for fix in fixes:
        mended = fix.mend(text)
        if mended is not None and mended != text:
            text = mended
            applied.append(fix.name)
    return text, applied


def candidates(code: str) -> list[Fix]:
    return [fix for fix in FIXES.values() if code in fix.codes]


def suggest(code: str, record: Mapping[str, Any] | None, bad: BadRecord | None = None, text: str | None = None) -> str:
    """The name of the fix that changes this row for the better, or nothing."""
    found = candidates(code)
    if not found:
        return ""
    if text is None:
        text = _text_of(record)
    if text is None:
        return ""
    return next((fix.name for fix in found if fix.mend(text) is not None), "")


def _text_of(record: Mapping[str, Any] | None) -> str | None:
    try:
        return None if record is None else dumps(dict(record))
    except (orjson.JSONEncodeError, TypeError):
        return None
