"""A training engine without torch: obeys the protocol and writes a tiny but valid adapter directory.

`python -m tests.fake_engine SPEC [behaviour]`: ok (default), fail, crash, kill, slow (until SIGTERM), silent,
wrong-files.
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
from training.engine.hashing import sha256_file

STEPS = 5


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
    }


def train(spec: RunSpec, behaviour: str) -> None:
    say("started", device="cpu", device_name="fake", total=STEPS, resumed_from=0)
    say("data", rows=spec.data.rows, tokens=100, trained_tokens=50, last_turn_only=2)
    say(
        "pace",
        path="library",
        attention="sdpa",
        rows=8,
        accumulation=1,
        reasons=["The library's pass is used: no GPU."],
    )
    say("warning", code="disk_full", message="Too little space for another checkpoint.")
    for step in range(1, STEPS + 1):
        say("metrics", step=step, values={"loss": 2 / step, "tokens_per_second": 1000.0}, tokens=20 * step)
        say("progress", phase="training", done=step, total=STEPS)
        if step == 3:
            misbehave(behaviour)


def misbehave(behaviour: str) -> None:
    match behaviour:
        case "fail":
            say("failed", code="nan_loss", message="At step 3 the loss stopped being a number.", detail="")
            sys.exit(1)
        case "crash":
            print("Something nobody expected.", file=sys.stderr)
            sys.exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "slow":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            time.sleep(60)
        case "silent":
            sys.exit(0)


def main() -> None:
    behaviour, spec = (sys.argv[1:-1] or ["ok"])[0], RunSpec.load(Path(sys.argv[-1]))
    train(spec, behaviour)
    made = write_adapter(spec)
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
