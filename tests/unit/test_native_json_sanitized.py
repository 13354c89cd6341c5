"""The JSON kernels under AddressSanitizer and UBSan, fed with mutated lines."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "datasets_app" / "engine" / "native"
FLAGS = ["-O1", "-g", "-std=gnu11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROUNDS = 60_000

TURNS = [
    {"role": "system", "content": "Be \u00e9 \u6f22 \U0001f642 kind."},
    {"role": "user", "content": 'What?\n"Yes" \\ / \x01'},
    {"role": "assistant", "content": "x" * 40, "weight": 0},
    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"b": [1, {}]}}}]},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "so",
        "tool_calls": [
            {
                "id": "c",
                "type": "function",
                "function": {"arguments": '{"z": {"b": 1, "a": [[], {"y": "\\u00e9"}]}, "k": ""}', "name": "g"},
            },
            {"function": {"name": "h", "arguments": ""}},
        ],
    },
    {"role": "tool", "name": "f", "tool_call_id": "c", "content": "1"},
    {"role": "assistant", "content": "done", "thinking": "hm", "weight": 1},
]
SEEDS = [
    {"messages": TURNS[:3], "id": 17, "label": True, "tags": ["a", "b\u00e9"], "split": {"deep": [[[1.5e300]]]}},
    {"messages": TURNS, "tools": [{"type": "function", "function": {"name": "f", "parameters": {"b": {}, "a": 1}}}]},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "S"},
    {"prompt": "a\\b", "completion": "c", "label": "", "category": None, "extra": -0.0},
    {"instruction": "I", "input": "", "output": "O" * 100, "system": "\u2028"},
    {"text": "One document. " * 30, "tools": [], **{f"f{n}": n for n in range(40)}},
]


@pytest.fixture(scope="module")
def harness(tmp_path_factory) -> Path:
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    made = tmp_path_factory.mktemp("fuzz") / "fuzz_json"
    sources = [Path(__file__).with_name("fuzz_json.c"), NATIVE / "json.c", NATIVE / "stored.c"]
    command = [compiler, *FLAGS, f"-I{NATIVE}", "-o", str(made), *map(str, sources), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the compiler has no sanitizers: {done.stderr[-200:]}")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_no_bytes_make_the_kernel_read_or_write_where_it_must_not(harness, seed):
    lines = b"".join(json.dumps(one, ensure_ascii=n % 2 == 0).encode() + b"\n" for n, one in enumerate(SEEDS * 2))
    lines += b"".join(json.dumps(one["messages"]).encode() + b"\n" for one in SEEDS[:2])

    done = subprocess.run([harness, str(seed), str(ROUNDS)], input=lines, capture_output=True, timeout=250, check=False)

    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert all(int(count) > ROUNDS // 50 for count in done.stdout.split()), done.stdout
