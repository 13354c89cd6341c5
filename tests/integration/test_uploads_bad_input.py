"""Hostile and broken files by their numbers of the reliability list: refused by code, no 5xx, nothing half-written."""

import gzip
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from datasets_app.domain.codes import HOPELESS
from datasets_app.engine.limits import MB
from datasets_app.models import BadRow, DatasetVersion, Upload
from tests.factories.datasets import jsonl, make_dataset, make_upload, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.files]
GOOD = jsonl(tickets(4))
DEEP = 10**6


def answer(text: str) -> bytes:
    return b'{"prompt": "Say it.", "completion": ' + text.encode() + b"}\n"


def stored_files() -> list[str]:
    root = django_settings.DATA_DIR / "files"
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def send(client, content: bytes, name: str) -> Upload:
    """Through the page's own door, as a browser sends it; then the worker reads it."""
    project = make_project()
    user = make_member(project)
    dataset = make_dataset(project, user)
    client.force_login(user)
    response = client.post(
        reverse("dataset-upload", args=[project.slug, dataset.pk]),
        {"file": SimpleUploadedFile(name, content)},
        headers={"accept": "application/json"},
    )
    assert response.status_code == 201, response.content
    run_jobs()
    upload = Upload.objects.get()
    assert client.get(response.json()["url"]).status_code == 200
    assert client.get(dataset.get_absolute_url()).status_code == 200
    return upload


def zipped(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return out.getvalue()


def empty_members() -> bytes:
    return zipped({f"{n}.jsonl": b"" for n in range(20_000)})


def parquet_bomb(rows: int) -> bytes:
    """A dictionary of one 1 MB text and as many references to it as there are rows: a few hundred bytes."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a" * 1_000_000]))
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), out, compression="zstd", store_schema=False)
    return out.getvalue()


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content).to_pybytes()


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(60)
REFUSED = {
    "spaces only": (b"  \n \r\n", "a.jsonl", "empty_file"),
    "A12 a PNG called .jsonl": (PNG, "photo.jsonl", "type_mismatch"),
    "A12 a PNG called .csv": (PNG, "photo.csv", "type_mismatch"),
    "A12 a program": (b"\x7fELF\x02\x01\x01" + bytes(50), "a.jsonl", "type_mismatch"),
    "A12 an HTML page": (b"<!DOCTYPE html><html><body>hello</body></html>", "a.jsonl", "type_mismatch"),
    "A12 a pickle": (b"\x80\x04\x95\x00\x00\x00", "a.parquet", "type_mismatch"),
    "A12 a workbook called .csv": (zipped({"xl/workbook.xml": b"<x/>"}), "a.csv", "archive_unsupported"),
    "A05 a damaged Arrow file": (b"ARROW1\0\0" + bytes(50), "a.arrow", "arrow_damaged"),
    "A05 an Arrow stream with a negative length": (b"\xff" * 8 + bytes(50), "a.arrow", "arrow_damaged"),
    "A06 UTF-16": (GOOD.decode().encode("utf-16"), "a.jsonl", "encoding_utf16"),
    "A06 UTF-16 without its mark": (GOOD.decode().encode("utf-16-le"), "a.jsonl", "encoding_utf16"),
    "A06 bare carriage returns": (GOOD.replace(b"\n", b"\r"), "a.jsonl", "line_ends_cr"),
    "prose": (b"Dear all,\nthese are the notes of the meeting.\n", "notes.txt", "type_mismatch"),
    "A01 a ZIP of zeros": (lambda: zipped({"a.jsonl": bytes(200 * MB)}), "a.zip", "archive_too_large"),
    "A02 100,000 empty members": (empty_members, "a.zip", "archive_too_many"),
    "A03 ZIP in ZIP": (zipped({"a.jsonl": zipped({"a.jsonl": GOOD})}), "a.zip", "nested_archive"),
    "A03 gzip in ZIP": (zipped({"a.jsonl": gzip.compress(GOOD)}), "a.zip", "nested_archive"),
    "A07 a path that climbs": (zipped({"../../etc/cron.d/x.jsonl": GOOD}), "a.zip", "unsafe_path"),
    "A07 an absolute path": (zipped({"/etc/x.jsonl": GOOD}), "a.zip", "unsafe_path"),
    "A07 a drive": (zipped({"C:\\x.jsonl": GOOD}), "a.zip", "unsafe_path"),
    "A07 backslashes": (zipped({"..\\x.jsonl": GOOD}), "a.zip", "unsafe_path"),
    "A07 names that differ in case": (zipped({"a.jsonl": GOOD, "A.jsonl": GOOD}), "a.zip", "unsafe_path"),
    "a ZIP without a table": (zipped({"README.md": b"# Hello"}), "a.zip", "empty_file"),
    "a cut ZIP": (zipped({"a.jsonl": GOOD})[:-30], "a.zip", "archive_damaged"),
    "A03 gzip in gzip": (gzip.compress(gzip.compress(GOOD)), "a.jsonl.gz", "nested_archive"),
    "A03 zstd in gzip": (gzip.compress(zstd(GOOD)), "a.jsonl.gz", "nested_archive"),
    "A03 ZIP in gzip": (gzip.compress(zipped({"a": GOOD})), "a.jsonl.gz", "nested_archive"),
    "a gzip bomb": (lambda: gzip.compress(GOOD + b'{"a": "' + b"x" * (200 * MB)), "a.jsonl.gz", "archive_too_large"),
    "a zstd bomb": (lambda: zstd(GOOD + b"x" * (200 * MB)), "a.jsonl.zst", "archive_too_large"),
    "a cut gzip": (gzip.compress(jsonl(tickets(500)))[:-300], "a.jsonl.gz", "archive_damaged"),
    "a gzip that is none": (b"\x1f\x8b" + bytes(range(200)), "a.jsonl.gz", "archive_damaged"),
    "a zstd that is none": (b"\x28\xb5\x2f\xfd" + bytes(range(200)), "a.jsonl.zst", "archive_damaged"),
    "A05 a damaged Parquet": (b"PAR1" + bytes(range(256)) * 4 + b"PAR1", "a.parquet", "parquet_damaged"),
    "A05 a Parquet that ends early": (parquet_bomb(3)[:-20], "a.parquet", "parquet_damaged"),
    "a list that is never closed": (b"[\n", "a.json", "json_not_rows"),
    "columns of different length": (b'{"prompt": ["a", "b"], "completion": ["c"]}', "a.json", "json_not_rows"),
    "unknown columns": (b'{"foo": 1, "bar": 2}\n{"foo": 1, "bar": 2}\n', "a.jsonl", "format_unknown"),
    "unpaired preference": (b'{"prompt": "a", "completion": "b", "label": true}\n', "a.jsonl", "unpaired_rows"),
    "A06 nothing but depth": (b"[" * DEEP + b"]" * DEEP, "a.json", "no_good_rows"),
    "no row fits": (b'{"messages": []}\n' * 3, "a.jsonl", "no_good_rows"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "name", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_is_no_table_is_refused_by_code(client, content, name, code):
    upload = send(client, content() if callable(content) else content, name)  # large ones are made when needed

    assert (upload.state, upload.error_code) == ("failed", code)
    assert len(upload.error_message) > 20
    assert not DatasetVersion.objects.exists()
    kept = [key for key in stored_files() if "/staged-" not in key]
    assert kept == ([] if code in HOPELESS else [upload.key])
    # Only where a click may still mend a row is anything of its rows kept.
    assert (len(kept) == len(stored_files())) == (code != "no_good_rows")


BAD_ROWS = {
    "A06 10⁶ deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"\n", "too_deep"),
    "A06 10⁶ deep lists": (b"[" * DEEP + b"]" * DEEP + b"\n", "too_deep"),
    "65 levels": (answer("[" * 65 + "]" * 65), "too_deep"),
    "A06 NaN": (answer("NaN"), "not_a_number"),
    "A06 -Infinity": (answer("-Infinity"), "not_a_number"),
    "A06 1e999": (answer("1e999"), "number_too_large"),
    "A06 5,000 digits": (answer("9" * 5000), "number_too_large"),
    "A06 a lone surrogate": (answer('"half \\ud83d"'), "lone_surrogate"),
    "A06 \\u0000": (answer('"a\\u0000b"'), "nul_character"),
    "A06 a raw zero byte is no JSON": (answer('"a\x01b"'), "invalid_json"),
    "A06 broken UTF-8": (b'{"prompt": "caf\xe9", "completion": "x"}\n', "invalid_utf8"),
    "A06 over-long UTF-8": (b'{"prompt": "\xc0\xaf", "completion": "x"}\n', "invalid_utf8"),
    "the same key twice": (b'{"prompt": "a", "prompt": "b", "completion": "c"}\n', "duplicate_key"),
    "cut JSON": (b'{"prompt": "a", "comple\n', "invalid_json"),
    "a bare list": (b'["prompt", "completion"]\n', "not_an_object"),
    "half a million lists": (answer("[" + "[]," * 500_000 + "[]]"), "too_many_values"),
}  # fmt: skip
PAIRS = b"".join(b'{"prompt": "Question %d?", "completion": "Answer %d."}\n' % (n, n) for n in range(4))


def test_every_bad_row_is_kept_aside_with_its_line_and_the_others_go_on(client):
    """One file with every fault in it, each between good rows."""
    blocks = [PAIRS.replace(b"Answer", b"Answer to %d," % n) + line for n, (line, _) in enumerate(BAD_ROWS.values())]

    upload = send(client, b"".join(blocks), "a.jsonl")

    found = [(bad.line, bad.code) for bad in BadRow.objects.order_by("line")]
    assert found == [(5 * n, code) for n, (_, code) in enumerate(BAD_ROWS.values(), 1)]
    assert (upload.state, upload.rows_good, upload.rows_bad) == ("succeeded", 4 * len(BAD_ROWS), len(BAD_ROWS))
    assert all(bad.found and bad.expected for bad in BadRow.objects.all())


def test_broken_utf8_names_line_and_byte(client):
    send(client, PAIRS + b'{"prompt": "caf\xe9", "completion": "x"}\n', "a.jsonl")

    bad = BadRow.objects.get()
    assert bad.line == 5
    assert bad.found == "byte 0xe9 at byte 16 of the row"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xef\xbb\xbf" + PAIRS, "bom.jsonl"),
        (PAIRS.replace(b"\n", b"\r\n"), "crlf.jsonl"),
        (b"\xef\xbb\xbf" + PAIRS.replace(b"\n", b"\r\n"), "both.jsonl"),
        (PAIRS, "rows.csv"),
        (PAIRS, "rows.parquet"),
        (PAIRS.rstrip(b"\n"), "no-last-newline.jsonl"),
        (PAIRS.replace(b"?", "?\\u2028\u2028".encode()), "line-separators.jsonl"),
    ],
)
def test_what_editors_and_wrong_endings_do_is_accepted(client, content, name):
    upload = send(client, content, name)

    assert (upload.state, upload.rows_good, upload.rows_bad) == ("succeeded", 4, 0)
    assert upload.file_type == "jsonl"


@pytest.mark.parametrize("code", ["empty_file", "too_large"])
def test_the_door_itself_refuses_what_needs_no_reading(client, settings, code):
    settings.MAX_UPLOAD_BYTES = 100
    project = make_project()
    user = make_member(project)
    dataset = make_dataset(project, user)
    client.force_login(user)

    response = client.post(
        reverse("dataset-upload", args=[project.slug, dataset.pk]),
        {"file": SimpleUploadedFile("a.jsonl", b"" if code == "empty_file" else GOOD)},
        headers={"accept": "application/json"},
    )

    assert (response.status_code, response.json()["code"]) == (400, code)
    assert not Upload.objects.exists()
    assert stored_files() == []


def test_a_line_of_a_gigabyte_is_passed_over_without_being_held(tmp_path, measured):
    path = tmp_path / "line.jsonl"
    with path.open("wb") as file:
        file.write(PAIRS + b'{"prompt": "')
        for _ in range(1024):
            file.write(b"x" * MB)
        file.write(b'", "completion": "y"}\n' + PAIRS)

    code, events = measured(path)

    assert code == 0
    assert events[-1]["bad_codes"] == {"line_too_long": 1}
    assert events[-1]["rows_good"] == 8
    assert events[-1]["peak_mb"] < 256


def test_a_sparse_gigabyte_is_refused_at_once(tmp_path, measured):
    path = tmp_path / "sparse.jsonl"
    path.write_bytes(PAIRS)
    with path.open("ab") as file:
        file.truncate(1024 * MB)

    code, events = measured(path)

    assert (code, events[-1]["code"]) == (1, "type_mismatch")
    assert events[-1]["peak_mb"] < 256


@pytest.mark.parametrize("rows", [1000, 20_000])
def test_a04_a_parquet_of_507_bytes_that_decodes_to_gigabytes_stops_below_400_mb(tmp_path, measured, rows):
    path = tmp_path / "bomb.parquet"
    path.write_bytes(parquet_bomb(rows))
    assert path.stat().st_size < 600

    code, events = measured(path)

    assert (code, events[-1]["code"]) == (1, "decoded_too_large")
    assert events[-1]["peak_mb"] < 400
    assert not (tmp_path / "work" / "out").exists()


def test_a04_one_page_that_needs_all_the_memory_is_refused_within_the_limit(tmp_path, measured):
    path = tmp_path / "page.parquet"
    text = pa.array([b"a" * 250_000_000], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text}), path, use_dictionary=False, compression="zstd", write_statistics=False)

    code, events = measured(path)

    assert (code, events[-1]["code"]) == (1, "decoded_too_large")
    assert events[-1]["peak_mb"] < 600


def test_a04_many_rows_of_nothing_are_counted_too(tmp_path, measured):
    path = tmp_path / "zeros.parquet"
    pq.write_table(pa.table({"text": pa.array([""] * 400_000), "label": pa.array([0] * 400_000)}), path)

    code, events = measured(path, limits={"rows": 5_000})

    assert (code, events[-1]["code"]) == (1, "too_many_rows")


def test_every_bad_row_is_counted_even_beyond_those_that_are_told(tmp_path, measured):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(PAIRS + b"nonsense\n" * 3000 + PAIRS + b"[]\n" * 10)

    code, events = measured(path, limits={"bad_rows_kept": 2000})

    assert code == 0
    assert events[-1]["bad_codes"] == {"invalid_json": 3000, "not_an_object": 10}
    assert sum(len(e["rows"]) for e in events if e["event"] == "bad_rows") == events[-1]["bad_rows_told"] == 2000


def test_the_reader_obeys_sigterm_and_leaves_nothing(tmp_path):
    import signal
    import subprocess
    import sys
    import time

    path = tmp_path / "long.jsonl"
    path.write_bytes(jsonl(tickets(20_000)) * 30)  # long enough not to be done within the second
    spec = {"task": "upload", "source": str(path), "file_name": "long.jsonl", "out_dir": str(tmp_path / "out")}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    child = subprocess.Popen(
        [sys.executable, "-m", "datasets_app.engine", str(tmp_path / "spec.json")],
        stdout=subprocess.PIPE,
        cwd=django_settings.BASE_DIR,
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(1)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)

    assert child.returncode == 143
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("rows\u202egnp.jsonl", "rowsgnp.jsonl"),
        ("two\nlines\t.jsonl", "twolines.jsonl"),
        ("cafe\u0301.jsonl", "caf\u00e9.jsonl"),
        ('"><svg onload=alert(1)>.jsonl', '"><svg onload=alert(1)>.jsonl'),
        ("CON", "CON"),
    ],
)
def test_a08_names_are_for_showing_only(given, shown):
    dataset = make_dataset()

    upload = make_upload(dataset, GOOD, given)

    assert upload.file_name == shown
    assert len(upload.file_name) <= 255
    assert given not in upload.key
    assert upload.state == "succeeded"


def test_a08_a_name_of_5000_characters_through_the_door(client):
    upload = send(client, GOOD, "n" * 5000 + ".jsonl")

    assert len(upload.file_name) <= 255
    assert upload.file_name.endswith(".jsonl")


def test_a09_no_path_of_the_client_reaches_the_store(client):
    upload = send(client, GOOD, "../../../etc/cron.d/x.jsonl")

    assert upload.file_name == "x.jsonl"
    assert all(not name.startswith("..") and "etc" not in name for name in stored_files())


@pytest.fixture
def measured(tmp_path):
    """Runs the reading child by itself and hands back its exit code and everything it said."""
    import subprocess
    import sys

    def run(path, **spec):
        work = tmp_path / "work"
        work.mkdir()
        spec = {"task": "upload", "source": str(path), "file_name": path.name, "out_dir": str(work / "out"), **spec}
        (work / "spec.json").write_text(json.dumps(spec))
        ended = subprocess.run(
            [sys.executable, "-m", "datasets_app.engine", str(work / "spec.json")],
            stdout=subprocess.PIPE,
            cwd=django_settings.BASE_DIR,
            timeout=120,
            check=False,
        )
        return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]

    return run
