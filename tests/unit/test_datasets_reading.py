"""The readers by themselves: lines, documents, tables, streams; and the list of codes."""

# ruff: noqa: E501 - a table of cases reads best with one case a line

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets_app.domain import codes
from datasets_app.domain.formats.base import BadRecord
from datasets_app.engine import sniff, strict
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers import cells, document, jsonl, table
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.sniff import FileType
from datasets_app.engine.streams import Source, lines

LIMITS = Limits(line_bytes=200)
ROOT = Path(__file__).resolve().parents[2]


def reading(data: bytes, step: int):
    """A read function that hands out small pieces, so that every boundary is met."""
    stream = io.BytesIO(data)
    return lambda size: stream.read(min(size, step))


def outcome(items):
    return [(item.line, item.record if item.bad is None else item.bad.code.value) for item in items]


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_lines_are_numbered_and_long_ones_passed_over(step):
    data = b"one\r\ntwo\n" + b"x" * 500 + b"\n\nlast"

    assert list(lines(reading(data, step), 200)) == [(1, b"one"), (2, b"two"), (3, None), (4, b""), (5, b"last")]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_list_is_cut_into_its_elements_wherever_the_pieces_end(step):
    tricky = '[\n{"a": "x, ]}\\"\\\\"},\n\n  {"b": [1, {"c": "[{"}]} , 5, "text,", null,\n{"d": "é\\u00e9"}]'

    found = outcome(document.read(reading(tricky.encode(), step), LIMITS, is_list=True))

    assert found == [
        (2, {"a": 'x, ]}"\\'}),
        (4, {"b": [1, {"c": "[{"}]}),
        (4, "not_an_object"),
        (4, "not_an_object"),
        (4, "not_an_object"),
        (5, {"d": "éé"}),
    ]


@pytest.mark.parametrize("step", [1, 50, 1000])
def test_an_element_beyond_the_limit_is_passed_over(step):
    data = b'[{"a": 1}, {"b": "' + b"y\\\\" * 300 + b'"}, {"c": 2}]'

    assert outcome(document.read(reading(data, step), LIMITS, is_list=True)) == [
        (1, {"a": 1}),
        (1, "line_too_long"),
        (1, {"c": 2}),
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5), st.recursive(st.text(max_size=8) | st.integers(-9, 9), st.lists, max_leaves=4)
        ),
        max_size=6,
    ),
    st.integers(1, 30),
    st.sampled_from([None, 1]),
)
@pytest.mark.slow
def test_any_list_of_objects_comes_back_whole(rows, step, indent):
    data = json.dumps(rows, indent=indent, ensure_ascii=step % 2 == 0).encode("utf-8", "surrogatepass")

    found = [
        item.record for item in document.read(reading(data, step), Limits(), is_list=True) if item.record is not None
    ]

    assert found == [row for row in rows] or any("\ud800" <= sign <= "\udfff" for sign in str(rows))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_no_bytes_at_all_break_a_reader(data):
    """Whatever the bytes: records, named errors, or a named refusal of the file."""
    for items in (
        jsonl.read(reading(data, 7), LIMITS),
        document.read(reading(data, 7), LIMITS, is_list=True),
        document.read(reading(data, 7), LIMITS, is_list=False),
        table.read(reading(data, 7), LIMITS),
    ):
        try:
            for item in items:
                assert (item.record is None) != (item.bad is None)
        except FileRefused as refused:
            assert refused.code in list(codes.Code)


DOCUMENTS = {
    "columns": (b'{"prompt": ["a", "b"], "completion": ["c", "d"]}', [{"prompt": "a", "completion": "c"}, {"prompt": "b", "completion": "d"}]),
    "one row": (b'{"messages": [{"role": "user"}]}', [{"messages": [{"role": "user"}]}]),
    "rows under a key": (b'{"data": [{"text": "a"}]}', [{"text": "a"}]),
    "rows under numbers": (b'{"0": {"text": "a"}, "1": {"text": "b"}}', [{"text": "a"}, {"text": "b"}]),
    "rows over several lines": (b'{\n "text": "a"\n}\n{\n "text": "b"\n}', [{"text": "a"}, {"text": "b"}]),
}  # fmt: skip


@pytest.mark.parametrize(("data", "rows"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_of_one_object_holds_rows_in_several_ways(data, rows):
    assert [item.record for item in document.read(reading(data, 9), LIMITS, is_list=False)] == rows


def test_csv_cells_lines_and_faults():
    data = b'prompt,completion\n"a, ""b""","two\nlines"\nx\n\n"open,1\n'

    assert outcome(table.read(reading(data, 5), LIMITS)) == [
        (2, {"prompt": 'a, "b"', "completion": "two\nlines"}),
        (4, "csv_columns"),
        (6, "csv_malformed"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_finds_its_delimiter_and_known_columns_in_any_case(delimiter):
    data = f"Prompt{delimiter}COMPLETION{delimiter}Note\na{delimiter}b{delimiter}c\n".encode()

    assert outcome(table.read(reading(data, 100), LIMITS)) == [(2, {"prompt": "a", "completion": "b", "Note": "c"})]


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(FileRefused, match="two columns"):
        list(table.read(reading(b"text,text\na,b\n", 100), LIMITS))


def test_turns_in_a_cell_are_unpacked_and_answers_that_are_json_are_not():
    turns = '[{"role": "user", "content": "x"}]'

    record = cells.unpacked({"messages": turns, "prompt": turns, "completion": '{"queue": "a"}'}, LIMITS)

    assert record["messages"] == record["prompt"] == [{"role": "user", "content": "x"}]
    assert record["completion"] == '{"queue": "a"}'
    with pytest.raises(BadRecord) as refused:
        cells.unpacked({"messages": "[oops"}, LIMITS)
    assert (refused.value.field, refused.value.code.value) == ("messages", "invalid_json")


TYPES = {
    "lines": (b'{"a": 1}\n{"a": 2}\n', "x", FileType.JSONL),
    "lines after a broken one": (b'oops\n{"a": 2}\n{"a": 3}\n', "x", FileType.JSONL),
    "a list": (b' [\n{"a": 1}]', "x.jsonl", FileType.JSON_LIST),
    "an empty list": (b"[]", "x", FileType.JSON_LIST),
    "lists as lines": (b'[1]\n{"a": 1}\n{"a": 2}', "x", FileType.JSONL),
    "an object over lines": (b'{\n"a": 1\n}', "x", FileType.JSON_OBJECTS),
    "a long first line": (b'{"a": "' + b"x" * 70_000, "x.jsonl", FileType.JSONL),
    "commas": (b"prompt,completion\n", "x", FileType.CSV),
    "semicolons": (b"prompt;completion\n", "x.jsonl", FileType.CSV),
    "tabs": (b"prompt\tcompletion\n", "x.csv", FileType.TSV),
    "one known column": (b"text\nhello\n", "x", FileType.CSV),
    "unknown columns": (b"foo,bar\n1,2\n", "x.csv", FileType.CSV),
    "parquet": (b"PAR1....", "x.csv", FileType.PARQUET),
}


@pytest.mark.parametrize(("head", "name", "kind"), TYPES.values(), ids=TYPES.keys())
def test_the_type_is_what_the_content_is(head, name, kind):
    assert sniff.file_type(head[: sniff.HEAD], name) == kind


def test_members_of_a_gzip_follow_one_another(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n" * 1000) + gzip.compress(b"two\n" * 1000) + bytes(100))

    source = Source(path, Limits())

    whole = b"".join(iter(source.read, b""))
    source.close()

    assert whole == b"one\n" * 1000 + b"two\n" * 1000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1, "a": 2}', "duplicate_key"),
        ('{"a": {"b": 1, "b" : 2}}', "duplicate_key"),
        ('{"a": "{\\"b\\": 1, \\"b\\": 2}"}', None),
        ('{"a": "\\ud83d\\ude00"}', None),
        ('{"a": "\\ud83d"}', "lone_surrogate"),
        ('{"a": 9223372036854775807}', None),
        ('{"a": [1, 2,]}', "invalid_json"),
        ("{'a': 1}", "invalid_json"),
        ("", "invalid_json"),
    ],
)
def test_json_is_read_strictly(text, code):
    if code is None:
        strict.loads(text.encode(), Limits())
        return
    with pytest.raises(BadRecord) as refused:
        strict.loads(text.encode(), Limits())
    assert refused.value.code == code


def test_depth_is_counted_without_recursion():
    assert strict.loads(b"[" * 64 + b"]" * 64, Limits())
    for levels in (65, 1000, 100_000):
        with pytest.raises(BadRecord) as refused:
            strict.loads(b"[" * levels + b"]" * levels, Limits())
        assert refused.value.code == "too_deep"


def test_the_page_of_codes_is_up_to_date():
    assert (ROOT / "docs" / "data-errors.md").read_text() == codes.as_markdown()


def test_every_code_is_explained_once():
    assert set(codes.EXPLAINED) == set(codes.Code)
    assert not set(codes.ROW_CODES) & set(codes.FILE_CODES)
    assert codes.explain("crashed").advice
    assert codes.explain("something_new").title == "Something new"
