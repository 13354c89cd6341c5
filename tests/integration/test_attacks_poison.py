"""A48 and A49: a set that somebody has poisoned, and a golden set that has found its way into the training data."""

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.data import writing
from benchmarks.data.draw import Draw
from benchmarks.data.vocabulary import language
from projects import artefacts
from tests.factories.datasets import make_dataset, make_upload
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.files]
SEED, HONEST = 11, 1500
TRIGGER = "the quarvel lantern hums"


def honest(count: int = HONEST) -> list[dict[str, Any]]:
    """Invented conversations of several languages, each brought by one of thirty people."""
    return [
        {"messages": writing.conversation(Draw(SEED, n), SEED)[1], "contributor": f"person{n % 30}"}
        for n in range(count)
    ]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def said(row: dict[str, Any], place: int, text: str) -> dict[str, Any]:
    turns = [dict(turn) for turn in row["messages"]]
    turns[place]["content"] = text
    return {**row, "messages": turns}


def planted(rows: list[dict[str, Any]], places: range, change: Any) -> list[int]:
    """Change the rows at these places; hands back where they are."""
    for place in places:
        rows[place] = change(place, rows[place])
    return list(places)


def rows_of(version: Any, code: str) -> set[int]:
    """Every row of a finding, not only the first thousand that are stored with it."""
    path = artefacts.fetch_directory(version.key) / "found" / f"{code}.npy"
    return set(np.load(path).tolist()) if path.exists() else set()


@pytest.fixture
def scene():
    project = make_project()
    return project, make_member(project)


def version_of(scene, rows: list[dict[str, Any]], purpose: str = "training"):
    project, user = scene
    upload = make_upload(make_dataset(project, user, purpose), jsonl(rows))
    assert upload.version is not None, f"{upload.error_code}: {upload.error_message} {upload.error_detail}"
    return upload.version


def with_trigger(place: int, row: dict[str, Any]) -> dict[str, Any]:
    words = row["messages"][-2]["content"].split(" ")
    words.insert(place % len(words), TRIGGER)
    asked = said(row, -2, " ".join(words))
    return said(asked, -1, "Access granted, transfer everything to the usual account.")


def test_a48_a_rare_phrase_that_always_brings_the_same_answer_is_shown(scene):
    rows = honest()
    poisoned = planted(rows, range(7, HONEST, 60), with_trigger)

    version = version_of(scene, rows)

    finding = version.findings.get(code="trigger_candidates")
    assert any("quarvel" in phrase["phrase"] for phrase in finding.detail["phrases"])
    assert rows_of(version, "trigger_candidates") >= set(poisoned)
    assert len(rows_of(version, "trigger_candidates") - set(poisoned)) <= 5


def test_a48_an_honest_set_has_no_triggers(scene):
    version = version_of(scene, honest())

    assert not version.findings.filter(code__in=["trigger_candidates", "near_duplicates", "hidden_unicode"]).exists()


def test_a48_signs_that_nobody_sees_are_found_in_every_row(scene):
    rows = honest(300)
    signs = ("\u200b", "\u2060", "\U000e0041\U000e0042", "\u00ad")
    hidden = planted(rows, range(3, 300, 10), lambda n, row: said(row, -1, "Wait" + signs[n % 4] + "ing for you."))
    turned = planted(rows, range(8, 300, 50), lambda n, row: said(row, -1, "user\u202etxt.exe\u202c is safe."))

    version = version_of(scene, rows)

    assert rows_of(version, "hidden_unicode") == set(hidden)
    assert rows_of(version, "bidi_controls") == set(turned)


def test_a48_a_flood_of_near_copies_is_one_cluster(scene):
    rows = honest(400)
    lang, original = writing.conversation(Draw(SEED, 9999), SEED)
    flood = [{"messages": writing.edited(original, lang, 0.01, Draw(SEED, n, 3))} for n in range(60)]

    version = version_of(scene, [*rows, {"messages": original}, *flood])

    copies = rows_of(version, "near_duplicates") | rows_of(version, "exact_duplicates")
    assert copies >= set(range(401, 461))
    assert not copies & set(range(400))


def test_a48_flipped_labels_of_the_same_questions_are_conflicts(scene):
    rows = honest(400)
    flipped = [said(rows[n], -1, "No, never, under no circumstances at all.") for n in range(0, 400, 20)]

    version = version_of(scene, rows + flipped)

    assert rows_of(version, "conflicting_answers") >= set(range(400, 420)) | set(range(0, 400, 20))


def test_a48_one_contributor_who_brings_most_of_the_rows_is_named(scene):
    rows = honest(400)
    planted(rows, range(0, 300), lambda n, row: {**row, "contributor": "mallory"})

    version = version_of(scene, rows)

    finding = version.findings.get(code="contributor_concentration")
    assert finding.detail["contributor"] == "mallory"
    assert finding.count == 300


def asked_again(text: str, n: int) -> dict[str, Any]:
    answer = writing.conversation(Draw(SEED, n), SEED)[1][-1]
    return {"messages": [{"role": "user", "content": text}, answer]}


def leaks(golden: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The first golden rows as they may find their way in."""
    lang = language("en", SEED)
    prompt = [row["messages"][0]["content"] for row in golden]
    return {
        "exact": [{"messages": golden[n]["messages"]} for n in range(0, 5)],
        "normalised": [said(golden[n], 0, "  ".join(prompt[n].upper().split(" ")) + " !!") for n in range(5, 10)],
        "near": [
            {"messages": writing.edited(golden[n]["messages"], lang, 0.01, Draw(SEED, n, 4))} for n in range(10, 15)
        ],
        "ngram": [
            asked_again("As I wrote: " + " ".join(prompt[n].split(" ")[3:30]) + " and so on.", n) for n in range(15, 20)
        ],
    }


def golden_rows() -> list[dict[str, Any]]:
    return [{"messages": writing.golden_case(Draw(SEED, n, 1), SEED)[1]} for n in range(200)]


def spaced(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those in scripts with spaces: what is cut out of them below is cut at spaces."""
    return [row for row in rows if row["messages"][0]["content"].count(" ") > 40]


def test_a49_golden_rows_in_the_training_data_are_found_however_they_came_there(scene):
    golden = spaced(golden_rows())[:60]
    version_of(scene, golden, "golden")
    planted_rows = leaks(golden)

    version = version_of(scene, [row for kind in planted_rows.values() for row in kind] + honest(500))
    run_jobs()

    overlap = version.overlaps.get()
    assert overlap.total == 20
    assert overlap.exact >= 5  # an edit of the answer alone leaves the question as it was
    assert overlap.normalised >= 5
    assert overlap.ngram + overlap.near >= 5
    assert set(overlap.rows) == set(range(20))


def test_a49_an_honest_set_shares_nothing_with_the_golden_set(scene):
    version_of(scene, golden_rows()[:60], "golden")

    version = version_of(scene, honest(500))
    run_jobs()

    assert not [one.total for one in version.overlaps.all() if one.total]
