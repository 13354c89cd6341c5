"""Formats of other tools, every fault of a row at once, rows that belong together, columns mapped by a person."""

import pytest

from datasets_app.domain.codes import Code
from datasets_app.domain.formats import mapping
from datasets_app.domain.formats.base import BadRecord, Format, Row
from datasets_app.domain.formats.convert import convert, convert_all
from datasets_app.domain.formats.detect import PRETOKENISED, PROMPT_ONLY, STEPWISE, UNPAIRED, detect, detect_record
from datasets_app.domain.formats.grouping import Chaining, Pairing, TooMuchHeld, grouper_of
from datasets_app.domain.purposes import Kind
from tests.unit.test_datasets_formats import BAD, FORMS, PAIRS, TOOLS

USER, ANSWER, WORSE = (
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "assistant", "content": "5"},
)
SYSTEM = {"role": "system", "content": "Be short."}

OTHER_PAIRS = {
    "argilla": {"instruction": "2+2?", "chosen_response": "4", "rejected_response": "5"},
    "argilla_chat": {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
    "icr": {"system": "Be short.", "input": "2+2?", "chosen": "4", "rejected": "5"},
    "intel": {"system": "Be short.", "question": "2+2?", "chosen": "4", "rejected": "5"},
    "prompt_pairs": {"system": "Be short.", "prompt": "2+2?", "chosen": "4", "rejected": "5"},
    "ultra": {"system": "Be short.", "prompt": "2+2?", "chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
    "autotrain": {"prompt": "2+2?", "text": "4", "rejected_text": "5"},
    "h2o": {"prompt": "2+2?", "answer": "4", "rejected_answer": "5"},
    "nectar": {"prompt": "2+2?", "answers": [{"answer": "5", "rank": 2}, {"answer": "6", "rank": 7.0},
                                            {"answer": "4", "rank": 1}]},
}  # fmt: skip


@pytest.mark.parametrize("record", OTHER_PAIRS.values(), ids=OTHER_PAIRS.keys())
def test_pairs_of_other_tools_are_detected_and_read(record):
    row = convert(record, detect([record]).format)

    assert row.kind == Kind.PREFERENCE
    assert row.messages == ([SYSTEM, USER] if "system" in record else [USER])
    assert (row.chosen, row.rejected) == ([ANSWER], [WORSE])


def test_segments_become_turns_by_what_is_trained():
    segments = [
        {"label": False, "text": "2+"}, {"label": False, "text": "2?"}, {"label": True, "text": "4"},
    ]  # fmt: skip

    row = convert({"segments": segments}, detect_record({"segments": segments}))

    assert row.messages == [USER, ANSWER]


def test_what_a_row_carries_besides_is_kept():
    record = {"messages": [USER, {**ANSWER, "thinking": "Two and two."}], "parallel_tool_calls": False,
              "chat_template_kwargs": {"reasoning_effort": "low"}}  # fmt: skip

    row = convert(record, Format.OPENAI_CHAT)

    assert row.extras == {"chat_template_kwargs": {"reasoning_effort": "low"}, "parallel_tool_calls": False}
    assert row.messages[1]["thinking"] == "Two and two."


@pytest.mark.parametrize(
    ("record", "seen", "code"),
    [
        ({"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [1, 2]}, PRETOKENISED, Code.PRETOKENISED),
        ({"prompt": "2+2?"}, PROMPT_ONLY, Code.PROMPT_ONLY),
        ({"prompt": "a", "completions": ["b"], "labels": [True]}, STEPWISE, Code.STEPWISE_ROWS),
        ({"prompt": "a", "completion": "b", "label": "True"}, UNPAIRED, Code.UNPAIRED_ROWS),
        ({"foo": 1}, None, Code.FORMAT_UNKNOWN),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_a_code_of_its_own(record, seen, code):
    found = detect([record])

    assert (found.format, found.unsupported, found.code) == (None, seen, code)


@pytest.mark.parametrize(("record", "fmt"), [c[:2] for c in FORMS.values()] + list(PAIRS.values()))
def test_a_good_row_is_the_same_when_all_faults_are_asked_for(record, fmt):
    assert convert_all(record, fmt) == convert(record, fmt)


@pytest.mark.parametrize(("record", "fmt", "field", "code"), BAD.values(), ids=BAD.keys())
def test_the_first_of_all_faults_is_the_one_that_is_named_at_once(record, fmt, field, code):
    faults = convert_all(record, fmt)

    assert isinstance(faults, list)
    assert (faults[0].field, faults[0].code) == (field, code)


def test_every_independent_fault_of_a_row_is_named():
    record = {
        "messages": [
            {"role": "bot", "content": 4},
            "hello",
            {"role": "user", "content": "x", "weight": 3},
            {"role": "assistant", "tool_calls": [{"function": {}}]},
        ],
        "tags": [1],
        "tools": "[oops",
    }

    faults = convert_all(record, Format.OPENAI_CHAT)

    assert [(f.field, f.code) for f in faults] == [
        ("messages[0].role", Code.UNKNOWN_ROLE),
        ("messages[0].content", Code.WRONG_TYPE),
        ("messages[1]", Code.WRONG_TYPE),
        ("messages[2].weight", Code.WEIGHT_INVALID),
        ("messages[3].tool_calls[0]", Code.TOOL_CALL_INVALID),
        ("tags", Code.WRONG_TYPE),
        ("tools", Code.TOOLS_NOT_JSON),
    ]


def test_a_fault_does_not_draw_another_after_it():
    record = {"messages": [USER, {"role": "bot", "content": "4"}]}

    assert [f.code for f in convert_all(record, Format.OPENAI_CHAT)] == [Code.UNKNOWN_ROLE]
    with pytest.raises(BadRecord):
        convert(record, Format.OPENAI_CHAT)


def grouped(grouper, records):
    out = [g for line, record in enumerate(records, 1) for g in grouper.take(line, record)]
    return out + list(grouper.finish())


def judged(prompt, answer, label):
    return {"prompt": prompt, "completion": answer, "label": label}


def test_judged_answers_to_one_prompt_become_a_pair_and_lone_ones_are_told():
    rows = [judged("2+2?", "5", False), judged("1+1?", "2", True), judged("2+2?", "4", True), {"prompt": "x"}]

    out = grouped(grouper_of(Format.KTO_PAIRS), rows)
    pairs = [convert(g.record, Format.KTO_PAIRS) for g in out if not g.bad]

    assert detect(rows[:3]).format == Format.KTO_PAIRS
    assert [(p.messages, p.chosen, p.rejected) for p in pairs] == [([USER], [ANSWER], [WORSE])]
    assert [(g.line, g.bad.code) for g in out if g.bad] == [(4, Code.MISSING_FIELD), (2, Code.UNPAIRED_ROW)]


def test_lone_answers_are_given_up_before_they_fill_the_memory():
    out = grouped(Pairing(most_bytes=20_000), [judged(f"Question {n}?", "Yes." * 50, True) for n in range(100)])

    assert sorted(g.line for g in out) == list(range(1, 101))
    assert {g.bad.code for g in out} == {Code.UNPAIRED_ROW}


def test_good_answers_only_keeps_the_bad_ones_aside():
    assert convert(judged("2+2?", "4", True), Format.KTO_GOOD) == Row(Kind.SFT, [USER, ANSWER])
    with pytest.raises(BadRecord) as bad:
        convert(judged("2+2?", "5", False), Format.KTO_GOOD)
    assert bad.value.code == Code.UNWANTED_ANSWER


def linked(name, parent, prompt, answer):
    return {"id": name, "parent_id": parent, "prompt": prompt, "answer": answer}


def test_chained_rows_become_conversations():
    rows = [linked("b", "a", "2+2?", "4"), linked("a", None, "1+1?", "2"), linked("c", "a", "3+3?", "6"),
            linked("d", "nowhere", "?", "!"), linked("e", "f", "?", "!"), linked("f", "e", "?", "!"),
            linked("a", None, "again", "!")]  # fmt: skip

    out = grouped(Chaining(), rows)
    made = [convert(g.record, Format.CHAINED) for g in out if not g.bad]

    assert detect(rows).format == Format.CHAINED
    assert [[t["content"] for t in row.messages] for row in made] == [
        ["1+1?", "2", "2+2?", "4"],
        ["1+1?", "2", "3+3?", "6"],
    ]
    assert [row.source_id for row in made] == ["b", "c"]
    assert sorted((g.line, g.bad.code) for g in out if g.bad) == [(n, Code.BROKEN_CHAIN) for n in (4, 5, 6, 7)]


def test_too_many_chained_rows_are_refused():
    with pytest.raises(TooMuchHeld):
        grouped(Chaining(most_bytes=10_000), [linked(str(n), None, "?" * 500, "!") for n in range(50)])


def test_columns_turns_and_roles_are_mapped_and_the_record_stays():
    record = {"dialog": [{"speaker": "bot", "said": "4"}], "prompt": "other", "note": "x"}
    wanted = {"columns": {"dialog": "messages", "prompt": "", "note": "label"},
              "turns": {"speaker": "role", "said": "content"}, "roles": {"bot": "assistant"}}  # fmt: skip

    assert mapping.apply(record, mapping.checked(wanted)) == {"messages": [ANSWER], "label": "x"}
    assert record["dialog"] == [{"speaker": "bot", "said": "4"}]


def test_two_columns_under_one_name_are_joined_and_a_foreign_one_of_that_name_gives_way():
    wanted = {"columns": {"title": "prompt", "body": "prompt"}}

    assert mapping.apply({"title": "A", "prompt": "old", "body": "B"}, wanted) == {"prompt": "A\n\nB"}


@pytest.mark.parametrize(
    "wrong",
    [[], {"rows": {}}, {"columns": [1]}, {"columns": {"a": "nothing we know"}}, {"roles": {"bot": "bot"}},
     {"columns": {"a": 1}}, {"columns": {"a" * 300: "text"}}],
)  # fmt: skip
def test_a_mapping_that_cannot_be_followed_is_refused(wrong):
    with pytest.raises(mapping.BadMapping):
        mapping.checked(wrong)


def test_a_dataset_info_entry_is_a_mapping():
    entry = {"formatting": "sharegpt", "columns": {"messages": "dialog", "system": "sys"},
             "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "q", "assistant_tag": "a"}}  # fmt: skip
    record = {"dialog": [{"who": "q", "what": "2+2?"}, {"who": "a", "what": "4"}], "sys": "Be short."}

    assert convert(mapping.apply(record, mapping.from_dataset_info(entry)), Format.SHAREGPT).messages == [
        SYSTEM, USER, ANSWER,
    ]  # fmt: skip


def test_the_head_shows_columns_with_examples_keys_of_turns_and_roles():
    head = mapping.head_of([{"dialog": [{"role": "bot", "content": "4"}], "n": 1}, {"n": 2, "huge": "x" * 100_000}])

    assert [name for name, _ in head["columns"]] == ["dialog", "n", "huge"]
    assert dict(map(tuple, head["columns"]))["n"] == "1"
    assert (head["turns"], head["roles"], len(head["records"])) == (["role", "content"], ["bot"], 1)


@pytest.mark.parametrize("record", TOOLS.values(), ids=TOOLS.keys())
def test_tools_may_each_be_a_text(record):
    as_texts = {**record, "tools": ['{"type": "function"}']}

    assert convert(as_texts, detect_record(record)).tools == [{"type": "function"}]
