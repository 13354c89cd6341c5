"""What a search reads of labels, tags and ids: the thousands of rows that may hold a text, and never one too few."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.engine import about
from datasets_app.engine.batch import COLUMNS, dumped
from datasets_app.selectors import searching
from datasets_app.selectors.rows import ABOUT_COLUMNS, JSON_COLUMNS, _groups_with
from tests.factories.stored import chat_row, store


def table(labels, tags=None, ids=None):
    rows = len(labels)
    given = {"label": labels, "tags": [dumped(t) for t in tags or [None] * rows], "source_id": ids or [None] * rows}
    return pa.table([given.get(name, [None] * rows) for name in COLUMNS.names], schema=COLUMNS)


def written(folder, *tables):
    file = about.About(folder)
    for one in tables:
        file.take(one)
    file.close()
    return folder


def groups(folder, text):
    (found,) = about.holding(folder, [about.spellings(text)])
    return np.flatnonzero(found).tolist()


def test_the_thousands_that_hold_a_value_are_named_whatever_pieces_the_rows_come_in(tmp_path):
    names = [f"id-{n}" for n in range(2500)]
    pieces = [table([None] * len(part), ids=part) for part in (names[:700], names[700:1900], names[1900:])]

    written(tmp_path, *pieces)

    assert groups(tmp_path, "id-999") == [0]
    assert groups(tmp_path, "ID-1000") == [1]
    assert groups(tmp_path, "id-2499") == [2]
    assert groups(tmp_path, "id-2") == [0, 2]
    assert groups(tmp_path, "id-3000") == []


def test_labels_tags_and_ids_are_looked_at_and_texts_are_not(tmp_path):
    written(tmp_path, table(["Größe", None], [["a b", 'say "no"'], None], [None, "x/1"]))

    for text in ("GRÖßE", "a b", 'say "no"', "X/1"):
        assert groups(tmp_path, text) == [0], text
    assert groups(tmp_path, "null") == []


def test_a_search_reads_block_after_block(tmp_path, monkeypatch):
    written(tmp_path, table([f"label {n // 1000}" for n in range(5000)]))
    monkeypatch.setattr(about, "BLOCK", 12)

    assert [groups(tmp_path, f"label {n}") for n in range(5)] == [[n] for n in range(5)]
    assert groups(tmp_path, "label") == [0, 1, 2, 3, 4]


def test_rows_of_which_nothing_is_said_take_no_room(tmp_path):
    written(tmp_path, table([None] * 1500))

    assert (tmp_path / about.TEXT).stat().st_size == 0
    assert groups(tmp_path, "x") == []


def test_a_version_from_before_the_file_says_that_it_does_not_know(tmp_path):
    assert about.holding(tmp_path, [about.spellings("x")]) is None


def test_what_is_the_same_in_any_case_to_the_search_is_the_same_when_folded():
    """RE2 joins characters that differ in case only, in more ways than lower() does: ſ and s, K and k, ς and σ."""
    cased = [c for c in map(chr, range(sys.maxunicode + 1)) if not 0xD800 <= ord(c) <= 0xDFFF and _has_case(c)]
    texts, folds = pa.array(cased), [about.folded(c) for c in cased]

    for n in range(0, len(cased), 7):
        same = pc.match_substring_regex(texts, pattern=f"(?i)^{cased[n]}$").to_numpy(zero_copy_only=False)
        assert {folds[k] for k in np.flatnonzero(same)} == {folds[n]}, cased[n]


def _has_case(sign):
    return not sign.isascii() and (sign.lower() != sign or sign.upper() != sign or sign.casefold() != sign)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("about")


WORDS = st.text('aAbBß ſsK"\\\n-_1é東', max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(WORDS | st.none(), st.lists(WORDS, max_size=2) | st.none()), min_size=1, max_size=4),
    query=WORDS,
)
def test_no_thousand_that_a_scan_of_the_columns_finds_is_missing(folder, rows, query):
    one = table([label or None for label, _ in rows], [tags or None for _, tags in rows])
    written(folder, one)

    for term in searching.terms(query):
        if searching.holds(one, [term], ABOUT_COLUMNS, JSON_COLUMNS).any():
            assert groups(folder, term.text) == [0]


def test_words_of_the_text_and_of_the_label_may_be_asked_for_together(tmp_path, monkeypatch):
    from datasets_app.engine import index

    path = store(tmp_path, [chat_row("a question", label="billing")])
    written(tmp_path, table(["billing"]))
    monkeypatch.setattr(index, "candidates", lambda _, words: np.array([0] if words == "question " else [], int))

    assert _groups_with(path, searching.terms("question billing")) == {0}
    assert _groups_with(path, searching.terms("question absent")) == set()
    assert _groups_with(path, searching.terms('"a quest"')) is None


def test_versions_from_before_the_file_are_scanned(tmp_path, monkeypatch):
    from datasets_app.engine import index

    path = store(tmp_path, [chat_row("a question", label="billing", tags=["north"])])
    monkeypatch.setattr(index, "candidates", lambda *_: np.zeros(0, int))

    assert _groups_with(path, searching.terms("billing north")) == {0}
    assert _groups_with(path, searching.terms("bill")) == set()
