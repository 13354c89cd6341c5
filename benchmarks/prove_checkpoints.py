"""make prove-checkpoints: real checkpoints, torn, flipped, swapped and edited; none of them is ever gone on from.

A tiny real run leaves two checkpoints. Each mutation spoils the newer one in a copy and asks where an attempt would go
on: it must be the one before. The last line is {"mutations", "loaded", "fell_back"}. MUTATIONS sets how many.
"""

import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.engine_runs import Runs, at_step
from demo import tickets
from training.domain.spec import RunSpec, digest
from training.engine import manifest
from training.engine.checkpoints import MANIFEST, Checkpoints
from training.engine.hashing import sha256_file
from training.engine.manifest import Origin

OLDER, NEWER = 4, 8
BLOCK = 8192


def pick(place: Path, rng: random.Random, least: int = 1) -> Path:
    return rng.choice([path for path in manifest.files_in(place).values() if path.stat().st_size >= least])


def truncate(place: Path, rng: random.Random) -> None:
    path = pick(place, rng)
    os.truncate(path, rng.randrange(path.stat().st_size))


def zero(place: Path, rng: random.Random) -> None:
    """A block that was never written; one that held zeros anyway would be no damage."""
    while True:
        path = pick(place, rng)
        data = bytearray(path.read_bytes())
        at = rng.randrange(0, len(data), BLOCK)
        if any(data[at : at + BLOCK]):
            data[at : at + BLOCK] = bytes(len(data[at : at + BLOCK]))
            path.write_bytes(data)
            return


def flip(place: Path, rng: random.Random) -> None:
    path = pick(place, rng)
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def missing(place: Path, rng: random.Random) -> None:
    rng.choice([*manifest.files_in(place).values(), place / MANIFEST]).unlink()


def extra(place: Path, rng: random.Random) -> None:
    (place / rng.choice(["pytorch_model.bin", "model.safetensors", "x", ".hidden"])).write_bytes(rng.randbytes(9))


def swapped(place: Path, rng: random.Random) -> None:
    """A file of the checkpoint before, whole in itself."""
    before = place.with_name(f"ckpt-{OLDER}")
    names = [
        name for name, path in manifest.files_in(place).items() if path.read_bytes() != (before / name).read_bytes()
    ]
    name = rng.choice(names)
    shutil.copy(before / name, place / name)


def edited(place: Path, rng: random.Random) -> None:
    """The manifest, changed in one place; half of the time with its own digest made to match."""
    path = place / MANIFEST
    raw = json.loads(path.read_text())
    signed = raw.pop("digest")
    name = rng.choice(sorted(raw["files"]))
    change = rng.choice(["sha256", "size", "forget", "step", "code"])
    if change in {"sha256", "size"}:
        raw["files"][name][change] = "0" * 64 if change == "sha256" else raw["files"][name]["size"] + 1
    elif change == "forget":
        del raw["files"][name]
    else:
        raw[change] = raw["step"] + 1 if change == "step" else "0" * 64
    path.write_text(json.dumps(raw | {"digest": digest(raw) if rng.random() < 0.5 else signed}))


def torn_manifest(place: Path, rng: random.Random) -> None:
    path = place / MANIFEST
    os.truncate(path, rng.randrange(path.stat().st_size))


def rename_lost(place: Path, rng: random.Random) -> None:
    """The power went before the rename reached the disk: it lies where it was written."""
    place.rename(place.with_name(f".staging-1-{rng.randrange(10**6)}"))


def wrong_spec(place: Path, rng: random.Random) -> None:
    """A whole checkpoint of another run, base or dataset."""
    path = place / MANIFEST
    raw = json.loads(path.read_text())
    raw.pop("digest")
    raw[rng.choice(["spec", "base", "data"])] = "1" * 64
    path.write_text(json.dumps(raw | {"digest": digest(raw)}))


KINDS: tuple[Callable[[Path, random.Random], None], ...] = (
    truncate, zero, flip, missing, extra, swapped, edited, torn_manifest, rename_lost, wrong_spec,
)  # fmt: skip


def make(folder: Path, runs: Runs | None = None) -> RunSpec:
    """Two checkpoints of a real run, killed after the second."""
    runs = runs or Runs(folder)
    rows = tickets.routing_sets()[0][:48]
    spec = runs.spec("run", rows, epochs=2, batch_size=8, checkpoint_steps=4)
    told = runs.run(spec, at_step(NEWER + 1))
    if [event["step"] for event in told.of("checkpoint")] != [OLDER, NEWER]:
        raise SystemExit(f"no two checkpoints: {told.why}\n{runs.log_of(spec)}")
    return spec


def try_all(spec: RunSpec, count: int, seed: int = 5) -> Counter[str]:
    """Of each mutation whether the spoilt checkpoint was taken, the one before it, or none."""
    rng, found = random.Random(seed), Counter[str]()
    whole = Path(spec.checkpoint_dir)
    known = {step: sha256_file(whole / f"ckpt-{step}" / MANIFEST) for step in (OLDER, NEWER)}
    for number in range(count):
        spoil = KINDS[number % len(KINDS)]
        with tempfile.TemporaryDirectory(dir=whole.parent) as place:
            copy = Path(place) / "ckpt"
            shutil.copytree(whole, copy)
            spoil(copy / f"ckpt-{NEWER}", rng)
            # A third of the time the row was lost with the crash, and the checkpoint has to speak for itself;
            # a manifest that was edited and signed again is then only as good as the bytes it lists.
            lost_row = spoil is not edited and rng.random() < 1 / 3
            store = Checkpoints(copy, Origin.of(spec), known={} if lost_row else known)
            store.sweep()
            begin = store.begin(None)
            step = begin.step if begin else 0
        found["loaded" if step == NEWER else "fell_back" if step == OLDER else "lost"] += 1
        if step != OLDER:
            print(f"{spoil.__name__}: went on from {step}", flush=True)
    return found


def main() -> int:
    count = int(os.environ.get("MUTATIONS", "500"))
    with tempfile.TemporaryDirectory(prefix="luthier-checkpoints-") as folder:
        found = try_all(make(Path(folder)), count)
    print(json.dumps({"mutations": count, "loaded": found["loaded"], "fell_back": found["fell_back"]}))
    return int(found["fell_back"] != count)


if __name__ == "__main__":
    sys.exit(main())
