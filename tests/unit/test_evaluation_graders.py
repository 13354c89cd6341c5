"""Graders: what counts as right, in which script, and which grader leads."""

import json

import pytest

from evaluation.domain import answers, graders, rouge

ROUTE = '{"queue": "billing", "priority": "high"}'
SCRIPTS = {
    "english": "the printer tray is broken",
    "russian": "принтер не работает с понедельника",
    "chinese": "打印机坏了",
    "japanese": "プリンターが壊れました",
    "arabic": "الطابعة لا تعمل",
    "hindi": "प्रिंटर काम नहीं कर रहा है",
    "thai": "เครื่องพิมพ์เสีย",
    "korean": "프린터가 고장났어요",
    "greek": "ο εκτυπωτής δεν λειτουργεί",
    "emoji": "🖨️💥",
    "punctuation": "?!...",
    "empty": "",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_identical_text_is_all_right_in_any_script(text):
    assert rouge.rouge_l(text, text) == 1.0
    assert graders.exact_match(text, text) == 1.0


@pytest.mark.parametrize(
    ("expected", "answer", "score"),
    [
        ("the cat sat on the mat", "the cat sat", 2 * 3 / 9),
        ("police killed the gunman", "police kill the gunman", 0.75),  # Lin 2004, section 3.1, S2
        ("police killed the gunman", "the gunman kill police", 0.5),  # and S3
        ("a b c", "c b a", 1 / 3),
        ("The CAT.", "the cat", 1.0),
        ("打印机坏了", "打印机好了", 0.8),
        ("don't", "don t", 1.0),
        ("word", "", 0.0),
        ("", "word", 0.0),
        ("!!!", "???", 0.0),
    ],
)
def test_rouge_l_gives_the_known_scores(expected, answer, score):
    assert rouge.rouge_l(expected, answer) == pytest.approx(score)


def test_a_combining_mark_belongs_to_its_word():
    assert rouge.tokens("cafe\u0301 นี้") == ["café", "นี้"]
    assert rouge.tokens("हिन्दी में") == ["हिन्दी", "में"]


def test_the_longest_common_subsequence_is_found_in_long_texts_too():
    left = [str(number % 97) for number in range(400)]
    right = left[::2] + ["x"] * 50
    assert rouge.common_length(left, right) == _slow_common_length(left, right)


def _slow_common_length(left, right):
    row = [0] * (len(right) + 1)
    for one in left:
        above = 0
        for place, other in enumerate(right, start=1):
            above, row[place] = row[place], above + 1 if one == other else max(row[place], row[place - 1])
    return row[-1]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (ROUTE, 1.0),
        ('{"priority":"high","queue":"billing"}', 1.0),
        ('  {"queue": "billing",\n "priority": "high"} ', 1.0),
        ('{"queue": "billing"}', 0.0),
        ('{"queue": "billing", "priority": "High"}', 0.0),
        ("billing", 0.0),
        ("", 0.0),
        (f"```json\n{ROUTE}\n```", 0.0),
    ],
)
def test_json_is_compared_as_json(answer, score):
    assert graders.exact_match(ROUTE, answer) == score


@pytest.mark.parametrize(
    ("expected", "answer", "same"),
    [
        ("1", "1.0", True),
        ("true", "1", False),
        ("[1, 2]", "[2, 1]", False),
        ("[1, [2, {}]]", "[1,[2,{}]]", True),
        ("{}", "[]", False),
        ('{"a": null}', "{}", False),
        ('{"a": [true]}', '{"a": [1]}', False),
        ("billing  queue", " billing queue\n", True),
        ("e\u0301", "\u00e9", True),
        ("High", "high", False),
        ("NaN", "nan", False),
    ],
)
def test_equality_is_that_of_json_and_of_evened_text(expected, answer, same):
    assert graders.exact_match(expected, answer) == float(same)


def test_bottomless_json_is_no_json_and_no_crash():
    deep = "[" * 100_000 + "]" * 100_000
    assert answers.parsed(deep) is answers.NOT_JSON
    assert graders.json_valid(ROUTE, deep) == 0.0
    assert graders.exact_match(deep, deep) == 1.0
    assert graders.json_fields(ROUTE, "[" * 400 + "]" * 400) == 0.0


@pytest.mark.parametrize("answer", ["NaN", '{"a": Infinity}', "{'a': 1}", "", "{", "1" * 5_000])
def test_what_only_python_reads_is_not_valid_json(answer):
    assert graders.json_valid(ROUTE, answer) == 0.0


@pytest.mark.parametrize(
    ("expected", "answer", "share"),
    [
        (ROUTE, ROUTE, 1.0),
        (ROUTE, '{"queue": "billing", "priority": "low"}', 0.5),
        (ROUTE, '{"queue": "billing"}', 0.5),
        (ROUTE, '{"queue": "billing", "priority": "high", "mood": "sad", "day": 1}', 0.5),
        (ROUTE, "billing", 0.0),
        (ROUTE, '"billing"', 0.0),
        ('{"a": {"b": 1, "c": [1, 2]}}', '{"a": {"b": 1, "c": [1, 3]}}', 2 / 3),
        ("[]", "[]", 1.0),
    ],
)
def test_json_fields_is_the_share_of_equal_fields(expected, answer, share):
    assert graders.json_fields(expected, answer) == pytest.approx(share)


def test_json_graders_say_nothing_where_no_json_is_expected():
    assert graders.grade(list(graders.GRADERS), "plain words", "{}").keys() == {"exact_match", "rouge_l"}


def test_json_answers_are_led_by_exact_match_and_prose_by_overlap():
    prose = ["The tray is stuck because the paper was loaded the wrong way round; reload it."] * 5
    assert graders.primary(graders.suggested([ROUTE] * 5), [ROUTE] * 5) == "exact_match"
    assert graders.primary(graders.suggested(["billing"] * 5), ["billing"] * 5) == "exact_match"
    assert graders.primary(graders.suggested(prose), prose) == "rouge_l"
    assert graders.primary(["json_valid"], prose) == "json_valid"
    assert graders.suggested([ROUTE] * 5) == list(graders.GRADERS)
    assert graders.suggested(prose) == graders.suggested([]) == ["exact_match", "rouge_l"]


def test_an_unknown_grader_is_a_key_error():
    with pytest.raises(KeyError):
        graders.chosen(["vibes"])


def test_the_last_assistant_turn_is_what_is_expected():
    turns = [
        {"role": "system", "content": "route"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": [{"type": "text", "text": "my bill"}]},
        {"role": "assistant", "content": "billing"},
    ]
    question = answers.question({"kind": "sft", "messages": json.dumps(turns), "tools": None})
    assert (question.expected, question.messages) == ("billing", turns[:-1])
    assert question.prompt == "system: route\n\nuser: hi\n\nassistant: hello\n\nuser: my bill"


def test_the_chosen_answer_of_a_preference_row_is_expected():
    row = {
        "kind": "preference",
        "messages": '[{"role": "user", "content": "my bill"}]',
        "chosen": '[{"role": "assistant", "content": "billing"}]',
    }
    question = answers.question(row)
    assert (question.expected, question.prompt) == ("billing", "my bill")


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "text", "messages": "[]", "text": "words"},
        {"kind": "sft", "messages": '[{"role": "user", "content": "hi"}]'},
        {"kind": "sft", "messages": '[{"role": "assistant", "content": "hi"}]'},
        {"kind": "preference", "messages": '[{"role": "user", "content": "hi"}]', "chosen": None},
    ],
)
def test_a_row_without_question_or_answer_asks_nothing(row):
    assert answers.question(row) is None


def test_a_tool_call_is_expected_as_json():
    turn = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
    }
    assert json.loads(answers.text_of(turn)) == {"name": "f", "arguments": {"a": 1}}


@pytest.mark.parametrize(("texts", "budget"), [([], 32), (["ok"], 32), (["x" * 100], 128), (["漢" * 100], 384)])
def test_the_answer_budget_holds_the_longest_expected_answer(texts, budget):
    assert answers.answer_budget(texts) == budget
    assert answers.answer_budget(["x" * 10_000]) == 1_024
