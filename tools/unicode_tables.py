"""Writes datasets_app/engine/native/words_unicode.h: what each character is to a tokeniser, and what it folds to.

`python tools/unicode_tables.py` takes it all from `unicodedata`, so that the header says the same on every machine,
whatever Unicode its Python knows. Each character gets a class, a script, and the characters it is read as: wide and
narrow forms, case, ligatures and digits of all scripts are made one. Composed letters are read as letter and mark, so
that both spellings of "é" are equal.
"""

import sys
import unicodedata
from itertools import groupby
from pathlib import Path

HEADER = Path(__file__).resolve().parents[1] / "datasets_app" / "engine" / "native" / "words_unicode.h"

OTHER, LETTER, MARK, SOLO, IGNORED, SYMBOL, SIGN = range(7)
SCRIPTS = [
    *("OTHER", "LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "HAN", "KANA", "HANGUL", "THAI", "LAO"),
    *("KHMER", "MYANMAR", "BENGALI", "TAMIL", "TELUGU", "ARMENIAN", "GEORGIAN", "ETHIOPIC", "GUJARATI", "KANNADA"),
    *("MALAYALAM", "GURMUKHI", "SINHALA"),
]
# Written without spaces between words: every character, with its marks, is a word of its own.
UNSPACED = {"HAN", "KANA", "THAI", "LAO", "KHMER", "MYANMAR"}
SIGNS = frozenset("-*/%\\#@&+=<>^|~$")
NAMES = {"CJK": "HAN", "IDEOGRAPHIC": "HAN", "HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA"}
LAST = 0x323B0  # beyond lie tags, variation selectors and private use only


def script(sign: str) -> str:
    name = unicodedata.name(sign, "").split(" ")
    if name[0] in ("FULLWIDTH", "HALFWIDTH"):
        name = name[1:]
    first = NAMES.get(name[0], name[0]) if name and name[0] else ""
    return first if first in SCRIPTS else "OTHER"


def folded(sign: str) -> str:
    if "\uac00" <= sign <= "\ud7a3":  # Hangul syllables stay whole
        return sign
    if sign in "ıİ":  # which of the two i an I is, only Turkish knows
        return "i"
    read_as = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", sign).casefold())
    digits = "".join(str(unicodedata.digit(c)) if unicodedata.category(c) == "Nd" else c for c in read_as)
    kept = "".join(c for c in digits if unicodedata.category(c)[0] in "LMN")
    return kept if kept == digits else sign


def kind(sign: str) -> int:
    category = unicodedata.category(sign)
    wide = unicodedata.normalize("NFKC", sign)
    if wide in SIGNS:
        return SIGN
    if category == "Cf" or sign == "\u0640" or 0xFE00 <= ord(sign) <= 0xFE0F or ord(sign) == 0x034F:
        return IGNORED
    if category[0] == "M":
        return MARK
    if category[0] in "LN":
        return SOLO if script(sign) in UNSPACED and category != "Nd" else LETTER
    return SYMBOL if category in ("So", "Sc", "Sm") else OTHER


def entry(codepoint: int) -> tuple[int, int]:
    sign = chr(codepoint)
    if 0xD800 <= codepoint <= 0xDFFF:
        return OTHER, 0
    return kind(sign), SCRIPTS.index(script(sign))


def lines() -> list[str]:
    ranges = []
    for value, group in groupby(range(0x80, LAST), entry):
        members = list(group)
        if value != (OTHER, 0):
            ranges.append(f"{{{members[0]:#x},{members[-1]:#x},{value[0]},{value[1]}}}")
    folds = []
    for codepoint in range(0x80, LAST):
        sign = chr(codepoint)
        if 0xD800 <= codepoint <= 0xDFFF:
            continue
        sort = kind(sign)
        read_as = unicodedata.normalize("NFKC", sign) if sort == SIGN else folded(sign)
        if sort in (LETTER, MARK, SOLO, SIGN) and read_as != sign:
            folds.append("{" + ",".join(f"{ord(c):#x}" for c in (sign, chr(len(read_as)), *read_as[:18])) + "}")
    flat = [fold.strip("{}") for fold in folds]
    return [
        "/* Written by tools/unicode_tables.py from unicodedata " + unicodedata.unidata_version + "; do not edit. */",
        "#ifndef LUTHIER_WORDS_UNICODE_H",
        "#define LUTHIER_WORDS_UNICODE_H",
        "#include <stdint.h>",
        f"#define UNICODE_LAST {LAST:#x}",
        "enum { U_OTHER, U_LETTER, U_MARK, U_SOLO, U_IGNORED, U_SYMBOL, U_SIGN };",
        "enum { " + ", ".join(f"S_{name}" for name in SCRIPTS) + ", SCRIPTS };",
        "/* first, last, class, script */",
        "static const struct { uint32_t first, last; uint8_t kind, script; } unicode_ranges[] = {",
        *packed(ranges),
        "};",
        "/* character, number of characters it is read as, those characters */",
        "static const uint32_t unicode_folds[] = {",
        *packed(flat),
        "};",
        "#endif",
    ]


def packed(items: list[str]) -> list[str]:
    made, line = [], ""
    for item in items:
        if len(line) + len(item) > 116:
            made.append(line)
            line = ""
        line += item + ","
    return [*made, line]


if __name__ == "__main__":
    text = "\n".join(lines()) + "\n"
    if "--check" in sys.argv:
        sys.exit(HEADER.read_text() != text)
    HEADER.write_text(text)
    print(HEADER.name, len(text))
