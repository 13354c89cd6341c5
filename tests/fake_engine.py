"""A training engine without torch: obeys the protocol, keeps real checkpoints, and writes a tiny but valid adapter.

`python -m tests.fake_engine SPEC [behaviour]`: ok (default), fail, oom, crash, kill, slow (until SIGTERM), hang,
degraded (a full disk, then slow), silent, overfit, wrong-files, pickle:NAME.
"""

import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

from training.domain import adapters
from training.domain.spec import RunSpec
from training.engine import sketch
from training.engine.checkpoints import Checkpoints, size_of
from training.engine.hashing import sha256_file
from training.engine.manifest import Origin

STEPS = 5
VALIDATION = {"ok": {0: 2.2, 1: 1.9, 2: 1.7, 5: 1.6}, "overfit": {0: 2.2, 1: 1.9, 2: 1.7, 5: 2.1}}


def say(event: str, **fields) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def weights(rank: int) -> bytes:
    """A safetensors file with one LoRA pair of zeros."""
    shapes = {
        "base_model.model.layers.0.q_proj.lora_A.weight": [rank, 4],
        "base_model.model.layers.0.q_proj.lora_B.weight": [4, rank],
    }
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def write_adapter(spec: RunSpec) -> dict:
    out = Path(spec.output_dir)
    out.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": spec.base.name,
        "revision": spec.base.revision or spec.base.fingerprint,
        "r": spec.recipe.rank,
        "lora_alpha": spec.recipe.alpha,
        "target_modules": ["q_proj"],
    }
    (out / adapters.WEIGHTS).write_bytes(weights(spec.recipe.rank))
    (out / adapters.CONFIG).write_text(json.dumps(config))
    (out / adapters.CARD).write_text("---\nlibrary_name: peft\n---\n")
    return {
        "files": {
            path.name: {"sha256": sha256_file(path), "size": path.stat().st_size} for path in sorted(out.iterdir())
        },
        "rank": spec.recipe.rank,
        "alpha": spec.recipe.alpha,
        "parameters": 8 * spec.recipe.rank,
        "size_bytes": sum(path.stat().st_size for path in out.iterdir()),
        "anatomy": sketch.of_file(out / adapters.WEIGHTS, config),
        "proof": {
            "ids": [[1, 2]],
            "tops": [[3]],
            "base": [-1.0, -2.0],
            "adapter": [-0.5, -2.5],
            "numerics": "cpu float32",
            "noise": 0.0,
        },
    }


WHERE = {"step": 3, "rows": [1, 4], "longest_row": 4, "longest_tokens": 61, "batch_rows": 2, "batch_tokens": 122}
FAILURES = {
    "fail": {"code": "nan_loss", "message": "At step 3 the loss stopped being a number.", "detail": ""},
    "oom": {
        "code": "oom",
        "message": "The device ran out of memory at step 3.",
        "detail": 'Traceback (most recent call last):\n  File "/opt/x/lib/python3.11/site-packages/torch/nn.py"',
    },
}


class Fake:
    """One attempt: where it goes on, its checkpoints, and what is done when SIGTERM comes."""

    def __init__(self, spec: RunSpec, behaviour: str) -> None:
        self.spec, self.behaviour = spec, behaviour
        known = {int(step): sha256 for step, sha256 in spec.checkpoints.items()}
        self.store = Checkpoints(Path(spec.checkpoint_dir), Origin.of(spec), fence=spec.fence, known=known)
        self.store.sweep()
        self.store.take_over()
        self.step = 0

    def train(self) -> None:
        begin = self.store.begin(self.spec.start_at)
        self.step = begin.step if begin else 0
        refused = {str(step): why for step, why in self.store.refused.items()}
        say("started", device="cpu", device_name="fake", total=STEPS, resumed_from=self.step, refused=refused)
        say("data", rows=self.spec.data.rows, tokens=100, trained_tokens=50, last_turn_only=2)
        for step in (known for known in VALIDATION["ok"] if known <= self.step):
            self.look(step)  # those of earlier attempts are said again
        say("warning", code="other_versions", message="The checkpoint was saved with other versions.")
        say("stop_time", stop_seconds=4.5, grace=self.spec.grace_seconds)
        for step in range(self.step + 1, STEPS + 1):
            self.step = step
            say("metrics", step=step, values={"loss": 2 / step, "tokens_per_second": 1000.0}, tokens=20 * step)
            say("progress", phase="training", done=step, total=STEPS)
            if step < 3 or step == STEPS:
                self.look(step)
            if step < 3:
                self.save()
            if step == 3:
                self.misbehave()
        self.store.discard_staging()

    def look(self, step: int) -> None:
        """At the validation rows, if there are some."""
        if self.spec.validation is None:
            return
        if step == 0:
            rows = self.spec.validation.rows
            say("validation_data", rows=rows, of=rows, tokens=40, run_tokens=400, trained_tokens=20, left_out=0, cut=0)
        loss = VALIDATION[self.behaviour if self.behaviour in VALIDATION else "ok"][step]
        values = {"validation_loss": loss, "validation_token_accuracy": 0.25}
        say("validation", step=step, values=values, seconds=2.5)

    def save(self) -> None:
        folder = self.store.staging / f"checkpoint-{self.step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(bytes([self.step]) * 4000)
        (folder / "optimizer.pt").write_bytes(b"state" * 500)
        saved = self.store.commit(folder, self.step)
        facts = {"bytes": size_of(saved.place), "seconds": 0.1, "kept": self.store.steps()}
        say("checkpoint", step=self.step, path=str(saved.place), sha256=saved.sha256, **facts)

    def stop(self, *_: object) -> None:
        if self.behaviour != "degraded":
            self.save()
        sys.exit(143)

    def misbehave(self) -> None:
        if self.behaviour in FAILURES:
            say("failed", **FAILURES[self.behaviour], where=WHERE)
            sys.exit(1)
        match self.behaviour:
            case "crash":
                print("Something nobody expected.", file=sys.stderr)
                sys.exit(7)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "degraded":
                say("warning", code="disk_full", message="The disk is full; the last one is kept.", step=3)
                self.wait()
            case "slow" | "hang":
                self.wait()
            case "silent":
                sys.exit(0)

    def wait(self) -> None:
        if self.behaviour == "hang":
            time.sleep(60)
        signal.signal(signal.SIGTERM, self.stop)
        for _ in range(1200):
            time.sleep(0.05)


def main() -> None:
    behaviour, spec = (sys.argv[1:-1] or ["ok"])[0], RunSpec.load(Path(sys.argv[-1]))
    Fake(spec, behaviour).train()
    made = write_adapter(spec)
    if behaviour.startswith("pickle:"):
        (Path(spec.output_dir) / behaviour.partition(":")[2]).write_bytes(b"\x80\x04.")
    if behaviour == "wrong-files":
        (Path(spec.output_dir) / adapters.WEIGHTS).write_bytes(b"something else")
    say(
        "result",
        steps=STEPS,
        tokens=100,
        trained_tokens=50,
        seconds=2.0,
        tokens_per_second=50.0,
        final_loss=0.4,
        memory_bytes=10**8,
        points=[[1, 160, 3200, 0.2, 3], [1, 240, 4800, 0.3, 2]],
        measured_steps=STEPS,
        widest=[8, 30],
        saves=1,
        save_seconds=0.1,
        save_bytes=3000,
        peak_disk=3000,
        stages={"starting": 0.1, "preparing": 0.1, "loading": 0.5, "training": 1.5, "saving": 0.1},
        capacity=16 * 10**9,
        packages={"torch": "fake"},
        adapter=made,
        device="cpu",
        device_name="fake",
        path=spec.output_dir,
    )


if __name__ == "__main__":
    main()
