"""ROUGE-L in any script: F-measure of the longest common subsequence of word tokens.

Lin (2004), "ROUGE: A Package for Automatic Evaluation of Summaries", with beta = 1. On plain English the
tokens are those of the usual packages; those keep only a-z and 0-9: identical Russian texts score 0 there.
"""

import re
import unicodedata

# Scripts written without spaces: a character is a token. All else runs to the next space or punctuation.
_IDEOGRAPHS = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_BREAKS = (
    "\\s\x00-/:-@\\[-`{-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u206f\u2190-\u23ff\u3000-\u3004\u3008-\u303f"
)
_TOKEN = re.compile(f"[{_IDEOGRAPHS}]|[^{_BREAKS}{_IDEOGRAPHS}]+")


def tokens(text: str) -> list[str]:
    """Case-folded words; Chinese and Japanese by the character; combining marks stay with their letter."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def common_length(left: list[str], right: list[str]) -> int:
    """Length of the longest common subsequence; a big integer holds a row of the table (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for index, token in enumerate(left):
        places[token] = places.get(token, 0) | 1 << index
    everywhere = (1 << len(left)) - 1
    row = everywhere
    for token in right:
        match = row & places.get(token, 0)
        row = ((row + match) | (row - match)) & everywhere
    return len(left) - row.bit_count()


def rouge_l(expected: str, answer: str) -> float:
    """1.0 for the same words in the same order, 0.0 for none in common."""
    wanted, got = tokens(expected), tokens(answer)
    if not wanted or not got:
        return float(not wanted and not got and expected.split() == answer.split())
    return 2 * common_length(wanted, got) / (len(wanted) + len(got))
