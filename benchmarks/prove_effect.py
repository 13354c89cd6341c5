"""make prove-effect: loads that are not what they seem are named, and honest ones are left alone.

An adapter is trained for real; what it does is proved by its run and stored. Then it is loaded as an evaluation worker
loads it, with a fault planted each time: adapter not applied, another adapter, another base, a flipped bit, a cut rank,
wrong scaling. Checksums are made to fit what was planted, so that only the effect proof stands in the way. Then it is
loaded honestly, on one thread and on two. The last line is {"planted", "named", "honest_loads", "false_alarms", …}.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from benchmarks.model_versions import REVISION, Versions, stored
from training.domain.adapters import CONFIG, WEIGHTS
from training.engine import hashing
from training.engine.events import EngineError

HONEST = 50
EACH = 5  # variants of each fault
SEED = 7


class Loads:
    """One adapter, loaded again and again."""

    def __init__(self, folder: Path, versions: Versions, rng: random.Random) -> None:
        self.folder, self.versions, self.rng = folder, versions, rng
        self.adapter, self.made = versions.adapter("adapter")
        self.others = [versions.adapter(f"other {n}", seed=n)[0] for n in (1, 2)]
        self.count = 0

    def load(self, adapter: Path, base: str = "N") -> str:
        """What the worker says: the code of a refusal, or nothing."""
        from evaluation.engine import loading, spec

        files = {
            path.name: {"sha256": hashing.sha256_file(path)}
            for path in adapter.iterdir()
            if path.name != "MANIFEST.json"
        }
        wanted = spec.EvaluationSpec(
            base=str(self.versions.folders[base]),
            parts=hashing.base_parts(self.versions.folders[base]),
            revision=REVISION,
            adapter=str(adapter),
            manifest={"files": files},
            questions="",
            items="",
            graders=[],
            primary="",
            max_new_tokens=1,
            seed=0,
            proof=stored(self.made),
        )
        with (self.folder / "said").open("w") as said, redirect_stdout(said):
            try:
                loading.load(wanted)
            except EngineError as refused:
                return refused.code
        return ""

    def copy(self) -> Path:
        self.count += 1
        return Path(shutil.copytree(self.adapter, self.folder / f"copy {self.count}"))

    # The faults, each in some variants.

    def adapter_not_applied(self, n: int) -> str:
        def idle(model: Any) -> None:
            if n % 2:
                model.base_model.disable_adapter_layers()
                return
            for module in model.modules():  # carried and at work, to no effect
                if hasattr(module, "lora_A"):
                    module.forward = module.base_layer.forward

        with _after_loading(idle):
            return self.load(self.adapter)

    def other_adapter(self, n: int) -> str:
        return self.load(self.others[n % len(self.others)])

    def other_base(self, n: int) -> str:
        return self.load(self.adapter, "N+1")

    def flipped_bit(self, n: int) -> str:
        place = self.copy()
        data = bytearray((place / WEIGHTS).read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        at = start + 4 * self.rng.randrange((len(data) - start) // 4)
        data[at + n % 3] ^= 1 << self.rng.randrange(7)  # of the digits, down to the last; exponents would shout
        (place / WEIGHTS).write_bytes(data)
        return self.load(place)

    def rank_cut(self, n: int) -> str:
        from safetensors.torch import load_file, save_file

        place, kept = self.copy(), 8 - 1 - n % 4
        tensors = load_file(place / WEIGHTS)
        cut = {name: (one[:kept] if "lora_A" in name else one[:, :kept]).contiguous() for name, one in tensors.items()}
        if n % 2:  # the same shapes, the rest zero
            for name, one in tensors.items():
                one[(slice(kept, None), slice(None)) if "lora_A" in name else (slice(None), slice(kept, None))] = 0
            cut = tensors
        else:
            _configure(place, r=kept, lora_alpha=2 * kept)
        save_file(cut, place / WEIGHTS, metadata={"format": "pt"})
        return self.load(place)

    def wrong_scaling(self, n: int) -> str:
        place = self.copy()
        _configure(place, **({"use_rslora": True} if n % 3 == 2 else {"lora_alpha": (8, 32)[n % 2]}))
        return self.load(place)


def _configure(place: Path, **changes: Any) -> None:
    path = place / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@contextmanager
def _after_loading(spoil: Callable[[Any], None]) -> Any:
    """A server that does something else with the adapter than it says."""
    from evaluation.engine import loading

    usual = loading.with_adapter

    def spoilt(plain: Any, folder: Path) -> Any:
        model = usual(plain, folder)
        spoil(model)
        return model

    loading.with_adapter = spoilt
    try:
        yield
    finally:
        loading.with_adapter = usual


FAULTS = (
    "adapter_not_applied", "other_adapter", "other_base", "flipped_bit", "rank_cut", "wrong_scaling",
)  # fmt: skip


def main(honest: int = HONEST, each: int = EACH) -> int:
    import torch

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-effect-") as name:
        folder = Path(name)
        loads = Loads(folder, Versions(folder / "versions"), random.Random(SEED))
        answers = {fault: [getattr(loads, fault)(n) for n in range(each)] for fault in FAULTS}
        for fault, codes in answers.items():
            print(f"{fault}: {', '.join(code or 'NOT NOTICED' for code in codes)}", flush=True)
        alarms = []
        for n in range(honest):
            torch.set_num_threads(1 + n % 2)
            alarms += [code for code in [loads.load(loads.adapter)] if code]
        print(f"honest loads: {honest}, alarms: {', '.join(alarms) or 'none'}", flush=True)
    named = sum(codes == [fault] * each for fault, codes in answers.items())
    told = {
        "planted": len(FAULTS),
        "named": named,
        "variants": each * len(FAULTS),
        "variants_named": sum(code == fault for fault, codes in answers.items() for code in codes),
        "honest_loads": honest,
        "false_alarms": len(alarms),
        "effect": round(loads.made["proof"] and _effect(loads.made["proof"]), 3),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told))
    return int(named != len(FAULTS) or bool(alarms))


def _effect(observed: dict[str, Any]) -> float:
    return max(abs(a - b) for a, b in zip(observed["adapter"], observed["base"], strict=True))


if __name__ == "__main__":
    sys.exit(main())
