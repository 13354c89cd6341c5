"""python -m evaluation.engine.drifting SPEC.json: one adapter on two versions of its base, asked the same.

The version it was made on is loaded several times: what two loads of the same files differ by is the noise that a drift
has to exceed. Only one version is in memory at a time.
"""

import gc
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.engine.__main__ import stop
from evaluation.engine.drift_spec import ProbeSpec
from evaluation.engine.spec import EvaluationSpec, read_lines, write_lines
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import die_with_parent

if TYPE_CHECKING:
    from evaluation.engine.distributions import Said
    from evaluation.engine.loading import Pair


def run(path: str) -> None:
    signal.signal(signal.SIGTERM, stop)
    die_with_parent()
    started = time.perf_counter()
    Probing(ProbeSpec.read(Path(path))).run(started)


class Probing:
    """The loads of one probe, one after the other."""

    def __init__(self, spec: ProbeSpec) -> None:
        self.spec = spec
        self.questions = list(read_lines(Path(spec.questions)))
        self.device = ""
        self.to_describe = set(self.spec.describe)

    def run(self, started: float) -> None:
        from evaluation.engine import distributions

        emit("progress", phase="loading", done=0, total=len(self.questions))
        own = self.said("own", "own")
        if not own:
            raise EngineError(
                "No golden prompt has an answer that fits into this model. Choose another golden set.",
                code="prompts_too_long",
            )
        reloads = [self._apart(own, self.said("own", f"reload {n}", own)) for n in range(1, self.spec.reloads + 1)]
        other = self.said("other", "other", own)
        if not other:
            raise EngineError("No prompt fits into both versions.", code="prompts_too_long")
        readings = [
            {
                "index": index,
                "tokens": len(one.answer),
                "base_kl": distributions.divergence(own[index], one, "base"),
                "adapter_kl": distributions.divergence(own[index], one, "adapter"),
                "gain_own": distributions.gain(own[index]),
                "gain_other": distributions.gain(one),
            }
            for index, one in sorted(other.items())
        ]
        write_lines(Path(self.spec.readings), iter(readings))
        emit("result", **self._told(readings, reloads, len(self.questions) - len(other)), seconds=_since(started))

    def _told(self, readings: list[dict[str, Any]], reloads: list[float], left_out: int) -> dict[str, Any]:
        import numpy

        from evaluation.domain import drift

        read = [drift.Reading.read(raw) for raw in readings]
        return {
            "figures": drift.figures(read, reloads, numpy.random.default_rng(self.spec.seed)),
            "left_out": left_out,
            "device": self.device,
            "packages": {name: version(name) for name in ("torch", "transformers", "peft")},
        }

    def said(self, which: str, phase: str, like: "dict[int, Said] | None" = None) -> "dict[int, Said]":
        """Load one version with the adapter, prove the load, ask everything, and let go of it again."""
        from evaluation.engine import distributions

        pair = self._loaded(which)
        if not self.device:
            self.device = pair.device.kind
            emit("started", device=pair.device.kind, device_name=pair.device.name, total=len(self.questions))
        found = distributions.say(pair, self.questions, _reporting(phase), like)
        del pair
        _free()
        return found

    def _loaded(self, which: str) -> "Pair":
        from evaluation.engine import loading

        spec = self.spec
        folder, parts = (spec.own, spec.own_parts) if which == "own" else (spec.other, spec.other_parts)
        if which in self.to_describe:
            from training.engine import anatomy

            self.to_describe.discard(which)
            emit("base_anatomy", which=which, anatomy=anatomy.of_base(Path(folder)))
        return loading.load(
            EvaluationSpec(
                base=folder,
                parts=parts,
                revision=spec.revision,
                adapter=spec.adapter,
                manifest=spec.manifest,
                questions=spec.questions,
                items="",
                graders=[],
                primary="",
                max_new_tokens=0,
                seed=spec.seed,
                device=spec.device,
                proof=spec.proof,
                own_base=which == "own" or spec.identical,
            )
        )

    def _apart(self, one: "dict[int, Said]", other: "dict[int, Said]") -> float:
        """The largest divergence of any prompt in either arm between two loads of the same files."""
        from evaluation.engine import distributions

        return max(
            distributions.divergence(one[index], other[index], name) for index in other for name in ("base", "adapter")
        )


def _reporting(phase: str) -> Callable[[int, int], None]:
    return lambda done, total: emit("progress", phase=phase, done=done, total=total)


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 3)


def _free() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(run_child(run, sys.argv, "evaluation.engine.drifting SPEC.json"))
