"""make prove-drift: an adapter held against five versions of its base, as a provider might ship them.

Tiny bases are built: N, N+1 (the same shapes, further trained), N+2 (wider), N with another chat template and N with
another tokenizer; an adapter is trained on N for real. Structure is judged from what is recorded; what may be probed is
probed by the engine. The version itself is loaded again and again and must read no drift at all. The last line is
{"verdicts", "right", "of", "reloads", "reloads_at_zero", "drift", …}.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine_runs import ROOT, child_environment
from benchmarks.model_versions import REVISION, VERSIONS, Versions, fitted, stored
from demo import tickets
from evaluation.domain import answers, drift
from evaluation.engine.drift_spec import ProbeSpec
from evaluation.engine.spec import write_lines
from training.domain import compatibility
from training.domain.compatibility import Judgement, Verdict

RELOADS, PROMPTS = 20, 24
EXPECTED = {
    "N": (Verdict.SAME, ""),
    "N+1": (Verdict.DRIFTED, "weights"),
    "N+2": (Verdict.INCOMPATIBLE, "shape_mismatch"),
    "N, another template": (Verdict.DRIFTED, "chat_template"),
    "N, another tokenizer": (Verdict.INCOMPATIBLE, "tokenizer"),
}
Event = dict[str, Any]


class Pairs:
    """One adapter × versions of its base."""

    def __init__(self, folder: Path, reloads: int) -> None:
        self.folder, self.reloads = folder, reloads
        self.versions = Versions(folder / "versions")
        self.adapter, self.made = self.versions.adapter("adapter")
        asked = [answers.question({"kind": "sft", **row}) for row in tickets.routing_sets()[1][:PROMPTS]]
        rows = ({"index": n, **vars(one)} for n, one in enumerate(asked) if one is not None)
        write_lines(folder / "questions.jsonl", rows)

    def structure(self, name: str) -> Judgement:
        return compatibility.judge(fitted(self.made), self.versions.base("N"), self.versions.base(name))

    def probe(self, name: str, reloads: int = 2) -> Event:
        """What the engine says in a process of its own."""
        own, other = self.versions.described["N"], self.versions.described[name]
        spec = ProbeSpec(
            own=str(self.versions.folders["N"]),
            own_parts=own["parts"],
            other=str(self.versions.folders[name]),
            other_parts=other["parts"],
            adapter=str(self.adapter),
            manifest={"files": self.made["files"]},
            revision=REVISION,
            questions=str(self.folder / "questions.jsonl"),
            readings=str(self.folder / "readings.jsonl"),
            seed=0,
            reloads=reloads,
            proof=stored(self.made),
            identical=name == "N",
        )
        spec.write(self.folder / "probe.json")
        command = [sys.executable, "-W", "ignore", "-m", "evaluation.engine.drifting", str(self.folder / "probe.json")]
        done = subprocess.run(command, cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        last = events[-1] if events else {"event": "failed", "message": done.stderr[-3000:]}
        if last["event"] != "result":
            raise SystemExit(f"{name}: {last.get('code')}: {last.get('message')}\n{done.stderr[-2000:]}")
        return dict(last)


def main(reloads: int = RELOADS) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-drift-") as name:
        pairs = Pairs(Path(name), reloads)
        verdicts: dict[str, dict[str, Any]] = {}
        for version in VERSIONS:
            found, measured = pairs.structure(version), None
            if found.verdict == Verdict.DRIFTED:
                measured = pairs.probe(version)["figures"]
                found = drift.together(found, measured)
            verdicts[version] = _shown(found, measured)
            print(f"{version}: {found.verdict.value}. {' '.join(reason.text for reason in found.reasons)}", flush=True)
        same = pairs.probe("N", reloads)["figures"]
    zero = sum(reading == 0.0 for reading in same["reloads"])
    print(f"{zero} of {reloads} reloads of N read no drift; so does the pair itself: {same['adapter']['mean']}")
    right = sum(
        verdicts[name]["verdict"] == verdict.value and (not code or code in verdicts[name]["codes"])
        for name, (verdict, code) in EXPECTED.items()
    )
    told = {
        "verdicts": verdicts,
        "right": right,
        "of": len(EXPECTED),
        "reloads": reloads,
        "reloads_at_zero": zero,
        "drift_of_the_same": same["adapter"]["mean"],
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told))
    return int(right != len(EXPECTED) or zero != reloads or same["adapter"]["mean"] != 0.0)


def _shown(found: Judgement, measured: Event | None) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": found.verdict.value, "codes": found.codes}
    if measured:
        told |= {name: measured[name] for name in ("base", "adapter", "effect", "threshold", "prompts")}
    return told


if __name__ == "__main__":
    sys.exit(main())
