"""What the kernels over words compute, in slow and plain Python, and rows to compute it of."""

import importlib.util
import random
import re
from pathlib import Path
from typing import Any

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.facts import Facts
from datasets_app.engine.words import Words

_TABLES = Path(__file__).resolve().parents[2] / "tools" / "unicode_tables.py"
_SPEC = importlib.util.spec_from_file_location("unicode_tables", _TABLES)
assert _SPEC and _SPEC.loader
tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tables)

SIGNS = set("-*/%\\#@&+=<>^|~$")
LONGEST = 256
FULL = (1 << 64) - 1

# Thirty letters or syllables of each script: made-up words of it have the look of the real thing.
SCRIPTS = {
    "english": "abcdefghijklmnopqrstuvwxyz",
    "russian": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "chinese": "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小"
    "么心多天而能好都然没日于起还发成事只作当想看文无开手用主行方又如前所本见经头面公同三已老从动两长知民"
    "样现分将外但身些与高意进把法此实回",
    "thai": "กขคงจฉชซดตถทธนบปผฝพฟภมยรลวศสหอ",
    "japanese": "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"
    "日本語文字人年大十二三時中長国出上東生金分会",
}


def words(text: str) -> list[str]:
    """The folded words of a text, signs that carry meaning among them."""
    raw, found, previous, some = text.encode(), [], 0, False
    for run in re.finditer(rb"[0-9A-Za-z\x80-\xff]+", raw):
        found += _gap(raw, previous, run.start(), left=some, right=True)
        found += _run(run.group().decode())
        previous, some = run.end(), True
    return found + _gap(raw, previous, len(raw), left=some, right=False)


def _gap(raw: bytes, a: int, b: int, *, left: bool, right: bool) -> list[str]:
    gap = raw[a:b].decode()
    if not gap:
        return []
    if left and right:
        if len(gap) == 1:
            return [gap] if gap in SIGNS else []
        if _spaced(gap) and (gap[1] != "-" or (_digit(raw[a - 1]) and _digit(raw[b]))):
            return [gap[1]]
    found = []
    if left and gap[0] in "#+%":
        found += ["+", "+"] if gap[:2] == "++" else [gap[0]]
    return found + ([gap[-1]] if right and _digit(raw[b]) and _before_digit(gap) else [])


def _digit(byte: int) -> bool:
    return ord("0") <= byte <= ord("9")


def _spaced(gap: str) -> bool:
    return len(gap) == 3 and gap[0] == gap[2] == " " and gap[1] in SIGNS - {"|"}


def _before_digit(gap: str) -> bool:
    return gap[-1] == "$" or (gap[-1] == "-" and (len(gap) == 1 or gap[-2] in " (\n\t=,:[\0"))


def _run(text: str) -> list[str]:
    if text.isascii() and len(text) <= 16:
        return [text.lower()]
    found: list[str] = [""]
    solo, after_letter = False, False
    for n, sign in enumerate(text):
        kind = _kind(sign)
        if kind in (tables.LETTER, tables.SOLO) or (kind == tables.MARK and found[-1]):
            if kind == tables.SOLO or (kind == tables.LETTER and solo) or len(found[-1].encode()) >= LONGEST:
                found.append("")
            if not found[-1]:
                solo = kind == tables.SOLO
            found[-1] += sign.lower() if sign.isascii() else tables.folded(sign)
            after_letter = True
        elif kind not in (tables.IGNORED, tables.MARK):
            found += [*_sign(kind, sign, after_letter and n + 1 < len(text) and _is_letter(text[n + 1])), ""]
            after_letter = False
    return [word for word in found if word]


def _sign(kind: int, sign: str, between: bool) -> list[str]:
    if kind == tables.SYMBOL:
        return [sign]
    return [tables.unicodedata.normalize("NFKC", sign)] if kind == tables.SIGN and between else []


def _kind(sign: str) -> int:
    if sign.isascii():
        return tables.LETTER
    return tables.kind(sign) if ord(sign) < tables.LAST else _far(sign)


def _far(sign: str) -> int:
    return tables.IGNORED if 0xE0000 <= ord(sign) < 0xE1000 else tables.OTHER


def _is_letter(sign: str) -> bool:
    return _kind(sign) in (tables.LETTER, tables.SOLO)


def hashed(word: str) -> int:
    """The 32 bits that stand for a folded word."""
    raw, h = word.encode(), 0
    for at in range(0, max(1, len(raw)), 16):
        head = int.from_bytes(raw[at : at + 8], "little")
        tail = int.from_bytes(raw[at + 8 : at + 16], "little")
        h = _product(head ^ 0xA0761D6478BD642F ^ h, tail ^ 0xE7037ED1A0B428DB)
    h = _product(h ^ 0x589965CC75374CC3, len(raw) ^ 0x1D8E4E27C47D124F)
    value = (h >> 32) & ~1 | any("0" <= sign <= "9" for sign in word)
    return value if value > 1 else value | 2


def _product(a: int, b: int) -> int:
    both = a * b
    return (both ^ both >> 64) & FULL


def shingles(listed: list[str]) -> set[tuple[str, ...]]:
    if len(listed) < 3:
        return {tuple(listed)} if listed else set()
    return set(zip(listed, listed[1:], listed[2:], strict=False))


def jaccard(one: str, other: str) -> float:
    a, b = shingles(words(one)), shingles(words(other))
    return len(a & b) / len(a | b) if a | b else -1.0


def chat(asked: str, answer: str, system: str = "") -> Row:
    turns = [{"role": "system", "content": system}] if system else []
    turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return Row(Kind.SFT, turns)


def looked_at(rows: list[Row], **options: Any) -> tuple[Words, Facts]:
    """The analyser after all rows, in batches of 500, and what it noted."""
    words_of_rows, facts = Words("training", **options), Facts(purpose="training", rows=len(rows))
    for first in range(0, len(rows), 500):
        words_of_rows.take(batch_of_rows(list(enumerate(rows[first : first + 500], first + 1)), first))
    words_of_rows.finish(facts)
    return words_of_rows, facts


class Writer:
    """Made-up texts in a script, the same for the same seed."""

    def __init__(self, script: str, seed: int = 1) -> None:
        self.random = random.Random(f"{script} {seed}")
        self.letters = SCRIPTS[script]
        self.spaced = script not in ("chinese", "thai", "japanese")
        self.vocabulary = ["".join(self.random.choices(self.letters, k=self.random.randint(3, 9))) for _ in range(2000)]

    def text(self, size: int) -> str:
        """A text of about that many words as the kernel counts them."""
        if not self.spaced:
            return "".join(self.random.choices(self.letters, k=size))
        return " ".join(self.random.choices(self.vocabulary, k=size))

    def edited(self, text: str, edits: int) -> str:
        """The text with some words (or characters) put in place of others."""
        parts = text.split(" ") if self.spaced else list(text)
        for at in self.random.sample(range(len(parts)), edits):
            parts[at] = self.random.choice(self.vocabulary if self.spaced else self.letters)
        return (" " if self.spaced else "").join(parts)
