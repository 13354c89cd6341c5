"""Hashes of prompts, the verdict, names, and the catalogue of findings."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import pytest
from django.conf import settings

from datasets_app.domain import dismissals, findings, hashing
from datasets_app.domain.findings import ABOUT, Found
from datasets_app.domain.formats.base import Format
from datasets_app.domain.formats.convert import convert
from datasets_app.domain.names import display_name
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import describe, fix_for, read_steps
from datasets_app.domain.verdict import Fact, Leak, judge
from tests.unit.findings import chat


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How do I reset it?", "how do i reset it", True),
        ("Ｈｏｗ　do I reset it", "How do I reset it", True),
        ("How - do I reset it?!", "“How do I” reset it…", True),
        ("What is 2*3?", "What is 2/3?", False),
        ("What is 5 + 3?", "What is 5 = 3?", False),
        ("खाना", "खन", False),
        ("!!!", "???", False),
        ("résumé", "resume", False),
    ],
)
def test_prompts_are_equal_when_only_their_form_differs(one, other, same):
    hashes = [hashing.prompt_norm_hash(convert(chat(q, "a"), Format.OPENAI_CHAT)) for q in (one, other)]

    assert (hashes[0] == hashes[1]) is same


def test_a_leaked_question_leaks_under_any_system_prompt():
    plain = convert(chat("Who?", "Me."), Format.OPENAI_CHAT)
    guided = convert(chat("Who?", "You."), Format.OPENAI_CHAT)
    guided.messages.insert(0, {"role": "system", "content": "Be kind."})

    assert hashing.prompt_hash(plain) == hashing.prompt_hash(guided)
    assert hashing.context_hash(plain) != hashing.context_hash(guided)


def test_rows_without_a_prompt_match_nothing():
    row = convert({"messages": [{"role": "assistant", "content": "Hello."}]}, Format.OPENAI_CHAT)

    assert hashing.prompt_hash(row) == hashing.prompt_norm_hash(row) == hashing.NO_PROMPT


@pytest.mark.parametrize(
    ("facts", "leaks", "tone", "words"),
    [
        ([], [], "green", "Ready to train on"),
        ([("exact_duplicates", "warning", 3)], [], "amber", "exact duplicates (3 rows)"),
        ([("exact_duplicates", "warning", 9), ("empty_answers", "error", 1)], [], "red", "empty answers (1 row)"),
        ([("empty_answers", "error", 1)], [("exam v1", 4)], "red", "4 rows of the golden set “exam v1”"),
        ([("length_outliers", "info", 2)], [("exam v1", 0)], "green", "nothing to fix"),
    ],
)
def test_the_verdict_names_what_comes_first(facts, leaks, tone, words):
    verdict = judge(Purpose.TRAINING, 500, [Fact(*fact) for fact in facts], [Leak(*leak) for leak in leaks])

    assert verdict.tone == tone
    assert words in verdict.title


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a" * 5000 + ".jsonl", "a" * 248 + "….jsonl"), ("../../etc/passwd", "passwd"), ("C:\\data\\rows.csv", "rows.csv"),
        ("a\x00b\n.csv", "ab.csv"), ("\u202ecsv.exe", "csv.exe"), ("..", "unnamed"), ("", "unnamed"), ("e\u0301.csv", "é.csv"),
    ],
)  # fmt: skip
def test_display_names(given, shown):
    assert display_name(given) == shown
    assert len(display_name(given)) <= 255


def test_every_finding_says_why_when_and_what_to_do_and_its_fix_is_a_step():
    for code in Found:
        about = ABOUT[code]
        assert about.title and about.why and about.remedy and about.when
        step = fix_for(code)
        assert step is None or read_steps([step.as_dict()]) == [step]
        assert step is None or describe(step)


def test_the_page_of_findings_is_the_catalogue():
    assert (settings.BASE_DIR / "docs" / "findings.md").read_text() == findings.as_markdown()


@pytest.mark.parametrize(
    ("dismissed", "as_severity", "count", "severity", "kept"),
    [
        (10, "warning", 12, "warning", True), (10, "warning", 13, "warning", False), (10, "warning", 3, "error", False),
        (10, "error", 3, "warning", True), (0, "info", 0, "info", True), (0, "info", 1, "info", False),
    ],
)  # fmt: skip
def test_a_decision_holds_until_there_is_more_or_it_weighs_more(dismissed, as_severity, count, severity, kept):
    held = dismissals.holds(dismissed=dismissed, as_severity=as_severity, count=count, severity=severity)

    assert held is kept
