"""python -m evaluation.engine SPEC.json: base and adapter answer, and what was forgotten is measured.

Prints one JSON object a line; the items themselves go to the file that the spec names, as they are answered.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.engine import grading
from evaluation.engine.spec import EvaluationSpec, read_lines
from training.engine.events import EXIT_STOPPED, EngineError, emit, run_child
from training.engine.watch import die_with_parent

if TYPE_CHECKING:
    from evaluation.engine.answering import Answer, Meter
    from evaluation.engine.loading import Pair

    Answered = tuple[list[int], dict[str, list[Answer]]]


def stop(*_: object) -> None:
    """Asked to end: nothing of a half-done evaluation is worth keeping."""
    os._exit(EXIT_STOPPED)


def run(path: str) -> None:
    signal.signal(signal.SIGTERM, stop)
    die_with_parent()
    from evaluation.engine import answering, loading  # torch is imported here and nowhere else

    started = time.perf_counter()
    spec = EvaluationSpec.read(Path(path))
    questions = list(read_lines(Path(spec.questions)))
    emit("progress", phase="loading", done=0, total=len(questions))
    pair = loading.load(spec)
    emit("started", device=pair.device.kind, device_name=pair.device.name, total=len(questions))
    meter = answering.Meter()
    summary = _ask(spec, pair, questions, meter)
    summary["proof"] = pair.proof
    if spec.retention:
        summary["retention"] = _forgotten(spec, pair)
    summary["tokens"] = {"prompt": meter.prompt_tokens, **meter.answer_tokens}
    seconds = {name: round(value, 3) for name, value in meter.seconds.items()}
    summary["seconds"] = seconds | {"total": round(time.perf_counter() - started, 3)}
    summary["packages"] = {name: version(name) for name in ("torch", "transformers", "peft")}
    emit("result", summary=summary, device=pair.device.kind)


def _ask(spec: EvaluationSpec, pair: "Pair", questions: list[dict[str, Any]], meter: "Meter") -> dict[str, Any]:
    """Both arms' answers to every question, graded and written down as they come; and their summary."""
    from evaluation.engine import answering

    prompts = [answering.encode(pair, question) for question in questions]
    fitting = [index for index, ids in enumerate(prompts) if len(ids) + spec.max_new_tokens <= pair.context]
    if not fitting:
        raise EngineError(
            f"No golden prompt fits into the model's {pair.context} tokens beside an answer of "
            f"{spec.max_new_tokens}. Lower the answer length, or choose a base with a longer context.",
            code="prompts_too_long",
        )
    effect = answering.prove_effect(pair, [prompts[index] for index in fitting])
    cut = dict.fromkeys(grading.ARMS, 0)
    items: list[dict[str, Any]] = []
    with Path(spec.items).open("w", encoding="utf-8") as file:
        for batch, answers in _both(spec, pair, prompts, fitting, meter):
            for place, index in enumerate(batch):
                outputs = {name: answers[name][place].text for name in grading.ARMS}
                items.append(grading.graded(questions[index], outputs, spec.graders, spec.primary))
                file.write(json.dumps(items[-1]) + "\n")
                for name in grading.ARMS:
                    cut[name] += answers[name][place].cut
            file.flush()
            emit("progress", phase="answers", done=len(items), total=len(questions))
        os.fsync(file.fileno())
    found = grading.summary(items, spec.graders, spec.primary, spec.seed)
    return found | {"effect": round(effect, 6), "cut": cut, "too_long": len(prompts) - len(fitting)}


def _both(
    spec: EvaluationSpec, pair: "Pair", prompts: list[list[int]], fitting: list[int], meter: "Meter"
) -> Iterator["Answered"]:
    """Answers batch by batch; a prompt that does not fit gets none and counts as wrong in both arms."""
    from evaluation.engine import answering

    chosen = [prompts[index] for index in fitting]
    for batch, answers in answering.answer_all(
        pair, chosen, max_new_tokens=spec.max_new_tokens, budget=spec.batch_tokens, meter=meter
    ):
        yield [fitting[place] for place in batch], answers
    nothing = {name: [answering.Answer("", 0, cut=False)] for name in grading.ARMS}
    yield from (([index], nothing) for index in sorted(set(range(len(prompts))) - set(fitting)))


def _forgotten(spec: EvaluationSpec, pair: "Pair") -> dict[str, Any]:
    from evaluation.engine import forgetting

    rows = list(read_lines(Path(spec.retention)))
    sums, counts = forgetting.losses(
        pair, rows, lambda done, total: emit("progress", phase="retention", done=done, total=total)
    )
    return grading.retention(sums["base"], sums["adapter"], counts, spec.seed)


if __name__ == "__main__":
    sys.exit(run_child(run, sys.argv, "evaluation.engine SPEC.json"))
