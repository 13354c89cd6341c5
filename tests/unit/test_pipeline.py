"""The pipeline and the reading in front of it: order, back-pressure, failures, several files in one upload."""

import gzip
import io
import json
import threading
import zipfile
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets_app.domain.findings import Found
from datasets_app.domain.formats.base import Format, Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine import events, pipeline
from datasets_app.engine.aside import Aside
from datasets_app.engine.batch import COLUMNS
from datasets_app.engine.limits import Limits
from datasets_app.engine.pipeline import Lane, Pipeline, Plan
from datasets_app.engine.reading import Reading
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.scan import batched, batches_of
from datasets_app.engine.upload import Upload, stamp

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses


def chat(n: int, **about) -> dict:
    turns = [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": f"Answer {n}."}]
    return {"messages": turns, **about}


def jsonl(rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def rows_of(count: int):
    return [(n + 1, Row(Kind.SFT, chat(n)["messages"])) for n in range(count)]


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """What the child would have said."""
    found: list[tuple[str, dict]] = []
    monkeypatch.setattr(events, "emit", lambda event, **fields: found.append((event, fields)))
    return found


@pytest.fixture
def read(tmp_path):
    """Everything of an upload: (line and row of each good row, bad rows, the reading)."""

    def reading(content: bytes | list[bytes], name: str, **options):
        parts = content if isinstance(content, list) else [content]
        paths = [tmp_path / f"part{n}" for n in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(part)
        one = Reading(paths, name, options.pop("limits", Limits()), workdir=tmp_path, **options)
        bad: list = []
        try:
            with closing(one.batches(bad.append, list)) as made:
                batches = list(made)
        finally:
            one.close()
        rows = [row for batch in batches for row in batch.table.column("messages").to_pylist()]
        lines = [line for batch in batches for line in batch.line.tolist()]
        assert [batch.first for batch in batches] == np.cumsum([0, *(b.rows for b in batches)])[:-1].tolist()
        return list(zip(lines, map(json.loads, rows), strict=True)), bad, one

    return reading


class Counting:
    """An analyser that waits when it is told to, and may fail."""

    name = "counting"

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.fails_at = -1

    def take(self, batch):
        self.go.wait(10)
        if batch.first == self.fails_at:
            raise MemoryError
        self.seen.append(batch.first)

    def finish(self, facts):
        facts.note(Found.FEW_ROWS, [], {"seen": len(self.seen)}, count=0)


@pytest.fixture
def counting(monkeypatch):
    one = Counting()
    monkeypatch.setattr(pipeline, "analysers", lambda plan, out: [one])
    return one


def test_every_analyser_sees_every_batch_once_and_in_order(tmp_path, counting):
    with Pipeline(tmp_path / "out", Plan()) as pipe:
        for batch in batched(rows_of(5300)):
            pipe.feed(batch)
        outcome = pipe.finish()

    assert counting.seen == [0, 1000, 2000, 3000, 4000, 5000]
    assert (outcome.rows, outcome.kind, outcome.findings[0]["detail"]) == (5300, "sft", {"seen": 6})
    assert sum(batch.rows for batch in batches_of(tmp_path / "out" / "rows.parquet")) == 5300
    assert pq.ParquetFile(tmp_path / "out" / "rows.parquet").num_row_groups == 6


def test_the_slowest_holds_the_others_back_so_that_memory_stays_bounded(tmp_path, counting):
    counting.go.clear()
    fed = []

    def feed():
        with Pipeline(tmp_path / "out", Plan()) as pipe:
            for batch in batched(rows_of(20_000)):
                pipe.feed(batch)
                fed.append(batch.first)
            pipe.finish()

    feeder = threading.Thread(target=feed)
    feeder.start()
    feeder.join(timeout=1.5)

    assert feeder.is_alive()
    assert len(fed) <= pipeline.WAITING + 2
    counting.go.set()
    feeder.join(timeout=20)
    assert len(fed) == 20


def test_a_failing_analyser_ends_the_pipeline_and_leaves_no_thread(tmp_path, counting):
    before = threading.active_count()
    counting.fails_at = 2000

    with pytest.raises(MemoryError), Pipeline(tmp_path / "out", Plan()) as pipe:
        for batch in batched(rows_of(50_000)):
            pipe.feed(batch)
        pipe.finish()

    assert threading.active_count() == before


def test_a_lane_stops_without_taking_what_waits():
    lane = Lane("slow", lambda batch: None)
    lane.stop()
    assert lane.seconds >= 0


def test_exact_duplicates_are_all_but_the_first_of_equal_rows(tmp_path, counting):
    rows = [(n + 1, Row(Kind.SFT, chat(n % 3 if n < 6 else n)["messages"], label=str(n))) for n in range(8)]
    with Pipeline(tmp_path / "out", Plan()) as pipe:
        for batch in batched(rows):
            pipe.feed(batch)
        outcome = pipe.finish()

    found = next(f for f in outcome.findings if f["code"] == "exact_duplicates")
    assert (found["rows"], found["detail"]["sets"]) == ([3, 4, 5], 3)
    assert found["detail"]["pairs"] == [[0, 3], [1, 4], [2, 5]]
    assert np.load(tmp_path / "out" / "found" / "exact_duplicates.npy").tolist() == [3, 4, 5]


def test_the_content_hash_knows_rows_labels_and_tags_but_no_batches(tmp_path, counting):
    def hashed(name, rows, size):
        with Pipeline(tmp_path / name, Plan()) as pipe:
            for start in range(0, len(rows), size):
                for batch in batched(rows[start : start + size], start):
                    pipe.feed(batch)
            return pipe.finish().content_hash

    plain, labelled = rows_of(70), [(n, Row(Kind.SFT, row.messages, label="a")) for n, row in rows_of(70)]
    tagged = [(n, Row(Kind.SFT, row.messages, label="a", tags=["b", "c"])) for n, row in rows_of(70)]

    assert hashed("a", plain, 70) == hashed("b", plain, 9)
    assert len({hashed("c", plain, 50), hashed("d", labelled, 50), hashed("e", tagged, 50)}) == 3


# ---- several files in one upload


def zipped(members: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def arrow(rows, *, stream: bool) -> bytes:
    table = pa.Table.from_pylist(rows)
    out = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


def parquet(rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def csv_of(rows) -> bytes:
    return b"messages\n" + b"".join(
        b'"' + json.dumps(row["messages"]).replace('"', '""').encode() + b'"\n' for row in rows
    )


ROWS = [chat(n) for n in range(5)]
FILES = {
    "rows.jsonl": jsonl(ROWS),
    "rows.json": json.dumps(ROWS).encode(),
    "columns.json": json.dumps({"text": [json.dumps(row) for row in ROWS]}).encode(),
    "nested.json": json.dumps({"data": ROWS}, indent=1).encode(),
    "rows.csv": csv_of(ROWS),
    "rows.tsv": csv_of(ROWS).replace(b"messages\n", b"messages\tid\n").replace(b'"\n', b'"\t1\n'),
    "rows.parquet": parquet(ROWS),
    "rows.arrow": arrow(ROWS, stream=False),
    "stream.arrow": arrow(ROWS, stream=True),
}
PACKED = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": lambda data: pa.Codec("zstd").compress(data).to_pybytes(),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_read_plain_and_compressed(read, name, packing):
    rows, bad, one = read(PACKED[packing](FILES[name]), name + packing)

    assert not bad
    assert len(rows) == 5
    if name != "columns.json":
        assert [row for _, row in rows] == [row["messages"] for row in ROWS]
    assert one.type_name.endswith(packing)


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_is_read_out_of_an_archive(read, name):
    rows, bad, one = read(zipped({f"folder/{name}": FILES[name], "README.md": b"# Rows"}), "rows.zip")

    assert (len(rows), bad) == (5, [])
    assert one.type_name.endswith(".zip")


def test_members_follow_one_another_by_name_and_bad_rows_name_theirs(read, tmp_path):
    members = {
        "b.jsonl": jsonl([chat(3), {"messages": []}, chat(4)]),
        "a.jsonl": jsonl([chat(1), chat(2)]) + b"oops\n",
        "c.json": json.dumps([chat(5)]).encode(),
        "__MACOSX/._a.jsonl": b"\0\0",
        ".DS_Store": b"x",
    }

    aside = Aside(tmp_path / "out")
    rows, bad, _ = read(zipped(members), "rows.zip", aside=aside)
    aside.close()

    assert [row[0]["content"] for _, row in rows] == [f"Question {n}?" for n in (1, 2, 3, 4, 5)]
    assert [(one.line, one.field, one.code) for one in bad] == [
        (3, "a.jsonl", "invalid_json"),
        (2, "b.jsonl: messages", "empty_list"),
    ]


def test_parts_are_one_stream_wherever_they_were_cut(read):
    data = jsonl([chat(n) for n in range(200)])
    packed = gzip.compress(data)

    for whole, name in (
        (data, "a.jsonl"),
        (packed, "a.jsonl.gz"),
        (zipped({"a.jsonl": data}), "a.zip"),
        (FILES["rows.parquet"], "x.parquet"),
    ):
        third = len(whole) // 3
        rows, bad, one = read([whole[:third], whole[third : third + 5], b"", whole[third + 5 :]], name)
        assert (len(rows), bad) == (5 if "parquet" in name else 200, [])
        assert one.size == len(whole)


def test_dataset_info_beside_the_data_says_columns_and_roles(read):
    info = {
        "talks": {
            "file_name": "talks.json",
            "formatting": "sharegpt",
            "columns": {"messages": "talk"},
            "tags": {"role_tag": "who", "content_tag": "said", "user_tag": "caller", "assistant_tag": "desk"},
        },
        "other": {"file_name": "not_here.json"},
    }
    talk = [{"who": "caller", "said": "Hello?"}, {"who": "desk", "said": "Yes."}]

    rows, bad, one = read(
        zipped({"talks.json": json.dumps([{"talk": talk}]).encode(), "dataset_info.json": json.dumps(info).encode()}),
        "t.zip",
    )

    assert bad == []
    assert rows[0][1] == [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Yes."}]
    assert one.format_name == "sharegpt"


def test_an_archive_that_lies_about_its_sizes_stops_at_the_running_count(read):
    whole = bytearray(zipped({"a.jsonl": jsonl([chat(1)]) + b" " * 80_000_000}))
    size = (80_000_000 + len(jsonl([chat(1)]))).to_bytes(4, "little")
    at = whole.find(size)
    while at >= 0:
        whole[at : at + 4] = (200).to_bytes(4, "little")
        at = whole.find(size, at)

    with pytest.raises(FileRefused) as refused:
        read(bytes(whole), "a.zip")

    assert refused.value.code in ("archive_too_large", "archive_damaged")


def test_two_entries_over_the_same_bytes_are_refused(read):
    whole = bytearray(zipped({"a.jsonl": FILES["rows.jsonl"], "b.jsonl": FILES["rows.jsonl"]}, zipfile.ZIP_STORED))
    central = whole.rfind(b"PK\x01\x02")
    whole[central + 42 : central + 46] = (0).to_bytes(4, "little")  # the second entry points at the first

    with pytest.raises(FileRefused) as refused:
        read(bytes(whole), "a.zip")

    assert refused.value.code == "archive_too_large"


def test_an_archive_with_a_link_is_refused(read):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("rows.jsonl")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")

    with pytest.raises(FileRefused) as refused:
        read(out.getvalue(), "a.zip")

    assert refused.value.code == "unsafe_path"


@pytest.mark.parametrize("nested", [False, True])
def test_an_arrow_file_with_an_extension_type_is_refused_before_a_row_is_read(read, nested):
    field = pa.field(
        "messages", pa.string(), metadata={"ARROW:extension:name": "a.type", "ARROW:extension:metadata": ""}
    )
    schema = pa.schema([pa.field("row", pa.struct([field])) if nested else field])
    table = pa.Table.from_pylist([{"row": {"messages": "x"}} if nested else {"messages": "x"}], schema=schema)
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)

    with pytest.raises(FileRefused) as refused:
        read(out.getvalue(), "a.arrow")

    assert refused.value.code == "arrow_extension"


@pytest.mark.parametrize("name", ["rows.arrow", "stream.arrow", "rows.parquet"])
def test_a_column_whose_name_is_not_utf8_is_damage(read, name):
    """Found by `make fuzz-uploads`: names are decoded when they are asked for, long after the file was opened."""
    table = pa.table({"prompt": ["a"], "completion": ["b"], "name_of_a_column": ["c"]})
    out = io.BytesIO()
    if name.endswith(".parquet"):
        pq.write_table(table, out, store_schema=False)
    else:
        new = pa.ipc.new_file if name == "rows.arrow" else pa.ipc.new_stream
        with new(out, table.schema) as writer:
            writer.write_table(table)

    with pytest.raises(FileRefused) as refused:
        read(out.getvalue().replace(b"name_of_a_column", b"name_of_a_colum\xf4"), name)

    assert refused.value.code in ("arrow_damaged", "parquet_damaged")


@pytest.mark.parametrize("seed", range(30))
def test_damaged_arrow_bytes_are_refused_or_read_but_never_believed(read, seed):
    data = bytearray(FILES["rows.arrow" if seed % 2 else "stream.arrow"])
    draw = np.random.default_rng(seed)
    for _ in range(3):
        data[draw.integers(8, len(data))] = draw.integers(0, 256)
    try:
        read(bytes(data), "a.arrow")
    except FileRefused as refused:
        assert refused.code.value.startswith(("arrow", "decoded", "format", "type", "no_", "empty"))


def test_a_mapping_renames_columns_and_roles(read):
    data = jsonl({"dialogue": [{"role": "me", "content": "a"}, {"role": "bot", "content": "b"}]} for _ in range(3))

    rows, bad, one = read(
        data, "a.jsonl", mapping={"columns": {"dialogue": "messages"}, "roles": {"me": "user", "bot": "assistant"}}
    )

    assert (len(rows), bad, one.format_name) == (3, [], "openai_chat")
    assert rows[0][1][1] == {"role": "assistant", "content": "b"}


def test_what_is_said_of_the_whole_file_stands_in_every_row_behind_what_the_row_says():
    rows = [Row(Kind.TEXT, [], text="a"), Row(Kind.TEXT, [], text="b", provenance={"origin": "human"})]
    (batch,) = batched([(1, rows[0]), (2, rows[1])])

    stamp(batch, {"origin": "synthetic", "licence": "CC-BY-4.0"})

    said = [json.loads(text) for text in batch.table.column("provenance").to_pylist()]
    assert [one["origin"] for one in said] == ["synthetic", "human"]
    assert [one.get("licence") for one in said] == ["CC-BY-4.0", "CC-BY-4.0"]
    assert batch.table.schema == COLUMNS


def test_the_text_of_every_bad_row_is_kept_even_what_is_no_utf8(read, tmp_path):
    aside = Aside(tmp_path / "out")
    data = jsonl([chat(1)]) + b'{"messages": "caf\xe9"}\n' + jsonl([{"messages": [{"role": "x"}, {"content": 1}]}])

    _, bad, _ = read(data, "a.jsonl", aside=aside, forced=Format.OPENAI_CHAT)
    aside.close()

    kept = [json.loads(line) for line in (tmp_path / "out" / "bad.jsonl").read_bytes().splitlines()]
    assert kept[0]["text"].encode("utf-8", "surrogateescape") == b'{"messages": "caf\xe9"}'
    assert (kept[0]["line"], kept[0]["codes"]) == (2, ["invalid_utf8"])
    assert len([one for one in bad if one.line == 3]) >= 3  # every fault of the row, not only the first


def test_samples_and_the_head_are_told_before_the_second_batch(read, said):
    read(jsonl(chat(n) for n in range(3000)), "a.jsonl")

    assert [event for event, _ in said] == ["head", "detected"]
    assert said[0][1]["columns"][0][0] == "messages"


def test_the_first_rows_faults_and_counts_are_told_before_anything_judges_them(tmp_path, said, monkeypatch):
    """Somebody is waiting to see them; analysers, and the golden sets they read, take a while to load."""
    made = pipeline.Pipeline.__init__

    def watched(self, *given):
        events.emit("judging begins")
        made(self, *given)

    monkeypatch.setattr(pipeline.Pipeline, "__init__", watched)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{broken\n" + jsonl([chat(n) for n in range(2500)]))

    result = Upload({"source": str(path), "file_name": path.name, "out_dir": str(tmp_path / "out")}, Limits()).run()

    before = said[: [event for event, _ in said].index("judging begins")]
    assert [event for event, _ in before] == ["progress", "head", "detected", "samples", "bad_rows", "progress"]
    assert (before[-1][1]["rows"], before[-1][1]["bad"]) == (1000, 1)
    assert (result["rows_good"], result["rows_bad"]) == (2500, 1)
    assert result["cpu_s"]["parse"] > 0


@pytest.mark.parametrize(
    ("content", "code"), [(b"{broken\n[]\n", "no_good_rows"), (b"\n\n", "empty_file"), (b"", "empty_file")]
)
def test_a_file_without_a_good_row_is_refused_before_anything_is_written(tmp_path, said, content, code):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)

    with pytest.raises(FileRefused) as refused:
        Upload({"source": str(path), "file_name": path.name, "out_dir": str(tmp_path / "out")}, Limits()).run()

    assert refused.value.code == code
    assert not (tmp_path / "out" / "rows.parquet").exists()
