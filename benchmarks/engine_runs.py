"""Real runs of the training engine on a base so small that a step takes milliseconds, for proofs that need many.

`python -m benchmarks.engine_runs FOLDER` writes the base: a Llama with random weights that has learned nothing.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.engine.rows import write_rows
from training.domain.recipe import Recipe
from training.domain.spec import BaseRef, DataRef, ParentRef, RunSpec
from training.engine import hashing
from training.engine.versions import packages

ROOT = Path(__file__).resolve().parents[1]
HIDDEN, LAYERS = 32, 2
TIMED = {"seconds", "tokens_per_second"}  # metrics that no training decides
Event = dict[str, Any]
Answer = Callable[[Event], signal.Signals | None]
# Starts a command with its log and environment otherwise than from nothing, as something like a Popen.
Start = Callable[[list[str], Any, dict[str, str]], Any]


def child_environment(**more: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"} | more


def build_base(folder: Path) -> None:
    """A tokenizer that knows tickets and a model that knows nothing."""
    import torch

    from training.engine import tiny

    torch.manual_seed(0)
    tokenizer = tiny.make_tokenizer()
    tiny.save(tiny.make_model(tokenizer, hidden=HIDDEN, layers=LAYERS), tokenizer, folder)


@dataclass
class Told:
    """What a run said before it ended, and how it ended."""

    returncode: int
    events: list[Event] = field(default_factory=list)

    def of(self, name: str) -> list[Event]:
        return [event for event in self.events if event["event"] == name]

    def one(self, name: str) -> Event:
        (event,) = self.of(name)
        return event

    @property
    def metrics(self) -> dict[int, str]:
        """By step every figure that training decides, digit for digit; how fast it went is left out."""
        return {
            step: repr({name: values[at] for name, values in sorted(event["each"].items()) if name not in TIMED})
            for event in self.of("metrics")
            for at, step in enumerate(event["steps"])
        }

    @property
    def weights(self) -> str:
        return str(self.one("result")["adapter"]["files"]["adapter_model.safetensors"]["sha256"])

    @property
    def why(self) -> str:
        return "; ".join(f"{event['code']}: {event['message']}" for event in self.of("failed")) or "no reason given"


class Runs:
    """A folder with a base, one that is there or a new one, in which runs are made, killed and taken up again."""

    def __init__(self, folder: Path, base: Path | None = None, start: Start | None = None) -> None:
        self.folder, self.start, self.pid = folder, start, 0  # the process at work
        self.base = base or folder / "base"
        if base is None:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.engine_runs", str(self.base)]
            subprocess.run(command, cwd=ROOT, env=child_environment(), check=True, stdout=subprocess.DEVNULL)
        self.parts = hashing.base_parts(self.base)

    def spec(self, name: str, rows: list[dict[str, Any]], parent: str = "", **recipe: Any) -> RunSpec:
        home = self.folder / name
        home.mkdir(parents=True)
        data = write_rows(home / "rows.parquet", rows)
        kind = "preference" if "chosen" in rows[0] else "sft"
        return RunSpec(
            label=name,
            base=BaseRef("random", "f" * 64, self.parts, path=str(self.base)),
            data=DataRef("tickets v1", "0" * 64, len(rows), kind, path=str(data)),
            recipe=Recipe.read({"max_length": 128, "learning_rate": 3e-3, "rank": 4, "alpha": 8} | recipe),
            parent=ParentRef("parent", hashing.folder_digest(Path(parent)), parent) if parent else None,
            packages=packages(),
            output_dir=str(home / "out"),
            checkpoint_dir=str(home / "ckpt"),
        )

    def elsewhere(self, spec: RunSpec, name: str) -> RunSpec:
        """The same run in another place: what is frozen stays equal."""
        home = self.folder / name
        home.mkdir()
        return replace(spec, output_dir=str(home / "out"), checkpoint_dir=str(home / "ckpt"))

    def run(self, spec: RunSpec, answer: Answer = lambda event: None, **environment: str) -> Told:
        """Let the engine work to its end; `answer` may send it a signal for anything it says."""
        path = Path(spec.output_dir).parent / "spec.json"
        spec.write(path)
        told = Told(0)
        command = [sys.executable, "-m", "training.engine", str(path)]
        with (path.parent / "engine.log").open("ab") as log, self._start(command, environment, log) as process:
            self.pid = process.pid
            for event in _events(process):
                told.events.append(event)
                if number := answer(event):
                    process.send_signal(number)
        told.returncode = process.returncode
        return told

    def _start(self, command: list[str], environment: dict[str, str], log: Any) -> Any:
        variables = child_environment(**environment)
        if self.start is not None:
            return self.start(command, log, variables)
        return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=log)

    def log_of(self, spec: RunSpec) -> str:
        return (Path(spec.output_dir).parent / "engine.log").read_text()[-3000:]


def _events(process: Any) -> Iterator[Event]:
    for line in process.stdout:
        yield json.loads(line)


def at_step(step: int, number: signal.Signals = signal.SIGKILL) -> Answer:
    """A signal as soon as a step has been told."""
    return lambda event: number if event["event"] == "metrics" and event["step"] == step else None


if __name__ == "__main__":
    build_base(Path(sys.argv[1]))
