"""A version read back gives the batches it was written from."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.pipeline import identities
from datasets_app.engine.scan import batches_of, batches_of_table
from datasets_app.engine.table import RowWriter

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

ARRAYS = ("text", "seg_start", "seg_end", "seg_row", "seg_role", "seg_part", "seg_flags", "row_seg", "line", "digest")

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(
    ["", '"quoted"\n\\', "\x01\x1f\x7f\u2028", "é 漢字 🙂" * 9]
)
ARGUMENTS = st.just({"b": 1, "a": [2]})
FUNCTIONS = st.fixed_dictionaries({"name": TEXTS, "arguments": ARGUMENTS})
CALLS = st.lists(st.fixed_dictionaries({"type": st.just("function"), "function": FUNCTIONS}), min_size=1, max_size=2)
TURNS = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": TEXTS},
    optional={
        "name": TEXTS, "tool_call_id": TEXTS, "thinking": TEXTS, "reasoning_content": TEXTS, "tool_calls": CALLS,
        "weight": st.sampled_from([0, 1]),
    },
)  # fmt: skip
ABOUT = {
    "label": st.none() | TEXTS,
    "tags": st.none() | st.lists(TEXTS, max_size=2),
    "source_id": st.none() | TEXTS,
    "extras": st.none() | st.just({"parallel_tool_calls": True}),
    "provenance": st.none() | st.just({"origin": "human"}),
    "tools": st.none() | st.just([{"z": 1, "a": {"y": None, "b": 2.5}}]),
}
LISTS = st.lists(TURNS, min_size=1, max_size=4)
ROWS = {
    Kind.SFT: st.builds(Row, kind=st.just(Kind.SFT), messages=LISTS, **ABOUT),
    Kind.PREFERENCE: st.builds(
        Row, kind=st.just(Kind.PREFERENCE), messages=st.lists(TURNS, max_size=3), chosen=LISTS, rejected=LISTS, **ABOUT
    ),
    Kind.TEXT: st.builds(Row, kind=st.just(Kind.TEXT), messages=st.just([]), text=TEXTS, **ABOUT),
}


def assert_same(one, other) -> None:
    for name in ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.table.combine_chunks().equals(other.table.combine_chunks())
    assert (one.first, one.rows) == (other.first, other.rows)


@pytest.mark.parametrize("kind", Kind)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_stored_rows_have_the_segments_and_digests_of_the_rows_themselves(kind, data):
    rows = data.draw(st.lists(ROWS[kind], min_size=1, max_size=5))
    made = batch_of_rows([(3 * n + 1, row) for n, row in enumerate(rows)])

    (read,) = batches_of_table(made.table.append_column("line", [made.line]))

    assert_same(read, made)


def test_rows_of_several_kinds_are_read_as_well():
    rows = [Row(Kind.TEXT, [], text="a"), Row(Kind.SFT, [{"role": "assistant", "content": "b"}])]
    made = batch_of_rows([(1, rows[0]), (2, rows[1])])

    (read,) = batches_of_table(made.table.append_column("line", [made.line]))

    assert_same(read, made)


def test_a_version_comes_back_group_by_group(tmp_path):
    row = {"role": "assistant", "content": "x" * 50}
    rows = [(n + 1, Row(Kind.SFT, [{"role": "user", "content": str(n)}, row], label=f"l{n % 3}")) for n in range(2300)]
    writer = RowWriter(tmp_path / "rows.parquet")
    for start in (0, 50, 1050, 2050):
        end = {0: 50, 50: 1050, 1050: 2050, 2050: 2300}[start]
        batch = batch_of_rows(rows[start:end], start)
        writer.write(batch, identities(batch))
    writer.close()

    read = list(batches_of(tmp_path / "rows.parquet"))

    assert [(batch.first, batch.rows) for batch in read] == [(0, 1000), (1000, 1000), (2000, 300)]
    assert_same(read[1], batch_of_rows(rows[1000:2000], 1000))
    assert [batch.first for batch in batches_of(tmp_path / "rows.parquet", [2])] == [2000]


def test_what_is_no_stored_row_is_refused():
    made = batch_of_rows([(1, Row(Kind.SFT, [{"role": "assistant", "content": "b"}]))])
    broken = made.table.set_column(1, "messages", pa.array(["[{]"], pa.large_string()))

    with pytest.raises(ValueError, match="row 0"):
        list(batches_of_table(broken))
