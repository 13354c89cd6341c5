"""python -m evaluation.engine SPEC.json: asks base and adapter the golden questions and measures what was forgotten.

Prints one JSON object a line; the items themselves go to the file that the spec names, as they are answered.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evaluation.engine import grading
from evaluation.engine.failure import Failure
from evaluation.engine.spec import EvaluationSpec, read_lines


def emit(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), file=sys.__stdout__, flush=True)


def stop(*_: object) -> None:
    """Asked to end: nothing of a half-done evaluation is worth keeping."""
    os._exit(143)


def run(spec: EvaluationSpec) -> None:
    from evaluation.engine import answering, loading  # torch is imported here and nowhere else

    started = time.perf_counter()
    questions = list(read_lines(Path(spec.questions)))
    emit("progress", phase="loading", done=0, total=len(questions))
    pair = loading.load(spec)
    emit("started", device=pair.device.type, device_name=_device_name(pair), total=len(questions))
    meter = answering.Meter()
    items, cut, too_long, effect = _ask(spec, pair, questions, meter)
    result = grading.summary(items, spec.graders, spec.primary, spec.seed) | {"effect": effect}
    if spec.retention:
        result["retention"] = _forgotten(spec, pair)
    result |= {"cut": cut, "too_long": too_long, "tokens": {"prompt": meter.prompt_tokens, **meter.answer_tokens}}
    seconds = {name: round(value, 3) for name, value in meter.seconds.items()}
    result["seconds"] = seconds | {"total": round(time.perf_counter() - started, 3)}
    emit("result", summary=result | {"packages": _packages()}, device=pair.device.type)


def _ask(spec: EvaluationSpec, pair: Any, questions: list[dict[str, Any]], meter: Any) -> tuple[Any, ...]:
    """Answers of both arms to every question, graded and written down as they come."""
    from evaluation.engine import answering

    prompts = [answering.encode(pair, question) for question in questions]
    room = pair.context - spec.max_new_tokens
    fitting = [index for index, ids in enumerate(prompts) if len(ids) <= room]
    if not fitting:
        raise Failure(
            "prompts_too_long",
            f"No golden prompt fits into the model's {pair.context} tokens beside an answer of {spec.max_new_tokens}.",
        )
    effect = answering.prove_effect(pair, [prompts[index] for index in fitting])
    empty = {name: [answering.Answer("", 0, cut=False)] for name in grading.ARMS}
    unasked = [([index], empty) for index in sorted(set(range(len(prompts))) - set(fitting))]
    cut = dict.fromkeys(grading.ARMS, 0)
    items: list[dict[str, Any]] = []
    with Path(spec.items).open("w", encoding="utf-8") as file:
        for batch, answers in _both(spec, pair, prompts, fitting, unasked, meter):
            for place, index in enumerate(batch):
                outputs = {name: answers[name][place].text for name in grading.ARMS}
                items.append(grading.graded(questions[index], outputs, spec.graders, spec.primary))
                file.write(json.dumps(items[-1]) + "\n")
                for name in grading.ARMS:
                    cut[name] += answers[name][place].cut
            file.flush()
            emit("progress", phase="answers", done=len(items), total=len(questions))
        os.fsync(file.fileno())
    return items, cut, len(unasked), round(effect, 6)


def _both(
    spec: EvaluationSpec, pair: Any, prompts: Any, fitting: list[int], unasked: list[Any], meter: Any
) -> Iterator[tuple[list[int], Any]]:
    from evaluation.engine import answering

    chosen = [prompts[index] for index in fitting]
    found = answering.answer_all(
        pair, chosen, max_new_tokens=spec.max_new_tokens, budget=spec.batch_tokens, meter=meter
    )
    for batch, answers in found:
        yield [fitting[place] for place in batch], answers
    yield from unasked


def _forgotten(spec: EvaluationSpec, pair: Any) -> dict[str, Any]:
    from evaluation.engine import forgetting

    rows = list(read_lines(Path(spec.retention)))
    sums, counts = forgetting.losses(
        pair, rows, lambda done, total: emit("progress", phase="retention", done=done, total=total)
    )
    return grading.retention(sums["base"], sums["adapter"], counts, spec.seed)


def _device_name(pair: Any) -> str:
    import platform

    import torch

    return torch.cuda.get_device_name(pair.device) if pair.device.type == "cuda" else platform.machine()


def _packages() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "peft")}


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, stop)
    sys.stdout = sys.stderr  # what libraries print is log, not protocol
    try:
        run(EvaluationSpec.read(Path(argv[1])))
    except Failure as failure:
        emit("failed", code=failure.code, message=failure.message, detail=failure.detail)
        return 1
    except Exception as error:
        message = f"The evaluation stopped with an error it does not know: {type(error).__name__}: {error}"
        emit("failed", code="engine_error", message=message[:500], detail=traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
