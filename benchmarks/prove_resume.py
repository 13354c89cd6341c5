"""make prove-resume: runs killed at a random step end bit for bit as the run that nobody killed.

SFT and DPO, packed and not, with dropout, accumulated and not, from a base and from an adapter, rows shuffled; SIGKILL,
then the same spec again. Every figure that was logged is compared by its repr, and the adapter by the sha256 of its
weights. The last line is {"identical", "of"}.
"""

import json
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine_runs import Runs, Told, at_step
from demo import tickets
from tests.engine.rows import looked_at_with
from training.domain.spec import RunSpec

SEED = 11
SFT_ROWS, DPO_ROWS = 96, 48
DROPOUT = 0.1
FAST = {"pace": "fast", "dropout": 0.0}


@dataclass(frozen=True)
class Case:
    """One configuration: killed `kills` times, each time at another step, and compared with one whole run."""

    name: str
    kills: int
    recipe: dict[str, Any]
    from_parent: bool = False
    looked_at: bool = False  # with rows that it does not learn from


CASES = (
    Case("sft", 3, {"batch_size": 8, "epochs": 2, "checkpoint_steps": 5}),
    Case("sft accumulated", 3, {"batch_size": 3, "accumulation": 3, "epochs": 3, "checkpoint_steps": 7}),
    Case("sft looked at", 3, {"batch_size": 8, "epochs": 2, "checkpoint_steps": 5}, looked_at=True),
    Case("sft packed", 3, {"batch_size": 1, "packing": True, "epochs": 1, "checkpoint_steps": 4}),
    Case("sft both", 3, {"batch_size": 1, "accumulation": 2, "packing": True, "epochs": 2, "checkpoint_steps": 5}),
    Case("sft from an adapter", 2, {"batch_size": 8, "epochs": 2, "checkpoint_steps": 4}, True),
    Case("dpo", 2, {"method": "dpo", "batch_size": 4, "epochs": 2, "checkpoint_steps": 5}),
    Case(
        "dpo accumulated", 2, {"method": "dpo", "batch_size": 2, "accumulation": 3, "epochs": 3, "checkpoint_steps": 4}
    ),
    Case("dpo fast", 2, {"method": "dpo", "batch_size": 4, "epochs": 2, "checkpoint_steps": 5} | FAST),
    Case(
        "dpo fast looked at",
        2,
        {"method": "dpo", "batch_size": 4, "epochs": 2, "checkpoint_steps": 5} | FAST,
        looked_at=True,
    ),
    Case("dpo from an adapter", 2, {"method": "dpo", "batch_size": 4, "epochs": 2, "checkpoint_steps": 5}, True),
    Case(
        "dpo fast from an adapter",
        2,
        {"method": "dpo", "batch_size": 4, "epochs": 2, "checkpoint_steps": 5} | FAST,
        True,
    ),
)


class Proof:
    def __init__(self, folder: Path, rng: random.Random, runs: Runs | None = None) -> None:
        self.runs, self.rng = runs or Runs(folder), rng
        self.rows = {"sft": tickets.routing_sets()[0][:SFT_ROWS], "dpo": tickets.preference_rows(DPO_ROWS)}
        self.parent = ""

    def make_parent(self) -> None:
        spec = self.runs.spec("parent", self.rows["sft"][:16], epochs=1)
        told = self.runs.run(spec)
        if told.returncode:
            raise SystemExit(f"the parent: {told.why}\n{self.runs.log_of(spec)}")
        self.parent = spec.output_dir

    def whole(self, case: Case) -> tuple[RunSpec, Told]:
        """The run that nobody disturbs."""
        rows = self.rows[case.recipe.get("method", "sft")]
        recipe = {"dropout": DROPOUT} | case.recipe
        spec = self.runs.spec(case.name, rows, self.parent if case.from_parent else "", **recipe)
        if case.looked_at:
            spec = looked_at_with(spec, rows[:20])
        told = self.runs.run(spec)
        if told.returncode:
            raise SystemExit(f"{case.name}: {told.why}\n{self.runs.log_of(spec)}")
        return spec, told

    def killed(self, case: Case, number: int, step: int, spec: RunSpec, whole: Told) -> bool:
        """Kill the same run at `step`, let it go on, and hold it against the whole one."""
        again = self.runs.elsewhere(spec, f"{case.name} {number}")
        first = self.runs.run(again, at_step(step))
        second = self.runs.run(again)
        resumed = second.one("started")["resumed_from"] if second.returncode == 0 else -1
        again_read = second.one("result")["reference_tokens"] if second.returncode == 0 else 0
        same = (
            first.returncode == -9
            and again_read == 0  # the first attempt has kept what the reference said
            and second.returncode == 0
            and first.metrics | second.metrics == whole.metrics
            and second.weights == whole.weights
            and looks(second) == looks(whole)  # those before the checkpoint are said again
            and second.one("result")["tokens"] == whole.one("result")["tokens"]
        )
        steps = whole.one("result")["steps"]
        word = "identical" if same else f"DIFFERENT ({second.why})"
        print(f"{case.name}: killed at step {step} of {steps}, went on from {resumed}: {word}", flush=True)
        return same


def looks(told: Told) -> list[tuple[int, dict[str, float]]]:
    """Steps and figures; what a look takes is no two times the same."""
    return [(event["step"], event["values"]) for event in told.of("validation")]


def main(cases: tuple[Case, ...] = CASES, seed: int = SEED) -> int:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="luthier-resume-") as folder, ThreadPoolExecutor(2) as pool:
        proof = Proof(Path(folder), rng)
        if any(case.from_parent for case in cases):
            proof.make_parent()
        wholes = list(pool.map(proof.whole, cases))
        tries = []
        for case, (spec, whole) in zip(cases, wholes, strict=True):
            steps = whole.one("result")["steps"]
            chosen = rng.sample(range(1, steps), case.kills)
            tries += [(case, number, step, spec, whole) for number, step in enumerate(chosen, start=1)]
        same = list(pool.map(lambda one: proof.killed(*one), tries))
    print(json.dumps({"identical": sum(same), "of": len(same)}))
    return int(sum(same) != len(same))


if __name__ == "__main__":
    sys.exit(main())
