"""One-click fixes: each mends what it says, leaves everything else alone, and never guesses unasked."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import orjson
import pytest

from datasets_app.domain import fixes
from datasets_app.domain.codes import Code

USER, ANSWER = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}
GOOD = orjson.dumps({"messages": [USER, ANSWER]}).decode()


def chat(*turns, **more):
    return orjson.dumps({"messages": list(turns), **more}).decode()


MENDED = {
    "trailing_comma": ('{"a": [1, 2,], "b": "x,}",},', {"a": [1, 2], "b": "x,}"}),
    "nan_to_null": ('{"a": NaN, "b": [-Infinity, "NaN"]}', {"a": None, "b": [None, "NaN"]}),
    "python_words": ('{"a": None, "b": [True, "None"]}', {"a": None, "b": [True, "None"]}),
    "straight_quotes": ("{\u201ca\u201d: \u201cx\u201d}", {"a": "x"}),
    "python_quotes": ("{'a': 'it\\'s', 'b': None}", {"a": "it's", "b": None}),
    "strip_marks": ('\ufeff{"a": "x\\u0000y"}', {"a": "xy"}),
    "as_cp1252": ('{"a": "\udc93x\udc94"}', {"a": "\u201cx\u201d"}),
    "first_of_twins": ('{"a": 1, "b": 2, "a": 1}', {"a": 1, "b": 2}),
    "role_alias": (chat({"role": "Human", "content": "2+2?"}, {"role": "bot", "content": "4"}), {"messages": [USER, ANSWER]}),
    "number_weight": (chat({**USER, "weight": 1}, {**ANSWER, "weight": "1"}), {"messages": [USER, {**ANSWER, "weight": 1}]}),
    "text_content": (chat(USER, {"role": "assistant", "content": 4}), {"messages": [USER, ANSWER]}),
    "bare_text": (chat("2+2?", "4"), {"messages": [USER, ANSWER]}),
    "without_last_user": (chat(USER, ANSWER, USER), {"messages": [USER, ANSWER]}),
}  # fmt: skip


def test_every_fix_has_a_case():
    assert set(MENDED) == set(fixes.FIXES)


@pytest.mark.parametrize("name", MENDED)
def test_a_fix_mends_what_it_says(name):
    before, after = MENDED[name]

    text, applied = fixes.mend(before, fixes.known([name]))

    assert orjson.loads(text) == after
    assert applied == [name]


@pytest.mark.parametrize("name", MENDED)
@pytest.mark.parametrize(
    "text", [GOOD, "", "[", "null", "[1]", '{"messages": 3}', '{"messages": [null]}', "{" * 5000, "'" * 99]
)
def test_a_fix_leaves_alone_what_it_is_not_for(name, text):
    mended = fixes.FIXES[name].mend(text)

    assert mended is None or orjson.loads(mended) == orjson.loads(text)


def test_a_fix_is_suggested_only_where_it_changes_something():
    odd = {"messages": [{"role": "narrator", "content": "x"}]}

    assert fixes.suggest(Code.UNKNOWN_ROLE, {"messages": [{"role": "bot", "content": "x"}]}) == "role_alias"
    assert fixes.suggest(Code.UNKNOWN_ROLE, odd) == ""
    assert fixes.suggest(Code.INVALID_JSON, None, text='{"a": 1,}') == "trailing_comma"
    assert fixes.suggest(Code.INVALID_JSON, None, text='{"a": ') == ""
    assert fixes.suggest(Code.MIXED_KINDS, None) == ""


def test_different_values_under_one_key_are_not_decided_for_anybody():
    assert fixes.FIXES["first_of_twins"].mend('{"a": 1, "a": 2}') is None


def test_replaced_bytes_are_counted():
    assert fixes.replaced('{"a": "\udc93x\udc94"}') == 2
    assert [fix.name for fix in fixes.FIXES.values() if fix.opt_in] == ["as_cp1252"]
