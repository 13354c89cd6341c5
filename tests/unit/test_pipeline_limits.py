"""What a reading child may use: little at first, more as honest rows come in, never more than the most."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import json, resource, sys
from datasets_app.engine import limits
given = json.loads(sys.argv[1])
limits.apply(limits.Limits(**given["limits"]))
for size in given["earned"]:
    limits.earn(*size) if isinstance(size, list) else limits.earn(size)
limits.earn_time(given["file"])
kinds = [resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_CORE]
print(json.dumps([resource.getrlimit(kind)[0] for kind in kinds]))
"""
MB = 1024 * 1024


def limits_after(earned: list, file: int = 0, **limits: int) -> list[int]:
    given = json.dumps({"earned": earned, "file": file, "limits": limits})
    done = subprocess.run([sys.executable, "-c", ASK, given], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("earned", "file", "memory", "seconds"),
    [
        ([], 0, 512 * MB, 10),
        ([], 1 * MB, 512 * MB, 12),  # a file that is refused may still be looked at as long as its size takes
        ([10 * MB], 0, 552 * MB, 30),
        ([10 * MB, 10 * MB], 5 * MB, 592 * MB, 50),
        ([2000 * MB], 0, 1536 * MB, 3600),
        ([[0, MB]], 0, 896 * MB, 10),  # rows of a word or two: what is kept of each is more than their text
        ([[10 * MB, 100], [10 * MB, 100]], 0, 592 * MB + 200 * 384, 50),
        ([[0, 5_000_000]], 0, 1536 * MB, 10),
    ],
)
def test_honest_rows_earn_their_child_more(earned, file, memory, seconds):
    assert limits_after(earned, file) == [memory, seconds, 0]


def test_no_row_earns_more_than_what_was_asked_for():
    asked = {"memory_bytes": 300 * MB, "most_memory_bytes": 310 * MB, "cpu_seconds": 2, "most_cpu_seconds": 4}

    assert limits_after([100 * MB], 100 * MB, **asked) == [310 * MB, 4, 0]
