"""Precision and recall of findings against the planted truth of the benchmark's generator, on five thousand rows."""

import csv

import orjson
import pytest

from benchmarks.data.generator import generate, paths
from benchmarks.data.plan import Kind, make
from datasets_app.domain.findings import Found
from tests.unit.findings import judged

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

ROWS = 5000
PLANTED = {
    "pii": (Found.PERSONAL_DATA,),
    "secret": (Found.SECRETS,),
    "hidden": (Found.HIDDEN_UNICODE, Found.BIDI_CONTROLS),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(findings, rows by what is planted in them, rows that only look like it) of a clean twin."""
    folder = tmp_path_factory.mktemp("bench")
    made = generate(ROWS, malformed=False, folder=folder, processes=1)
    files = paths(ROWS, malformed=False, folder=folder)
    facts = judged([orjson.loads(line) for line in files["data"].read_bytes().splitlines()])
    with files["truth"].open() as table:
        planted: dict[str, dict[int, str]] = {}
        for entry in csv.DictReader(table):
            planted.setdefault(entry["kind"], {})[int(entry["line"]) - 1] = entry["detail"]
    harmless = [row for row, kind in enumerate(make(ROWS, 7).kind) if kind == Kind.HARMLESS]
    assert made["rows"] == ROWS
    return facts, planted, harmless


@pytest.mark.parametrize("kind", PLANTED)
def test_whatever_is_planted_is_found_and_nothing_else(measured, kind):
    facts, planted, _ = measured
    found = {row for code in PLANTED[kind] for row in facts.rows_of(code).tolist()}
    wanted = planted[kind]

    missed = {row: detail for row, detail in wanted.items() if row not in found}
    # A copy of a row with something planted in it holds that, too.
    copies = {row for name in ("exact", "near", "conflict") for row in planted.get(name, {})}
    assert missed == {}
    assert found - set(wanted) - copies == set()


def test_numbers_and_names_that_only_look_like_it_raise_no_alarm(measured):
    facts, _, harmless = measured
    alarms = {
        row for code in (Found.SECRETS, Found.PERSONAL_DATA, Found.IP_ADDRESSES) for row in facts.rows_of(code).tolist()
    }

    assert len(harmless) >= 15
    assert alarms & set(harmless) == set()


def test_kinds_are_named_as_they_were_planted(measured):
    facts, planted, _ = measured
    for kind, code in (("pii", Found.PERSONAL_DATA), ("secret", Found.SECRETS)):
        kinds = facts.details[code]["rows_of_kind"]
        wanted = list(planted[kind].values())
        assert {name: wanted.count(name) for name in set(wanted)} == {name: kinds[name] for name in set(wanted)}


def test_invented_rows_raise_no_other_alarm(measured):
    """The generator plants no damage, no empty answers, no broken turns."""
    facts, _, _ = measured

    for code in (Found.ENCODING_DAMAGE, Found.EMPTY_ANSWERS, Found.NON_ALTERNATING_TURNS, Found.ANSWER_NOT_JSON):
        assert facts.rows_of(code).tolist() == []
