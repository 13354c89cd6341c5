"""What a person types into a search field, and which rows of a table hold it."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import orjson

# Scripts that are written without spaces: there a word is looked for wherever it stands.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_PARTS = re.compile(r'"([^"]+)"|(\S+)')
MOST_TERMS = 12


@dataclass(frozen=True, slots=True)
class Term:
    """A word that must stand by itself, or a phrase that must stand as it is."""

    text: str
    whole: bool


def terms(query: str) -> list[Term]:
    """`ticket "please help"` is the word ticket and the phrase please help."""
    found = []
    for phrase, word in _PARTS.findall(unicodedata.normalize("NFC", query))[:MOST_TERMS]:
        text = phrase or word.strip('"')
        if text:
            found.append(Term(text, whole=not phrase and not _UNSPACED.search(text) and text.isalnum()))
    return found


def words_of(given: list[Term]) -> str:
    """The words that the index can be asked for: whole ones; of a phrase those that are not cut at its ends."""
    found: list[str] = []
    for term in given:
        if term.whole:
            found.append(term.text)
        elif not _UNSPACED.search(term.text):
            found += re.findall(r"\w+", term.text)[1:-1]
    return " ".join(found) + " " if found else ""


def holds(table: Any, given: list[Term], names: tuple[str, ...], as_json: tuple[str, ...]) -> Any:
    """Which rows of the table hold every term in one of the columns, as a mask."""
    import numpy as np

    left, table = np.arange(table.num_rows), table.select(names)
    hit = np.zeros(table.num_rows, dtype=bool)
    for term in sorted(given, key=lambda term: -len(term.text)):  # a long one leaves fewer rows to the others
        one: Any = np.zeros(len(left), dtype=bool)
        for name in names:
            column = table.column(name).combine_chunks()
            if column.null_count < len(column):
                one |= _matches(column, term, nested=name in as_json)
        left = left[one]
        if not len(left):
            break
        table = table.filter(one) if len(left) < table.num_rows else table
    hit[left] = True
    return hit


def _matches(column: Any, term: Term, *, nested: bool) -> Any:
    """The letters are looked for first: that is several times faster than to look at the borders of words, too."""
    import numpy as np
    import pyarrow.compute as pc

    found = pc.fill_null(pc.match_substring_regex(column, pattern=letters(term, nested=nested)), False)
    mask = found.to_numpy(zero_copy_only=False)
    if not term.whole or not mask.any():
        return mask
    rows = np.flatnonzero(mask)
    bounded = pc.match_substring_regex(column.take(rows), pattern=pattern(term, nested=nested))
    mask = np.zeros(len(column), dtype=bool)
    mask[rows] = bounded.to_numpy(zero_copy_only=False)
    return mask


def letters(term: Term, *, nested: bool) -> str:
    """For RE2: the term wherever it stands, in any case. Nested columns are JSON: the text is spelt as there."""
    text = orjson.dumps(term.text).decode()[1:-1] if nested else term.text
    quoted = re.sub(r"([^\w\s])", r"\\\1", text, flags=re.ASCII) if text.isascii() else re.escape(text)
    return f"(?i){quoted}"


def pattern(term: Term, *, nested: bool) -> str:
    """The term as it has to stand. In nested columns a line break before a word is the letter n."""
    found = letters(term, nested=nested)
    if not term.whole:
        return found
    before = r"(?:^|[^\pL\pN_]|\\[nrtbf])" if nested else r"(?:^|[^\pL\pN_])"
    return f"(?i){before}{found[4:]}(?:$|[^\\pL\\pN_])"
