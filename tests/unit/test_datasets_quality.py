"""Findings against planted truth: what is planted is found, and nothing else."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import json
import random

import pytest

from datasets_app.domain import endings, hashing, sensitive
from datasets_app.domain.endings import Ending
from datasets_app.domain.findings import ABOUT, Found
from datasets_app.domain.formats.base import Format
from datasets_app.domain.formats.convert import convert
from datasets_app.domain.names import display_name
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import BadRecipe, Op, Step, describe, fix_for, read_steps
from datasets_app.domain.verdict import Fact, Leak, judge
from datasets_app.engine import stats
from datasets_app.engine.judge import Judgement
from datasets_app.engine.profile import Profile

SENTENCES = [
    "The invoice was sent on Monday and paid by the customer two days later.",
    "Please restart the router and wait until the lamp on its front is green again!",
    "Did the colleagues of the night shift already reply to the message about the printer?",
    "The report (see the annex) explains how the numbers of the second quarter came about.",
    "Open the settings, choose “Network”, and switch the proxy off.",
    "Set the value as follows:\n- timeout: 30\n- retries: 5",
    "Use this:\n```python\nprint('hello')\n```",
    "Hello Maria,\nthe parcel has left our house today.\n\nKind regards\nTom Baker",
    "You can read more about it under https://help.example.org/network/proxy",
    "| city | people |\n| --- | --- |\n| Oslo | 700000 |",
    "It is what the button on the left is for.",
    "The answer is 42",
]
CUT = [
    "The invoice was sent on Monday and paid by the",
    "Please restart the router, wait until the lamp is green, and",
    "There are three reasons why the proxy does not answer,",
    "Use this:\n```python\nprint('hello')",
    '{"queue": "billing", "priority": "hi',
    '[{"name": "a"}, {"name": ',
]


def chat(question: str, answer: str, **more) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def judged(records: list[dict], purpose: str = "training", fmt: Format = Format.OPENAI_CHAT) -> Judgement:
    profile = Profile()
    for record in records:
        row = convert(record, fmt)
        profile.add(row, hashing.canonical(row))
    return Judgement(profile, purpose=purpose)


def rows_of(judgement: Judgement, found: Found) -> list[int]:
    return judgement.rows[found].tolist() if found in judgement.rows else []


@pytest.mark.parametrize("answer", SENTENCES)
def test_whole_answers_are_not_called_cut(answer):
    assert endings.ending(answer) != Ending.CUT


@pytest.mark.parametrize("answer", CUT)
def test_answers_cut_inside_something_are_called_cut(answer):
    assert endings.ending(answer) == Ending.CUT


@pytest.mark.parametrize(
    "answer",
    [
        "[1] Smith, A. et al. 2020",
        "{name} has written to you",
        "no",
        "",
        "billing",
        "Vitamin A",
        "[laughs] Yes",
        "3, 4, 5,",
    ],
)
def test_short_and_odd_answers_are_left_alone(answer):
    assert endings.ending(answer) == Ending.WHOLE


def test_cut_prose_is_found_where_the_others_end_their_sentences():
    """1,000 answers of prose, one in fifty cut at a random word: found, and hardly anything else."""
    rng = random.Random(7)
    records, planted = [], set()
    for n in range(1000):
        answer = " ".join(rng.choice(SENTENCES[:5]) for _ in range(rng.randint(1, 4)))
        if n % 50 == 0:
            words = answer.split()
            answer = " ".join(words[: max(9, int(len(words) * 0.7))]).rstrip(".!?”)")
            planted.add(n)
        records.append(chat(f"Question {n}?", answer))

    found = set(rows_of(judged(records), Found.CUT_ANSWERS))

    assert len(found & planted) / len(planted) >= 0.9
    assert len(found & planted) / len(found) >= 0.95


def test_prose_without_full_stops_is_a_style_not_a_fault():
    records = [
        chat(f"Question {n}?", f"this is how we write answer number {n} here and nobody minds it at all")
        for n in range(50)
    ]

    assert rows_of(judged(records), Found.CUT_ANSWERS) == []


def test_answers_that_all_stop_at_the_same_length_were_cut_by_a_limit():
    text = "all of these words go on and on without an end to them " * 10
    records = [chat(f"Question {n}?", (f"{n} " + text)[:200]) for n in range(30)]
    records += [chat(f"Other {n}?", (f"{n} " + text)[:150]) for n in range(30)]

    assert rows_of(judged(records), Found.CUT_ANSWERS) == list(range(30))


def test_answers_that_are_not_the_json_the_rest_are():
    records = [chat(f"Ticket {n}", json.dumps({"queue": "billing", "n": n})) for n in range(40)]
    records += [
        chat("Ticket a", "billing"),
        chat("Ticket b", '{"queue": "bil'),
        chat("Ticket c", '{"team": "billing"}'),
    ]

    found = judged(records)

    assert rows_of(found, Found.ANSWER_NOT_JSON) == [40]
    assert rows_of(found, Found.CUT_ANSWERS) == [41], "one row, one reason"
    assert rows_of(found, Found.ANSWER_JSON_SHAPE) == [42]
    assert found.details[Found.ANSWER_JSON_SHAPE]["usual"] == ["n", "queue"]


def test_a_set_that_is_half_json_has_no_usual_form():
    records = [chat(f"Ticket {n}", json.dumps({"queue": n}) if n % 2 else f"Answer {n}.") for n in range(40)]

    assert Found.ANSWER_NOT_JSON not in judged(records).rows


def test_duplicates_are_all_but_the_first_and_labels_do_not_hide_them():
    records = [chat("a", "b.", label="x"), chat("c", "d."), chat("a", "b.", label="y"), chat("a", "b.")]

    found = judged(records)

    assert rows_of(found, Found.EXACT_DUPLICATES) == [2, 3]
    assert found.details[Found.EXACT_DUPLICATES] == {"sets": 1, "largest": 3, "pairs": [[0, 2], [0, 3]]}


def test_conflicts_are_different_answers_to_the_same_question_in_the_same_context():
    system = {"role": "system", "content": "Answer in German."}
    german = chat("Capital of France?", "Das ist Paris.")
    german["messages"].insert(0, system)
    records = [
        chat("Capital of France?", "Paris."),
        chat("Capital of France?", "paris"),
        german,
        chat("Capital of Norway?", "Oslo."),
        chat("Capital of Norway?", "Bergen."),
    ]

    assert rows_of(judged(records), Found.CONFLICTING_ANSWERS) == [3, 4]


def test_turns_out_of_order_are_found():
    def turns(*roles: str) -> dict:
        return {"messages": [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]}

    records = [
        turns("user", "assistant", "user", "assistant"),
        turns("system", "user", "assistant"),
        turns("user", "user", "assistant"),
        turns("user", "assistant", "assistant"),
        turns("assistant", "user", "assistant"),
        turns("user", "system", "assistant"),
        turns("system", "assistant"),
        turns("user", "assistant", "tool", "tool", "assistant"),
        {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "Yes."}]},
    ]

    found = judged(records)

    assert rows_of(found, Found.NON_ALTERNATING_TURNS) == [2, 3, 4, 6]
    assert rows_of(found, Found.SYSTEM_NOT_FIRST) == [5]
    assert rows_of(found, Found.NO_USER_TURN) == [6]
    assert rows_of(found, Found.EMPTY_TURNS) == [8]


def test_empty_placeholder_untrained_and_identical():
    weighted = chat("q", "a.")
    weighted["messages"][1]["weight"] = 0
    calls = {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]},
        ]
    }
    records = [chat("q1", " \n"), chat("q2", "TODO"), weighted, calls, chat("q3", "An answer.")]

    found = judged(records)
    pairs = judged([{"prompt": "a", "chosen": "b", "rejected": "b"}], fmt=Format.PREFERENCE)

    assert rows_of(found, Found.EMPTY_ANSWERS) == [0]
    assert rows_of(found, Found.PLACEHOLDER_ANSWERS) == [1]
    assert rows_of(found, Found.NOTHING_TRAINED) == [2]
    assert rows_of(pairs, Found.IDENTICAL_PAIR) == [0]


def test_damaged_text_is_found():
    records = [
        chat("Wie geht's?", "GrÃ¼ÃŸe aus KÃ¶ln."),
        chat("Wie?", "Grüße aus São Paulo."),
        chat("Was?", "Stra\ufffde."),
    ]

    assert rows_of(judged(records), Found.ENCODING_DAMAGE) == [0, 2]


def test_thin_classes_are_named_with_their_rows():
    records = [chat(f"Ticket {n}", "billing" if n % 2 else "access") for n in range(100)]
    records += [chat("Ticket x", "hardware"), chat("Ticket y", "hardware")]

    found = judged(records)

    assert found.details[Found.THIN_CLASSES]["classes"] == [{"source": "answer", "value": "hardware", "rows": 2}]
    assert rows_of(found, Found.THIN_CLASSES) == [100, 101]
    assert stats.summary(found.profile)["labels"][0]["counts"][0] == ("access", 50)


def test_free_answers_are_no_classes():
    records = [chat(f"Question {n}?", f"Answer {n}.") for n in range(100)]

    assert stats.summary(judged(records).profile)["labels"] == []


def test_few_rows_and_long_rows_are_told():
    few = judged([chat("a", "b.")], purpose="golden")
    long = judged([*[chat(f"q{n}", "An answer of usual length.") for n in range(60)], chat("q", "word " * 5000 + ".")])

    assert Found.FEW_ROWS in few.rows
    assert rows_of(long, Found.LENGTH_OUTLIERS) == [60]


SECRETS = {
    "aws_access_key": "key AKIAIOSFODNN7EXAMPLE here",
    "github_token": "ghp_" + "a1B2" * 9,
    "slack_token": "xoxb-123456789012-abcdefghij",
    "stripe_key": "sk_live_" + "a1B2" * 6,
    "api_key": "sk-proj-" + "a1B2" * 8,
    "google_key": "AIza" + "a1B2c" * 7,
    "hub_token": "hf_" + "aBcD" * 9,
    "private_key": "-----BEGIN RSA PRIVATE KEY-----",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
    "password": "password: hunter2-Very",
    "gitlab_token": "glpat-" + "aB1_" * 5,
}


@pytest.mark.parametrize(("kind", "text"), SECRETS.items())
def test_keys_are_found_shown_in_part_and_masked(kind, text):
    hits = [hit for hit in sensitive.find(f"Please use {text} for it.") if hit.group == sensitive.SECRET]

    assert kind in [hit.kind for hit in hits]
    assert all(text.split()[-1] not in hit.preview for hit in hits)
    assert sensitive.mask(f"Please use {text} for it.").startswith("Please use ")
    assert not [h for h in sensitive.find(sensitive.mask(f"Please use {text} for it.")) if h.group == sensitive.SECRET]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to maria.lopez@firma-nord.de today", ["email"]),
        ("call +49 (0)30 123456-78 after nine", ["phone"]),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", ["iban"]),
        ("card 4111 1111 1111 1111 expires", ["card"]),
    ],
)
def test_personal_data_is_found(text, kinds):
    assert [hit.kind for hit in sensitive.find(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "password: required", "Enter your password: ********", "the ticket number is 4111111111111112",
        "IBAN DE89 3704 0044 0532 0130 01", "version 1.2.3.4", "ask user@example.com", "a+b = 12345678901234567890",
        "api_key: <your key>", "sk-learn is a library", "2024-11-22 10:00:00 +0000", "the task-force met",
        "order 1234 5678 9012 3456 7", "ratio @ 3.5", "+1 point for that", "token: abcdefghijkl",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_left_alone(text):
    assert list(sensitive.find(text)) == []


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


def test_every_finding_says_why_and_what_to_do_and_its_fix_is_a_step():
    for code in Found:
        about = ABOUT[code]
        assert about.title and about.why and about.remedy
        step = fix_for(code)
        assert step is None or read_steps([step.as_dict()]) == [step]
        assert step is None or describe(step)


@pytest.mark.parametrize(
    "steps",
    [None, [], [1], [{}], [{"op": "x"}], [{"op": "dedupe", "more": 1}], [{"op": "drop_finding"}],
     [{"op": "drop_finding", "code": "secrets"}], [{"op": "drop_overlap"}], [{"op": "drop_overlap", "golden": ["1"]}],
     [{"op": "drop_overlap", "golden": [True]}], [{"op": "dedupe"}] * 21],
)  # fmt: skip
def test_a_recipe_that_makes_no_sense_is_refused(steps):
    with pytest.raises(BadRecipe):
        read_steps(steps)


def test_a_recipe_reads_back_as_it_was_written():
    steps = [Step(Op.DEDUPE), Step(Op.DROP_FINDING, "empty_answers"), Step(Op.DROP_OVERLAP, golden=(3, 4))]

    assert read_steps([step.as_dict() for step in steps]) == steps


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
