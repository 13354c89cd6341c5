"""Differences of versions, and a text looked for in them."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.domain import diffing
from datasets_app.engine import diff, search
from tests.factories.stored import chat_row, store

LONG = "please tell me where the parcel with the number {} that was sent last week is right now"


def compared(tmp_path, before, after, **spec):
    one, two = store(tmp_path / "before", before), store(tmp_path / "after", after)
    out = tmp_path / "out"
    summary = diff.compare({"before": str(one), "after": str(two), "out_dir": str(out), **spec})["summary"]
    return summary, {name: np.load(out / f"{name}.npy").tolist() for name in diff.FILES}


def test_rows_are_added_removed_edited_or_the_same(tmp_path):
    before = [chat_row("a"), chat_row("b"), chat_row("c", source_id="7"), chat_row("gone")]
    after = [chat_row("b"), chat_row("a"), chat_row("other", "words", source_id="7"), chat_row("new")]

    summary, rows = compared(tmp_path, before, after)

    assert rows == {"added": [3], "removed": [3], "edited": [[2, 2]]}
    assert (summary["same"], summary["added"], summary["removed"], summary["edited"]) == (2, 1, 1, 1)


def test_a_row_with_another_answer_or_label_is_edited_not_replaced(tmp_path):
    before = [chat_row("What is it?", "This."), chat_row("And that?", label="x")]
    after = [chat_row("What is it?", "That."), chat_row("And that?", label="y")]

    summary, rows = compared(tmp_path, before, after)

    assert rows == {"added": [], "removed": [], "edited": [[0, 0], [1, 1]]}
    assert summary["labels"] == [["x", 1, 0], ["y", 0, 1]]


def test_nearly_equal_prompts_are_one_edited_row(tmp_path):
    before = [chat_row(LONG.format(n)) for n in (1, 2)]
    after = [chat_row(LONG.format(1) + " please"), chat_row("nothing of the kind")]

    _, rows = compared(tmp_path, before, after)

    assert rows == {"added": [1], "removed": [1], "edited": [[0, 0]]}


def test_lines_are_compared_only_where_one_version_was_made_from_the_other(tmp_path):
    before, after = [chat_row("red"), chat_row("green")], [chat_row("one"), chat_row("two")]

    assert compared(tmp_path / "a", before, after)[0]["edited"] == 0
    assert compared(tmp_path / "b", before, after, related=True)[0]["edited"] == 2


def test_equal_rows_are_matched_one_to_one(tmp_path):
    summary, _ = compared(tmp_path, [chat_row("a")] * 3, [chat_row("a")] * 2)

    assert (summary["same"], summary["removed"], summary["added"]) == (2, 1, 0)


@settings(max_examples=200, deadline=None)
@given(before=st.lists(st.integers(0, 5)), after=st.lists(st.integers(0, 5)))
def test_what_is_left_without_an_equal_is_what_a_count_says(before, after):
    from collections import Counter

    old, new = diff.without_equal(np.array(before, dtype=np.int64), np.array(after, dtype=np.int64))

    assert Counter(before[n] for n in old) == Counter(before) - Counter(after)
    assert Counter(after[n] for n in new) == Counter(after) - Counter(before)


@given(before=st.text(max_size=60), after=st.text(max_size=60))
def test_the_pieces_of_a_text_are_the_text(before, after):
    pieces = diffing.words(before, after)

    assert "".join(p.text for p in pieces if p.kind != diffing.NEW) == before
    assert "".join(p.text for p in pieces if p.kind != diffing.GONE) == after


def test_only_the_words_that_changed_are_marked():
    pieces = diffing.words("The red car is fast.", "The blue car is fast.")

    assert [(p.kind, p.text) for p in pieces] == [
        ("same", "The "), ("gone", "red"), ("new", "blue"), ("same", " car is fast.")
    ]  # fmt: skip


def test_very_long_texts_are_compared_in_no_time():
    pieces = diffing.words("a b " * 50_000, "c d " * 50_000)

    assert {p.kind for p in pieces} == {"gone", "new", "same"}


def test_a_new_system_prompt_does_not_shift_the_turns():
    before = {"messages": chat_row("q", "a").messages}
    after = {"messages": [{"role": "system", "content": "s"}, *chat_row("q", "b").messages]}

    parts = diffing.rows(before, after)

    assert [(part.where, part.changed) for part in parts] == [
        ("system 1", True), ("user 2", False), ("assistant 3", True)
    ]  # fmt: skip


NAME = "Zoë Möller"


@pytest.mark.parametrize(
    "row",
    [
        chat_row(f"My name is {NAME}."),
        chat_row("q", f"Dear {NAME.upper()},"),
        chat_row(unicodedata.normalize("NFD", f"I am {NAME}")),
        chat_row("q", label=NAME),
        chat_row("q", source_id=f"crm {NAME}"),
        chat_row("q", tags=["a", NAME]),
        chat_row("q", provenance={"contributor": NAME}),
        chat_row(f"x{NAME}x"),
    ],
    ids=["question", "capitals", "decomposed", "label", "source id", "tag", "contributor", "inside a word"],
)
def test_a_persons_text_is_found_wherever_it_stands(tmp_path, row):
    path = store(tmp_path, [chat_row("somebody else"), row])

    assert search.rows_with(path, NAME).tolist() == [1]


def test_a_text_with_quotes_and_line_breaks_is_found(tmp_path):
    path = store(tmp_path, [chat_row('He said "no"\nand left.'), chat_row("He said no and left.")])

    assert search.rows_with(path, 'said "No"\nand').tolist() == [0]


def test_versions_without_the_text_are_not_named(tmp_path):
    one, two = store(tmp_path / "a", [chat_row(NAME)]), store(tmp_path / "b", [chat_row("none")])
    versions = [{"id": 1, "path": str(one)}, {"id": 2, "path": str(two)}]
    spec = {"text": NAME, "versions": versions, "files": [], "out_dir": str(tmp_path / "out")}

    assert search.search(spec)["matches"] == [{"version": 1, "rows": 1, "first": [0]}]
