"""The kernels behind findings under AddressSanitizer and UndefinedBehaviorSanitizer, with rows made to hurt."""

# ruff: noqa: E501 - the script is read as a whole

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datasets_app.engine import native
from tests.unit.test_words_sanitized import _runtime

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import ctypes, random, sys

sys.path.insert(0, sys.argv[2])
from datasets_app.engine import native
native.library = lambda: ctypes.CDLL(sys.argv[1])

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine.batch import batch_of_rows
from datasets_app.engine.facts import Facts
from datasets_app.engine.sensitive import Sensitive
from datasets_app.engine.structure import Structure

rng = random.Random(5)
signs = "aB9 -*/%#@&+=<>^|~$.,:\\n'\\"(){}[]`é日ｱ٣🙂Ã©â€™РС√├\\u200b\\u200d\\u200c\\ufe0f\\u202e\\u00ad\\ufeff\\ufffd\\U000e0041\\x85"
pieces = ["", "+", "1", "-----", "-----BEGIN ", "@", "://", "password:", "AKIA", "eyJ", "a" * 300, "1" * 300, "1 " * 200,
          "\\u200d", "\\ufe0f", "Ã", "â", "Р", "√", "├", "```", "{", "[1", "I don't know", "i don", "4111 1111 1111 111", "DE8"]

def text():
    if rng.random() < 0.4:
        return "".join(rng.choice(pieces) for _ in range(rng.randint(0, 3)))
    return "".join(rng.choices(signs, k=rng.randint(0, 200)))

def turn(role):
    return {"role": role, "content": text()}

def conversation():
    return [turn(rng.choice(("system", "user", "assistant", "tool"))) for _ in range(rng.randint(0, 4))] + [turn("assistant")]

sets = {
    Kind.SFT: [Row(Kind.SFT, conversation()) for _ in range(1500)],
    Kind.PREFERENCE: [Row(Kind.PREFERENCE, conversation(), [turn("assistant")], [turn("assistant")]) for _ in range(500)],
    Kind.TEXT: [Row(Kind.TEXT, [], text=text()) for _ in range(500)],
}
for kind, rows in sets.items():
    structure, sensitive = Structure("training"), Sensitive()
    for at in range(0, len(rows), 7):
        batch = batch_of_rows(list(enumerate(rows[at : at + 7])), at)
        structure.take(batch)
        sensitive.take(batch)
    facts = Facts(purpose="training", rows=len(rows), kind=kind.value)
    structure.finish(facts)
    sensitive.finish(facts)
    print(kind.value, sorted(found.value for found in facts.rows))
"""


@pytest.mark.skipif(shutil.which("gcc") is None or not sys.platform.startswith("linux"), reason="needs gcc on Linux")
def test_hostile_rows_touch_no_memory_that_is_not_theirs(tmp_path):
    libraries = [_runtime(name) for name in ("libasan.so", "libubsan.so")]
    if not all(libraries):
        pytest.skip("the sanitizers of gcc are not installed")
    made = tmp_path / "kernels.so"
    sources = [str(native.FOLDER / name) for name in ("scan.c", "look.c")]
    flags = ["-g", "-O1", "-std=gnu11", "-fPIC", "-shared", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *flags, "-o", str(made), *sources], check=True)

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(made), str(ROOT)],
        env={**os.environ, "LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "sft" in done.stdout and "text" in done.stdout
