"""Recipes: what each step does to rows, and what must hold whatever the rows are."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets_app.domain.provenance import edited, merged, read
from datasets_app.domain.recipes import BadRecipe, describe, portable, read_steps
from datasets_app.domain.recipes_rows import redacted, with_answer
from datasets_app.engine.refusal import FileRefused
from tests.factories.stored import chat_row, followed, recipe, store

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

HALVES = [{"name": "train", "share": 0.7}, {"name": "held out", "share": 0.3, "purpose": "golden"}]


def split(part=None, **fields):
    return {"op": "split", "parts": HALVES, **({"part": part} if part else {}), **fields}


def questions(rows):
    return [row.messages[-2]["content"] for row in rows]


@pytest.fixture
def path(tmp_path):
    rows = [chat_row(f"Question {n}?", f"Answer {n}.", label=f"class {n % 3}", source_id=f"id {n}") for n in range(60)]
    return store(tmp_path, rows, {"empty_answers": [3, 5]})


BAD = [
    ([], "at least one step"),
    ([{"op": "explode"}], "none of"),
    ([{"op": "sample"}], "either how many rows"),
    ([{"op": "sample", "n": 5, "share": 0.5}], "either"),
    ([{"op": "sample", "share": 1.5}], "between 0 and 1"),
    ([{"op": "filter", "field": "label"}], "at least one label"),
    ([{"op": "filter", "field": "length", "least": 9, "most": 3}], "more than"),
    ([{"op": "filter", "field": "role", "values": ["robot"]}], "one of"),
    ([{"op": "split", "parts": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.3}]}], "add up to 1"),
    ([{"op": "split", "parts": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}], "name of its own"),
    ([split(), {"op": "dedupe"}], "last step"),
    ([{"op": "dedupe"}, {"op": "merge", "versions": [1]}], "first step"),
    ([{"op": "dedupe", "loudly": True}], "unknown fields"),
    ([{"op": "drop_finding", "code": "few_rows"}], "cannot be dropped"),
    ([{"op": "drop_rows", "indices": [-1]}], "by their numbers"),
    ([{"op": "map", "do": "replace", "old": ""}], "not empty"),
    ([{"op": "redact", "group": "jokes"}], "one of"),
    ([{"op": "edit", "edits": [{"answer": "x"}]}], "names its row"),
    ([{"op": "merge", "versions": [4]}, {"op": "drop_rows", "indices": [1]}], "not after a merge"),
]


@pytest.mark.parametrize(("steps", "words"), BAD)
def test_a_step_that_cannot_be_followed_is_refused_with_its_number_and_reason(steps, words):
    with pytest.raises(BadRecipe, match=words):
        read_steps(steps)


def test_every_step_is_said_in_words(path):
    steps = [
        {"op": "merge", "versions": [3]},
        {"op": "dedupe"},
        {"op": "dedupe_near"},
        {"op": "drop_finding", "code": "empty_answers"},
        {"op": "drop_overlap", "golden": [1]},
        {"op": "redact", "group": "personal", "kinds": ["email"], "style": "pseudonym"},
        {"op": "strip_hidden"},
        {"op": "map", "do": "set_system", "value": "Be kind."},
        {"op": "filter", "field": "length", "least": 3},
        {"op": "sample", "n": 1200, "by_label": True},
        split("train"),
    ]

    words = [describe(step) for step in read_steps(steps)]

    assert words[8:10] == [
        "Keep rows with at least 3 characters in the whole row",
        "Keep 1\u202f200 rows, drawn with seed 0, each label in its share",
    ]
    assert all(words)


def test_rows_of_a_finding_and_chosen_rows_are_dropped(path):
    left = followed(path, {"op": "drop_finding", "code": "empty_answers"}, {"op": "drop_rows", "indices": [0, 3]})

    assert len(left) == 57
    assert {"Question 0?", "Question 3?", "Question 5?"}.isdisjoint(questions(left))


def test_what_each_step_did_is_counted_with_examples(path):
    report = recipe(
        path,
        {"op": "map", "do": "replace", "old": "Answer", "new": "Reply", "part": "answer"},
        {"op": "filter", "field": "label", "values": ["class 0"], "keep": False},
    ).preview()["report"]

    replaced, filtered = report["steps"]
    assert (report["rows"], report["left"]) == (60, 40)
    assert (replaced["changed"], replaced["dropped"], filtered["dropped"]) == (60, 0, 20)
    assert len(replaced["examples"]) == 3
    assert replaced["examples"][0]["before"]["messages"][1]["content"] == "Answer 0."
    assert replaced["examples"][0]["after"]["messages"][1]["content"] == "Reply 0."
    assert filtered["examples"][0]["after"] is None


def test_a_change_that_takes_the_answer_away_is_refused_by_its_row(path):
    with pytest.raises(FileRefused, match="row 0 would no longer end with an answer"):
        followed(path, {"op": "map", "do": "rename_role", "from": "assistant", "to": "user"})


def test_a_system_prompt_is_set_replaced_and_removed(tmp_path):
    turns = [{"role": "system", "content": "Old."}, *chat_row("q").messages]
    path = store(tmp_path, [chat_row("q", messages=turns), chat_row("r")])

    kept = followed(path, {"op": "map", "do": "set_system", "value": "New.", "replace": False})
    replaced = followed(path, {"op": "map", "do": "set_system", "value": "New."})
    removed = followed(path, {"op": "map", "do": "remove_system"})

    assert [row.messages[0]["content"] for row in kept] == ["Old.", "New."]
    assert [row.messages[0]["content"] for row in replaced] == ["New.", "New."]
    assert [row.messages[0]["role"] for row in removed] == ["user", "user"]


def test_pseudonyms_are_the_same_everywhere_and_differ_between_projects():
    args = {"group": "personal", "style": "pseudonym"}
    text = "Write to anna.smith@acme.io or bob@acme.io, but anna.smith@acme.io first."

    ours, theirs = redacted(text, args, "salt"), redacted(text, args, "other salt")

    assert "anna" not in ours
    assert ours.count(ours.split()[2] + " " + ours.split()[3].rstrip(",")) == 2
    assert ours != theirs


def test_texts_inside_tool_calls_are_redacted_too(tmp_path):
    call = {"type": "function", "function": {"name": "mail", "arguments": {"to": ["anna.smith@acme.io"]}}}
    turns = [
        {"role": "user", "content": "Mail her."},
        {"role": "assistant", "content": "", "thinking": "anna.smith@acme.io", "tool_calls": [call]},
    ]
    path = store(tmp_path, [chat_row("q", messages=turns)])

    (row,) = followed(path, {"op": "redact"})

    assert "anna" not in str(row.messages)
    assert "[email]" in str(row.messages[1]["tool_calls"])


def test_a_sample_has_the_size_that_was_asked_for_and_keeps_the_shares_of_labels(path):
    one = followed(path, {"op": "sample", "n": 12, "seed": 1})
    other = followed(path, {"op": "sample", "n": 12, "seed": 2})
    even = followed(path, {"op": "sample", "share": 0.25, "by_label": True})

    assert len(one) == len(other) == 12
    assert questions(one) != questions(other)
    assert sorted(row.label for row in even) == ["class 0"] * 5 + ["class 1"] * 5 + ["class 2"] * 5


def test_rows_of_one_group_are_in_one_part(tmp_path):
    rows = [chat_row(f"Question {n}?", source_id=f"talk {n // 4}") for n in range(200)]
    path = store(tmp_path, rows)

    train = followed(path, split("train", by="source_id"))
    held = followed(path, split("held out", by="source_id"))

    assert {row.source_id for row in train}.isdisjoint({row.source_id for row in held})
    assert len(train) + len(held) == 200
    assert 90 < len(train) < 180


def test_near_duplicates_are_in_one_part(tmp_path):
    import numpy as np

    rows = [chat_row(f"Question {n}?") for n in range(100)]
    path = store(tmp_path, rows)
    np.save(tmp_path / "words.clusters.npy", np.array([n - n % 2 for n in range(100)], dtype=np.int64))

    train = set(questions(followed(path, split("train"))))

    assert all((f"Question {n}?" in train) == (f"Question {n + 1}?" in train) for n in range(0, 100, 2))


def test_a_merge_joins_versions_in_order_and_may_drop_equal_rows(path, tmp_path):
    other = store(tmp_path / "other", [chat_row("Question 1?", "Answer 1."), chat_row("New?")])

    kept = followed([path, other], {"op": "merge", "versions": [1]})
    fewer = followed([path, other], {"op": "merge", "versions": [1], "duplicates": "drop"})

    assert (len(kept), len(fewer)) == (62, 61)
    assert questions(kept)[-2:] == ["Question 1?", "New?"]


def test_rows_of_several_files_are_put_in_the_order_of_their_lines(tmp_path):
    even = store(tmp_path / "a", [chat_row(f"a{n}") for n in range(3)])
    odd = store(tmp_path / "b", [chat_row(f"b{n}") for n in range(3)])

    rows = followed([even, odd], {"op": "assemble"})

    assert questions(rows) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_an_edit_puts_in_the_answer_and_says_by_whom(path):
    edits = [{"row": 2, "answer": "Better.", "by": "eve@example.org", "at": "2026-01-02"}]

    rows = followed(path, {"op": "edit", "edits": edits})

    assert rows[2].messages[-1]["content"] == "Better."
    assert rows[2].provenance == {"edits": [{"by": "eve@example.org", "at": "2026-01-02", "what": "edit"}]}
    assert rows[1].provenance is None


def test_what_was_said_of_a_file_goes_into_rows_that_say_nothing_themselves(tmp_path):
    own = {"origin": "human", "contributor": "Ann"}
    path = store(tmp_path, [chat_row("a"), chat_row("b", provenance=own)])
    said = {"origin": "synthetic", "teacher": "big", "licence": "MIT"}

    rows = followed(path, {"op": "dedupe"}, sources=[{"path": str(path), "provenance": said}])

    assert rows[0].provenance == said
    assert rows[1].provenance == {**own, "licence": "MIT"}


texts = st.text(alphabet="abcde ", min_size=1, max_size=6)
many_rows = st.lists(
    st.builds(chat_row, texts, texts, label=st.sampled_from(["x", "y", None])), min_size=1, max_size=40
)
lightly = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@lightly
@given(rows=many_rows, seed=st.integers(0, 1000))
def test_the_parts_of_a_split_are_disjoint_and_complete(tmp_path_factory, rows, seed):
    path = store(tmp_path_factory.mktemp("rows"), rows)
    parts = []
    for name in ("train", "held out"):
        build = recipe(path, split(name, seed=seed))
        build._prepare()
        parts.append([item.at for item in build._passed(build.works)])

    assert sorted(parts[0] + parts[1]) == list(range(len(rows)))


@lightly
@given(rows=many_rows)
def test_dropping_duplicates_twice_is_dropping_them_once(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    once = followed(store(folder, rows), {"op": "dedupe"})

    twice = followed(store(folder / "again", once), {"op": "dedupe"})

    assert once == twice
    assert len({str(row.messages) for row in once}) == len(once)


@lightly
@given(rows=many_rows, seed=st.integers(0, 99))
def test_the_same_recipe_on_the_same_rows_makes_the_same_rows(tmp_path_factory, rows, seed):
    path = store(tmp_path_factory.mktemp("rows"), rows)
    steps = [{"op": "map", "do": "trim"}, {"op": "sample", "share": 0.6, "seed": seed}, split("train", seed=seed)]

    assert followed(path, *steps) == followed(path, *steps)


def test_a_recipe_that_is_saved_names_no_single_rows():
    steps = [
        {"op": "drop_rows", "indices": [1], "rows": 1, "dropped": 1, "changed": 0},
        {"op": "dedupe", "rows": 4, "dropped": 4, "changed": 0},
        split("train") | {"rows": 3},
    ]

    assert portable(steps) == [{"op": "dedupe"}, split()]


def test_the_origin_of_a_row_is_read_from_its_own_fields():
    assert read({"provenance": {"origin": "LLM", "teacher": "big", "depth": "2"}}) == {
        "origin": "synthetic",
        "teacher": "big",
        "depth": 2,
    }
    assert read({"annotator": " Ann  Lee "}) == {"contributor": "Ann Lee"}
    assert read({"generated_by": "big"}) == {"origin": "synthetic", "teacher": "big"}
    assert read({"messages": [], "depth": 3, "license": "MIT"}) is None
    assert read({"provenance": {"origin": "who knows", "depth": float("nan")}}) is None


def test_what_was_said_of_a_model_does_not_pass_to_a_row_by_people():
    said = {"origin": "synthetic", "teacher": "big", "depth": 1, "licence": "MIT"}

    assert merged(said, {"origin": "human"}) == {"licence": "MIT", "origin": "human"}


def test_edits_are_kept_in_order_and_not_without_end():
    own = None
    for n in range(30):
        own = edited(own, by=f"p{n}", at="", what="edit")

    assert [edit["by"] for edit in own["edits"]] == [f"p{n}" for n in range(10, 30)]


def test_an_answer_of_a_pair_is_its_chosen_one():
    from datasets_app.domain.purposes import Kind

    pair = chat_row(
        "q", chosen=[{"role": "assistant", "content": "a"}], rejected=[{"role": "assistant", "content": "b"}]
    )
    pair.kind = Kind.PREFERENCE

    new = with_answer(pair, "c")

    assert (new.chosen[0]["content"], new.rejected[0]["content"]) == ("c", "b")
