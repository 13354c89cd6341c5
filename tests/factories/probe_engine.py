"""A stand-in for the probing engine: made-up readings, real figures, the real protocol.

python probe_engine.py MODE SPEC.json, where MODE is one of drifted, compatible, few, fail and torn.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy

from evaluation.domain import drift
from evaluation.engine.drift_spec import ProbeSpec
from evaluation.engine.spec import read_lines, write_lines


def say(event, **fields):
    print(json.dumps({"event": event} | fields), flush=True)


def reading(index, mode):
    size = 1e-6 if mode == "compatible" else 0.2
    return {
        "index": index, "tokens": 4, "base_kl": size * (1 + index % 3), "adapter_kl": 2 * size * (1 + index % 3),
        "gain_own": 1.0, "gain_other": 1.0 - size,
    }  # fmt: skip


def main(mode, path):
    spec = ProbeSpec.read(Path(path))
    questions = list(read_lines(Path(spec.questions)))
    say("started", device="cpu", device_name="stand-in", total=len(questions))
    if mode == "fail":
        say("failed", code="flipped_bit", message="Effect proof: Its weights are damaged.", detail={})
        return 1
    for which in spec.describe:
        say("base_anatomy", which=which, anatomy={"tensors": {}, "config": {}, "tokenizer": None, "read": which})
    rows = [reading(question["index"], mode) for question in questions]
    say("progress", phase="other", done=len(rows), total=len(rows))
    write_lines(Path(spec.readings), iter(rows[:-1] if mode == "torn" else rows))
    figures = drift.figures([drift.Reading.read(row) for row in rows], [0.0, 0.0], numpy.random.default_rng(spec.seed))
    say("result", figures=figures, left_out=0, seconds=1.5, packages={"torch": "2.13.0"}, device="cpu")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
