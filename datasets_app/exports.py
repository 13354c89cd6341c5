"""Files that leave: bad rows with their reasons, and versions in the shapes of other tools, always streamed."""

import csv
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.http import StreamingHttpResponse

from datasets_app import selectors
from datasets_app.domain import exports as shapes
from datasets_app.domain.exports import Shape
from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.models import DatasetVersion, Upload
from projects.domain.errors import Invalid
from projects.domain.spreadsheets import safe_cell

FIELDS = ("line", "column", "field", "code", "found", "expected")
TYPES = {
    "jsonl": "application/octet-stream",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/octet-stream",
    "gz": "application/gzip",
}
BOM = "\ufeff"
AT_ONCE = 500


class _Echo:
    """A file that hands back what is written to it, so that rows can be streamed."""

    def write(self, text: str) -> str:
        return text


def attachment(pieces: Iterator[bytes], name: str) -> StreamingHttpResponse:
    """A download that no browser shows inline, whatever is in it."""
    response = StreamingHttpResponse(pieces, content_type=TYPES[name.rpartition(".")[2]])
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response


# Bad rows


def bad_rows_response(upload: Upload, kind: str) -> StreamingHttpResponse:
    """`jsonl` and `csv`: every fault; `mend.jsonl`: the rows themselves; `rows.jsonl`: nothing but their text."""
    return attachment(BAD_ROWS[kind](upload), f"bad-rows-{upload.pk}.{kind}")


def faults_of(upload: Upload) -> Iterator[dict[str, Any]]:
    return upload.bad_rows.order_by("line", "pk").values(*FIELDS).iterator(chunk_size=2000)


def as_jsonl(upload: Upload) -> Iterator[bytes]:
    for row in faults_of(upload):
        yield orjson.dumps(row) + b"\n"


def as_csv(upload: Upload) -> Iterator[bytes]:
    writer = csv.writer(_Echo())
    yield writer.writerow(FIELDS).encode()
    for row in faults_of(upload):
        cells = ["" if row[name] is None else row[name] for name in FIELDS]
        yield writer.writerow([cells[0], cells[1], *[safe_cell(str(cell)) for cell in cells[2:]]]).encode()


def as_text_to_mend(upload: Upload) -> Iterator[bytes]:
    """Rows still kept aside as {line, codes, faults, text}; `text` is the row as it stood in the file."""
    still = set(selectors.bad_lines(upload))
    waiting: list[dict[str, Any]] = []
    for entry in selectors.bad_texts(upload):
        if entry["line"] in still:
            waiting.append(entry)
        if len(waiting) >= AT_ONCE:
            yield _with_faults(upload, waiting)
            waiting = []
    yield _with_faults(upload, waiting)


def _with_faults(upload: Upload, entries: list[dict[str, Any]]) -> bytes:
    told: dict[int, list[dict[str, Any]]] = {}
    lines = [entry["line"] for entry in entries]
    for row in upload.bad_rows.filter(line__in=lines).order_by("line", "pk").values(*FIELDS):
        told.setdefault(row.pop("line"), []).append(row)
    # Halves of pairs, which stand for bytes that are not UTF-8, are escaped.
    return "".join(json.dumps({**one, "faults": told.get(one["line"], [])}) + "\n" for one in entries).encode()


def as_bare_rows(upload: Upload) -> Iterator[bytes]:
    """The rows still kept aside exactly as they stood, one a line."""
    still = set(selectors.bad_lines(upload))
    for entry in selectors.bad_texts(upload):
        if entry["line"] in still:
            yield (entry.get("text") or "").encode("utf-8", "surrogateescape") + b"\n"


BAD_ROWS = {"jsonl": as_jsonl, "csv": as_csv, "mend.jsonl": as_text_to_mend, "rows.jsonl": as_bare_rows}


# Versions


def version_response(version: DatasetVersion, shape: str, *, gz: bool = False) -> StreamingHttpResponse:
    """The rows of a version in the wanted shape, a group of rows at a time."""
    known = shapes.shapes_of(Kind(version.kind))
    if shape not in known:
        raise Invalid(
            f"A version of {version.get_kind_display().lower()} rows can be had as {', '.join(known)}.",
            code="shape_unknown",
            field="shape",
        )
    wanted = Shape(shape)
    pieces = version_pieces(version, wanted)
    name = f"{version.dataset_id}-v{version.number}-{wanted.value}.{shapes.SHAPES[wanted].ending}"
    return attachment(gzipped(pieces), f"{name}.gz") if gz else attachment(pieces, name)


def version_pieces(version: DatasetVersion, shape: Shape) -> Iterator[bytes]:
    if shape == Shape.PARQUET:
        return parquet_pieces(version)
    if shape == Shape.CSV:
        return csv_pieces(version)
    return jsonl_pieces(version, shape)


def jsonl_pieces(version: DatasetVersion, shape: Shape) -> Iterator[bytes]:
    shaped = shapes.AS_JSON[shape]
    for rows in selectors.row_groups(version):
        yield b"".join(orjson.dumps(shaped(row)) + b"\n" for row in rows)


def csv_pieces(version: DatasetVersion) -> Iterator[bytes]:
    """With a mark at the beginning, by which spreadsheets know that it is UTF-8."""
    writer = csv.writer(_Echo())
    yield (BOM + writer.writerow(shapes.csv_fields(Kind(version.kind)))).encode()
    for rows in selectors.row_groups(version):
        lines = (writer.writerow([safe_cell(cell) for cell in shapes.csv_cells(row)]) for row in rows)
        yield "".join(lines).encode()


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


class _Sink:
    """What a Parquet writer has written since somebody last looked."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def parquet_pieces(version: DatasetVersion) -> Iterator[bytes]:
    """TRL's columns; a turn is a struct, calls, schemas and what else is nested are JSON texts inside."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, kind = _Sink(), Kind(version.kind)
    turns = pa.list_(pa.struct([(name, pa.int8() if name == "weight" else pa.string()) for name in TURN_FIELDS]))
    columns = [(name, pa.string() if name in ("text", "tools") else turns) for name in shapes.CSV_FIELDS[kind]]
    columns += [("label", pa.string()), ("tags", pa.list_(pa.string())), ("id", pa.string())]
    columns += [(name, pa.string()) for name in JSON_FIELDS]
    schema = pa.schema(columns)
    writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd")
    for rows in selectors.row_groups(version):
        writer.write_table(pa.Table.from_pylist([_parquet_row(row) for row in rows], schema=schema))
        yield sink.taken()
    writer.close()
    yield sink.taken()


TURN_FIELDS = ("role", "content", "name", "tool_call_id", "thinking", "reasoning_content", "tool_calls", "weight")
JSON_FIELDS = ("chat_template_kwargs", "parallel_tool_calls", "provenance")


def _parquet_row(row: Row) -> dict[str, Any]:
    shaped = shapes.trl(row)
    for name in ("messages", "prompt", "chosen", "rejected"):
        if name in shaped:
            shaped[name] = [_parquet_turn(turn) for turn in shaped[name]]
    for name in ("tools", *JSON_FIELDS):
        if shaped.get(name) is not None:
            shaped[name] = orjson.dumps(shaped[name]).decode()
    return shaped


def _parquet_turn(turn: dict[str, Any]) -> dict[str, Any]:
    calls = turn.get("tool_calls")
    return {**turn, "tool_calls": orjson.dumps(calls).decode()} if calls else turn


def answer_csv(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The answer to a deletion request: what holds the text or was made of it, one line each."""
    writer = csv.writer(_Echo())
    names = ("kind", "name", "rows", "state", "url")
    yield BOM + writer.writerow(names)
    for line in lines:
        yield writer.writerow([safe_cell(str(line[name])) for name in names])
