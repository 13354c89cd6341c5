"""Derived models as a worker loads them, honest ones and ones spoilt in ways that checksums would not tell."""

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.prove_derived.models import SHARD, Models
from training.domain.adapters import CONFIG
from training.domain.derived import Kind
from training.engine import hashing
from training.engine.events import EngineError

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
