"""The demo's files keep apart what its pages say is apart."""

import json
from pathlib import Path

import pytest

from datasets_app.domain.formats.base import Kind, Row
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.leakage import compare
from datasets_app.engine.table import ROWS_FILE, RowWriter
from datasets_app.engine.words import Words
from demo import data


@pytest.fixture(scope="module")
def training():
    return good_rows(data.training_file())


def good_rows(content: bytes) -> list[Row]:
    lines = content.decode().splitlines()
    return [Row(Kind.SFT, json.loads(line)["messages"]) for line in lines if line != data.MALFORMED]


def stored(rows: list[Row], folder: Path) -> Path:
    folder.mkdir()
    writer = RowWriter(folder / ROWS_FILE)
    batch = batch_of_rows(list(enumerate(rows, 1)), 0)
    writer.write(batch, Words().identities(batch))
    writer.close()
    return folder / ROWS_FILE


def runs_of_words(rows: list[Row], length: int = 13) -> set[tuple[str, ...]]:
    found = set()
    for row in rows:
        words = " ".join(message["content"] for message in row.messages).split()
        words = [word.strip('{}":,.') for word in words if any(map(str.isalnum, word))]
        found |= {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}
    return found


def test_training_and_validation_rows_share_no_run_of_13_words(training, tmp_path):
    validation = good_rows(data.validation_file())
    assert len(validation) == data.VALIDATION

    assert runs_of_words(training) and runs_of_words(validation)
    assert runs_of_words(training) & runs_of_words(validation) == set()
    found = compare(stored(training, tmp_path / "training"), [(1, stored(validation, tmp_path / "validation"))])[1]
    assert found == {"exact": 0, "normalised": 0, "near": 0, "ngram": 0, "rows": {}}


def test_the_planted_leaks_are_those_that_the_product_finds(training, tmp_path):
    golden = good_rows(data.golden_file())

    found = compare(stored(training, tmp_path / "training"), [(1, stored(golden, tmp_path / "golden"))])[1]

    assert found["exact"] == data.Planted().leaked
