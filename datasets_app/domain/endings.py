"""How an answer ends: as a whole, or as if somebody had cut it."""

import re
from enum import IntEnum

import orjson


class Ending(IntEnum):
    WHOLE = 0  # a mark that ends a sentence, or nothing that speaks against it
    OPEN = 1  # long prose that just stops: cut if the rest of the set ends its sentences
    CUT = 2  # inside JSON, a code block, a list or a clause


# Words that no sentence ends with. Prepositions are not among them: "what it is for" is a whole sentence.
_DANGLING = (
    "the an and or because although whereas their its my your und oder weil dass sowie et ou parce les des porque"
)
DANGLING = frozenset(_DANGLING.split())
LONG_WORDS, LONG_CHARS = 8, 60
_LIST_LINE = re.compile(r"\s*(?:[-*+•|>#]|\d{1,3}[.)]|\w{1,30}:)")
_ADDRESS = re.compile(r"(?:://|@|www\.|[\\/]\S*[\\/])")


def ending(answer: str) -> Ending:
    text = answer.rstrip()
    if not text:
        return Ending.WHOLE
    if text[0] in "{[" and _broken_json(text):
        return Ending.CUT
    if text.count("```") % 2:
        return Ending.CUT
    words = text.split(None, LONG_WORDS)
    if len(words) >= 4 and (text[-1] in ",([{" or _dangles(text)):
        return Ending.CUT
    return Ending.OPEN if stops(text, len(words)) else Ending.WHOLE


def _broken_json(text: str) -> bool:
    """Begins as JSON, has more openings than closings, and does not parse."""
    if text.count("{") + text.count("[") <= text.count("}") + text.count("]"):
        return False
    # "[1] Smith" is a reference, not an array: JSON goes on with a quote, a number, a bracket or its end.
    if not re.match(r"[{\[]\s*(?:[\"{\[\]}\-\d]|true|false|null)", text) or re.match(r"\[\d+\]\s*[^\s,\]]", text):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return True
    return False


def _dangles(text: str) -> bool:
    last = text[-24:].rsplit(maxsplit=1)[-1]
    return last in DANGLING


def stops(text: str, words: int) -> bool:
    """Long prose that ends in a letter; `words` are counted up to one more than LONG_WORDS."""
    last_line = text.rsplit("\n", 1)[-1]
    if not text[-1].isalnum() or (words < LONG_WORDS and len(text) < LONG_CHARS):
        return False
    if "\n" in text and (len(last_line.split()) <= 4 or last_line.startswith(("    ", "\t"))):
        return False  # a signature, a heading, a line of code
    return not _LIST_LINE.match(last_line) and not _ADDRESS.search(last_line.rsplit(None, 1)[-1])
