"""Attacks on the way in, A01–A07 of the reliability list: archives and tables."""

import gzip
import re

import pyarrow as pa
import pytest
from django.conf import settings as django_settings

from datasets_app.models import BadRow
from tests.factories import hostile
from tests.factories.datasets import make_dataset
from tests.factories.hostile import MB, ROWS, bring, read_alone, refused
from tests.factories.projects import make_member, make_project

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.files]


@pytest.fixture
def dataset(client):
    project = make_project()
    user = make_member(project)
    client.force_login(user)
    return make_dataset(project, user)


def test_a01_a_zip_bomb_is_refused_before_it_is_unpacked(client, dataset, tmp_path):
    bomb = hostile.zipped({"a.jsonl": bytes(200 * MB)})
    assert len(bomb) < MB

    refused(bring(client, dataset, bomb, "a.zip"), "archive_too_large")

    (tmp_path / "a.zip").write_bytes(bomb)
    read = read_alone(tmp_path / "a.zip")
    assert read.code == "archive_too_large"
    assert read.peak_mb < 256
    assert read.cpu_s < 5


def test_a02_a_zip_that_understates_its_size_is_stopped_by_a_running_count(client, dataset, tmp_path):
    bomb = hostile.zip_that_understates(100 * MB)

    refused(bring(client, dataset, bomb, "a.zip"), "archive_too_large", "archive_damaged")

    (tmp_path / "a.zip").write_bytes(bomb)
    assert read_alone(tmp_path / "a.zip").peak_mb < 256


def test_a02_a_zip_that_names_the_same_bytes_many_times_is_refused(client, dataset):
    bomb = hostile.zip_of_one_file_many_times(5000)
    assert len(bomb) < MB

    refused(bring(client, dataset, bomb, "a.zip"), "archive_too_many", "archive_too_large", "archive_damaged")


def test_a02_a_hundred_thousand_empty_members_are_too_many(client, dataset, tmp_path):
    bomb = hostile.zip_of_empty_files(100_000)

    refused(bring(client, dataset, bomb, "a.zip"), "archive_too_many")

    (tmp_path / "a.zip").write_bytes(bomb)
    read = read_alone(tmp_path / "a.zip")
    assert read.peak_mb < 256
    assert read.cpu_s < 5


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(gzip.compress(ROWS)), "a.jsonl.gz"),
        (hostile.zipped({"b.zip": hostile.zipped({"a.jsonl": ROWS})}), "a.zip"),
        (hostile.zipped({"a.jsonl.gz": gzip.compress(ROWS)}), "a.zip"),
        (gzip.compress(hostile.zipped({"a.jsonl": ROWS})), "a.zip.gz"),
    ],
    ids=["gzip in gzip", "ZIP in ZIP", "gzip in ZIP", "ZIP in gzip"],
)
def test_a03_an_archive_in_an_archive_is_not_opened(client, dataset, content, name):
    refused(bring(client, dataset, content, name), "nested_archive")


@pytest.mark.parametrize("rows", [1000, 20_000])
def test_a04_a_parquet_of_500_bytes_that_decodes_to_gigabytes_is_stopped(client, dataset, tmp_path, rows):
    bomb = hostile.parquet_bomb(rows)
    assert len(bomb) < 600

    refused(bring(client, dataset, bomb, "bomb.parquet"), "decoded_too_large")

    (tmp_path / "bomb.parquet").write_bytes(bomb)
    read = read_alone(tmp_path / "bomb.parquet")
    assert read.code == "decoded_too_large"
    assert read.cpu_s < 10
    assert read.peak_mb < 512


def test_a04_an_arrow_dictionary_of_the_same_kind_is_stopped_too(client, dataset):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["a" * 1_000_000]))
    bomb = hostile.arrow(pa.table({"text": texts}))

    upload = bring(client, dataset, bomb, "bomb.arrow")

    refused(upload, "decoded_too_large", "memory_limit")


HUGE_MESSAGE = b"\xff\xff\xff\xff\xf0\xff\xff\x7f" + hostile.arrow(stream=True)[8:]
PARQUET = {
    "offsets that lead nowhere": hostile.parquet().replace(b"\x05\0\0\0Hello", b"\xff\xff\xff\x7fHello"),
    "a length below zero": hostile.parquet().replace(b"\x05\0\0\0Hello", b"\xff\xff\xff\xffHello"),
    "a footer of structures in structures": hostile.parquet_footer(b"\x1c" * 200_000),
    "a footer with a list of 4 thousand million": hostile.parquet_footer(b"\x15\x02\x19\xf5\xff\xff\xff\x0f\x00"),
    "a footer longer than the file": hostile.parquet_footer(b"\x15\x02", 0x7FFFFFFF),
    "a footer of negative length": hostile.parquet_footer(b"\x15\x02", -1),
}
ARROW = {
    "offsets beyond the text": hostile.with_offsets(hostile.arrow(), 0, 2**31 - 1, 10, 15),
    "offsets below zero": hostile.with_offsets(hostile.arrow(), 0, -(2**31), 10, 15),
    "offsets that go back": hostile.with_offsets(hostile.arrow(stream=True), 15, 10, 5, 0),
    "a file cut in two": hostile.arrow()[:300],
    "a stream with a huge message": HUGE_MESSAGE,
}
DAMAGED = {f"Parquet: {what}": (content, "a.parquet") for what, content in PARQUET.items()} | {
    f"Arrow: {what}": (content, "a.arrow") for what, content in ARROW.items()
}


@pytest.mark.parametrize(("content", "name"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a05_a_damaged_table_is_refused_and_the_worker_lives(client, dataset, content, name):
    upload = bring(client, dataset, content, name)

    refused(upload, f"{name.removeprefix('a.')}_damaged", "crashed", "type_mismatch", "no_good_rows")
    assert bring(client, dataset, ROWS, "good.jsonl").state == "succeeded"


@pytest.mark.parametrize("stream", [False, True])
def test_a05_an_arrow_file_in_order_is_read(client, dataset, stream):
    upload = bring(client, dataset, hostile.arrow(stream=stream), "a.arrow")

    assert (upload.state, upload.rows_good, upload.file_type) == ("succeeded", 3, "arrow")


@pytest.mark.parametrize("write", [hostile.arrow, hostile.parquet])
def test_a05_types_that_only_their_maker_knows_are_never_loaded(client, dataset, write):
    """CVE-2023-47248: an extension type may run its maker's code when it is read."""
    upload = bring(client, dataset, write(hostile.extension_table()), f"a.{write.__name__}")

    if write is hostile.arrow:
        refused(upload, "extension_type", "arrow_damaged", "arrow_extension", "type_mismatch")
    else:  # Parquet knows the storage beneath it
        assert upload.state in ("failed", "succeeded")


def json_row(value: bytes) -> bytes:
    return b'{"prompt": "Say it.", "completion": ' + value + b"}\n"


BAD = {
    "a million levels": (json_row(b"[" * 10**6 + b"]" * 10**6), "too_deep"),
    "5,000 digits": (json_row(b"9" * 5000), "number_too_large"),
    "NaN": (json_row(b"NaN"), "not_a_number"),
    "half a character": (json_row(b'"\\ud800"'), "lone_surrogate"),
    "NUL": (json_row(b'"\\u0000"'), "nul_character"),
    "broken UTF-8": (json_row(b'"caf\xe9"'), "invalid_utf8"),
}


def test_a06_what_json_must_not_hold_is_named_by_line_and_nothing_is_repaired(client, dataset):
    content = b"".join(ROWS + bad for bad, _ in BAD.values())

    upload = bring(client, dataset, content, "a.jsonl")

    found = list(BadRow.objects.order_by("line").values_list("line", "code"))
    assert found == [(5 * n, code) for n, (_, code) in enumerate(BAD.values(), 1)]
    assert upload.rows_good == 4 * len(BAD)
    assert re.search(r"byte \d+", BadRow.objects.get(code="invalid_utf8").found)


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (b"\xef\xbb\xbf" + ROWS, "succeeded"),
        (ROWS.replace(b"\n", b"\r\n"), "succeeded"),
        (ROWS.replace(b"?", "?\u2028\u2029".encode()), "succeeded"),
        (ROWS.decode().encode("utf-16"), "failed"),
        (ROWS.replace(b"\n", b"\r"), "failed"),
    ],
    ids=["BOM", "CRLF", "LS and PS inside of texts", "UTF-16", "CR alone"],
)
def test_a06_marks_and_line_ends(client, dataset, content, state):
    assert bring(client, dataset, content, "a.jsonl").state == state


NAMES = ["../../etc/cron.d/x.jsonl", "/etc/x.jsonl", "C:\\x.jsonl", "..\\x.jsonl", "a/../../x.jsonl"]
UNSAFE = {
    **{name: hostile.zipped({name: ROWS}) for name in NAMES},
    "a link": hostile.zip_with_mode("x.jsonl", b"/etc/passwd", hostile.LINK),
    "a device": hostile.zip_with_mode("x.jsonl", b"", hostile.DEVICE),
    "names that differ in case": hostile.zipped({"a.jsonl": ROWS, "A.jsonl": ROWS}),
}


@pytest.mark.parametrize("content", UNSAFE.values(), ids=UNSAFE.keys())
def test_a07_members_with_unsafe_names_are_refused_and_nothing_is_written_elsewhere(client, dataset, content, tmp_path):
    before = {path for path in tmp_path.rglob("*") if "data" not in path.relative_to(tmp_path).parts[:1]}

    refused(bring(client, dataset, content, "a.zip"), "unsafe_path")

    assert {path for path in tmp_path.rglob("*") if "data" not in path.relative_to(tmp_path).parts[:1]} == before
    root = django_settings.DATA_DIR / "files"
    assert not [path for path in root.rglob("*.jsonl")]
