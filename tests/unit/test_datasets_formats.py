"""Every accepted format: detected by its keys, brought into one form, refused by field and code."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import orjson
import pytest

from datasets_app.domain import hashing
from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import BadRecord, Format
from datasets_app.domain.formats.convert import convert, ignored_fields
from datasets_app.domain.formats.detect import STEPWISE, UNPAIRED, detect, detect_record
from datasets_app.domain.purposes import Kind
from datasets_app.engine.table import as_row, dumped

USER, ANSWER, WORSE = (
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "assistant", "content": "5"},
)
SYSTEM = {"role": "system", "content": "Be short."}
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 2}}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "4", "name": "add"}
SCHEMA = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}

# name: (record, format it is detected as, turns of the prompt and answer or of the prompt alone, chosen, rejected)
FORMS = {
    "openai chat": ({"messages": [SYSTEM, USER, ANSWER]}, Format.OPENAI_CHAT, [SYSTEM, USER, ANSWER]),
    "openai chat with parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "2+"}, {"type": "text", "text": "2?"}]}, ANSWER]},
        Format.OPENAI_CHAT,
        [USER, ANSWER],
    ),
    "developer is system": (
        {"messages": [{"role": "developer", "content": "Be short."}, USER, ANSWER]},
        Format.OPENAI_CHAT,
        [SYSTEM, USER, ANSWER],
    ),
    "weights": (
        {"messages": [USER, {**WORSE, "weight": 0}, USER, {**ANSWER, "weight": 1}]},
        Format.OPENAI_CHAT,
        [USER, {**WORSE, "weight": 0}, USER, {**ANSWER, "weight": 1}],
    ),
    "prompt and completion": ({"prompt": "2+2?", "completion": "4"}, Format.PROMPT_COMPLETION, [USER, ANSWER]),
    "prompt and completion as turns": (
        {"prompt": [SYSTEM, USER], "completion": [ANSWER]},
        Format.PROMPT_COMPLETION,
        [SYSTEM, USER, ANSWER],
    ),
    "alpaca": (
        {"instruction": "Add.", "input": "2 2", "output": "4"},
        Format.ALPACA,
        [{"role": "user", "content": "Add.\n2 2"}, ANSWER],
    ),
    "alpaca with system and history": (
        {"instruction": "2+2?", "input": "", "output": "4", "system": "Be short.", "history": [["1+1?", "2"]]},
        Format.ALPACA,
        [SYSTEM, {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}, USER, ANSWER],
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}], "system": "Be short."},
        Format.SHAREGPT,
        [SYSTEM, USER, ANSWER],
    ),
    "sharegpt under the key messages": (
        {"messages": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
        Format.SHAREGPT,
        [USER, ANSWER],
    ),
    "question and answer": ({"input": "2+2?", "expected": "4"}, Format.QUESTION_ANSWER, [USER, ANSWER]),
    "chat with the right answer beside it": ({"messages": [USER], "ideal": "4"}, Format.QUESTION_ANSWER, [USER, ANSWER]),
}  # fmt: skip


@pytest.mark.parametrize(("record", "fmt", "turns"), FORMS.values(), ids=FORMS.keys())
def test_examples_are_detected_and_brought_into_turns(record, fmt, turns):
    assert detect_record(record) == fmt
    row = convert(record, fmt)
    assert (row.kind, row.messages) == (Kind.SFT, turns)
    assert row.prompt_turns() + row.answer_turns() == turns


PAIRS = {
    "explicit prompt, texts": ({"prompt": "2+2?", "chosen": "4", "rejected": "5"}, Format.PREFERENCE),
    "explicit prompt, turns": ({"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]}, Format.PREFERENCE),
    "implicit prompt": ({"chosen": [USER, ANSWER], "rejected": [USER, WORSE]}, Format.PREFERENCE),
    "prompt said twice": ({"prompt": [USER], "chosen": [USER, ANSWER], "rejected": [USER, WORSE]}, Format.PREFERENCE),
    "implicit prompt, texts": ({"chosen": "2+2? 4", "rejected": "2+2? 5"}, Format.PREFERENCE),
    "openai": (
        {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [WORSE]},
        Format.OPENAI_PREFERENCE,
    ),
    "alpaca": ({"instruction": "2+2?", "input": "", "chosen": "4", "rejected": "5"}, Format.ALPACA),
    "sharegpt": (
        {
            "conversations": [{"from": "human", "value": "2+2?"}],
            "chosen": {"from": "gpt", "value": "4"},
            "rejected": {"from": "gpt", "value": "5"},
        },
        Format.SHAREGPT,
    ),
}


@pytest.mark.parametrize(("record", "fmt"), PAIRS.values(), ids=PAIRS.keys())
def test_preference_pairs_have_one_prompt_and_two_answers(record, fmt):
    assert detect_record(record) == fmt
    row = convert(record, fmt)
    assert row.kind == Kind.PREFERENCE
    assert (row.messages, row.chosen, row.rejected) == ([USER], [ANSWER], [WORSE])


TOOLS = {
    "trl": {"messages": [USER, CALLING, RESULT, ANSWER], "tools": [SCHEMA]},
    "openai, arguments as text": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}]},
            RESULT,
            ANSWER,
        ],
        "tools": orjson.dumps([SCHEMA]).decode(),
    },
    "openai, the older function_call": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a": 2, "b": 2}'}},
            {**RESULT, "role": "function"},
            ANSWER,
        ],
        "tools": [SCHEMA],
    },
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": "2+2?"},
            {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 2, "b": 2}}'},
            {"from": "observation", "value": "4"},
            {"from": "gpt", "value": "4"},
        ],
        "tools": orjson.dumps([SCHEMA]).decode(),
    },
}  # fmt: skip


@pytest.mark.parametrize("record", TOOLS.values(), ids=TOOLS.keys())
def test_tool_calls_and_their_schemas_are_kept(record):
    row = convert(record, detect_record(record))

    assert row.messages[1]["tool_calls"] == [CALL]
    assert row.messages[2]["role"] == "tool"
    assert row.tools == [SCHEMA]


def test_text_label_tags_and_id_are_kept():
    record = {"text": "Once upon a time.", "label": 3, "tags": ["tale", "old"], "id": "t-1"}

    row = convert(record, detect_record(record))

    assert (row.kind, row.text, row.messages) == (Kind.TEXT, "Once upon a time.", [])
    assert (row.label, row.tags, row.source_id) == ("3", ["tale", "old"], "t-1")


@pytest.mark.parametrize("record", [*[f[0] for f in FORMS.values()], *[p[0] for p in PAIRS.values()], *TOOLS.values()])
def test_a_row_comes_back_from_the_store_as_it_went_in(record):
    row = convert({**record, "label": "x", "tags": ["a", "b"], "id": 7}, detect_record(record))

    stored = {name: getattr(row, name) for name in ("kind", "text", "label", "source_id")}
    stored |= {name: dumped(getattr(row, name)) for name in ("messages", "chosen", "rejected", "tools", "tags")}

    assert as_row(stored) == row
    assert hashing.canonical(as_row(stored)) == hashing.canonical(row)


BAD = {
    "no messages": ({"prompt": "x"}, Format.OPENAI_CHAT, "messages", Code.MISSING_FIELD),
    "messages are a text": ({"messages": "hi"}, Format.OPENAI_CHAT, "messages", Code.WRONG_TYPE),
    "no turns": ({"messages": []}, Format.OPENAI_CHAT, "messages", Code.EMPTY_LIST),
    "a turn is a text": ({"messages": ["hi"]}, Format.OPENAI_CHAT, "messages[0]", Code.WRONG_TYPE),
    "no role": ({"messages": [{"content": "hi"}]}, Format.OPENAI_CHAT, "messages[0].role", Code.MISSING_FIELD),
    "odd role": ({"messages": [{"role": "bot", "content": "hi"}]}, Format.OPENAI_CHAT, "messages[0].role", Code.UNKNOWN_ROLE),
    "role is a list": ({"messages": [{"role": [], "content": "hi"}]}, Format.OPENAI_CHAT, "messages[0].role", Code.UNKNOWN_ROLE),
    "no content": ({"messages": [{"role": "user"}]}, Format.OPENAI_CHAT, "messages[0].content", Code.MISSING_FIELD),
    "content is a number": ({"messages": [{"role": "user", "content": 4}]}, Format.OPENAI_CHAT, "messages[0].content", Code.WRONG_TYPE),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        Format.OPENAI_CHAT, "messages[0].content[0]", Code.CONTENT_NOT_TEXT,
    ),
    "weight of two": ({"messages": [USER, {**ANSWER, "weight": 2}]}, Format.OPENAI_CHAT, "messages[1].weight", Code.WEIGHT_INVALID),
    "weight as true": ({"messages": [USER, {**ANSWER, "weight": True}]}, Format.OPENAI_CHAT, "messages[1].weight", Code.WEIGHT_INVALID),
    "weight of a user": ({"messages": [{**USER, "weight": 1}, ANSWER]}, Format.OPENAI_CHAT, "messages[0].weight", Code.WEIGHT_INVALID),
    "no assistant": ({"messages": [SYSTEM, USER]}, Format.OPENAI_CHAT, "messages", Code.NO_ASSISTANT_TURN),
    "ends with the user": ({"messages": [USER, ANSWER, USER]}, Format.OPENAI_CHAT, "messages[2].role", Code.LAST_TURN_NOT_ASSISTANT),
    "a call without a name": (
        {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {}}]}]},
        Format.OPENAI_CHAT, "messages[1].tool_calls[0]", Code.TOOL_CALL_INVALID,
    ),
    "arguments are no JSON": (
        {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{a"}}]}]},
        Format.OPENAI_CHAT, "messages[1].tool_calls[0].function.arguments", Code.TOOL_CALL_INVALID,
    ),
    "arguments are a list": (
        {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}]},
        Format.OPENAI_CHAT, "messages[1].tool_calls[0].function.arguments", Code.TOOL_CALL_INVALID,
    ),
    "tools are no JSON": ({"messages": [USER, ANSWER], "tools": "[oops"}, Format.OPENAI_CHAT, "tools", Code.TOOLS_NOT_JSON),
    "tools are texts": ({"messages": [USER, ANSWER], "tools": ["add"]}, Format.OPENAI_CHAT, "tools", Code.TOOLS_NOT_JSON),
    "no completion": ({"prompt": "x"}, Format.PROMPT_COMPLETION, "completion", Code.MISSING_FIELD),
    "completion is an object": ({"prompt": "x", "completion": {}}, Format.PROMPT_COMPLETION, "completion", Code.WRONG_TYPE),
    "instruction is a number": ({"instruction": 1, "output": "x"}, Format.ALPACA, "instruction", Code.WRONG_TYPE),
    "odd history": ({"instruction": "a", "output": "x", "history": [["q"]]}, Format.ALPACA, "history[0]", Code.WRONG_TYPE),
    "odd speaker": ({"conversations": [{"from": "narrator", "value": "x"}]}, Format.SHAREGPT, "conversations[0].from", Code.UNKNOWN_ROLE),
    "no value": ({"conversations": [{"from": "human"}]}, Format.SHAREGPT, "conversations[0].value", Code.MISSING_FIELD),
    "a call that is no JSON": (
        {"conversations": [{"from": "function_call", "value": "add(2, 2)"}]},
        Format.SHAREGPT, "conversations[0].value", Code.TOOL_CALL_INVALID,
    ),
    "answers share no prompt": ({"chosen": "Yes.", "rejected": "No."}, Format.PREFERENCE, "prompt", Code.NO_PROMPT),
    "turns share no prompt": ({"chosen": [ANSWER], "rejected": [WORSE]}, Format.PREFERENCE, "prompt", Code.NO_PROMPT),
    "nothing rejected": ({"prompt": "a", "chosen": "b"}, Format.PREFERENCE, "rejected", Code.MISSING_FIELD),
    "input without messages": (
        {"input": {}, "preferred_output": [ANSWER], "non_preferred_output": [WORSE]},
        Format.OPENAI_PREFERENCE, "messages", Code.MISSING_FIELD,
    ),
    "text is null": ({"text": None}, Format.TEXT, "text", Code.MISSING_FIELD),
    "tags are numbers": ({"text": "a", "tags": [1]}, Format.TEXT, "tags", Code.WRONG_TYPE),
    "label is an object": ({"text": "a", "label": {}}, Format.TEXT, "label", Code.WRONG_TYPE),
}  # fmt: skip


@pytest.mark.parametrize(("record", "fmt", "field", "code"), BAD.values(), ids=BAD.keys())
def test_a_bad_record_names_field_code_found_and_expected(record, fmt, field, code):
    with pytest.raises(BadRecord) as refused:
        convert(record, fmt)

    assert (refused.value.field, refused.value.code) == (field, code)
    assert refused.value.found
    assert refused.value.expected


def test_formats_without_a_trainer_are_named():
    assert detect_record({"prompt": "a", "completion": "b", "label": True}) == UNPAIRED
    assert detect_record({"conversations": [], "kto_tag": True}) == UNPAIRED
    assert detect_record({"prompt": "a", "completions": ["b"], "labels": [True]}) == STEPWISE
    assert detect_record({"prompt": "a", "completion": "b", "label": "billing"}) == Format.PROMPT_COMPLETION


def test_the_majority_of_the_first_rows_decides_and_strange_columns_are_told():
    rows = [{"text": "a"}, {"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b"}]

    found = detect(rows)
    strange = detect([{"foo": 1, "bar": 2}])

    assert (found.format, found.agreeing, found.looked_at) == (Format.PROMPT_COMPLETION, 2, 3)
    assert (strange.format, strange.columns) == (None, ("foo", "bar"))


def test_fields_that_are_not_read_are_told():
    record = {"messages": [], "source": "wiki", "id": 1, "label": "x", "tools": []}

    assert ignored_fields(record, Format.OPENAI_CHAT) == ["source"]


ODD = (None, 1, "x", [], {}, [[]], [{}], {"a": 1}, True, 1.5)
WHOLE = {
    "messages": [USER, ANSWER], "prompt": "a", "completion": "b", "chosen": "c", "rejected": "d", "text": "t",
    "input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [WORSE],
    "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "instruction": "i",
    "output": "o", "expected": "e", "history": [["a", "b"]], "tools": [SCHEMA], "tags": ["t"], "label": "l",
}  # fmt: skip


@pytest.mark.parametrize("fmt", list(Format))
def test_whatever_stands_in_a_field_is_a_row_or_a_bad_record(fmt):
    outcomes = set()
    for record in ({**WHOLE, key: value} for key in WHOLE for value in ODD):
        try:
            outcomes.add(bool(hashing.canonical(convert(record, fmt))))
        except BadRecord as bad:
            outcomes.add(bad.code in list(Code))

    assert outcomes == {True}
