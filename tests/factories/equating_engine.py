"""A stand-in for the engine that holds derived models against their adapter: made-up answers, graded for real.

python equating_engine.py MODE SPEC.json, where MODE is one of equal, worse, better, close, fail, torn and slow.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from evaluation.domain import equivalence
from evaluation.engine.equating import graded
from evaluation.engine.equating_spec import EquivalenceSpec
from evaluation.engine.spec import read_lines, write_lines

# Of ten rows, how many the model answers wrongly where the adapter is right, and the other way round.
MODES = {"equal": (0, 0), "worse": (4, 0), "better": (0, 4), "close": (1, 1)}


def say(event, **fields):
    print(json.dumps({"event": event} | fields), flush=True)


def answers(question, mode):
    """(the adapter's, the model's)"""
    lost, gained = MODES.get(mode, (0, 0))
    place, right = question["index"] % 10, question["expected"]
    if place < lost:
        return right, "something else"
    if place < lost + gained:
        return "something else", right
    return right, right


def main(mode, path):
    spec = EquivalenceSpec.read(Path(path))
    questions = list(read_lines(Path(spec.questions)))
    say("progress", phase="loading", done=0, total=len(questions))
    say("started", device="cpu", device_name="stand-in", total=len(questions))
    if mode == "slow":
        time.sleep(60)
    if mode == "fail":
        say(
            "failed",
            code="flipped_bit",
            message="Effect proof: Its weights are damaged: layers.0 is not what was made.",
        )
        return 1
    items = [graded(one, *answers(one, mode), spec.graders, spec.primary) for one in questions]
    write_lines(Path(spec.items), iter(items[:-1] if mode == "torn" else items))
    figures = equivalence.summary(items, spec.graders, spec.primary, spec.margin, spec.seed)
    say(
        "result",
        figures=figures | {"left_out": 0},
        proof={"numerics": "cuda bfloat16", "seen": [-0.5, -2.5], "first": True, "kept": 0.97, "apart": 0.02,
               "effect": 0.5},
        seconds={"adapter": 1.0, "derived": 0.8, "load_adapter": 0.5, "load_derived": 0.3, "total": 3.0},
        tokens={"adapter": 100, "derived": 100},
        packages={"torch": "2.13.0"},
        device="cpu",
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
