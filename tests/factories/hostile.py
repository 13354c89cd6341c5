"""Files made to do harm: bombs, archives that lie, tables whose offsets lead nowhere. All are small and built here."""

import io
import json
import os
import stat
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from datasets_app.models import Dataset, DatasetVersion, Upload
from tests.factories.projects import run_jobs

MB = 1024 * 1024
ROWS = b"".join(b'{"prompt": "Question %d?", "completion": "Answer %d."}\n' % (n, n) for n in range(4))


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def zip_that_understates(size: int) -> bytes:
    """Unpacks to `size` bytes, and says 100 in both of its headers."""
    whole = bytearray(zipped({"a.jsonl": bytes(size)}))
    local, central = whole.index(b"PK\x03\x04"), whole.index(b"PK\x01\x02")
    whole[local + 22 : local + 26] = whole[central + 24 : central + 28] = struct.pack("<I", 100)
    return bytes(whole)


def zip_of_one_file_many_times(times: int) -> bytes:
    """A table of contents that names the same bytes again and again, under different names."""
    inner = zipped({"a000000.jsonl": bytes(1 * MB)})
    at = inner.index(b"PK\x01\x02")
    end = inner.index(b"PK\x05\x06")
    entry = inner[at:end]
    table = b"".join(entry.replace(b"a000000", b"a%06d" % n) for n in range(times))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, times, times, len(table), at, 0)
    return inner[:at] + table + tail


def zip_of_empty_files(count: int) -> bytes:
    return zipped({f"{n}.jsonl": b"" for n in range(count)}, zipfile.ZIP_STORED)


def zip_with_mode(name: str, content: bytes, mode: int) -> bytes:
    """A member that its archive calls a symbolic link or a device."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        member = zipfile.ZipInfo(name)
        member.create_system = 3
        member.external_attr = mode << 16
        archive.writestr(member, content)
    return out.getvalue()


LINK, DEVICE = stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o600


def parquet_bomb(rows: int) -> bytes:
    """A dictionary of one text of 1 MB, and as many references to it as there are rows: about 500 bytes."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a" * 1_000_000]))
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), out, compression="zstd", store_schema=False)
    return out.getvalue()


def table() -> pa.Table:
    return pa.table({"prompt": ["Hello", "World", "Again"], "completion": ["Yes..", "No...", "Maybe"]})


def parquet(of: pa.Table | None = None) -> bytes:
    out = io.BytesIO()
    pq.write_table(table() if of is None else of, out, compression="none", use_dictionary=False)
    return out.getvalue()


def arrow(of: pa.Table | None = None, *, stream: bool = False) -> bytes:
    of, out = table() if of is None else of, io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, of.schema) as writer:
        writer.write_table(of)
    return out.getvalue()


def with_offsets(content: bytes, *offsets: int) -> bytes:
    """The offsets of the first column (0, 5, 10, 15) replaced."""
    given = struct.pack("<4i", 0, 5, 10, 15)
    assert given in content
    return content.replace(given, struct.pack("<4i", *offsets))


def parquet_footer(footer: bytes, length: int | None = None) -> bytes:
    return b"PAR1" + bytes(64) + footer + struct.pack("<I", (length or len(footer)) & 0xFFFFFFFF) + b"PAR1"


class _Foreign(pa.ExtensionType):
    def __init__(self) -> None:
        super().__init__(pa.string(), "foreign.type")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"\x80\x04."  # the beginning of a pickle, which nobody may load

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> "_Foreign":
        return cls()


def extension_table() -> pa.Table:
    """A column of a type that only its maker knows."""
    column = pa.ExtensionArray.from_storage(_Foreign(), pa.array(["a", "b"]))
    return pa.table({"prompt": column, "completion": ["x", "y"]})


@dataclass(frozen=True)
class Read:
    """How one reading by itself ended."""

    returncode: int
    events: list[dict[str, Any]]
    cpu_s: float
    peak_mb: float

    @property
    def code(self) -> str:
        return str(self.events[-1].get("code", "")) if self.events else ""


def read_alone(path: Path, **spec: Any) -> Read:
    """The reading child by itself, with the processor time and the memory that it took."""
    work = path.parent / f"work-{path.name}"
    work.mkdir()
    whole = {"task": "upload", "source": str(path), "file_name": path.name, "out_dir": str(work / "out"), **spec}
    (work / "spec.json").write_text(json.dumps(whole))
    with (work / "said").open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "datasets_app.engine", str(work / "spec.json")], stdout=out, cwd=settings.BASE_DIR
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    events = [json.loads(line) for line in (work / "said").read_bytes().splitlines()]
    assert not (work / "out").exists() or child.returncode == 0
    return Read(child.returncode, events, usage.ru_utime + usage.ru_stime, events[-1].get("peak_mb", 0))


def bring(client, dataset: Dataset, content: bytes, name: str) -> Upload:
    """Through the page's own door; then the worker reads it, and the pages about it are asked for."""
    response = client.post(
        reverse("dataset-upload", args=[dataset.project.slug, dataset.pk]),
        {"file": SimpleUploadedFile(name, content)},
        headers={"accept": "application/json"},
    )
    assert response.status_code == 201, response.content
    run_jobs()
    upload = Upload.objects.latest("pk")
    assert client.get(response.json()["url"]).status_code == 200
    assert client.get(dataset.get_absolute_url()).status_code == 200
    return upload


def refused(upload: Upload, *codes: str) -> None:
    """The upload ended with one of these codes and a word of advice, and there is no version."""
    assert (upload.state, upload.error_code in codes) == ("failed", True), f"{upload.state} {upload.error_code}"
    assert len(upload.error_message) > 20
    assert upload.version is None
    assert not DatasetVersion.objects.exists()
