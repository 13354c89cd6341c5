"""The models side by side: a base, an adapter that learns from it, and what the engine makes of the adapter."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from benchmarks.engine_runs import ROOT, Runs, child_environment
from demo import tickets
from evaluation.domain import answers
from evaluation.engine.equating_spec import EquivalenceSpec
from evaluation.engine.spec import write_lines
from training.domain.derived import Kind
from training.engine import hashing
from training.engine.derive_spec import DeriveSpec

GOLDEN, MARGIN = 200, 0.02
SHARD = 1_500_000  # small, so that there are several
Event = dict[str, Any]


class Models:
    """A base that has never seen the task, two adapters of it, and what is made of the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        base = self._tiny("base", "training.engine.tiny")
        self.runs = Runs(folder / "runs", base=base)
        self.train, self.golden = tickets.routing_sets(500, GOLDEN)
        self.adapter, self.made = self._adapter("adapter", self.train)
        self.other, _ = self._adapter("other", self.train[:200], seed=1)
        self.results: dict[Kind, Event] = {}
        asked = [answers.question({"kind": "sft", **row}) for row in self.golden]
        rows = [{"index": n, "row_id": str(n), "prompt": one.prompt, **vars(one)} for n, one in enumerate(asked) if one]
        write_lines(folder / "questions.jsonl", iter(rows))

    @property
    def base(self) -> Path:
        return self.runs.base

    @property
    def proof(self) -> dict[str, Any]:
        return {"weights": self.made["anatomy"], "observed": {self.made["proof"]["numerics"]: self.made["proof"]}}

    def _tiny(self, name: str, module: str) -> Path:
        command = [sys.executable, "-W", "ignore", "-m", module, str(self.folder / name)]
        subprocess.run(command, cwd=ROOT, env=child_environment(), check=True, capture_output=True)
        return self.folder / name

    def _adapter(self, name: str, rows: list[Any], **recipe: Any) -> tuple[Path, dict[str, Any]]:
        spec = self.runs.spec(name, rows, **({"epochs": 2, "rank": 32, "alpha": 64} | recipe))
        told = self.runs.run(spec)
        if told.returncode:
            raise SystemExit(f"{name}: {told.why}\n{self.runs.log_of(spec)}")
        return Path(spec.output_dir), told.one("result")["adapter"]

    def out(self, kind: Kind) -> Path:
        return self.folder / f"made-{kind.value}"

    def make(self, kind: Kind) -> Event:
        spec = DeriveSpec(
            kind=kind.value,
            name=f"adapter, {kind.label}",
            base=str(self.base),
            base_name="tiny",
            fingerprint="f" * 64,
            parts=self.runs.parts,
            adapter=str(self.adapter),
            adapter_name="adapter",
            adapter_digest=hashing.folder_digest(self.adapter),
            manifest={"files": self.made["files"]},
            revision="f" * 64,
            proof=self.proof,
            parts_dir=str(self.folder / f"parts-{kind.value}"),
            out_dir=str(self.out(kind)),
            shard_bytes=SHARD,
        )
        spec.write(self.folder / "derive.json")
        self.results[kind] = self._engine("training.engine.deriving", self.folder / "derive.json")
        return self.results[kind]

    def evaluate(self, kind: Kind) -> Event:
        made = self.results[kind]
        spec = EquivalenceSpec(
            kind=kind.value,
            base=str(self.base),
            parts=self.runs.parts,
            revision="f" * 64,
            adapter=str(self.adapter),
            manifest={"files": self.made["files"]},
            derived=str(self.out(kind)),
            files=made["files"],
            hashes=made["facts"]["tensors"],
            questions=str(self.folder / "questions.jsonl"),
            items=str(self.folder / f"items-{kind.value}.jsonl"),
            graders=["exact_match"],
            primary="exact_match",
            max_new_tokens=64,
            margin=MARGIN,
            seed=0,
            proof=self.proof,
            seen={made["proof"]["numerics"]: made["proof"]["seen"]},
        )
        spec.write(self.folder / "equate.json")
        return self._engine("evaluation.engine.equating", self.folder / "equate.json")

    def _engine(self, module: str, spec: Path) -> Event:
        command = [sys.executable, "-W", "ignore", "-m", module, str(spec)]
        done = subprocess.run(command, cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=False)
        said: list[Event] = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode or not said or said[-1]["event"] != "result":
            raise SystemExit(f"{module}: {said[-1:]}\n{done.stderr[-3000:]}")
        return said[-1]
