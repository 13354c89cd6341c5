"""What is typed into the search field of rows, and which rows hold it."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.selectors import searching
from datasets_app.selectors.rows import JSON_COLUMNS, TEXT_COLUMNS
from datasets_app.selectors.searching import Term, holds, terms, words_of
from tests.factories.stored import chat_row, store


def found(tmp_path, query, *rows):
    import pyarrow.parquet as pq

    table = pq.read_table(store(tmp_path, list(rows)))
    return holds(table, terms(query), TEXT_COLUMNS, JSON_COLUMNS).nonzero()[0].tolist()


def test_words_and_phrases_are_told_apart():
    assert terms('ticket "please help" "x') == [Term("ticket", True), Term("please help", False), Term("x", True)]
    assert words_of(terms('ticket "do please help me"')) == "ticket please help "


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cat", [0, 3]),
        ("CAT", [0, 3]),
        ('"cat"', [0, 1, 3]),
        ("cat dog", [3]),
        ('"dog and cat"', [3]),
        ("größe", [2]),
        ("GRÖSSE", []),
        ("line", [4]),
        ('"said \\"no"', []),
        ("(odd*chars?)", [5]),
        ("東京", [6]),
        ("billing", [7]),
    ],
)
def test_whole_words_in_any_case_are_found_and_phrases_as_they_stand(tmp_path, query, expected):
    rows = [
        chat_row("The cat sat."),
        chat_row("A category."),
        chat_row("Die Größe?"),
        chat_row("A dog and cat."),
        chat_row("First\nline\nhere"),
        chat_row("some (odd*chars?) here"),
        chat_row("私は東京に住んでいます"),
        chat_row("q", label="billing"),
    ]

    assert found(tmp_path, query, *rows) == expected


def test_terms_may_stand_in_different_columns_of_a_row(tmp_path):
    rows = [chat_row("cat", label="x"), chat_row("dog", label="cat"), chat_row("dog", label="x")]

    assert found(tmp_path, "dog cat", *rows) == [1]
    assert found(tmp_path, "x cat", *rows) == [0]
    assert found(tmp_path, "", *rows) == [0, 1, 2]


@settings(max_examples=150, deadline=None)
@given(
    text=st.text('aAbB _-\n"\\é東', max_size=12), word=st.text('abA_é東"-', min_size=1, max_size=3), whole=st.booleans()
)
def test_looking_for_the_letters_first_changes_nothing(text, word, whole):
    import pyarrow as pa
    import pyarrow.compute as pc

    term = Term(word, whole and word.isalnum())
    for nested in (False, True):
        column = pa.array([orjson.dumps([text]).decode() if nested else text, None, word])
        plain = pc.match_substring_regex(column, pattern=searching.pattern(term, nested=nested))
        expected = pc.fill_null(plain, False).to_pylist()
        assert searching._matches(column, term, nested=nested).tolist() == expected
