"""Where rows come from: shares, and what is found when they break the policy."""

from datasets_app.domain.findings import Found
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.facts import Facts
from datasets_app.engine.origins import Origins
from tests.factories.stored import chat_row


def judged(rows, default=None, **policy):
    analyser, facts = Origins(default, policy), Facts(purpose="training", rows=len(rows))
    for start in range(0, len(rows), 7):
        batch = [(n + 1, row) for n, row in enumerate(rows[start : start + 7], start)]
        analyser.take(batch_of_rows(batch, start))
    analyser.finish(facts)
    return facts


def by_model(n, depth=1):
    return [chat_row(f"m{n}", provenance={"origin": "synthetic", "teacher": "big", "depth": depth}) for n in range(n)]


def by_people(n, who="Ann"):
    return [chat_row(f"p{n}", provenance={"origin": "human", "contributor": who}) for n in range(n)]


def test_shares_are_counted_by_every_side_of_the_origin():
    stats = judged(by_model(3, depth=2) + by_people(5) + [chat_row("?")]).stats["origins"]

    assert stats["origin"] == [["human", 5], ["synthetic", 3], ["unknown", 1]]
    assert stats["depth"] == [[0, 5], [2, 3], [None, 1]]
    assert (stats["deepest"], stats["contributors"], round(stats["synthetic_share"], 3)) == (2, 1, 0.333)


def test_what_was_said_of_the_file_counts_for_rows_that_say_nothing():
    stats = judged([chat_row("a")] * 3 + by_people(1), default={"origin": "synthetic", "teacher": "big"}).stats

    assert stats["origins"]["origin"] == [["synthetic", 3], ["human", 1]]


def test_a_broken_policy_is_an_error_and_a_kept_one_is_nothing():
    rows = by_model(3) + by_people(7)

    assert Found.SYNTHETIC_SHARE not in judged(rows, max_synthetic_share=0.3).rows
    broken = judged(rows, max_synthetic_share=0.2)
    assert broken.rows[Found.SYNTHETIC_SHARE].tolist() == [0, 1, 2]
    assert broken.severities[Found.SYNTHETIC_SHARE] == "error"
    deep = judged(by_model(2, depth=2) + by_model(2), max_synthetic_depth=1)
    assert deep.rows[Found.SYNTHETIC_SHARE].tolist() == [0, 1]


def test_one_person_with_half_of_the_rows_is_named_when_there_are_enough():
    assert Found.CONTRIBUTOR_CONCENTRATION not in judged(by_people(20)).rows

    found = judged(by_people(40) + by_people(20, "Bob"))
    assert found.details[Found.CONTRIBUTOR_CONCENTRATION]["contributor"] == "Ann"
    assert len(found.rows[Found.CONTRIBUTOR_CONCENTRATION]) == 40


def test_rows_of_unknown_origin_are_found_where_others_say_theirs():
    assert Found.UNKNOWN_ORIGIN not in judged([chat_row("a")]).rows
    assert judged([chat_row("a"), *by_people(1)]).rows[Found.UNKNOWN_ORIGIN].tolist() == [0]
