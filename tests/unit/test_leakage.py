"""Rows of a version that stand in a golden set: exactly, in other form, nearly, or in a run of 13 words."""

from pathlib import Path

import numpy as np
import pytest

from datasets_app.domain.formats.base import Row
from datasets_app.engine import leakage
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.leakage import KINDS, compare, rows_found
from datasets_app.engine.table import ROWS_FILE, RowWriter
from datasets_app.engine.words import Words
from tests.unit.words_reference import SCRIPTS, Writer, chat, looked_at

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

EXACT, NORMALISED, NEAR, NGRAM = range(4)


def stored(rows: list[Row], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    writer, words = RowWriter(folder / ROWS_FILE), Words()
    for first in range(0, len(rows), 500):
        batch = batch_of_rows(list(enumerate(rows[first : first + 500], first + 1)), first)
        writer.write(batch, words.identities(batch))
    writer.close()
    return folder / ROWS_FILE


def listed(found: dict) -> dict[str, list[int]]:
    return {kind: found["rows"].get(kind, []) for kind in KINDS}


@pytest.fixture(scope="module", params=[s for s in SCRIPTS if s != "japanese"])
def leaking(request, tmp_path_factory):
    """A golden set, and a version with rows that leak from it: (golden path, version path, rows, planted)."""
    writer = Writer(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    golden = [chat(writer.text(45), writer.text(10)) for _ in range(60)]
    rows = [chat(writer.text(45), writer.text(30)) for _ in range(700)]
    asked = [row.messages[0]["content"] for row in golden]
    run = " ".join(asked[3].split(" ")[10:26]) if writer.spaced else asked[3][10:26]
    rows[10] = golden[0]
    rows[20] = chat(asked[1], writer.text(20))
    rows[30] = chat("¿" + asked[2].upper().replace(" ", "  ") + "?!", writer.text(20))
    rows[40] = chat(writer.text(30) + " " + run + " " + writer.text(30), writer.text(20))
    rows[50] = chat(writer.edited(asked[4], 1), writer.text(20))
    rows[60] = chat(writer.text(5), writer.text(20) + " " + run)
    planted = {"exact": [10, 20], "normalised": [30], "near": [50], "ngram": [40, 60]}
    return stored(golden, folder / "golden"), stored(rows, folder / "version"), rows, planted


def test_leaks_are_found_in_every_script_under_the_closest_kind(leaking):
    golden, _, rows, planted = leaking

    _, facts = looked_at(rows, golden=[(7, golden)])

    found = facts.stats["overlaps"][7]
    assert listed(found) == planted
    assert {kind: found[kind] for kind in KINDS} == {kind: len(rows) for kind, rows in planted.items()}


def test_a_golden_set_that_comes_later_finds_the_same(leaking, tmp_path):
    golden, version, rows, planted = leaking
    _, facts = looked_at(rows, golden=[(7, golden)])

    assert compare(version, [(7, golden)], tmp_path) == facts.stats["overlaps"]
    rows_of, kinds = rows_found(version, [(7, golden)])[0]
    assert sorted(zip(rows_of.tolist(), [KINDS[k] for k in kinds], strict=True)) == sorted(
        (row, kind) for kind, rows in planted.items() for row in rows
    )


def test_all_leaking_rows_are_kept_in_a_file(leaking, tmp_path):
    golden, _, rows, planted = leaking
    kept, _ = looked_at(rows, golden=[(7, golden)])

    kept.save(tmp_path)

    saved = np.load(tmp_path / leakage.FILE.format(7))
    assert sorted(saved[:, 0].tolist()) == sorted(row for rows in planted.values() for row in rows)


def test_several_golden_sets_are_told_apart(tmp_path):
    writer = Writer("english")
    sets = [[chat(writer.text(30), "a") for _ in range(10)] for _ in range(3)]
    paths = [(n, stored(rows, tmp_path / str(n))) for n, rows in enumerate(sets)]
    rows = [chat(writer.text(30), "b") for _ in range(20)] + [sets[2][4], sets[0][1]]

    _, facts = looked_at(rows, golden=paths)

    assert [facts.stats["overlaps"][n]["exact"] for n in range(3)] == [1, 0, 1]
    assert facts.stats["overlaps"][2]["rows"] == {"exact": [20]}


def test_the_wording_of_the_task_is_no_leak(tmp_path):
    writer = Writer("english")
    task = writer.text(80)
    golden = [chat(f"{task} {writer.text(20)}", "a") for _ in range(40)]
    rows = [chat(f"{task} {writer.text(20)}", "b") for _ in range(300)]
    rows[5] = chat(golden[3].messages[0]["content"] + " please", "b")

    _, facts = looked_at(rows, golden=[(1, stored(golden, tmp_path))])

    assert facts.stats["overlaps"][1]["rows"] == {"near": [5]}


def test_rows_without_a_question_leak_nothing(tmp_path):
    golden = [chat("", "One."), chat("!!", "Two.")]

    _, facts = looked_at([chat("", "Three."), chat("??", "Four.")], golden=[(1, stored(golden, tmp_path))])

    assert facts.stats["overlaps"] == {1: {"exact": 0, "normalised": 0, "near": 0, "ngram": 0, "rows": {}}}


def test_more_golden_sets_than_fit_one_look_up_are_compared_in_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(leakage, "MOST_SETS", 2)
    writer = Writer("english")
    rows = [chat(writer.text(20), "a") for _ in range(5)]
    paths = [(n, stored([rows[n]], tmp_path / str(n))) for n in range(5)]

    found = compare(stored(rows, tmp_path / "version"), paths)

    _, facts = looked_at(rows, golden=paths)
    assert facts.stats["overlaps"] == found
    assert [found[n]["rows"] for n in range(5)] == [{"exact": [n]} for n in range(5)]


def test_both_sides_hash_alike():
    batch = batch_of_rows([(1, chat("Wo?", "Da.", system="Sei nett."))])

    _, training, training_norm = Words("training").identities(batch)
    _, golden, golden_norm = Words("golden").identities(batch)

    assert (training[0], training_norm[0]) == (golden[0], golden_norm[0])
