"""Versions as files of other tools: the same content comes back, what is lost is told, spreadsheets run nothing."""

import csv
import gzip
import io
import json

import pytest

from datasets_app import exports, selectors
from datasets_app.domain.exports import SHAPES, Loss, Shape, shapes_of
from datasets_app.domain.purposes import Kind
from projects.domain.permissions import Role
from tests.factories.datasets import chat, jsonl, make_dataset, make_upload, make_version
from tests.factories.projects import make_member, make_project

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children"), pytest.mark.files]

SCHEMA = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"type": "function", "id": "c1", "function": {"name": "add", "arguments": {"a": 2, "b": [1, "x"]}}}
PLAIN_CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
USER, ANSWER = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}
RESULT = {"role": "tool", "name": "add", "tool_call_id": "c1", "content": "4"}
LABELS = {"label": "sums", "tags": ["easy", "maths"], "id": "r1"}
RICH = [
    {"messages": [{"role": "system", "content": "Be short."}, USER, {**ANSWER, "weight": 0}, USER, ANSWER], **LABELS},
    {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, RESULT, ANSWER], "tools": [SCHEMA]},
    {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [PLAIN_CALL]},
                  {"role": "tool", "content": "4"}, ANSWER], "tools": [SCHEMA], "parallel_tool_calls": False},
    chat("“Quotes”,\nlines\tand 中文", "=1+1 is text, “too”"),
    {**chat("Who?", "A model."), "provenance": {"origin": "synthetic", "teacher": "big", "depth": 1}},
]  # fmt: skip
THINKING = {"messages": [USER, {**ANSWER, "thinking": "Two and two."}]}
PAIRS = [
    {"prompt": [USER], "chosen": [ANSWER], "rejected": [{**ANSWER, "content": "5"}], **LABELS},
    {"prompt": [{"role": "system", "content": "Be short."}, USER], "chosen": [{"role": "assistant", "content": "",
     "tool_calls": [PLAIN_CALL]}], "rejected": [ANSWER], "tools": [SCHEMA]},
]  # fmt: skip
TEXTS = [{"text": "Once upon a time,\n“there was”"}, {"text": "=SUM(A1)", "label": "formula", "tags": ["a", "b"]}]
ROWS = {Kind.SFT: RICH, Kind.PREFERENCE: PAIRS, Kind.TEXT: TEXTS[:1]}
WHOLE = [
    (kind, shape) for kind in Kind for shape in shapes_of(kind) if shape != Shape.ALPACA
]  # fmt: skip


def exported(version, shape):
    return b"".join(exports.version_pieces(version, shape))


@pytest.mark.parametrize(("kind", "shape"), WHOLE, ids=[f"{kind}-{shape}" for kind, shape in WHOLE])
def test_what_is_exported_and_brought_back_is_the_same_content(kind, shape):
    version = make_version(rows=[row for row in ROWS[kind] if shape != Shape.CSV or "=1+1" not in str(row)])
    upload = make_upload(make_dataset(), exported(version, shape), f"back.{SHAPES[shape].ending}")

    assert upload.version is not None, f"{upload.error_message} {upload.bad_codes}"
    assert upload.version.content_hash == version.content_hash
    assert upload.rows_bad == 0


def test_extras_and_provenance_come_back_too():
    version = make_version(rows=RICH)
    for shape in (Shape.TRL, Shape.PARQUET):
        upload = make_upload(
            make_dataset(), exported(version, shape), f"back.{'parquet' if shape == 'parquet' else 'jsonl'}"
        )
        rows = next(selectors.row_groups(upload.version))
        assert rows[2].extras == {"parallel_tool_calls": False}
        assert rows[4].provenance["teacher"] == "big"
        assert (rows[0].label, rows[0].tags, rows[0].source_id) == ("sums", ["easy", "maths"], "r1")


def test_a_single_question_comes_back_from_alpaca():
    rows = [{"instruction": "Add.", "input": "", "output": "4", "system": "Be short."}]
    version = make_version(rows=rows)

    upload = make_upload(make_dataset(), exported(version, Shape.ALPACA))

    assert upload.version.content_hash == version.content_hash
    assert selectors.lost_in(version, Shape.ALPACA).rows == 0


def test_what_alpaca_loses_is_counted_and_named():
    version = make_version(rows=[*RICH, THINKING])

    lost = selectors.lost_in(version, Shape.ALPACA)

    assert (lost.rows, lost.first) == (4, (0, 1, 2, 5))
    assert lost.counts == {Loss.TURNS: 3, Loss.TOOLS: 2, Loss.WEIGHTS: 1, Loss.NAMES: 1, Loss.THINKING: 1}
    assert selectors.lost_in(version, Shape.OPENAI).first == (5,)
    assert selectors.lost_in(version, Shape.TRL).rows == 0


def test_pairs_of_one_question_lose_nothing():
    version = make_version(rows=PAIRS)

    assert selectors.lost_in(version, Shape.ALPACA).first == (1,)


def test_a19_cells_that_look_like_formulas_are_made_texts():
    signs = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1", "＋1", "－1", "＠x", "=cmd|' /C calc'!A0"]
    version = make_version(rows=[{"text": sign, "label": sign.strip(), "id": str(n)} for n, sign in enumerate(signs)])

    cells = list(csv.reader(io.StringIO(exported(version, Shape.CSV).decode("utf-8-sig"), newline="")))

    assert [row[0] for row in cells[1:]] == ["'" + sign for sign in signs]
    assert all(row[1].startswith("'") or row[1] == "x" for row in cells[1:])
    assert [json.loads(line)["text"] for line in exported(version, Shape.TRL).splitlines()] == signs


def test_a19_bad_rows_as_csv_are_safe_too():
    upload = make_upload(make_dataset(), jsonl([chat("a", "b"), {"=HYPERLINK(1)": 1}]))

    lines = b"".join(exports.as_csv(upload)).decode().splitlines()

    assert lines[0] == "line,column,field,code,found,expected"
    assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(lines) for cell in row)


@pytest.fixture
def version(client):
    project = make_project()
    user = make_member(project, Role.VIEWER)
    client.force_login(user)
    return make_version(project=project, rows=RICH)


def test_the_page_offers_the_shapes_and_says_what_would_be_lost(version, client):
    url = f"/projects/{version.project.slug}/versions/{version.pk}/export/"

    page = client.get(url).content.decode()
    part = client.get(f"{url}?shape=alpaca", headers={"HX-Request": "true"}).content.decode()

    assert "This shape holds everything" in page
    assert "3 of 5 rows lose something as Alpaca" in part
    assert "<html" not in part


@pytest.mark.parametrize("door", ["/projects/{}/versions/{}/file/", "/api/v1/projects/{}/versions/{}/export/"])
def test_a_file_is_an_attachment_that_nobody_shows_inline(version, client, door):
    url = door.format(version.project.slug, version.pk)
    plain, packed = client.get(f"{url}?shape=openai"), client.get(f"{url}?shape=openai&gz=1")

    assert plain["Content-Disposition"].startswith('attachment; filename="')
    assert plain["X-Content-Type-Options"] == "nosniff"
    assert gzip.decompress(b"".join(packed.streaming_content)) == b"".join(plain.streaming_content)
    refused = client.get(f"{url}?shape=../../etc/passwd")
    assert refused.status_code == 400
    assert client.get(f"{url}?shape=openai_preference").status_code == 400


def test_a_version_of_another_project_is_not_found(version, client):
    other = make_version()

    assert client.get(f"/projects/{version.project.slug}/versions/{other.pk}/file/").status_code == 404
    assert client.get(f"/api/v1/projects/{version.project.slug}/versions/{other.pk}/export/").status_code == 404
