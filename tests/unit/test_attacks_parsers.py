"""Every parser under Hypothesis: any bytes end in rows or in a refusal with a code, and what is valid is read whole."""

import csv
import gzip
import io
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing import mutations, seeds
from datasets_app.domain.codes import EXPLAINED
from datasets_app.engine import pieces
from datasets_app.engine.limits import MB, Limits
from datasets_app.engine.readers.base import Item
from datasets_app.engine.refusal import FileRefused

LIMITS = Limits(line_bytes=1 * MB, document_bytes=4 * MB, rows=50_000, decoded_floor=16 * MB)
quickly = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
ROWS = st.lists(st.fixed_dictionaries({"prompt": TEXT, "completion": TEXT}), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
MUTATED = st.tuples(
    st.integers(0, 2**32), st.sampled_from(sorted(seeds.WRITERS)), st.sampled_from(sorted(seeds.FORMATS))
)
PACKED = ("", "gz", "zst", "zip")

pytestmark = pytest.mark.slow  # properties of every parser


def read(content: bytes, name: str) -> list[Item]:
    """All items of a file; raises FileRefused and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        upload = pieces.opened([path], name, LIMITS, Path(folder))
        try:
            return [item for piece in upload.pieces() for item in piece.items(LIMITS, Counter())]
        finally:
            upload.close()


def tolerated(content: bytes, name: str) -> list[Item]:
    """The items, or none where the file is refused; either way codes and lines are in order."""
    try:
        items = read(content, name)
    except FileRefused as refused:
        assert refused.code in EXPLAINED
        assert str(refused)
        return []
    for item in items:
        assert item.line >= 1
        assert (item.record is None) != (item.bad is None)
        if item.bad is not None:
            assert item.bad.code in EXPLAINED
            assert item.bad.found
            assert item.bad.expected
    return items


@quickly
@given(content=st.binary(max_size=3000), name=st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.tsv", "a", "a.gz"]))
def test_any_bytes_are_read_or_refused(content, name):
    tolerated(content, name)


STARTS = [
    b"PAR1",
    b"ARROW1\0\0",
    b"\xff\xff\xff\xff",
    b"\x1f\x8b\x08\0",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"[",
    b"{",
    b"a,b\n",
]


@quickly
@given(
    start=st.sampled_from(STARTS),
    content=st.binary(max_size=2000),
    end=st.sampled_from([b"", b"PAR1", b"ARROW1", b"]", b"}"]),
)
def test_any_bytes_behind_a_true_beginning_are_read_or_refused(start, content, end):
    tolerated(start + content + end, "a")


@pytest.mark.parametrize("container", PACKED)
@quickly
@given(drawn=MUTATED)
def test_a_mutated_file_of_any_format_is_read_or_refused(container, drawn):
    seed, ending, fmt = drawn
    rng = random.Random(seed)
    whole = seeds.WRITERS[ending]([seeds.FORMATS[fmt](rng) for _ in range(5)])
    is_text = not ending.endswith(("parquet", "arrow"))
    if rng.random() < 0.5:
        broken = seeds.packed(mutations.mutate(whole, rng, [whole], is_text=is_text), container, f"a.{ending}")
    else:
        broken = mutations.mutate(seeds.packed(whole, container, f"a.{ending}"), rng, [whole], is_text=False)
    tolerated(broken, f"a.{ending}.{container}" if container else f"a.{ending}")


def records(items: list[Item]) -> list[dict[str, str]]:
    assert not [item.bad for item in items if item.bad]
    return [{name: (item.record or {}).get(name) or "" for name in ("prompt", "completion")} for item in items]


@pytest.mark.parametrize("container", PACKED)
@quickly
@given(rows=ROWS)
def test_valid_jsonl_is_read_whole(container, rows):
    items = read(seeds.packed(seeds.jsonl(rows), container, "a.jsonl"), "a.jsonl")

    assert records(items) == rows
    assert [item.line for item in items] == list(range(1, len(rows) + 1))


@quickly
@given(rows=ROWS)
def test_valid_json_lists_and_columns_are_read_whole(rows):
    assert records(read(json.dumps(rows).encode(), "a.json")) == rows
    assert records(read(json.dumps(seeds.columns(rows)).encode(), "a.json")) == rows


@pytest.mark.parametrize(("delimiter", "name"), [(",", "a.csv"), ("\t", "a.tsv")])
@quickly
@given(rows=ROWS)
def test_valid_csv_is_read_whole(delimiter, name, rows):
    """Line ends inside of cells come back as they were, but for a carriage return, which CSV may take for one."""
    rows = [{k: v.replace("\r", " ") for k, v in row.items()} for row in rows]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["prompt", "completion"])
    writer.writerows([row["prompt"], row["completion"]] for row in rows)

    assert records(read(out.getvalue().encode(), name)) == rows


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@quickly
@given(rows=ROWS)
def test_valid_parquet_is_read_whole(compression, rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, compression=compression, row_group_size=5)

    assert records(read(out.getvalue(), "a.parquet")) == rows


@pytest.mark.parametrize("stream", [False, True])
@quickly
@given(rows=ROWS)
def test_valid_arrow_is_read_whole(stream, rows):
    assert records(read(seeds.ipc(rows, stream=stream), "a.arrow")) == rows


@quickly
@given(values=st.lists(VALUES, min_size=1, max_size=6))
def test_any_json_value_in_a_line_is_one_item(values):
    content = ROWS_BEFORE + b"".join(json.dumps({"prompt": value}).encode() + b"\n" for value in values)

    assert len(read(content, "a.jsonl")) == len(values) + 2


ROWS_BEFORE = b'{"prompt": "a", "completion": "b"}\n' * 2


@quickly
@given(cut=st.integers(1, 200), rows=ROWS)
def test_a_cut_gzip_is_refused_and_never_read_in_part(cut, rows):
    packed = gzip.compress(seeds.jsonl(rows))

    with pytest.raises(FileRefused):
        read(packed[: max(2, len(packed) - cut)], "a.jsonl.gz")
