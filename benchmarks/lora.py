"""Speed of a LoRA run through the product's own path (spec → engine → events) beside TRL's defaults in the same call.

python -m benchmarks.lora --shape qwen1.5b|llama8b [--steps 30] [--rows 48] [--curve 100]: needs a GPU for figures that
mean anything; `--shape tiny` shows that it runs. The last line is one JSON object:
{"tok_s", "peak_gib", "share_of_ceiling", "trl_default_tok_s"}. `--curve N` also trains N steps on the same rows in the
same order through the library's own forward pass, twice in batches of different size, and compares the losses.
With `--truth` a run of the library in 32 bit takes the place of the second: how far both passes are from it.

`--steps 0` leaves the speed out, for the curves alone.

`--devices 2` shares the rows of every step out among so many cards, and measures one card with the same rows beside
them: `tok_s_one`, `speed_up`, and with `--curve N` how far the losses of N steps are apart, `curve_apart`. The ceiling
is that of all cards, the peak that of the first. `--trl-steps 0` leaves TRL out.

`--devices 2 --sharding shard` shares the frozen weights out as well (FSDP) and measures one card and cards that have
all of them (DDP) beside it, on the same rows in the same order: tokens a second, peak of each card, and how far the
losses are apart. With `--card-gib 12` a run may take no more of each card: what one card and cards with all weights
say to that, and what cards that share them by themselves do; `--shape mistral7b` has 13.5 GiB of weights in 16 bit.

`--method dpo` does the same with preference pairs. `tok_s` then counts what the reference reads before the first step,
the ceiling is 6 operations for each parameter and token instead of 4, and `sft_cost_ratio` is the time of a token
against that of SFT with the same model and as many tokens in a step.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.training_speed import rows as making
from benchmarks.training_speed.shapes import SHAPES, Shape, make

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 3
ENGINE, IN_32_BIT = "training.engine", "benchmarks.training_speed.in_32_bit"


def stored(row: Any) -> dict[str, Any]:
    """A text or a pair as a dataset version stores it."""
    if isinstance(row, str):
        return {"kind": "text", "text": row}

    def turn(role: str, name: str) -> str:
        return json.dumps([{"role": role, "content": row[name]}])

    answers = {name: turn("assistant", name) for name in ("chosen", "rejected")}
    return {"kind": "preference", "messages": turn("user", "prompt")} | answers


def write(rows: list[Any], path: Path) -> Path:
    """Rows as a dataset version stores them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("id", "kind", "messages", "chosen", "rejected", "tools", "text")
    schema = pa.schema([("index", pa.int64()), *((name, pa.string()) for name in names)])
    table = [
        dict.fromkeys(names) | {"index": index, "id": f"{index:016x}"} | stored(row) for index, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(table, schema=schema), path)
    return path


class Bench:
    """One model and one set of rows."""

    def __init__(self, shape: Shape, home: Path) -> None:
        self.shape, self.home = shape, home
        self.pace = "fast" if shape is SHAPES["tiny"] else "auto"  # there, no GPU is expected
        self.base = make(shape, home / "model")
        from training.engine import fingerprint

        with contextlib.redirect_stdout(io.StringIO()):  # it tells how far the hashing is
            self.facts = fingerprint.describe(self.base)
        # Learnable rows, enough for the longest of the runs that follow.
        vocab = shape.config["vocab_size"]
        self.rows: dict[str, list[Any]] = {"sft": making.texts(12_000, vocab), "dpo": making.pairs(12_000, vocab)}

    def run(
        self, name: str, steps: int, *, may_fail: bool = False, program: str = ENGINE, **recipe: Any
    ) -> list[dict[str, Any]]:
        """One run of `steps` steps; returns the events."""
        from training.domain.recipe import Recipe
        from training.domain.spec import BaseRef, DataRef, RunSpec

        home = self.home / name
        home.mkdir()
        chosen = Recipe.read({"rank": 16, "alpha": 32, "max_length": 2048, "epochs": 1, "warmup": 0} | recipe)
        rows = self.rows[chosen.method][: steps * chosen.rows_per_step]
        kind = "preference" if chosen.method == "dpo" else "text"
        spec = RunSpec(
            label=name,
            base=BaseRef(name, self.facts["fingerprint"], self.facts["parts"], path=str(self.base)),
            data=DataRef(name, "0" * 64, len(rows), kind, path=str(write(rows, home / "rows.parquet"))),
            recipe=chosen,
            output_dir=str(home / "out"),
            checkpoint_dir=str(home / "ckpt"),
        )
        spec.write(home / "spec.json")
        with (home / "engine.log").open("w") as log:
            command = [sys.executable, "-m", program, str(home / "spec.json")]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as said:
                assert said.stdout is not None
                events = [json.loads(line) | {"at": time.monotonic()} for line in said.stdout]
        if said.returncode and not (may_fail and told(events, "failed")):
            print((home / "engine.log").read_text()[-3000:], file=sys.stderr)
            raise SystemExit(f"{name} failed: {events[-1] if events else 'it said nothing'}")
        return events

    def peer(self, steps: int, method: str) -> dict[str, Any]:
        """TRL as it comes, on rows of the same lengths."""
        path = self.home / f"{method}.json"
        path.write_text(json.dumps(self.rows[method][: steps * 8]))
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peer_programs.trl_default"]
        said = subprocess.run(
            [*command, str(self.base), str(path), str(steps), method],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        return dict(json.loads(said.stdout.splitlines()[-1]))


def told(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def speed(events: list[dict[str, Any]]) -> float:
    """Tokens a second over all steps but the first, which compile kernels."""
    steps = told(events, "metrics")
    kept = [
        (later["tokens"] - earlier["tokens"], later["values"]["tokens_per_second"])
        for earlier, later in pairwise(steps)
    ][WARM_UP - 1 :]
    return sum(tokens for tokens, _ in kept) / sum(tokens / pace for tokens, pace in kept)


def reference_speed(events: list[dict[str, Any]]) -> float:
    """Tokens a second that the reference reads, its first second left out where there are more of them."""
    result = told(events, "result")[0]
    known = [event for event in told(events, "progress") if event["phase"] == "reference"][1:]
    if len(known) < 2:
        return float(result["reference_tokens"] / result["stages"]["reference"])
    share = (known[-1]["done"] - known[0]["done"]) / known[-1]["total"]
    return float(share * result["reference_tokens"] / (known[-1]["at"] - known[0]["at"]))


def losses(events: list[dict[str, Any]]) -> dict[int, float]:
    return {
        step: loss
        for event in told(events, "metrics")
        for step, loss in zip(event["steps"], event["each"]["loss"], strict=True)
    }


def apart(one: dict[int, float], other: dict[int, float]) -> dict[str, float]:
    """How far two curves are apart: in the mean, and at the worst step, as shares of the loss."""
    gaps = [abs(one[step] - other[step]) / max(abs(one[step]), 1e-9) for step in one]
    return {"mean": statistics.fmean(gaps), "worst": max(gaps), "last": gaps[-1]}


def curves(bench: Bench, steps: int, rows: int, method: str, *, truth: bool) -> dict[str, Any]:
    """Fast and library on the same rows in the same order; the library once more in smaller batches, to see what noise

    is, or in 32 bit, to see which of the two is nearer to it.
    """
    library = {"pace": "library", "recompute": "never", "batch_size": rows}
    ways: dict[str, Any] = {"fast": {"pace": bench.pace, "batch_size": rows}, "library": library}
    if truth:
        found = _curves(bench, steps, method, ways | {"library_in_32_bit": library | {"program": IN_32_BIT}})
        return {f"{name}_from_32_bit": apart(found["library_in_32_bit"], found[name]) for name in ways}
    again = library | {"batch_size": max(1, rows // 2), "accumulation": 2}
    found = _curves(bench, steps, method, ways | {"library_again": again})
    return {
        "fast_from_library": apart(found["library"], found["fast"]),
        "library_from_itself": apart(found["library"], found["library_again"]),
    }


def curves_of_cards(bench: Bench, steps: int, rows: int, method: str, devices: int) -> dict[str, Any]:
    """One card and several on the same rows in the same order, by the product's own choice of pass."""
    ways = {f"cards_{number}": {"pace": bench.pace, "batch_size": rows, "devices": number} for number in (1, devices)}
    one, several = _curves(bench, steps, method, ways).values()
    return {"curve_apart": apart(one, several)}


def _curves(bench: Bench, steps: int, method: str, ways: dict[str, Any]) -> dict[str, dict[int, float]]:
    found = {}
    for name, recipe in ways.items():
        rate = 1e-4 if method == "dpo" else 3e-4
        found[name] = losses(bench.run(f"curve-{name}", steps, method=method, learning_rate=rate, **recipe))
        print(
            f"{name}: " + " ".join(f"{loss:.4f}" for step, loss in found[name].items() if step % 10 == 0 or step == 1),
            flush=True,
        )
    return found


def measure(bench: Bench, given: argparse.Namespace, devices: int) -> dict[str, Any]:
    """The run on so many cards, for DPO after one of SFT."""
    common: dict[str, Any] = {"pace": bench.pace, "devices": devices}
    usual = bench.run(f"speed-{devices}", given.steps, batch_size=given.rows, **common)
    events, rate, operations = usual, speed(usual), 4
    more: dict[str, float] = {}
    if given.method == "dpo":
        rows = max(1, given.rows // 2)
        events = bench.run(f"pairs-{devices}", given.steps, method="dpo", batch_size=rows, **common)
        if told(events, "pace")[0]["path"] == "fast":
            rate, operations = 1 / (1 / speed(events) + 1 / reference_speed(events)), 6
            more = {"reference_tok_s": round(reference_speed(events))}
        else:  # the library's pass reads with the reference in every step
            rate, operations = speed(events), 6
        more |= {"sft_tok_s": round(speed(usual)), "sft_cost_ratio": round(speed(usual) / rate, 2)}
    print(json.dumps(told(events, "pace")[0], ensure_ascii=False), flush=True)
    return {
        "tok_s": round(rate),
        "peak_gib": round(told(events, "result")[0]["memory_bytes"] / 2**30, 1),
        "share_of_ceiling": round(rate / (devices * bench.shape.ceiling(operations)), 4),
    } | more


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--shape", choices=sorted(SHAPES), default="qwen1.5b")
    ask.add_argument("--method", choices=["sft", "dpo"], default="sft")
    ask.add_argument("--steps", type=int, default=30)
    ask.add_argument("--rows", type=int, default=40, help="rows of a step, of which a pair is two: about 16,000 tokens")
    ask.add_argument("--devices", type=int, default=1, help="cards that share the rows of a step")
    ask.add_argument("--sharding", choices=["replicate", "shard"], default="replicate")
    ask.add_argument("--card-gib", type=float, default=0, help="what a run may take of each card; 0: all")
    ask.add_argument("--trl-steps", type=int, default=40)
    ask.add_argument("--curve", type=int, default=0, help="steps of the comparison of losses; 0 leaves it out")
    ask.add_argument("--curve-rows", type=int, default=8)
    ask.add_argument("--truth", action="store_true", help="compare both curves with one in 32 bit")
    given = ask.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory(prefix="luthier-lora-") as folder:
        bench = Bench(SHAPES[given.shape], Path(folder))
        if given.sharding == "shard":
            from benchmarks.training_speed import sharing

            print(json.dumps(sharing.compare(bench, given)))
            return
        found = measure(bench, given, given.devices) if given.steps else {}
        print(json.dumps(found), flush=True)
        if given.steps and given.devices > 1:
            one = measure(bench, given, 1)["tok_s"]
            found |= {"devices": given.devices, "tok_s_one": one, "speed_up": round(found["tok_s"] / one, 3)}
            print(json.dumps(found), flush=True)
        if given.trl_steps:
            found["trl_default_tok_s"] = round(bench.peer(given.trl_steps, given.method)["tok_s"])
            print(json.dumps(found), flush=True)
        if given.curve and given.devices > 1:
            found |= curves_of_cards(bench, given.curve, given.curve_rows, given.method, given.devices)
        elif given.curve:
            found |= curves(bench, given.curve, given.curve_rows, given.method, truth=given.truth)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
