"""The engine of most runs under fire: no torch, but the real spec, protocol, checkpoints and adapter directory.

`python -m benchmarks.chaos.trainer SPEC.json`. Its model is a chain of hashes, one link a step, so that the adapter
tells whether a run that was resumed any number of times took every step once and none twice. A run whose label begins
with "real" is handed to the real engine.
"""

import hashlib
import json
import os
import random
import struct
import sys
import time
from pathlib import Path
from typing import Any

from projects import faults
from training.domain import adapters
from training.domain.spec import RunSpec
from training.engine import adapter, disk
from training.engine.checkpoints import Checkpoints
from training.engine.events import EngineError, Stopped, emit, log, run_child
from training.engine.manifest import Origin
from training.engine.naming import named
from training.engine.watch import StopFlag, die_with_parent

STATE, SIZE = "chain.json", 6
FAILS_AT = 4  # of runs whose label says so
STEP_SECONDS = float(os.environ.get("LUTHIER_ENGINE_STEP_SECONDS", "0.12"))


def first_link(spec: RunSpec) -> str:
    return hashlib.sha256(f"{spec.digest}".encode()).hexdigest()


def link(chain: str, step: int) -> str:
    """One step of training: what came before decides what comes next."""
    return hashlib.sha256(f"{chain}/{step}".encode()).hexdigest()


def last_link(spec: RunSpec) -> str:
    """Where an uninterrupted run ends."""
    chain = first_link(spec)
    for step in range(1, total_steps(spec) + 1):
        chain = link(chain, step)
    return chain


def total_steps(spec: RunSpec) -> int:
    return spec.recipe.steps(spec.data.rows)


def loss_of(chain: str, step: int) -> float:
    return 2 / step + int(chain[:6], 16) / 0xFFFFFF / 10


def weights(spec: RunSpec, chain: str) -> bytes:
    """A LoRA pair whose numbers follow from the last link."""
    rank, rng = spec.recipe.rank, random.Random(chain)
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    shapes = {f"{name}.lora_A.weight": [rank, SIZE], f"{name}.lora_B.weight": [SIZE, rank]}
    header: dict[str, Any] = {}
    data = b""
    for tensor, shape in shapes.items():
        numbers = [rng.uniform(-0.1, 0.1) for _ in range(shape[0] * shape[1])]
        part = struct.pack(f"<{len(numbers)}f", *numbers)
        header[tensor] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


class Trainer:
    """One attempt."""

    def __init__(self, spec: RunSpec, store: Checkpoints, stop: StopFlag) -> None:
        self.spec, self.store, self.stop = spec, store, stop
        self.step, self.chain, self.total = 0, first_link(spec), total_steps(spec)
        self.said: list[float] = []  # the loss of every step so far
        self.began = time.monotonic()

    def resume(self) -> int:
        found = self.store.begin(self.spec.start_at)
        if found is None:
            return 0
        state = json.loads((found.place / STATE).read_text())
        self.step, self.chain, self.said = state["step"], state["chain"], state["said"]
        log(f"going on from the checkpoint of step {self.step}")
        return self.step

    def say_again(self) -> None:
        """What a supervisor may have died with before it was noted."""
        if self.said:
            steps, each = list(range(1, self.step + 1)), {"loss": self.said}
            emit("metrics", step=self.step, total=self.total, values={"loss": self.said[-1]}, steps=steps, each=each)

    def train(self) -> None:
        self.stop.look()
        self.stop.defer()
        emit("progress", phase="training", done=self.step, total=self.total)
        while self.step < self.total:
            if self.stop.asked:
                self.save()
                raise Stopped
            time.sleep(STEP_SECONDS)
            self.step += 1
            self.chain = link(self.chain, self.step)
            if self.spec.label.startswith("fail") and self.step == FAILS_AT:
                raise EngineError("The loss stopped being a number.", code="nan_loss")
            values = {"loss": loss_of(self.chain, self.step), "learning_rate": 1e-4}
            self.said.append(values["loss"])
            emit("metrics", step=self.step, total=self.total, values=values, tokens=100 * self.step)
            if self.step % (self.spec.recipe.checkpoint_steps or 3) == 0 and self.step < self.total:
                self.save()

    def save(self) -> None:
        """As the real trainer: a disk that is full or bad costs this checkpoint, never the one before it."""
        try:
            folder = self.store.staging / f"checkpoint-{self.step}"
            folder.mkdir(parents=True)
            (folder / STATE).write_text(json.dumps({"step": self.step, "chain": self.chain, "said": self.said}))
            (folder / "model.bin").write_bytes(random.Random(self.chain).randbytes(4096))
            saved = self.store.commit(folder, self.step)
        except OSError as problem:
            self.store.sweep()
            code, message = disk.trouble(problem, self.store.folder) or ("disk_error", str(problem))
            emit("warning", code=code, message=message, step=self.step)
            return
        emit("checkpoint", step=self.step, path=str(saved.place), sha256=saved.sha256, kept=self.store.steps())

    def finish(self) -> None:
        """The adapter's directory, written and then checked as the real one is."""
        faults.point("engine.before_adapter")
        spec, folder = self.spec, Path(self.spec.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "peft_type": "LORA", "base_model_name_or_path": spec.base.name, "revision": adapter.revision_of(spec),
            "r": spec.recipe.rank, "lora_alpha": spec.recipe.alpha, "target_modules": ["q_proj"],
            "task_type": "CAUSAL_LM", "inference_mode": True,
        }  # fmt: skip
        outcome = self.outcome()
        (folder / adapters.WEIGHTS).write_bytes(weights(spec, self.chain))
        (folder / adapters.CONFIG).write_text(json.dumps(config, sort_keys=True))
        (folder / adapters.CARD).write_text(adapter.card(spec, outcome))
        made = adapter.check(folder, spec)
        emit("result", **outcome, adapter=made, path=spec.output_dir, device="cpu", device_name="chain")

    def outcome(self) -> dict[str, Any]:
        seconds = time.monotonic() - self.began
        return {
            "steps": self.step, "tokens": 100 * self.step, "trained_tokens": 50 * self.step, "seconds": seconds,
            "tokens_per_second": 100 * self.step / max(seconds, 1e-3), "final_loss": loss_of(self.chain, self.step),
            "memory_bytes": 10**8, "packages": {},
        }  # fmt: skip


def main(spec_path: str) -> None:
    spec = RunSpec.load(Path(spec_path))
    stop = StopFlag().install()
    die_with_parent()
    known = {int(step): sha256 for step, sha256 in spec.checkpoints.items()}
    store = Checkpoints(Path(spec.checkpoint_dir), Origin.of(spec), fence=spec.fence, known=known)
    store.sweep()
    store.take_over()
    try:
        trainer = Trainer(spec, store, stop)
        resumed = trainer.resume()
        faults.point("engine.loaded")
        emit("started", device="cpu", device_name="chain", total=trainer.total, resumed_from=resumed)
        emit("data", rows=spec.data.rows, tokens=100, trained_tokens=50)
        trainer.say_again()
        trainer.train()
        faults.point("engine.trained")
        trainer.finish()
    finally:
        store.discard_staging()


def told(spec_path: str) -> None:
    """As the real engine: what a disk does is a failure with a name."""
    try:
        main(spec_path)
    except OSError as problem:
        raise named(problem) from problem


def is_real(spec_path: str) -> bool:
    return str(json.loads(Path(spec_path).read_text())["label"]).startswith("real")


if __name__ == "__main__":
    if is_real(sys.argv[-1]):
        os.execv(sys.executable, [sys.executable, "-m", "training.engine", sys.argv[-1]])
    sys.exit(run_child(told, sys.argv, "benchmarks.chaos.trainer SPEC.json"))
