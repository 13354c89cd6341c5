"""Valid files of every format and container: what the mutations begin with."""

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]
SAID = "the parcel is late again please send it to berlin größe été ночь 雨が降る 价格 naïve <b> "
WORDS = (SAID + '"quoted" 12,5 € 🙂').split()


def text(rng: random.Random, words: int = 12) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, words)))


def turns(rng: random.Random) -> list[dict[str, Any]]:
    listed = [{"role": "system", "content": text(rng)}] if rng.random() < 0.3 else []
    for _ in range(rng.randint(1, 3)):
        listed += [{"role": "user", "content": text(rng)}, {"role": "assistant", "content": text(rng, 30)}]
    return listed


def chat(rng: random.Random) -> dict[str, Any]:
    return {"messages": turns(rng), "tags": ["a", "b"], "id": text(rng, 1)}


def tools(rng: random.Random) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"place": "Paris"}'}}
    schema = {
        "type": "function",
        "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}},
    }
    said = [
        {"role": "user", "content": text(rng)},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "name": "look_up", "tool_call_id": "c1", "content": "{}"},
        {"role": "assistant", "content": text(rng), "weight": 1},
    ]
    return {"messages": said, "tools": [schema]}


def openai_pair(rng: random.Random) -> dict[str, Any]:
    given = {"messages": [{"role": "user", "content": text(rng)}]}
    good, bad = ([{"role": "assistant", "content": text(rng)}] for _ in range(2))
    return {"input": given, "preferred_output": good, "non_preferred_output": bad}


def sharegpt(rng: random.Random) -> dict[str, Any]:
    said = [{"from": "human", "value": text(rng)}, {"from": "gpt", "value": text(rng)}]
    return {"conversations": said, "system": text(rng)}


FORMATS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "chat": chat,
    "tools": tools,
    "prompt_completion": lambda rng: {"prompt": text(rng), "completion": text(rng)},
    "preference": lambda rng: {"prompt": text(rng), "chosen": text(rng), "rejected": text(rng)},
    "openai_preference": openai_pair,
    "alpaca": lambda rng: {"instruction": text(rng), "input": text(rng), "output": text(rng)},
    "sharegpt": sharegpt,
    "question_answer": lambda rng: {"question": text(rng), "answer": text(rng), "label": rng.choice("xyz")},
    "text": lambda rng: {"text": text(rng, 60)},
}


def jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def columns(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def separated(rows: Rows, delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(rows[0])
    writer.writerows([value if isinstance(value, str) else json.dumps(value) for value in row.values()] for row in rows)
    return out.getvalue().encode()


def arrow_table(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows)


def parquet(rows: Rows, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(arrow_table(rows), out, row_group_size=7, **options)
    return out.getvalue()


def ipc(rows: Rows, *, stream: bool) -> bytes:
    table, out = arrow_table(rows), io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def packed(content: bytes, container: str, name: str) -> bytes:
    if container == "gz":
        return gzip.compress(content, 6, mtime=0)
    if container == "zst":
        return bytes(pa.Codec("zstd").compress(content).to_pybytes())
    if container == "zip":
        return zipped({name: content})
    return content


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "jsonl": jsonl,
    "json": lambda rows: json.dumps(rows).encode(),
    "columns.json": lambda rows: json.dumps(columns(rows)).encode(),
    "csv": lambda rows: separated(rows, ","),
    "tsv": lambda rows: separated(rows, "\t"),
    "parquet": parquet,
    "zstd.parquet": lambda rows: parquet(rows, compression="zstd", data_page_version="2.0"),
    "plain.parquet": lambda rows: parquet(rows, compression="none", use_dictionary=False),
    "arrow": lambda rows: ipc(rows, stream=False),
    "stream.arrow": lambda rows: ipc(rows, stream=True),
}
CONTAINERS = ("", "", "", "gz", "zst", "zip")


def files(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Every format in every way of writing it: (name, content)."""
    for fmt, make in FORMATS.items():
        rows = [make(rng) for _ in range(rng.randint(4, 24))]
        for ending, write in WRITERS.items():
            yield f"{fmt}.{ending}", write(rows)
