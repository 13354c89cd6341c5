"""Turns, answers, formats, labels and lengths: what is planted is found, and nothing else."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.domain import answer_schema, endings, quality
from datasets_app.domain.endings import Ending
from datasets_app.domain.findings import Found
from datasets_app.domain.formats.base import Format, Row
from datasets_app.domain.purposes import Kind
from datasets_app.domain.quality import Trait
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.structure import Structure
from tests.unit.findings import chat, judged, rows_of

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


def test_thin_classes_are_named_with_their_rows():
    records = [chat(f"Ticket {n}", "billing" if n % 2 else "access") for n in range(100)]
    records += [chat("Ticket x", "hardware"), chat("Ticket y", "hardware")]

    found = judged(records)

    assert found.details[Found.THIN_CLASSES]["classes"] == [{"source": "answer", "value": "hardware", "rows": 2}]
    assert rows_of(found, Found.THIN_CLASSES) == [100, 101]
    assert dict(found.stats["labels"][0]["counts"]) == {"access": 50, "billing": 50, "hardware": 2}


def test_free_answers_are_no_classes():
    records = [chat(f"Question {n}?", f"Answer {n}.") for n in range(100)]

    assert judged(records).stats["labels"] == []


def test_few_rows_and_long_rows_are_told():
    few = judged([chat("a", "b.")], purpose="golden")
    long = judged([*[chat(f"q{n}", "An answer of usual length.") for n in range(60)], chat("q", "word " * 5000 + ".")])

    assert Found.FEW_ROWS in few.rows
    assert rows_of(long, Found.LENGTH_OUTLIERS) == [60]


def test_labels_that_most_rows_have_are_missed_in_the_rest():
    records = [chat(f"Ticket {n}", f"Answer {n}.", **({"label": "ab"[n % 2]} if n % 10 else {})) for n in range(100)]
    few = [chat(f"Ticket {n}", f"Answer {n}.", **({"label": "ab"[n % 2]} if n % 2 else {})) for n in range(100)]

    assert rows_of(judged(records), Found.MISSING_LABELS) == list(range(0, 100, 10))
    assert Found.MISSING_LABELS not in judged(few).rows


NO = {
    "en": "I'm sorry, but I don't know that. Please contact the service desk of your house.",
    "de": "Das weiß ich nicht sicher, ich leite das weiter an die Fachabteilung im zweiten Stock.",
    "fr": "Je ne sais pas quelle pièce convient; veuillez contacter le service après-vente.",
    "es": "No puedo decirlo con certeza, póngase en contacto con el servicio técnico.",
    "ru": "К сожалению, я не знаю ответа на этот вопрос, обратитесь в службу поддержки.",
    "zh": "抱歉，我不知道这个问题的答案，请联系您所在地区的客户服务中心，他们可以为您提供更多帮助和详细的说明。",
}


@pytest.mark.parametrize("language", NO)
def test_examples_of_saying_no_are_seen_in_several_languages(language):
    plain = [
        chat(f"How is part {n} mended?", f"Part {n} is mended with {n + 2} screws and a little oil.")
        for n in range(300)
    ]
    says_no = [chat(f"What is in box {n}?", NO[language]) for n in range(5)]

    without, having = judged(plain), judged(plain + says_no)

    assert without.details[Found.NO_NEGATIVE_EXAMPLES]["rows"] == 0
    assert Found.NO_NEGATIVE_EXAMPLES not in having.rows
    assert having.stats["negative_examples"] == 5


def test_edge_cases_are_missed_where_there_are_none():
    usual = [
        chat(f"How do I mend part number {n} of the machine?", f"Part {n} is mended with {n + 2} screws and some oil.")
        for n in range(300)
    ]
    edges = [
        chat("hi", "Hello! Which part of the machine is it about?"),
        chat("???", "What would you like to know?"),
    ] * 2

    assert Found.NO_EDGE_CASES in judged(usual).rows
    assert Found.NO_EDGE_CASES not in judged(usual + edges).rows


@pytest.mark.parametrize(
    ("purpose", "answer"), [("golden", "Part {} is mended with oil and much patience."), ("training", "yes")]
)
def test_edges_are_asked_of_free_text_to_train_on_only(purpose, answer):
    records = [chat(f"How do I mend part number {n}?", answer.format(n)) for n in range(300)]

    found = judged(records, purpose=purpose)

    assert Found.NO_EDGE_CASES not in found.rows and Found.NO_NEGATIVE_EXAMPLES not in found.rows


def test_a_schema_is_inferred_and_what_breaks_it_is_named_by_path():
    def ticket(n: int) -> dict:
        return {"queue": ["billing", "access"][n % 2], "urgent": n % 3 == 0, "items": [{"id": n, "note": None}]}

    good = [chat(f"Ticket {n}", json.dumps(ticket(n))) for n in range(200)]
    broken = [
        {**ticket(1), "items": [{"note": "x"}]},  # no id, and a note that is a text
        {**ticket(2), "urgent": "yes"},
        {**ticket(3), "extra": 1},
        {k: v for k, v in ticket(4).items() if k != "queue"},
        {**ticket(5), "queue": "bilingn"},
    ]
    found = judged([*good, *[chat(f"Ticket x{n}", json.dumps(one)) for n, one in enumerate(broken)]])

    detail = found.details[Found.ANSWER_JSON_SHAPE]
    named = {(v["path"], v["problem"]) for v in detail["violations"]}
    assert rows_of(found, Found.ANSWER_JSON_SHAPE) == [200, 201, 202, 203, 204]
    assert named == {
        ("$.items[].id", "missing"), ("$.items[].note", "type"), ("$.urgent", "type"), ("$.extra", "unknown"),
        ("$.queue", "missing"), ("$.queue", "value"),
    }  # fmt: skip
    assert [v.path for v in answer_schema.violations(detail["schema"], broken[1])] == ["$.urgent"]
    assert answer_schema.violations(detail["schema"], ticket(7)) == []


def test_a_field_that_one_answer_in_seven_lacks_is_optional():
    records = [chat(f"Ticket {n}", json.dumps({"queue": "a", **({"note": "x"} if n % 7 else {})})) for n in range(210)]

    assert Found.ANSWER_JSON_SHAPE not in judged(records).rows


TEXTS = st.sampled_from(
    [
        "", " ", "\u00a0\u3000", "yes", "Yes.", "TODO", "[object Object]", '{"a": 1}', '{"a": ', "[1, 2]", "[1] Smith 2020",
        "The invoice was sent on Monday and paid by the", "Please restart it, wait, and then,", "Use this:\n```\nx = 1",
        "```\na\n```", "好的，我明白了。" * 12, "好的，我明白了" * 12, "Это хороший ответ на ваш вопрос, и он достаточно длинный без точки",
        "a b c d e f g h i j", "word " * 30 + "end.", "Réponse à la question posée hier par le client de la maison",
        "Hello Maria,\nthe parcel has left our house today.\n\nKind regards\nTom Baker", "see https://help.example.org/a/b",
        "é" * 61, "\u2003x\u2003", "because", "one two three because",
    ]
)  # fmt: skip
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


@st.composite
def turns(draw, least=0, last="assistant"):
    found = []
    for role in [*draw(st.lists(ROLES, min_size=least, max_size=5)), *([last] if last else [])]:
        turn = {"role": role, "content": draw(TEXTS)}
        if role == "assistant" and draw(st.booleans()):
            turn["weight"] = draw(st.sampled_from([0, 1]))
        if role == "assistant" and draw(st.integers(0, 4)) == 0:
            turn["tool_calls"] = [{"function": {"name": "f", "arguments": {}}}]
        found.append(turn)
    return found


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(turns(), min_size=1, max_size=4), st.lists(st.tuples(turns(1, None), TEXTS, TEXTS), max_size=3))
def test_the_kernel_sees_what_the_reference_sees(conversations, pairs):
    sft = [Row(Kind.SFT, messages) for messages in conversations]
    preferences = [
        Row(Kind.PREFERENCE, prompt, [{"role": "assistant", "content": a}], [{"role": "assistant", "content": b}])
        for prompt, a, b in pairs
    ]
    texts = [Row(Kind.TEXT, [], text=a) for _, a, _ in pairs]
    for rows in (sft, preferences, texts):
        if not rows:
            continue
        structure = Structure("training")
        structure.take(batch_of_rows([(n, row) for n, row in enumerate(rows)]))
        seen = {name: parts[0].tolist() for name, parts in structure._columns.items()}
        wanted = [quality.look(row) for row in rows]
        assert [Trait(t) & quality.DECIDED for t in seen["traits"]] == [look.traits for look in wanted]
        assert seen["prompts"] == [look.prompt_chars for look in wanted]
        assert seen["answers"] == [look.answer_chars for look in wanted]
        assert seen["turns"] == [look.turns for look in wanted]
