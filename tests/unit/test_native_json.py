"""The JSON kernel against its references: the strict rules, the rows of domain.formats, the digests of hashlib."""

import datetime as dt
import gc
import hashlib
import io
import json
import math
import re
from collections import Counter

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasets_app.domain.formats.base import BadRecord, Format
from datasets_app.domain.purposes import Kind
from datasets_app.engine import strict
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.converting import Converter
from datasets_app.engine.limits import Limits
from datasets_app.engine.lines import Elements, Lines, Records, as_json, kernel_for
from datasets_app.engine.native import json as native
from datasets_app.engine.readers import jsonl
from datasets_app.engine.readers.base import Item

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

LIMITS = Limits(line_bytes=20_000)
ARRAYS = ("text", "seg_start", "seg_end", "seg_row", "seg_role", "seg_part", "seg_flags", "row_seg", "line", "digest")


def reading(data: bytes, step: int):
    stream = io.BytesIO(data)
    return lambda size: stream.read(min(size, step))


def converter(fmt, bad, ignored):
    return Converter(fmt, LIMITS, {}, bad.append, ignored)


def by_reference(data: bytes, fmt: Format):
    """Every line through the readers in Python."""
    bad, ignored = [], Counter()
    reader, rows = converter(fmt, bad, ignored), []
    for item in jsonl.read(reading(data, 1000), LIMITS):
        taken = reader.row_of(item)
        if taken is not None:
            rows.append((item.line, taken.row))
    return batch_of_rows(rows), bad, ignored, reader.kind


def by_kernel(data: bytes, fmt: Format, kind, step: int):
    bad, ignored = [], Counter()
    reader = converter(fmt, bad, ignored)
    reader.kind = kind
    kernel = kernel_for(fmt, kind, 0)
    assert kernel is not None
    found = list(Lines(reading(data, step), LIMITS).batches(kernel, reader))
    ignored.update(kernel.unknown())
    return found, bad, ignored


def assert_equal(data: bytes, fmt: Format, step: int = 997) -> int:
    """Good rows, bad rows and ignored fields are the same both ways; returns the number of good rows."""
    want, want_bad, want_ignored, kind = by_reference(data, fmt)
    if kind is None or kernel_for(fmt, kind, 0) is None:
        return 0
    batches, bad, ignored = by_kernel(data, fmt, kind, step)
    assert bad == want_bad
    assert ignored == want_ignored
    assert sum(batch.rows for batch in batches) == want.rows
    if len(batches) == 1:
        for name in ARRAYS:
            assert np.array_equal(getattr(batches[0], name), getattr(want, name)), name
        assert batches[0].table.equals(want.table)
        assert batches[0].table.schema == want.table.schema
        batches[0].table.validate(full=True)
    return want.rows


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "",
        "plain",
        'a "quoted" \\ text',
        "line\nbreak\ttab\r",
        "\x01\x1f\x7f",
        "é ü 漢字 🙂",
        "\u2028\ufeff",
        "x" * 300,
        "\0",
    ]
)
ROLES = st.sampled_from(
    ["user", "assistant", "system", "tool", "developer", "function", "human", "gpt", "chatgpt", "observation"]
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
)
WEIGHTS = st.sampled_from([0, 1, None, 1.0, "1", 2, -1, True, 10])


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(TEXTS, VALUE, max_size=5)
SPELT = ARGUMENTS.map(json.dumps) | ARGUMENTS.map(lambda value: f" {json.dumps(value, indent=1, ensure_ascii=False)} ")
FUNCTION = st.fixed_dictionaries(
    {"name": TEXTS}, optional={"arguments": ARGUMENTS | SPELT | st.sampled_from(["", "{not json", "[]", None, 3, []])}
)
CALL = st.fixed_dictionaries(
    {"function": FUNCTION | FUNCTION | ODD}, optional={"id": TEXTS | TEXTS | ODD, "type": ODD, "index": st.just(0)}
)
RICH = {
    "tool_calls": st.lists(CALL | CALL | CALL | FUNCTION | ODD, max_size=3) | ODD,
    "name": TEXTS | st.none(),
    "tool_call_id": TEXTS | st.none(),
    "thinking": TEXTS | st.none(),
    "reasoning_content": TEXTS | ODD,
}


def turns(role: str, content: str):
    plain = st.fixed_dictionaries({role: ROLES, content: TEXTS}, optional={"weight": WEIGHTS})
    odd = st.dictionaries(
        st.sampled_from([role, content, "weight", "name", "tool_calls", "thinking", "x"]), ROLES | ODD, max_size=4
    )
    answer = st.fixed_dictionaries({role: st.just("assistant"), content: TEXTS}, optional={"weight": WEIGHTS})
    rich = st.fixed_dictionaries({role: ROLES}, optional={content: TEXTS | st.none(), "weight": WEIGHTS, **RICH})
    mostly = st.lists(plain | plain | plain | plain | odd | rich | rich, max_size=4)
    return st.tuples(mostly, answer | answer | plain).map(lambda pair: [*pair[0], pair[1]])


ABOUT = {
    "label": ODD | TEXTS,
    "category": ODD | TEXTS,
    "id": ODD | TEXTS,
    "tags": st.lists(TEXTS, max_size=3) | ODD,
    "tools": st.sampled_from([None, [], "", "[]", [{"type": "function"}], 3]) | st.lists(ARGUMENTS | ODD, max_size=3),
    "split": ODD,
    "origin": ODD | st.just("human"),
    "provenance": ODD | st.just({"origin": "synthetic", "depth": 1}),
    "parallel_tool_calls": st.booleans(),
    "a strange\nname é": ODD,
}
RECORDS = {
    Format.OPENAI_CHAT: {"messages": turns("role", "content") | ODD},
    Format.SHAREGPT: {"conversations": turns("from", "value") | ODD, "system": TEXTS | ODD},
    Format.PROMPT_COMPLETION: {"prompt": TEXTS | ODD, "completion": TEXTS | ODD, "system": TEXTS},
    Format.ALPACA: {"instruction": TEXTS | ODD, "output": TEXTS | ODD, "input": TEXTS | ODD, "history": ODD},
    Format.TEXT: {"text": TEXTS | ODD},
}


def spelled(record, style: int) -> bytes:
    """As different programs write it; Python's own writer spells NaN, huge numbers and lone halves too."""
    text = json.dumps(record, ensure_ascii=style % 2 == 0, separators=(",", ":") if style < 3 else (" , ", " : "))
    return text.encode("utf-8", "surrogatepass")


@st.composite
def files(draw):
    """A format and lines of it: plain, odd, and broken by a change of bytes."""
    fmt = draw(st.sampled_from(list(RECORDS)))
    needed, optional = RECORDS[fmt], ABOUT
    record = st.fixed_dictionaries({}, optional=needed) | st.fixed_dictionaries(needed, optional=optional)
    lines = [spelled(one, draw(st.integers(0, 5))) for one in draw(st.lists(record, max_size=6))]
    for n in draw(st.lists(st.integers(0, 9), max_size=2)):
        if n < len(lines) and lines[n]:
            at = draw(st.integers(0, len(lines[n]) - 1))
            cut = draw(st.integers(0, 3))
            lines[n] = lines[n][:at] + draw(st.binary(max_size=3)) + lines[n][at + cut :]
    ends = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n  \t\n"]))
    return fmt, ends.join(lines) + draw(st.sampled_from([b"", b"\n"])), draw(st.integers(1, 400))


@settings(max_examples=400, deadline=None)
@given(files())
def test_the_kernel_reads_what_the_readers_in_python_read(given_file):
    fmt, data, step = given_file

    assert_equal(data, fmt, step)


@pytest.mark.parametrize("fmt", RECORDS)
def test_a_thousand_plain_rows_take_the_short_way(fmt):
    text = 'What? "Yes",\nsaid\tshe \u00e9\u6f22\U0001f642 \\ '
    turn = {"role": "user", "content": text}, {"role": "assistant", "content": text * 3, "weight": 0}
    plain = {
        Format.OPENAI_CHAT: {"messages": [{"role": "developer", "content": "S"}, *turn]},
        Format.SHAREGPT: {
            "system": "Be kind.",
            "conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": text}],
        },
        Format.PROMPT_COMPLETION: {"prompt": text, "completion": "B"},
        Format.ALPACA: {"instruction": text, "input": "more", "output": text, "system": "S"},
        Format.TEXT: {"text": text * 5},
    }[fmt]
    rows = [{**plain, "id": n, "label": "a" if n % 3 else None, "tags": ["x", text], "split": n} for n in range(999)]
    data = b"".join(spelled(row, n % 6) + b"\n" for n, row in enumerate(rows))
    kernel = kernel_for(fmt, by_reference(data[: data.index(b"\n") + 1], fmt)[3], 0)
    assert kernel is not None

    stop = kernel.feed(data, 0, last=True, rows=1000, size=10**9, longest=10**6)

    assert (stop.why, kernel.rows, kernel.unknown()) == (native.Why.MORE, 999, {"split": 999})
    assert assert_equal(data, fmt) == 999


CALLS = [
    {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look\nup", "arguments": '{"b": [1, {"z": 0, "a": ""}], "a": "é"}'},
    },
    {
        "function": {"arguments": {"y": {"k": None, "Z": True}, "x": [], "é": {}, "e": '\u2028\\"'}, "name": "f"},
        "type": 7,
    },
    {"function": {"name": "bare"}},
    {"id": "", "function": {"name": "empty", "arguments": ""}},
]
SCHEMA = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}},
}


def test_calls_and_tools_take_the_short_way(monkeypatch):
    rows = []
    for n in range(200):
        call = {"role": "assistant", "content": None, "tool_calls": CALLS[: 1 + n % 4], "thinking": "hm" * (n % 3)}
        answer = {"role": "tool", "name": "f", "tool_call_id": "call_1", "content": "42"}
        last = {"role": "assistant", "content": "é", "reasoning_content": "so", "name": "", "weight": 1}
        rows.append(
            {"messages": [{"role": "user", "content": "q"}, call, answer, last], "tools": [SCHEMA, {"b": 1, "a": n}]}
        )
    data = b"".join(spelled(row, n % 6) + b"\n" for n, row in enumerate(rows))
    kernel = kernel_for(Format.OPENAI_CHAT, Kind.SFT, 0)

    stop = kernel.feed(data, 0, last=True, rows=1000, size=10**9, longest=10**6)

    assert (stop.why, kernel.rows) == (native.Why.MORE, 200)
    assert assert_equal(data, Format.OPENAI_CHAT) == 200


STRANGE = [
    '{"x": 0.5}', '{"x": -0}', '{"x": 1e3}', '{"\\u0078": 1}', '{"x": 1, "x": 2}', '{"x": "\\u0000"}', '{"x": NaN}',
    '{"x": 99999999999999999999}', "[1]", "{}{}", "nul", " ", '{"x": ' + "[" * 70 + "]" * 70 + "}",
]  # fmt: skip


@pytest.mark.parametrize("arguments", STRANGE)
@pytest.mark.parametrize("spelt", [True, False])
def test_what_python_would_spell_otherwise_goes_to_python(arguments, spelt):
    inside = json.dumps(arguments) if spelt else arguments
    call = f'{{"function":{{"name":"f","arguments":{inside}}}}}'
    answer = '{"role":"assistant","content":"a"}'
    row = f'{{"messages":[{{"role":"assistant","tool_calls":[{call}]}},{answer}],"tools":[{arguments}]}}'.encode()
    plain = f'{{"messages":[{answer}]}}'.encode()

    assert_equal(b"\n".join([plain, row, plain]), Format.OPENAI_CHAT)


@pytest.mark.parametrize("field", ["name", "tool_call_id", "thinking", "reasoning_content", "tool_calls", "weight"])
def test_a_field_of_a_turn_that_comes_twice_is_named_even_as_null(field):
    row = f'{{"messages":[{{"role":"assistant","content":"a","{field}":null,"{field}":null}}]}}'.encode()
    plain = b'{"messages":[{"role":"assistant","content":"a"}]}'

    assert assert_equal(plain + b"\n" + row, Format.OPENAI_CHAT) == 1


def test_what_the_kernel_gives_away_is_as_good_as_a_copy(monkeypatch):
    """Large batches are taken over without a copy; what they held stays when the kernel goes on or is gone."""
    monkeypatch.setattr(native, "WORTH_TAKING", 1)
    rows = [{"messages": [{"role": "assistant", "content": f"é {n} " * 50}], "id": n} for n in range(2500)]
    data = b"\n".join(map(orjson.dumps, rows))

    batches, bad, _ = by_kernel(data, Format.OPENAI_CHAT, Kind.SFT, 100_000)
    gc.collect()

    assert not bad
    assert [batch.rows for batch in batches] == [1000, 1000, 500]
    texts = [batch.segment(n) for batch in batches for n in range(batch.rows)]
    assert texts == [row["messages"][0]["content"] for row in rows]
    stored = [text for batch in batches for text in batch.table.column("messages").to_pylist()]
    assert [orjson.loads(text) for text in stored] == [row["messages"] for row in rows]
    assert all(batch.text[-native.PADDING :].sum() == 0 for batch in batches)


def test_lines_beyond_the_limit_are_named_and_passed_over():
    good = b'{"messages":[{"role":"assistant","content":"a"}]}\n'
    long = b'{"messages":[{"role":"assistant","content":"' + b"x" * 30_000 + b'"}]}\n'

    for step in (100, 10_000, 10**6):
        assert assert_equal(good + long + good + long.rstrip() * 3 + b"\n" + good, Format.OPENAI_CHAT, step) == 3


def test_more_unknown_fields_than_the_kernel_counts_are_counted_all_the_same():
    rows = [{"text": "a", **{f"f{n}_{m}": m for m in range(20)}} for n in range(30)]

    assert_equal(b"\n".join(map(orjson.dumps, rows)), Format.TEXT)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(RECORDS)), st.data(), st.integers(1, 300), st.integers(0, 5))
def test_the_elements_of_a_list_are_read_as_lines_are(fmt, data, step, style):
    record = st.fixed_dictionaries(RECORDS[fmt], optional=ABOUT)
    elements = [spelled(one, style) for one in data.draw(st.lists(record, min_size=1, max_size=5))]
    want, want_bad, want_ignored, kind = by_reference(b"\n".join(elements), fmt)
    kernel = None if kind is None else kernel_for(fmt, kind, 0)
    if kernel is None:
        return
    bad, ignored = [], Counter()
    reader = converter(fmt, bad, ignored)
    reader.kind = kind

    (read,) = Elements(reading(b"[\n" + b",\n".join(elements) + b"]", step), LIMITS).batches(kernel, reader)

    assert [one._replace(line=one.line - 1) for one in bad] == want_bad
    assert ignored + Counter(kernel.unknown()) == want_ignored
    assert (read.line - 1).tolist() == want.line.tolist()
    assert read.digest.tobytes() == want.digest.tobytes()
    assert read.table.equals(want.table)


def by_items(items, fmt: Format, kind):
    """Records of a table, the kernel's way."""
    bad, ignored = [], Counter()
    reader = converter(fmt, bad, ignored)
    reader.kind = kind
    kernel = kernel_for(fmt, kind, 0)
    found = list(Records(iter(items)).batches(kernel, reader))
    ignored.update(kernel.unknown())
    return found, bad, ignored


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(RECORDS)), st.data())
def test_records_of_tables_are_read_as_python_reads_them(fmt, data):
    record = st.fixed_dictionaries({}, optional={**RECORDS[fmt], **ABOUT})
    records = data.draw(st.lists(record, max_size=6))
    bad, ignored = [], Counter()
    reader, rows = converter(fmt, bad, ignored), []
    items = [Item(n + 1, one, None) for n, one in enumerate(records)]
    for item in items:
        taken = reader.row_of(item)
        if taken is not None:
            rows.append((item.line, taken.row))
    if reader.kind is None or kernel_for(fmt, reader.kind, 0) is None:
        return

    batches, found_bad, found_ignored = by_items(items, fmt, reader.kind)

    want = batch_of_rows(rows)
    assert (found_bad, found_ignored) == (bad, ignored)
    (read,) = batches
    for name in ARRAYS:
        assert np.array_equal(getattr(read, name), getattr(want, name)), name
    assert read.table.equals(want.table)


def test_plain_records_take_the_short_way():
    items = [Item(n + 1, {"prompt": f"What? é {n}", "completion": "B", "id": str(n)}, None) for n in range(2500)]
    taken = []

    class Watched(Converter):
        def row_of(self, item):
            taken.append(item)
            return super().row_of(item)

    kernel = kernel_for(Format.PROMPT_COMPLETION, Kind.SFT, 0)
    reader = Watched(Format.PROMPT_COMPLETION, LIMITS, {}, lambda bad: None, Counter())
    batches = list(Records(iter(items)).batches(kernel, reader))

    assert ([batch.rows for batch in batches], taken) == ([1000, 1000, 500], [])
    assert batches[2].line.tolist() == list(range(2001, 2501))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": "x", "b": 1, "c": True, "d": [1, {"e": "f"}]}, b'{"a":"x","b":1,"c":true,"d":[1,{"e":"f"}]}'),
        ({"a": None}, None),
        ({"a": 1.5}, None),
        ({"a": [float("nan")]}, None),
        ({"a": "null"}, b'{"a":"null"}'),
        ({"a": dt.datetime(2027, 1, 1)}, None),
        ({"a": [dt.date(2027, 1, 1)]}, None),
        ({"a": b"bytes"}, None),
        ({"a": "\udc80"}, None),
        ({"a": 2**70}, None),
    ],
)
def test_only_what_json_gives_back_as_it_was_goes_through_json(value, expected):
    assert as_json(value) == expected


def no_constant(name):
    raise ValueError(name)


def in_bounds(value) -> bool:
    if isinstance(value, dict):
        return all(in_bounds(v) for pair in value.items() for v in pair)
    if isinstance(value, list):
        return all(map(in_bounds, value))
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return not isinstance(value, float) or math.isfinite(value)


def unique(pairs):
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def is_strict(data: bytes) -> bool:
    """The same rules by other means: the standard library, its hooks, and a look at every escape."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, AssertionError, RecursionError):
        return False
    deep = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", data)
    level = most = 0
    for sign in deep:
        level += (sign in b"[{") - (sign in b"]}")
        most = max(most, level)
    return most <= 64 and in_bounds(value)


PIECES = st.sampled_from(
    [*'{}[],:"0123456789.-+eE \\utrfnab', "\n", "null", "true", "NaN", "-Infinity", '"a":', '"b"', "1e308", "1e309",
     "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "0.0", "1.8e308",
     "\\u0041", "\\ud83d", "\\ude00", "\\u0000", '"é"', "漢", '{"a":1}', "[[", "]]", "\x7f", "\x1f", "0e9999",
     "1e-9999"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=1500, deadline=None)
@given(
    st.lists(PIECES, max_size=14).map("".join) | VALUES.map(json.dumps) | VALUES.map(lambda v: json.dumps(v, indent=1))
)
@example("[" * 64 + "]" * 64)
@example("[" * 65 + "]" * 65)
@example('{"a":1,"\\u0061":2}')
@example("{" + ",".join(f'"k{n}":{n}' for n in range(40)) + ',"k7":1}')
@example("0" * 400)
@example("1" + "0" * 308 + ".5")
@example("1" + "0" * 309 + ".5")
@example("0.000" + "0" * 400 + "1e400")
def test_the_strict_check_is_that_of_the_standard_library(text):
    data = text.encode("utf-8", "surrogatepass")

    assert (native.check(data) is None) == is_strict(data)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=12))
def test_any_bytes_in_a_string_are_judged_as_utf8(raw):
    data = b'"' + raw.replace(b'"', b"").replace(b"\\", b"") + b'"'
    try:
        text = data.decode()
        valid = all(ord(sign) >= 0x20 for sign in text)
    except UnicodeDecodeError:
        valid = False

    assert (native.check(data) is None) == valid


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=20).map(str.encode) | st.binary(max_size=4), max_size=8),
    st.integers(0, 70),
)
def test_whole_lines_are_judged_as_utf8(pieces, before):
    """Wherever in the 32 bytes that are looked at together a character begins, or breaks off."""
    raw = b"".join(pieces).translate(None, b'"\\' + bytes(range(32)))
    line = b'{"text":"' + b"x" * before + raw + b'"}'
    kernel = kernel_for(Format.TEXT, Kind.TEXT, 0)

    taken = kernel.row(line, 1)

    try:
        text = raw.decode()
    except UnicodeDecodeError:
        assert not taken
    else:
        assert taken
        assert kernel.take(0).segment(0) == "x" * before + text


FAULTS = {
    '{"a": [1, {"b": tru}]}': ("invalid_json", 17, "a[1].b"),
    '{"é": "漢\\ud83d"}': ("lone_surrogate", 9, "é"),
    '{"a": {"b": 1, "b" : 2}}': ("duplicate_key", 16, "a.b"),
    '{"m": [{"c": NaN}]}': ("not_a_number", 14, "m[0].c"),
    '{"m": 1e999}': ("number_too_large", 7, "m"),
    '{"a": 1,}': ("invalid_json", 9, "a"),
    '{"a": 1} {}': ("invalid_json", 10, ""),
    "": ("invalid_json", 1, ""),
    '{"a": "b': ("invalid_json", 9, "a"),
    "{'a': 1}": ("invalid_json", 2, ""),
    "[1, 02]": ("invalid_json", 6, "[1]"),
}


@pytest.mark.parametrize(("text", "place"), FAULTS.items())
def test_a_fault_is_named_with_its_column_and_its_path(text, place):
    with pytest.raises(BadRecord) as refused:
        strict.loads(text.encode(), Limits())

    assert (refused.value.code.value, refused.value.column, refused.value.field) == place
    assert refused.value.found and refused.value.expected


@pytest.mark.parametrize("instructions", [True, False])
def test_digests_are_those_of_hashlib(instructions):
    texts = [b"ab" * n + b"c" * (n % 7) for n in range(200)] + [b"x" * 100_000]

    assert native.sha256(texts, instructions=instructions) == [hashlib.sha256(text).digest() for text in texts]
