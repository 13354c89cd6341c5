"""make prove-derived: an adapter, the same merged into its base, in INT8 and in INT4, side by side on a golden set.

An adapter is trained for real and learns what its base cannot do. Models are made of it by the engine and each answers
the golden set beside the adapter on its base; then files are spoilt in ways that checksums would not tell, and honest
ones are loaded again and again. The last line is {"adapter", "merged", "int8", "int4", "sizes", "verdicts", …}.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from benchmarks.engine_runs import ROOT, Runs, child_environment
from demo import tickets
from evaluation.domain import answers, equivalence
from evaluation.engine.equating_spec import EquivalenceSpec
from evaluation.engine.spec import write_lines
from training.domain.adapters import CONFIG
from training.domain.derived import Kind
from training.engine import hashing
from training.engine.derive_spec import DeriveSpec
from training.engine.events import EngineError

HONEST, GOLDEN, MARGIN = 10, 200, 0.02
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


class Loads:
    """Derived models loaded as a worker loads them, honest ones and spoilt ones."""

    def __init__(self, models: Models) -> None:
        from evaluation.engine import loading, spec
        from training.engine import proof

        self.models, self.count = models, 0
        wanted = spec.EvaluationSpec(
            base=str(models.base), parts=models.runs.parts, revision="f" * 64, adapter=str(models.adapter),
            manifest={"files": models.made["files"]}, questions="", items="", graders=[], primary="", max_new_tokens=1,
            seed=0, proof=models.proof,
        )  # fmt: skip
        with (models.folder / "said").open("w") as said, redirect_stdout(said):
            pair = loading.load(wanted)
            first = models.made["proof"]
            self.pair = proof.observe(pair.model, first["ids"], first["tops"])
            self.device = pair.device

    def load(self, folder: Path, kind: Kind, *, hashes: dict[str, str] | None, files: Any = None) -> str:
        """What the worker says: the code of a refusal, or nothing."""
        from training.engine import derived_check

        made = self.models.results[kind]
        try:
            derived_check.check_files(folder, files or _files(folder))
            with self.source() as source:
                derived_check.check_weights(source, folder, kind, hashes)
                dtype = derived_check.common_type(source)
            model = derived_check.load(folder, self.device)
            seen = {made["proof"]["numerics"]: made["proof"]["seen"]}
            derived_check.check_effect(model, self.pair, seen, kind, dtype)
        except EngineError as refused:
            return refused.code
        return ""

    def source(self, adapter: Path | None = None, base: Path | None = None, times: float = 1.0) -> Any:
        from training.engine.merging import Merged

        place = adapter or self.models.adapter
        found = Merged(base or self.models.base, place, json.loads((place / CONFIG).read_text()))
        found.scale *= times
        return found

    def honest(self, kind: Kind) -> str:
        made = self.models.results[kind]
        return self.load(self.models.out(kind), kind, hashes=made["facts"]["tensors"], files=made["files"])

    # What is spoilt; each returns what the worker says.

    def _written(self, kind: Kind, source: Any) -> str:
        """Files made of something else, with config, tokenizer and checksums that are right."""
        from training.engine import derived_weights

        self.count += 1
        place = Path(shutil.copytree(self.models.out(kind), self.models.folder / f"spoilt {self.count}"))
        parts = derived_weights.Parts(self.models.folder / f"spoilt parts {self.count}", "spoilt")
        with source, (self.models.folder / "said").open("w") as said, redirect_stdout(said):
            for name in derived_weights.write(source, kind, parts, lambda *_: None, most=SHARD):
                shutil.copyfile(parts.folder / name, place / name)
        return self.load(place, kind, hashes=None)

    def adapter_not_applied(self, kind: Kind) -> str:
        return self._written(kind, self.source(times=0.0))

    def other_adapter(self, kind: Kind) -> str:
        return self._written(kind, self.source(self.models.other))

    def wrong_scaling(self, kind: Kind) -> str:
        return self._written(kind, self.source(times=2.0))

    def other_base(self, kind: Kind) -> str:
        """The same shapes, further trained: here each tensor moved a little."""
        place = self.models.folder / "other base"
        if not place.exists():
            shutil.copytree(self.models.base, place)
            for path in place.glob("*.safetensors"):
                _change(path, lambda name, one: one + 0.05 * one.std())
        return self._written(kind, self.source(base=place))

    def flipped_bit(self, kind: Kind, *, fitted: bool = True) -> str:
        place, made = self._copy(kind), self.models.results[kind]
        path = sorted(place.glob("*.safetensors"))[-1]
        data = bytearray(path.read_bytes())
        data[len(data) // 2 | 3] ^= 1  # of the last digits
        path.write_bytes(data)
        return self.load(place, kind, hashes=made["facts"]["tensors"], files=None if fitted else made["files"])

    def artefact_damaged(self, kind: Kind) -> str:
        return self.flipped_bit(kind, fitted=False)

    def wrong_quantisation(self, kind: Kind) -> str:
        place = self._copy(kind)
        for path in place.glob("*.safetensors"):
            _change(path, lambda name, one: one * 2 if name.endswith("weight_scale") else one)
        return self.load(place, kind, hashes=None)

    def wrong_quantisation_of_one(self, kind: Kind) -> str:
        place = self._copy(kind)
        path = sorted(place.glob("*.safetensors"))[0]
        first: list[str] = []

        def bend(name: str, one: Any) -> Any:
            if name.endswith("weight_scale") and not first:
                first.append(name)
                return one * 1.2
            return one

        _change(path, bend)
        return self.load(place, kind, hashes=None)

    def _copy(self, kind: Kind) -> Path:
        self.count += 1
        return Path(shutil.copytree(self.models.out(kind), self.models.folder / f"spoilt {self.count}"))


def _change(path: Path, change: Callable[[str, Any], Any]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {name: change(name, one).contiguous() for name, one in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def _files(folder: Path) -> dict[str, Any]:
    """Checksums made to fit, so that only the proof stands in the way."""
    return {
        path.name: {"sha256": hashing.sha256_file(path), "size": path.stat().st_size}
        for path in folder.iterdir()
        if path.name != "MANIFEST.json"
    }


ALL = tuple(Kind)
PACKED = (Kind.INT8, Kind.INT4)
FAULTS: dict[str, tuple[str, tuple[Kind, ...]]] = {
    "adapter_not_applied": ("adapter_not_applied", ALL),
    "other_adapter": ("other_adapter", ALL),
    "wrong_scaling": ("wrong_scaling", ALL),
    "other_base": ("other_base", ALL),
    "flipped_bit": ("flipped_bit", ALL),
    "artefact_damaged": ("artefact_damaged", ALL),
    "wrong_quantisation": ("wrong_quantisation", PACKED),
    "wrong_quantisation_of_one": ("wrong_quantisation", PACKED),
}


def table(models: Models, found: dict[Kind, Event]) -> None:
    size = sum(path.stat().st_size for path in models.base.glob("*.safetensors"))
    print(f"\n{'':10}{'exact':>8}{'95 %':>16}{'difference':>12}{'95 %':>18}{'bytes':>12}{'load s':>8}  verdict")
    for kind, event in found.items():
        lead, seconds = event["figures"]["graders"]["exact_match"], event["seconds"]
        if kind is Kind.MERGED:
            print(_row("adapter", lead, "adapter", size + _bytes(models.adapter), seconds["load_adapter"], ""))
        verdict = equivalence.verdict(lead, "exact_match", MARGIN).headline
        print(_row(kind.value, lead, "derived", models.results[kind]["size_bytes"], seconds["load_derived"], verdict))
    print(flush=True)


def _row(name: str, lead: Event, arm: str, size: int, seconds: float, verdict: str) -> str:
    level = f"[{lead[f'{arm}_low']:.3f}, {lead[f'{arm}_high']:.3f}]"
    band = f"[{lead['low']:+.3f}, {lead['high']:+.3f}]"
    gap = f"{lead['difference']:+12.3f}{band:>18}" if arm == "derived" else " " * 30
    return f"{name:10}{lead[arm]:8.3f}{level:>16}{gap}{size:12,}{seconds:8.2f}  {verdict}"


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def main(honest: int = HONEST) -> int:
    import torch

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-derived-") as name:
        models = Models(Path(name))
        for kind in ALL:
            models.make(kind)
            print(
                f"{kind.value}: made in {models.results[kind]['seconds']} s, {models.results[kind]['facts']['figures']}"
            )
        found = {kind: models.evaluate(kind) for kind in ALL}
        table(models, found)
        loads = Loads(models)
        said = {fault: [getattr(loads, fault)(kind) for kind in kinds] for fault, (_, kinds) in FAULTS.items()}
        for fault, codes in said.items():
            print(f"{fault}: {', '.join(code or 'NOT NOTICED' for code in codes)}", flush=True)
        alarms = []
        for n in range(honest):
            torch.set_num_threads(1 + n % 2)
            alarms += [code for kind in ALL for code in [loads.honest(kind)] if code]
        print(f"honest loads: {honest * len(ALL)}, alarms: {', '.join(alarms) or 'none'}", flush=True)
        told = _told(models, found, said, alarms, honest)
    told["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(told))
    return int(told["named"] != told["planted"] or bool(alarms))


def _told(
    models: Models, found: dict[Kind, Event], said: dict[str, list[str]], alarms: list[str], honest: int
) -> Event:
    leads = {kind: event["figures"]["graders"]["exact_match"] for kind, event in found.items()}
    wanted = {fault: code for fault, (code, _) in FAULTS.items()}
    base = sum(path.stat().st_size for path in models.base.glob("*.safetensors"))
    return {
        "adapter": leads[Kind.MERGED]["adapter"],
        **{kind.value: lead["derived"] for kind, lead in leads.items()},
        "intervals": {kind.value: [lead["low"], lead["high"]] for kind, lead in leads.items()},
        "verdicts": {kind.value: event["figures"]["judgement"] for kind, event in found.items()},
        "same_text": {kind.value: event["figures"]["same_text"] for kind, event in found.items()},
        "golden_rows": GOLDEN,
        "sizes": {
            "base": base,
            "adapter": _bytes(models.adapter),
            **{kind.value: models.results[kind]["size_bytes"] for kind in ALL},
        },
        "effect_kept": {kind.value: models.results[kind]["proof"]["kept"] for kind in ALL},
        "planted": sum(map(len, said.values())),
        "named": sum(code == wanted[fault] for fault, codes in said.items() for code in codes),
        "honest_loads": honest * len(ALL),
        "false_alarms": len(alarms),
    }


if __name__ == "__main__":
    sys.exit(main())
