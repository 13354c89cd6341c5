"""Fixes that somebody has agreed to, applied while a file is read: no good row is needed that others could join."""

import json

import pytest

from datasets_app.domain import provenance
from datasets_app.domain.codes import Code
from datasets_app.domain.fixes import FIXES
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import events, mending
from datasets_app.engine.aside import Aside
from datasets_app.engine.limits import Limits
from datasets_app.engine.mending import Mender
from datasets_app.engine.readers.base import Item
from datasets_app.engine.reading import Reading
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.upload import Upload

TURNS = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "In Köln."}]
BOT = [TURNS[0], {"role": "bot", "content": "In Köln."}]
BY = {"by": "ann@example.org", "at": "2027-01-02T03:04:05"}


@pytest.fixture(autouse=True)
def said(monkeypatch):
    found: list[str] = []
    monkeypatch.setattr(events, "emit", lambda event, **fields: found.append(event))
    return found


def read(folder, content, *names, name="rows.jsonl"):
    """(lines and rows, bad rows) of a file that is read with these fixes."""
    path = folder / name
    path.write_bytes(content)
    bad, rows, aside = [], [], Aside(folder)
    mender = Mender(names, Limits(), **BY)
    reading = Reading([path], name, Limits(), workdir=folder, aside=aside, mender=mender)
    for batch in reading.batches(bad.append, lambda _: None):
        rows += zip(batch.line.tolist(), batch.table.to_pylist(), strict=True)
    reading.close()
    aside.close()
    return rows, bad


def test_a_file_in_which_every_line_is_written_by_python_is_read(tmp_path):
    content = "".join(f"{ {'messages': TURNS, 'id': n} }\n" for n in range(120)).encode()

    rows, bad = read(tmp_path, content, "python_quotes")

    assert not bad
    assert [line for line, _ in rows] == list(range(1, 121))
    assert json.loads(rows[0][1]["messages"]) == TURNS
    assert rows[7][1]["source_id"] == "7"
    edits = json.loads(rows[0][1]["provenance"])["edits"]
    assert edits == [{**BY, "what": "fixed: python_quotes"}]


def test_good_rows_between_the_mended_ones_are_left_as_they_are(tmp_path):
    lines = [json.dumps({"messages": TURNS}), json.dumps({"messages": BOT}), json.dumps({"messages": TURNS})]

    rows, bad = read(tmp_path, "\n".join(lines).encode(), "role_alias")

    assert not bad
    assert [bool(row["provenance"]) for _, row in rows] == [False, True, False]
    assert json.loads(rows[1][1]["messages"]) == TURNS


def test_a_row_with_a_fault_behind_a_fault_is_mended_in_two_rounds(tmp_path):
    broken = json.dumps({"messages": BOT})[:-1] + ",}"

    rows, bad = read(tmp_path, (broken + "\n").encode() * 60, "trailing_comma", "role_alias")

    assert (len(rows), bad) == (60, [])
    assert [edit["what"] for edit in json.loads(rows[0][1]["provenance"])["edits"]] == [
        "fixed: trailing_comma",
        "fixed: role_alias",
    ]


def test_rows_of_tables_are_mended_too(tmp_path):
    content = 'messages,id\n"' + json.dumps(BOT).replace('"', '""') + '",1\n'

    rows, bad = read(tmp_path, content.encode(), "role_alias", name="rows.csv")

    assert not bad
    assert json.loads(rows[0][1]["messages"]) == TURNS


def test_only_what_was_chosen_is_applied_and_the_others_are_kept_aside(tmp_path):
    lines = [json.dumps({"messages": TURNS}), json.dumps({"messages": BOT}), "{broken"]

    rows, bad = read(tmp_path, "\n".join(lines).encode(), "trailing_comma")

    assert [line for line, _ in rows] == [1]
    assert [(one.line, one.code) for one in bad] == [(2, "unknown_role"), (3, "invalid_json")]
    assert [one.fix for one in bad] == ["role_alias", ""]


def faulty(text, code=Code.INVALID_JSON):
    return Item(4, None, BadRecord("", code, text, "valid JSON"), text.encode("utf-8", "surrogateescape"))


def mended(item, *names):
    return Mender(names, Limits(), **BY).mended(item, [item.bad])


def test_what_fixes_do_not_change_or_leave_broken_is_not_mended(monkeypatch):
    assert mended(faulty("{broken"), *FIXES) is None
    assert mended(faulty('{"a": 1,} {}'), "trailing_comma") is None
    assert mended(faulty('{"a": "\udce9", "a": "\udce9"}', Code.DUPLICATE_KEY), *FIXES) is None
    assert mended(faulty('{"a": 1,}')) is None
    monkeypatch.setattr(mending, "MOST_BYTES", 5)
    assert mended(faulty('{"a": 1,}'), "trailing_comma") is None


@pytest.mark.parametrize("said", [3, "x", {"edits": 5}, {"edits": [{"by": 1}]}, {"edits": None}, None])
def test_whatever_a_row_says_of_its_origin_the_edit_is_noted(said):
    found = mended(faulty(json.dumps({"provenance": said})[:-1] + ",}"), "trailing_comma")

    assert found.line == 4
    assert found.record["provenance"]["edits"][-1]["what"] == "fixed: trailing_comma"
    assert provenance.read(found.record)["edits"][-1]["by"] == BY["by"]


def test_the_first_rows_of_a_refused_file_are_kept_as_examples(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(f"{ {'messages': TURNS, 'id': n} }\n".encode() for n in range(300)))
    spec = {"source": str(path), "file_name": path.name, "out_dir": str(tmp_path / "work" / "out")}

    with pytest.raises(FileRefused) as refused:
        Upload(spec, Limits()).run()

    assert refused.value.code == Code.NO_GOOD_ROWS
    kept = [json.loads(line) for line in (tmp_path / "work" / "examples" / "bad.jsonl").read_bytes().splitlines()]
    assert [one["line"] for one in kept] == list(range(1, 51))  # as many as the format is judged by
    assert kept[0]["codes"] == ["invalid_json"]
    assert kept[0]["text"].startswith("{'messages'")


def test_a_refused_file_keeps_no_more_examples_than_are_looked_at(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps({"messages": BOT}).encode() + b"\n" for _ in range(500)))
    spec = {"source": str(path), "file_name": path.name, "out_dir": str(tmp_path / "work" / "out")}

    with pytest.raises(FileRefused):
        Upload(spec, Limits()).run()

    assert len((tmp_path / "work" / "examples" / "bad.jsonl").read_bytes().splitlines()) == 200
