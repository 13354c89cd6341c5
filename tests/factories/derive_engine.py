"""A stand-in for the engine that makes derived models: made-up bytes, the real protocol and a real manifest.

python derive_engine.py MODE SPEC.json, where MODE is one of ok, fail, disk, torn and slow.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from training.domain.derived import Kind
from training.engine.derive_spec import DeriveSpec
from training.engine.hashing import sha256_file

FAILURES = {
    "fail": ("not_mergeable", "The layer lm_head shares its weights with another part of the model."),
    "disk": ("disk_full", "The model takes 15.0 GB, and of the worker's disk 2.0 GB are free."),
}


def say(event, **fields):
    print(json.dumps({"event": event} | fields), flush=True)


def main(mode, path):
    spec = DeriveSpec.read(Path(path))
    kind, out = Kind(spec.kind), Path(spec.out_dir)
    say("progress", phase="checking", done=0, total=0)
    say("started", device="cpu", device_name="stand-in", total=0)
    say("progress", phase="weights", done=512, total=1024)
    Path(spec.parts_dir).mkdir(parents=True, exist_ok=True)
    (Path(spec.parts_dir) / "model.safetensors").write_bytes(b"part")
    if mode == "slow":
        time.sleep(60)
    if mode in FAILURES:
        code, message = FAILURES[mode]
        say("failed", code=code, message=message, detail="what the worker wrote")
        return 1
    out.mkdir(parents=True)
    (out / "model.safetensors").write_bytes(kind.value.encode() * (400 if kind.bits else 1000))
    (out / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (out / "README.md").write_text(
        f"---\nbase_model: tiny\nbase_model_relation: {kind.relation}\n---\n\n# {spec.name}\n"
    )
    files = {one.name: {"sha256": sha256_file(one), "size": one.stat().st_size} for one in sorted(out.iterdir())}
    if mode == "torn":
        (out / "config.json").unlink()
    figures = {"adapted": 2, "packed": 2 if kind.bits else 0, "share": 1.0, "worst_layer": "layers.0.q_proj.weight",
               "worst_error": 0.08, "mean_error": 0.05, "lost_in_rounding": 0.001}  # fmt: skip
    say(
        "result",
        files=files,
        size_bytes=sum(one["size"] for one in files.values()),
        facts={"dtype": "F32", "parameters": 16, "shards": 1, "tensors": {"layers.0.q_proj.weight": "0" * 16},
               "figures": figures},
        proof={"numerics": "cpu float32", "seen": [-0.5, -2.5], "first": True, "kept": 0.98, "apart": 0.01,
               "effect": 0.5},
        seconds=1.5,
        packages={"torch": "2.13.0"},
        device="cpu",
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
