"""Verdicts, the order of what changed, and the marks in an answer."""

import pytest

from evaluation.domain import diffs, ranking, verdicts
from evaluation.domain.graders import EXACT_MATCH, ROUGE_L
from evaluation.domain.ranking import Change
from evaluation.domain.verdicts import Judgement

ROUTE = '{"queue": "billing", "priority": "high"}'


@pytest.mark.parametrize(
    ("low", "high", "judgement"),
    [
        (0.01, 0.2, Judgement.BETTER),
        (-0.2, -0.01, Judgement.WORSE),
        (-0.1, 0.1, Judgement.CANNOT_SAY),
        (0.0, 0.2, Judgement.CANNOT_SAY),
        (-0.2, 0.0, Judgement.CANNOT_SAY),
    ],
)
def test_only_a_whole_interval_on_one_side_is_a_verdict(low, high, judgement):
    assert verdicts.judge(low, high) is judgement


def test_better_is_said_with_the_interval():
    found = verdicts.verdict("exact_match", n=100, base=0.03, adapter=0.85, difference=0.82, low=0.74, high=0.89)
    assert found.headline == "Better than its base"
    assert found.sentence == (
        "Exact match rises by 82.0 points (95 % interval +74.0 to +89.0), from 3.0 % to 85.0 % on 100 golden rows."
    )
    assert found.tone == "succeeded"


def test_worse_is_said_plainly():
    found = verdicts.verdict("rouge_l", n=1_200, base=0.5, adapter=0.4, difference=-0.1, low=-0.13, high=-0.07)
    assert found.headline == "Worse than its base"
    assert "ROUGE-L falls by 10.0 points (95 % interval −13.0 to −7.0)" in found.sentence
    assert "1\u2009200 golden rows" in found.sentence


def test_a_small_golden_set_says_what_it_can_see_and_what_it_would_take():
    found = verdicts.verdict("exact_match", n=100, base=0.5, adapter=0.54, difference=0.04, low=-0.03, high=0.11)
    assert found.judgement is Judgement.CANNOT_SAY
    assert "100 rows reliably show differences from 12.5 points" in found.sentence
    assert "takes about 990 rows" in found.sentence
    same = verdicts.verdict("exact_match", n=100, base=0.5, adapter=0.5, difference=0.0, low=-0.03, high=0.03)
    assert same.sentence.endswith("500 rows show 5.6.")
    assert "0.0 points" in same.sentence


@pytest.mark.parametrize(("value", "text"), [(0.125, "+12.5"), (-0.04, "−4.0"), (0.0, "0.0"), (-0.0001, "0.0")])
def test_points_are_signed(value, text):
    assert verdicts.points(value) == text


@pytest.mark.parametrize(
    ("change", "words"),
    [(-1.2, "fell by 1.2 %"), (3.0, "within the accepted 5 %"), (8.0, "beyond the accepted 5 %")],
)
def test_forgetting_is_said_in_words(change, words):
    assert words in verdicts.retention_sentence(change)


@pytest.mark.parametrize(
    ("before", "after", "grader", "change"),
    [
        (1, 0, EXACT_MATCH, Change.REGRESSION),
        (0, 1, EXACT_MATCH, Change.GAIN),
        (0, 0, EXACT_MATCH, Change.BOTH_WRONG),
        (1, 1, EXACT_MATCH, Change.BOTH_RIGHT),
        (0.6, 0.6, ROUGE_L, Change.BOTH_RIGHT),
        (0.2, 0.2 + 1e-12, ROUGE_L, Change.BOTH_WRONG),
        (0.6, 0.55, ROUGE_L, Change.REGRESSION),
    ],
)
def test_every_row_is_one_of_four_kinds(before, after, grader, change):
    assert ranking.sort_of(before, after, grader) is change


def test_what_got_worse_is_read_first():
    rows = [
        ("same", (0.0, 0.0)),
        ("small gain", (0.2, 0.0)),
        ("small loss", (-0.2, 0.0)),
        ("gain", (1.0, 0.0)),
        ("loss", (-1.0, 0.0)),
        ("loss and format broken", (-1.0, -1.0)),
        ("also same", (0.0, 0.0)),
    ]
    assert ranking.worst_first(rows) == [
        "loss and format broken", "loss", "small loss", "gain", "small gain", "same", "also same",
    ]  # fmt: skip


def test_other_graders_break_ties():
    base, adapter = (
        {"exact_match": 1.0, "json_valid": 1.0, "rouge_l": 1.0},
        {"exact_match": 0.0, "json_valid": 0.0, "rouge_l": 0.5},
    )
    assert ranking.weight(base, adapter, "exact_match") == (-1.0, -0.75)
    assert ranking.weight({"exact_match": 1.0}, {"exact_match": 1.0}, "exact_match") == (0.0, 0.0)


def kinds(expected, answer):
    return [(piece.kind, piece.text.strip()) for piece in diffs.marked(expected, answer)]


def test_json_is_marked_field_by_field():
    answer = '{"priority": "low", "queue": "billing", "mood": 1}'
    assert kinds(ROUTE, answer) == [
        ("same", '"queue": "billing"'),
        ("changed", '"priority": "low"'),
        ("extra", '"mood": 1'),
    ]
    assert kinds(ROUTE, '{"queue": "billing"}')[-1] == ("missing", '"priority": "high"')


def test_the_expected_answer_is_laid_out_like_the_answers_beside_it():
    assert diffs.expected_in_lines(ROUTE) == '"queue": "billing"\n"priority": "high"\n'
    assert [diffs.expected_in_lines(text) for text in ("plain", "{}", "[1]")] == ["plain", "{}", "[1]"]


def test_text_is_marked_word_by_word():
    assert kinds("reset your password", "reset the password") == [
        ("same", "reset"), ("missing", "your"), ("extra", "the"), ("same", "password"),
    ]  # fmt: skip


def test_an_equal_answer_has_no_marks_and_an_empty_one_nothing_to_show():
    assert kinds("billing", " billing ") == [("same", "billing")]
    assert diffs.marked("billing", "") == []
    assert kinds(ROUTE, "it is about billing") == [("extra", "it is about billing")]


def test_a_very_long_answer_is_shown_without_comparing_every_word():
    assert [kind for kind, _ in kinds("a", "word " * 5_000)] == ["extra"]
