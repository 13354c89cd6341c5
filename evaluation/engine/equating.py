"""python -m evaluation.engine.equating SPEC.json: a derived model and the adapter on its base are asked the same.

First the derived model is held against base and adapter, weight by weight, and its effect is proved; only then is it
asked. One of the two is in memory at a time.
"""

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.domain import equivalence, graders, ranking
from evaluation.engine.__main__ import stop
from evaluation.engine.equating_spec import EquivalenceSpec
from evaluation.engine.spec import EvaluationSpec, read_lines
from training.domain.derived import Kind
from training.engine.events import EngineError, emit, run_child
from training.engine.watch import die_with_parent

if TYPE_CHECKING:
    from evaluation.engine.answering import Answer
    from evaluation.engine.loading import Pair


def run(path: str) -> None:
    signal.signal(signal.SIGTERM, stop)
    die_with_parent()
    Equating(EquivalenceSpec.read(Path(path))).run()


class Equating:
    def __init__(self, spec: EquivalenceSpec) -> None:
        self.spec, self.kind = spec, Kind(spec.kind)
        self.questions = list(read_lines(Path(spec.questions)))
        self.seconds: dict[str, float] = {}
        self.tokens: dict[str, int] = {}

    def run(self) -> None:
        from evaluation.engine import loading

        started = time.perf_counter()
        emit("progress", phase="loading", done=0, total=len(self.questions))
        pair = self.timed("load_adapter", lambda: loading.load(self._as_evaluation()))
        emit("started", device=pair.device.kind, device_name=pair.device.name, total=len(self.questions))
        dtype = self._check_weights()
        told = self._observed(pair)
        prompts, fitting = self._prompts(pair)
        mine = self.answers("adapter", pair, [prompts[index] for index in fitting])
        device, chat, context, stops = pair.device, pair.chat, pair.context, pair.stops
        del pair.model
        gc.collect()
        model, proved = self.timed("load_derived", lambda: self._load(told, device, dtype))
        theirs = self.answers(
            "derived", loading.Pair(model, chat, device, context, stops), [prompts[index] for index in fitting]
        )
        items = self.graded(fitting, mine, theirs)
        self._tell(items, proved, device.kind, len(self.questions) - len(fitting), started)

    def timed(self, name: str, work: Any) -> Any:
        began = time.perf_counter()
        found = work()
        self.seconds[name] = round(time.perf_counter() - began, 3)
        return found

    def _as_evaluation(self) -> EvaluationSpec:
        spec = self.spec
        same = ("base", "parts", "revision", "adapter", "manifest", "questions", "items", "graders", "primary",
                "max_new_tokens", "seed", "proof", "device")  # fmt: skip
        return EvaluationSpec(**{name: getattr(spec, name) for name in same})

    def _check_weights(self) -> str:
        """The derived model is, bit for bit, what was made, and what was made is base and adapter."""
        from training.domain import adapters
        from training.engine import derived_check
        from training.engine.merging import Merged

        spec = self.spec
        folder = Path(spec.derived)
        derived_check.check_files(folder, spec.files, tell=self._progress("checking"))
        config = json.loads((Path(spec.adapter) / adapters.CONFIG).read_text())
        with Merged(Path(spec.base), Path(spec.adapter), config) as source:
            derived_check.check_weights(source, folder, self.kind, spec.hashes, tell=self._progress("comparing"))
            return derived_check.common_type(source)

    def _observed(self, pair: "Pair") -> Any:
        """What base and adapter say of the probes, in this load."""
        from training.engine import proof

        stored = next(iter((self.spec.proof.get("observed") or {}).values()), None)
        ids, tops = (stored["ids"], stored["tops"]) if stored else (proof.probes(Path(self.spec.base)), None)
        return proof.observe(pair.model, ids, tops)

    def _load(self, told: Any, device: Any, dtype: str) -> tuple[Any, dict[str, Any]]:
        from training.engine import derived_check

        model = derived_check.load(Path(self.spec.derived), device)
        return model, derived_check.check_effect(model, told, self.spec.seen, self.kind, dtype)

    def _prompts(self, pair: "Pair") -> tuple[list[list[int]], list[int]]:
        from evaluation.engine import answering

        prompts = [answering.encode(pair, question) for question in self.questions]
        most = self.spec.max_new_tokens
        fitting = [index for index, ids in enumerate(prompts) if len(ids) + most <= pair.context]
        if not fitting:
            raise EngineError(
                f"No golden prompt fits into the model's {pair.context} tokens beside an answer of {most}. Choose "
                "another golden set.",
                code="prompts_too_long",
            )
        return prompts, fitting

    def answers(self, arm: str, pair: "Pair", prompts: Sequence[list[int]]) -> "list[Answer]":
        """In the order of the prompts."""
        from evaluation.engine import answering

        found: dict[int, Answer] = {}
        began = time.perf_counter()
        budget = self.spec.batch_tokens
        for batch, said in answering.answer_alone(
            pair, prompts, max_new_tokens=self.spec.max_new_tokens, budget=budget
        ):
            found |= dict(zip(batch, said, strict=True))
            emit("progress", phase=arm, done=len(found), total=len(prompts))
        self.seconds[arm] = round(time.perf_counter() - began, 3)
        self.tokens[arm] = sum(one.tokens for one in found.values())
        return [found[index] for index in range(len(prompts))]

    def graded(self, fitting: list[int], mine: "list[Answer]", theirs: "list[Answer]") -> list[dict[str, Any]]:
        """Both answers to every question, scored; a prompt that fits neither is left out of both."""
        items = []
        names, primary = self.spec.graders, self.spec.primary
        with Path(self.spec.items).open("w", encoding="utf-8") as file:
            for index, one, other in zip(fitting, mine, theirs, strict=True):
                items.append(graded(self.questions[index], one.text, other.text, names, primary))
                file.write(json.dumps(items[-1]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return items

    def _tell(
        self, items: list[dict[str, Any]], proved: dict[str, Any], device: str, left_out: int, began: float
    ) -> None:
        spec = self.spec
        figures = equivalence.summary(items, spec.graders, spec.primary, spec.margin, spec.seed)
        self.seconds["total"] = round(time.perf_counter() - began, 3)
        emit(
            "result",
            figures=figures | {"left_out": left_out},
            proof=proved,
            seconds=self.seconds,
            tokens=self.tokens,
            packages={name: version(name) for name in ("torch", "transformers", "peft", "compressed-tensors")},
            device=device,
        )

    def _progress(self, phase: str) -> Any:
        return lambda done, total: emit("progress", phase=phase, done=done, total=total) if done >= total else None


def graded(question: dict[str, Any], mine: str, theirs: str, names: Sequence[str], primary: str) -> dict[str, Any]:
    """One row as it is stored: prompt, both answers, their scores and what changed."""
    scores = {
        "adapter": graders.grade(names, question["expected"], mine),
        "derived": graders.grade(names, question["expected"], theirs),
    }
    before, after = scores["adapter"][primary], scores["derived"][primary]
    return {
        "index": question["index"],
        "row_id": question["row_id"],
        "prompt": question["prompt"],
        "expected": question["expected"],
        "adapter_output": mine,
        "derived_output": theirs,
        "scores": scores,
        "change": ranking.change_of(before, after),
        "outcome": ranking.sort_of(before, after, graders.GRADERS[primary]).value,
    }


if __name__ == "__main__":
    sys.exit(run_child(run, sys.argv, "evaluation.engine.equating SPEC.json"))
