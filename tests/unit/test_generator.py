"""The benchmark's data: the same bytes every time, and a truth table that is true."""

import csv
import hashlib
import json
from pathlib import Path

import pytest

from benchmarks.data import generator, planted
from benchmarks.data.draw import Draw
from benchmarks.data.malformed import MALFORMED
from benchmarks.data.shingles import jaccard, text_of
from datasets_app.domain import sensitive
from datasets_app.domain.codes import Code

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

ROWS = 3000


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    generator.generate(ROWS, folder=folder, processes=1)
    return generator.paths(ROWS, folder=folder)


def truths(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as table:
        return list(csv.DictReader(table))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def messages(line: bytes) -> list[dict[str, str]]:
    return json.loads(line)["messages"]


def digests(folder: Path, *, malformed: bool = True) -> list[str]:
    files = generator.paths(ROWS, malformed=malformed, folder=folder).values()
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_a_second_run_gives_the_same_bytes_with_any_number_of_processes(made, tmp_path):
    generator.generate(ROWS, folder=tmp_path, processes=2)

    assert digests(tmp_path) == digests(made["data"].parent)


def test_a_row_weighs_what_the_anchors_weigh(made):
    assert 2000 < made["data"].stat().st_size / ROWS < 2500


def test_the_clean_twin_differs_in_the_malformed_lines_only(made, tmp_path):
    generator.generate(ROWS, folder=tmp_path, malformed=False, processes=1)
    clean = generator.paths(ROWS, malformed=False, folder=tmp_path)
    bad = {int(row["line"]) for row in truths(made["truth"]) if row["kind"] == "malformed"}

    pairs = zip(lines_of(made["data"]), lines_of(clean["data"]), strict=True)
    differing = {number for number, (one, other) in enumerate(pairs, 1) if one != other}

    assert differing == bad
    assert all(messages(line) for line in lines_of(clean["data"]))


def test_copies_are_as_like_their_originals_as_the_table_says(made):
    lines = lines_of(made["data"])
    copies = [row for row in truths(made["truth"]) if row["kind"] in ("exact", "near", "conflict")]
    assert {row["kind"] for row in copies} == {"exact", "near", "conflict"}

    for row in copies:
        original, copy = messages(lines[int(row["of"]) - 1]), messages(lines[int(row["line"]) - 1])
        assert jaccard(text_of(original), text_of(copy)) == pytest.approx(float(row["jaccard"]), abs=1e-6)
        assert int(row["of"]) < int(row["line"])
        assert (original == copy) == (row["kind"] == "exact")


def test_no_row_but_the_planted_copies_says_what_another_says(made):
    copies = {int(row["line"]) for row in truths(made["truth"]) if row["kind"] in ("exact", "malformed")}
    texts = [text_of(messages(line)) for number, line in enumerate(lines_of(made["data"]), 1) if number not in copies]

    assert len(set(texts)) == len(texts)


def test_the_golden_set_and_the_data_point_at_each_other(made):
    golden = lines_of(made["golden"])
    lines = lines_of(made["data"])
    leaked = [row for row in truths(made["truth"]) if row["kind"] == "contaminated"]
    back = {(row["of"], row["line"]) for row in truths(made["golden_truth"])}

    assert leaked
    assert {(row["line"], row["of"]) for row in leaked} == back
    for row in leaked:
        case, line = messages(golden[int(row["of"]) - 1]), messages(lines[int(row["line"]) - 1])
        assert jaccard(text_of(case), text_of(line)) == pytest.approx(float(row["jaccard"]), abs=1e-6)
        if row["detail"].startswith("exact"):
            assert line[0] == case[0]


def test_the_data_do_not_say_what_is_planted_in_them(made):
    for line in lines_of(made["golden"]):
        assert set(json.loads(line)) == {"id", "messages", "tags"}
    bad = {int(row["line"]) for row in truths(made["truth"]) if row["kind"] == "malformed"}
    for number, line in enumerate(lines_of(made["data"]), 1):
        if number not in bad:
            assert set(json.loads(line)) - {"tools"} == {"id", "messages", "tags", "split"}


def test_every_way_to_damage_a_line_has_a_known_code():
    assert {code for _, code, _ in MALFORMED} <= {code.value for code in Code}


@pytest.mark.parametrize("kind", ["iban", "card", "email", "phone", *planted.SECRETS])
def test_what_is_planted_proves_itself(kind):
    make = {**planted.PERSONAL, **planted.SECRETS}[kind]

    for n in range(200):
        found = {hit.kind for hit in sensitive.find(f"Please use {make(Draw(7, n))} for it.")}
        assert kind in found


def test_what_only_looks_like_it_is_let_pass():
    for n in range(500):
        text = f"Please use {planted.harmless(Draw(7, n))} for it."
        assert not list(sensitive.find(text)), text


@pytest.mark.parametrize(("body", "check"), [("7992739871", "3"), ("411111111111111", "1")])
def test_luhn_digits_are_those_of_the_published_examples(body, check):
    assert planted.luhn_digit(body) == check
