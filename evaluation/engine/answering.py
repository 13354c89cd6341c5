"""Answers of both arms: greedy, in left-padded batches of similar length, over the same weights in memory."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from transformers import GenerationConfig

from datasets_app.engine.chat_template import Unshowable
from evaluation.engine.grading import ARMS
from evaluation.engine.loading import Pair
from training.engine.events import EngineError

T = TypeVar("T")
R = TypeVar("R")
BATCH_TOKENS = {"cpu": 8_192, "cuda": 262_144}
BATCH_ROWS = {"cpu": 64, "cuda": 512}


@dataclass
class Answer:
    text: str
    tokens: int
    cut: bool  # the token limit came before the end of the answer


@dataclass
class Meter:
    """What each arm took: wall seconds, tokens read and tokens written."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ARMS, 0.0))
    prompt_tokens: int = 0
    answer_tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ARMS, 0))


def arm(pair: Pair, name: str) -> AbstractContextManager[Any]:
    return pair.model.disable_adapter() if name == "base" else nullcontext()


def encode(pair: Pair, question: dict[str, Any]) -> list[int]:
    """Token ids of the turns, rendered by the code that prepared the training rows, ready for the answer."""
    try:
        return pair.chat.prompt_ids(question["messages"], question.get("tools"))
    except Unshowable as error:
        raise EngineError(f"Golden row {question['index'] + 1}: {error}", code=error.failure) from error


def batches(lengths: Sequence[int], *, budget: int, rows: int, extra: int) -> Iterator[list[int]]:
    """Indices by falling length, as many at once as `budget` tokens hold: the largest batch comes first."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    while order:
        size = max(1, min(rows, budget // (lengths[order[0]] + extra)))
        yield order[:size]
        order = order[size:]


def prove_effect(pair: Pair, prompts: Sequence[list[int]]) -> float:
    """Largest change of any next-token logit on a few prompts. An adapter that changes nothing is refused."""
    inputs = _padded(pair, sorted(prompts, key=len)[:8])
    logits = {}
    for name in ARMS:
        with torch.inference_mode(), arm(pair, name):
            logits[name] = pair.model(**inputs).logits[:, -1].float()
    change = float((logits["adapter"] - logits["base"]).abs().max())
    if not change > 1e-6 * float(logits["base"].abs().max()):
        raise EngineError(
            "The adapter changes nothing: with and without it the model says the same. "
            "It was not trained, or its weights were lost on the way.",
            code="adapter_no_effect",
        )
    return change


def answer_all(
    pair: Pair, prompts: Sequence[list[int]], *, max_new_tokens: int, budget: int | None, meter: Meter
) -> Iterator[tuple[list[int], dict[str, list[Answer]]]]:
    """Batch by batch: the indices and the answers of both arms."""
    kind = pair.device.kind
    _warm_up(pair, prompts[0])
    lengths = [len(ids) for ids in prompts]
    for batch in batches(lengths, budget=budget or BATCH_TOKENS[kind], rows=BATCH_ROWS[kind], extra=max_new_tokens):
        chosen = [prompts[index] for index in batch]
        meter.prompt_tokens += sum(map(len, chosen))
        yield batch, {name: _timed(pair, name, chosen, max_new_tokens, meter) for name in ARMS}


def answer_alone(
    pair: Pair, prompts: Sequence[list[int]], *, max_new_tokens: int, budget: int | None
) -> Iterator[tuple[list[int], list[Answer]]]:
    """The same of a model as it is, with its adapter or without one: the indices and its answers, batch by batch."""
    kind = pair.device.kind
    with torch.inference_mode():
        _generate(pair, [prompts[0]], 2)  # what the first call of a process pays for
    lengths = [len(ids) for ids in prompts]
    for batch in batches(lengths, budget=budget or BATCH_TOKENS[kind], rows=BATCH_ROWS[kind], extra=max_new_tokens):
        chosen = [prompts[index] for index in batch]
        with torch.inference_mode():
            yield batch, halving(lambda part: _generate(pair, part, max_new_tokens), chosen)


def _warm_up(pair: Pair, prompt: list[int]) -> None:
    """Two tokens from each arm, unmeasured: the first call of a process pays for what all later ones use."""
    for name in ARMS:
        with torch.inference_mode(), arm(pair, name):
            _generate(pair, [prompt], 2)


def _timed(pair: Pair, name: str, prompts: list[list[int]], max_new_tokens: int, meter: Meter) -> list[Answer]:
    started = time.perf_counter()
    with torch.inference_mode(), arm(pair, name):
        answers = halving(lambda part: _generate(pair, part, max_new_tokens), prompts)
    meter.seconds[name] += time.perf_counter() - started
    meter.answer_tokens[name] += sum(answer.tokens for answer in answers)
    return answers


def halving(work: Callable[[list[T]], list[R]], items: list[T]) -> list[R]:
    """Do it at once; when the card's memory is too small, in halves."""
    try:
        return work(items)
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        if len(items) == 1:
            raise EngineError("One row alone does not fit into the GPU's memory.", code="oom") from error
    middle = len(items) // 2
    return halving(work, items[:middle]) + halving(work, items[middle:])


def _generate(pair: Pair, prompts: list[list[int]], max_new_tokens: int) -> list[Answer]:
    config = GenerationConfig(
        do_sample=False,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        pad_token_id=pair.pad,
        eos_token_id=pair.stops,
    )
    inputs = _padded(pair, prompts)
    output = pair.model.generate(**inputs, generation_config=config)
    return [_answer(pair, row) for row in output[:, inputs["input_ids"].shape[1] :].tolist()]


def _answer(pair: Pair, ids: list[int]) -> Answer:
    end = next((place for place, token in enumerate(ids) if token in pair.stops), len(ids))
    text = pair.chat.tokenizer.decode(ids[:end], skip_special_tokens=True)
    return Answer(text.strip(), min(end + 1, len(ids)), cut=end == len(ids))


def _padded(pair: Pair, prompts: Sequence[list[int]]) -> dict[str, torch.Tensor]:
    """Left-padded, so that every answer starts at the same place."""
    width = max(map(len, prompts))
    ids = [[pair.pad] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor(ids, device=pair.device.kind),
        "attention_mask": torch.tensor(mask, device=pair.device.kind),
    }
