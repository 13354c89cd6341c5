"""A person's text in files as they were brought, however the file spells it and whatever it is packed in."""

import gzip
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.engine import search_files
from datasets_app.engine.search_files import files_with, folded, holds, spellings, unescaped, windows

NAME = "Zoë “Z” Möller"


def stored(folder, content, name="rows.jsonl", number=1):
    path = folder / f"file-{number}"
    path.write_bytes(content)
    return {"id": number, "name": name, "paths": [str(path)]}


def found(folder, content, text=NAME, name="rows.jsonl"):
    return holds(stored(folder, content, name), text, folder)


def zipped(content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nothing")
        archive.writestr("train.jsonl", content)
    return out.getvalue()


def parquet(text):
    out = io.BytesIO()
    pq.write_table(pa.table({"messages": [json.dumps([{"role": "user", "content": text}])] * 3}), out)
    return out.getvalue()


ROW = {"messages": [{"role": "user", "content": f"I am {NAME}, hello"}]}
PLAIN = json.dumps(ROW, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.jsonl", PLAIN),
        ("escaped.jsonl", json.dumps(ROW).encode()),
        ("capitals.jsonl", PLAIN.replace("Möller".encode(), "MÖLLER".encode())),
        ("composed.jsonl", PLAIN.replace("ö".encode(), "o\u0308".encode())),
        ("broken.jsonl", b"{not json at all " + NAME.encode() + b"\n"),
        ("rows.csv", f'question,answer\n"I am {NAME}","x"\n'.encode()),
        ("rows.jsonl.gz", gzip.compress(PLAIN)),
        ("rows.zip", zipped(PLAIN)),
        ("rows.parquet", parquet(f"I am {NAME}")),
    ],
    ids=lambda part: part if isinstance(part, str) else "",  # archives hold the time: no names for tests
)
def test_the_text_is_found_however_the_file_spells_it(tmp_path, name, content):
    assert found(tmp_path, content, name=name)
    assert not found(tmp_path, content, "Zoë Miller", name=name)


def test_quotes_line_breaks_and_slashes_are_spelt_as_json_and_tables_do(tmp_path):
    text = 'said "no"\nat a/b 🙂'

    assert found(tmp_path, json.dumps({"text": text}).encode(), text)
    assert found(tmp_path, json.dumps({"text": text}).replace("/", "\\/").encode(), text)
    assert found(tmp_path, json.dumps({"text": text}).replace('\\"', "\\u0022").encode(), 'said "no"')
    assert found(tmp_path, b'text\n"he said ""no"" twice"\n', 'said "no" twice', name="rows.csv")


def test_parts_of_a_file_are_one_stream(tmp_path):
    halves = [tmp_path / "a", tmp_path / "b"]
    at = PLAIN.index("Möller".encode()) + 2  # in the middle of a character
    for path, half in zip(halves, (PLAIN[:at], PLAIN[at:]), strict=True):
        path.write_bytes(half)

    assert holds({"id": 1, "name": "rows.jsonl", "paths": [str(path) for path in halves]}, NAME, tmp_path)


@pytest.mark.parametrize("at", range(0, 130, 7))
def test_a_text_over_the_edge_of_a_stretch_is_found(tmp_path, monkeypatch, at):
    monkeypatch.setattr(search_files, "CHUNK", 50)
    line = b'{"text": "' + b"x" * at + json.dumps(NAME).encode()[1:-1] + b"y" * 200 + b'"}'

    assert found(tmp_path, line)


def test_stretches_overlap_by_what_the_text_may_take_and_no_more(monkeypatch):
    monkeypatch.setattr(search_files, "CHUNK", 100)
    stream = io.BytesIO(bytes(range(250)))

    sizes = [len(window) for window in windows(stream.read, 3)]

    assert sizes == [100, 200, 150]


def test_files_that_hold_it_and_files_that_nobody_can_read_are_told_apart(tmp_path):
    files = [
        stored(tmp_path, PLAIN, number=1),
        stored(tmp_path, b'{"text": "nothing"}', number=2),
        stored(tmp_path, gzip.compress(PLAIN)[:30], "cut.gz", number=3),
        {"id": 4, "name": "gone", "paths": []},
        {"id": 5, "name": "gone", "paths": [str(tmp_path / "missing")]},
        stored(tmp_path, b"no table: " + NAME.encode(), number=6),
        stored(tmp_path, b"no table", number=7),
    ]

    assert files_with(files, NAME, tmp_path) == {"files": [1, 6], "unread": [3, 4, 5, 7]}


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20), st.booleans())
def test_any_text_is_found_in_any_spelling_of_json(text, ascii_only):
    row = json.dumps({"text": f"a {text} b"}, ensure_ascii=ascii_only)

    assert any(one in folded(unescaped(row)) for one in spellings(text))
