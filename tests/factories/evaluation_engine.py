"""A stand-in for the evaluation engine: made-up answers, real grading, the real protocol.

python evaluation_engine.py MODE SPEC.json, where MODE is one of better, worse, same, fail, crash, short and odd.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from evaluation.engine import grading
from evaluation.engine.spec import EvaluationSpec, read_lines, write_lines

WRONG = '{"queue": "none"}'
ODD = "half a character \ud83d and a NUL \x00 <script>alert(1)</script>"


def say(event, **fields):
    print(json.dumps({"event": event} | fields), flush=True)


def outputs(mode, question):
    """Nine of ten answers of the good arm are right, one of ten of the bad arm, never the same rows."""
    tenth = question["index"] % 10 == 0
    good = WRONG if tenth else question["expected"]
    bad = question["expected"] if tenth else WRONG
    if mode == "odd":
        return {"base": ODD, "adapter": question["expected"]}
    base, adapter = {"better": (bad, good), "worse": (good, bad)}.get(mode, (bad, bad))
    return {"base": base, "adapter": adapter}


def main(mode, path):
    spec = EvaluationSpec.read(Path(path))
    questions = list(read_lines(Path(spec.questions)))
    say("started", device="cpu", device_name="stand-in", total=len(questions))
    if mode == "fail":
        say("failed", code="adapter_no_effect", message="The adapter changes nothing.", detail={})
        return 1
    if mode == "crash":
        raise SystemExit(3)
    items = [grading.graded(q, outputs(mode, q), spec.graders, spec.primary) for q in questions]
    say("progress", phase="answers", done=len(items), total=len(items))
    write_lines(Path(spec.items), iter(items[:-1] if mode == "short" else items))
    summary = grading.summary(items, spec.graders, spec.primary, spec.seed)
    if spec.retention:
        rows = list(read_lines(Path(spec.retention)))
        summary["retention"] = grading.retention([2.0] * len(rows), [2.05] * len(rows), [10] * len(rows), spec.seed)
    summary |= {"effect": 1.5, "cut": {"base": 0, "adapter": 0}, "too_long": 0}
    summary |= {"seconds": {"base": 1.0, "adapter": 1.1, "total": 3.0}, "packages": {"torch": "2.13.0"}}
    summary |= {"tokens": {"prompt": 100, "base": 200, "adapter": 210}}
    say("result", summary=summary, device="cpu")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
