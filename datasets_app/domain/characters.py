"""Characters nobody can see, characters that turn the reading direction, and text that was decoded wrongly."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

HIDDEN, BIDI, DAMAGE = "hidden", "bidi", "damage"

NAMES = {
    "\u00ad": "soft hyphen", "\u034f": "grapheme joiner", "\u115f": "hangul filler", "\u1160": "hangul filler",
    "\u180e": "mongolian separator", "\u200b": "zero-width space", "\u200c": "zero-width non-joiner",
    "\u200d": "zero-width joiner", "\u200e": "left-to-right mark", "\u200f": "right-to-left mark",
    "\u061c": "arabic letter mark", "\u202a": "bidi embedding", "\u202b": "bidi embedding",
    "\u202c": "bidi pop", "\u202d": "bidi override", "\u202e": "bidi override", "\u2060": "word joiner",
    "\u2061": "invisible operator", "\u2062": "invisible operator", "\u2063": "invisible operator",
    "\u2064": "invisible operator", "\u2066": "bidi isolate", "\u2067": "bidi isolate", "\u2068": "bidi isolate",
    "\u2069": "bidi pop", "\u3164": "hangul filler", "\ufeff": "zero-width no-break space", "\uffa0": "hangul filler",
}  # fmt: skip
_TAGS, _SELECTORS = "\U000e0000-\U000e007f", "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_UNSEEN = re.compile(f"[{''.join(NAMES)}{_TAGS}{_SELECTORS}]")
_BIDI_ALWAYS = frozenset("\u202d\u202e")
_BIDI = frozenset("\u202a\u202b\u202c\u2066\u2067\u2068\u2069")
_MARKS = frozenset("\u200e\u200f\u061c")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")

# What UTF-8's continuation bytes 80 to BF look like in the code pages it is most often mistaken for.
_LATIN = "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in range(0x80, 0xC0)) + "".join(
    chr(b) for b in range(0x80, 0xA0)
)
_CYRILLIC = "".join(bytes([b]).decode("cp1251", "ignore") for b in range(0x80, 0xC0))
_CONT, _CYR = re.escape(_LATIN), re.escape(_CYRILLIC)
_QUOTES = "‘’“”‚„‹›•–—…"
_PLAIN_CONT = re.escape("".join(c for c in _LATIN if c not in _QUOTES))
_DOS = re.escape(bytes(range(0x80, 0xB0)).decode("cp437"))
_BOXES = re.escape(bytes(range(0xB0, 0xC0)).decode("cp437"))
DAMAGED = re.compile(
    "|".join(
        (
            "\ufffd+",
            "[\u0080-\u0084\u0086-\u009f]+",  # C1 controls; U+0085 ends lines in some files
            f"[ÂÃ](?:[{_PLAIN_CONT}]|[{_CONT}](?=[a-zß-ÿ]))",  # Latin-1 letters: Ã© for é, Â° for °
            f"[ÄÅ][{_CONT}](?=[a-z])",  # Ä for Latin Extended-A, before a small letter
            f"(?:[ÎÏÐÑ×ØÙÚÛ][{_CONT}]){{2,}}",  # Greek, Cyrillic, Hebrew, Arabic
            f"â[\u0080-\u0084€‚„][{_CONT}]",  # quotes and dashes: â€™ for ’
            f"[ã-é][{_CONT}]{{2}}(?:[ã-é][{_CONT}]{{2}})*",  # kana, Chinese, Korean
            f"ð[Ÿ\u009f][{_CONT}]{{2}}",  # emoji
            f"(?:[РС][{_CYR}]){{3,}}",  # Cyrillic read as Windows-1251
            f"├[{_DOS}]|(?<=[A-Za-z])├[{_BOXES}]",  # as code page 437
            "(?<=[A-Za-z])√[©®º§∂ü±´™¥∏]",  # as Mac Roman
        )
    )
)


@dataclass(frozen=True, slots=True)
class Sign:
    """A place in a text, in characters."""

    group: str
    kind: str
    start: int
    end: int


def find(text: str) -> Iterator[Sign]:
    """Every sign that should not be there, in order; what a script or an emoji needs is left alone."""
    if text.isascii():
        return
    signs = [*_unseen(text), *_damaged(text)]
    yield from sorted(signs, key=lambda sign: sign.start)


def strip(text: str) -> str:
    """The text without hidden characters and bidi controls; damage stays, nobody can guess what it was."""
    for sign in reversed(list(_unseen(text)) if not text.isascii() else []):
        text = text[: sign.start] + text[sign.end :]
    return text


def _unseen(text: str) -> Iterator[Sign]:
    right_to_left: bool | None = None
    for match in _UNSEEN.finditer(text):
        sign, at = match.group(), match.start()
        if sign in _BIDI or sign in _MARKS:
            if right_to_left is None:
                right_to_left = _RIGHT_TO_LEFT.search(text) is not None
            if not right_to_left:
                yield Sign(BIDI if sign in _BIDI else HIDDEN, NAMES[sign], at, at + 1)
        elif sign in _BIDI_ALWAYS:
            yield Sign(BIDI, NAMES[sign], at, at + 1)
        elif not _needed(sign, text, at):
            yield Sign(HIDDEN, _name(sign), at, at + 1)


def _damaged(text: str) -> Iterator[Sign]:
    for match in DAMAGED.finditer(text):
        found = match.group()
        kind = "replacement character" if found[0] == "\ufffd" else "control character"
        if found[0] not in "\ufffd" and not "\u0080" <= found[0] <= "\u009f":
            kind = "text decoded wrongly"
        yield Sign(DAMAGE, kind, match.start(), match.end())


def _name(sign: str) -> str:
    if "\U000e0000" <= sign <= "\U000e007f":
        return "tag character"
    return NAMES.get(sign, "variation selector")


def _needed(sign: str, text: str, at: int) -> bool:
    """Whether the script around it, or an emoji, needs the sign."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if sign in "\u200c\u200d":
        return _joins(before) or (sign == "\u200d" and pictured(before) and pictured(after))
    if sign == "\u200b":
        return _without_spaces(before) and _without_spaces(after)
    if sign == "\u034f":
        return bool(before) and (unicodedata.category(before) == "Mn" or "\u0590" <= before <= "\u05ff")
    if "\U000e0000" <= sign <= "\U000e007f":
        return _in_a_flag(text, at)
    if sign in NAMES:
        return at > 0 and sign in "\u115f\u1160" and "\u1100" <= before <= "\u11ff"
    return _varies(sign, before)


def _joins(sign: str) -> bool:
    """Scripts that shape their letters by what stands beside them: Arabic, Syriac, the scripts of India, Mongolian."""
    return "\u0600" <= sign <= "\u077f" or "\u0800" <= sign <= "\u0dff" or "\u1800" <= sign <= "\u18af"


def _without_spaces(sign: str) -> bool:
    """Thai, Lao, Burmese, Khmer: a zero-width space is where a line may break."""
    return "\u0e00" <= sign <= "\u0eff" or "\u1000" <= sign <= "\u109f" or "\u1780" <= sign <= "\u17ff"


def pictured(sign: str) -> bool:
    """An emoji, a part of one, or a symbol that can be drawn as one."""
    return "\U0001f000" <= sign <= "\U0001fbff" or "\u2190" <= sign <= "\u2bff" or sign == "\ufe0f"


def _varies(selector: str, before: str) -> bool:
    if not before:
        return False
    han = "\u2e80" <= before <= "\u9fff" or "\uf900" <= before <= "\ufaff" or before >= "\U00020000"
    if selector >= "\U000e0100":
        return han and before < "\U000e0000"
    if selector in "\ufe0e\ufe0f":
        return (pictured(before) and before != "\ufe0f") or before in "#*0123456789©®‼⁉™ℹ〰〽㊗㊙"
    return (han and before < "\U000e0000") or "\u2190" <= before <= "\u22ff" or "\u1000" <= before <= "\u109f"


def _in_a_flag(text: str, at: int) -> bool:
    """England, Scotland, Wales: a black flag, tag letters, an end."""
    start = text.rfind("\U0001f3f4", max(0, at - 8), at)
    if start < 0:
        return False
    tail = text[start + 1 : start + 9]
    return (
        re.match("[\U000e0061-\U000e007a]{2,6}\U000e007f", tail) is not None
        and at <= start + tail.find("\U000e007f") + 1
    )
