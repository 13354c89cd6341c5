"""Runs on a GPU without Django: the same projection, rehearsal and engine, as children of this process."""

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.projecting.cases import CASES, SHAPES, TINY, TOO_MUCH, Case, can_run
from benchmarks.training_speed.shapes import Shape, make

KEPT = ("points", "peaks", "stages", "measured_steps", "widest", "memory_bytes", "samples_taken", "sample_seconds",
        "code", "message")  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
PRICE = Decimal("3.50")
TEMPLATE = "{% for m in messages %}{{ m['content'] }} </s> {% endfor %}"


class Bench:
    def __init__(self, home: Path, shapes: dict[str, Shape], tiny: bool) -> None:
        self.home, self.shapes, self.tiny = home, shapes, tiny
        self.models: dict[str, dict[str, Any]] = {}
        self.measured: list[Any] = []
        self.past: list[Any] = []
        self.told: list[dict[str, Any]] = []

    def model(self, name: str) -> dict[str, Any]:
        if name not in self.models:
            from training.engine import fingerprint

            folder = make(self.shapes[name], self.home / f"model-{name}")
            (folder / "chat_template.jinja").write_text(TEMPLATE)
            with contextlib.redirect_stdout(io.StringIO()):
                self.models[name] = fingerprint.describe(folder) | {"folder": folder}
        return self.models[name]

    def rows(self, case: Case, count: int) -> list[dict[str, Any]]:
        rng = random.Random(case.name)
        vocab = self.shapes[case.shape].config["vocab_size"]
        longest = 128 if self.tiny else 2048
        median = case.median / 16 if self.tiny else case.median

        def text(share: float) -> str:
            length = min(int(longest * share) - 4, max(8, round(rng.lognormvariate(0, 0.7) * median * share)))
            return " ".join(f"t{rng.randrange(1, vocab)}" for _ in range(length))

        if case.recipe.get("method") == "dpo":
            return [_pair(text(0.4), text(0.5), text(0.5)) for _ in range(count)]
        return [{"kind": "text", "text": text(1.0)} for _ in range(count)]

    def spec(self, case: Case, home: Path) -> Any:
        from training.domain.recipe import Recipe
        from training.domain.spec import BaseRef, DataRef, RunSpec

        model, longest = self.model(case.shape), 128 if self.tiny else 2048
        recipe = Recipe.read({"max_length": longest, "epochs": 1, "rank": 16, "learning_rate": 1e-4} | case.recipe)
        each = recipe.rows_per_step * (2 if recipe.packing else 1)
        rows = self.rows(case, each * (6 if self.tiny else case.steps))
        home.mkdir()
        return RunSpec(
            label=case.name,
            base=BaseRef(case.shape, model["fingerprint"], model["parts"], path=str(model["folder"])),
            data=DataRef(case.name, "0" * 64, len(rows), "rows", path=str(_write(rows, home / "rows.parquet"))),
            recipe=recipe,
            output_dir=str(home / "out"),
            checkpoint_dir=str(home / "ckpt"),
        )

    def prepared(self, spec: Any) -> Any:
        from datasets_app.engine.renderer import Renderer
        from datasets_app.engine.rendering import ChatTokenizer
        from training.engine import data

        base = Path(spec.base.path)
        with contextlib.closing(Renderer(base)) as renderer:
            preparer = data.Preparer(ChatTokenizer(base, renderer), spec.recipe.max_length, spec.recipe.cut)
            for row in data.read_rows(Path(spec.data.path)):
                preparer.add(row, preference=spec.recipe.method == "dpo")
        return preparer.finish()

    def plan(self, case: Case, spec: Any, prepared: Any, lengths: Any) -> Any:
        import torch

        from training.domain import projection as projecting

        model, cuda = self.model(case.shape), torch.cuda.is_available()
        return projecting.make(
            device="cuda" if cuda else "cpu",
            card=torch.cuda.get_device_name(0) if cuda else "",
            capacity=torch.cuda.get_device_properties(0).total_memory if cuda else 0,
            architecture=model["architecture"],
            fingerprint=model["fingerprint"],
            shape=projecting.Shape.read(
                model["shape"] | {"parameters": model["parameters"], "vocab": model["vocab_size"]}
            ),
            recipe=spec.recipe,
            lengths=lengths,
            epoch_tokens=prepared.tokens,
            trained_tokens=prepared.trained_tokens,
        )

    def take(self, number: int, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
        """Guess, rehearse, project, run: the guess and the projection, each beside what it came to."""
        from training.domain.projection import Measured

        spec, plan, lengths = self.ready(case, f"run-{number}")
        guess = self.project(plan)
        rehearsed = self.rehearse(spec, plan, lengths)
        plan = replace(plan, card=rehearsed.plan.card)
        projection = self.project(plan, rehearsed)
        spec = replace(spec, checkpoint_dir=str(Path(spec.output_dir).parent / "ckpt-run"))
        told, wall = self.child("training.engine", spec.as_dict(), Path(spec.output_dir).parent / "spec.json")
        actual = self.actual(told, wall)
        raw = plan.as_dict() | {"card": told["device_name"]}
        self.measured[:0] = [Measured.read(raw, told | {"stages": _closed(told, wall)}), rehearsed]
        self.remember(projection, actual)
        return _row(case, guess, actual), _row(case, projection, actual)

    def ready(self, case: Case, name: str) -> tuple[Any, Any, Any]:
        import numpy as np

        from training.engine.rehearsal import example_length

        spec = self.spec(case, self.home / name)
        prepared = self.prepared(spec)
        lengths = np.array([example_length(example) for example in prepared.examples])
        return spec, self.plan(case, spec, prepared, lengths), lengths

    def project(self, plan: Any, rehearsed: Any = None) -> Any:
        from training.domain import projection as projecting
        from training.domain.projection import calibration

        return projecting.project(
            plan,
            measured=self.measured,
            rehearsal=rehearsed,
            calibration=calibration.refit(self.past),
            hour_price=PRICE,
            currency="EUR",
        )

    def rehearse(self, spec: Any, plan: Any, lengths: Any) -> Any:
        from training.domain.projection import Measured

        told, wall = self.child(*self.asked(spec, lengths))
        raw = plan.as_dict() | {"card": told["device_name"]}
        return Measured.read(raw, told | {"stages": _closed(told, wall)}, rehearsal=True)

    def asked(self, spec: Any, lengths: Any) -> tuple[str, dict[str, Any], Path]:
        from training.domain import rehearsal

        rows = rehearsal.choose(lengths, spec.recipe)
        raw = {"run": spec.as_dict(), "rows": rows, "steps": rehearsal.STEPS, "memory_limit": 0}
        return "training.engine.rehearsal", raw, Path(spec.output_dir).parent / "rehearsal.json"

    def child(
        self, module: str, raw: dict[str, Any], path: Path, *, may_fail: bool = False
    ) -> tuple[dict[str, Any], float]:
        """What it said at its end, and how long it lived."""
        path.write_text(json.dumps(raw))
        began = time.monotonic()
        with path.with_suffix(".log").open("w") as log:
            done = subprocess.run(
                [sys.executable, "-m", module, str(path)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1" if self.tiny else "4"},
            )  # fmt: skip
        wall = time.monotonic() - began
        events = [json.loads(line) for line in done.stdout.splitlines()]
        last = events[-1] if events else {}
        if done.returncode and not may_fail:
            raise SystemExit(f"{module}: {last}\n{path.with_suffix('.log').read_text()[-3000:]}")
        self.told.append({"module": module, "wall": wall} | {name: last.get(name) for name in KEPT})
        pace = next((event for event in events if event["event"] == "pace"), None)
        return last | ({"pace": pace} if pace else {}), wall

    def actual(self, told: dict[str, Any], wall: float) -> dict[str, float]:
        return {
            "seconds": wall,
            "money": float(Decimal(str(wall)) / 3600 * PRICE),
            "memory_bytes": told["memory_bytes"],
            "disk_bytes": told["peak_disk"] + 2 * told["adapter"]["size_bytes"],
            "tokens": told["tokens"],
        }

    def remember(self, projection: Any, actual: dict[str, float]) -> None:
        from training.domain.projection import calibration
        from training.domain.projection.projecting import predicted

        raw = asdict(projection)
        self.past[:0] = calibration.read(projection.device, projection.source, predicted(raw), actual)

    def misfit(self) -> dict[str, Any]:
        """A run that cannot fit: how soon the rehearsal says so, and what it says."""
        spec, _, lengths = self.ready(TOO_MUCH, "too-much")
        told, wall = self.child(*self.asked(spec, lengths), may_fail=True)
        return {"seconds": round(wall, 1), "code": told.get("code"), "message": told.get("message")}


def _closed(told: dict[str, Any], wall: float) -> dict[str, float]:
    return told["stages"] | {"closing": max(0.0, wall - sum(told["stages"].values()))}


def _row(case: Case, projection: Any, actual: dict[str, float]) -> dict[str, Any]:
    from training.domain.projection.projecting import predicted

    raw = asdict(projection)
    found = {"name": case.name, "source": projection.source, "level": projection.level, "actual": actual}
    return found | {
        "predicted": predicted(raw),
        "stages": raw["stages"],
        "rate": raw["rate"],
        "padding": raw["padding"],
    }


def _pair(prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    def turn(role: str, text: str) -> str:
        return json.dumps([{"role": role, "content": text}])

    return {
        "kind": "preference",
        "messages": turn("user", prompt),
        "chosen": turn("assistant", chosen),
        "rejected": turn("assistant", rejected),
    }


def _write(rows: list[dict[str, Any]], path: Path) -> Path:
    """Rows as a dataset version stores them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("id", "kind", "messages", "chosen", "rejected", "tools", "text")
    schema = pa.schema([("index", pa.int64()), *((name, pa.string()) for name in names)])
    whole = [dict.fromkeys(names) | {"index": index, "id": f"{index:016x}"} | row for index, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(whole, schema=schema), path, row_group_size=1000)
    return path


def measure(*, tiny: bool, chosen: Sequence[int], seconds: float) -> dict[str, Any]:
    """`chosen` are places in CASES, in the order they are to be run; the one behind them is what does not fit."""
    began = time.monotonic()
    runs: list[dict[str, Any]] = []
    guessed: list[dict[str, Any]] = []
    found: dict[str, Any] = {"runs": runs, "guessed": guessed}
    with tempfile.TemporaryDirectory(prefix="luthier-projections-") as folder:
        bench = Bench(Path(folder), TINY if tiny else SHAPES, tiny)
        found["told"] = bench.told
        for number in chosen or range(len(CASES) + 1):
            if time.monotonic() - began > seconds:
                break
            if number == len(CASES):
                found["misfit"] = bench.misfit()
                print(json.dumps(found["misfit"]), flush=True)
                continue
            if not can_run(CASES[number]):
                continue
            guess, projection = bench.take(number, CASES[number])
            guessed.append(guess)
            runs.append(projection)
            print(
                json.dumps({"guess": guess, "projection": projection, "at": round(time.monotonic() - began)}),
                flush=True,
            )
    return found
