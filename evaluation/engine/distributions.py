"""What a model says next over the tokens of expected answers: kept small, compared between loads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.engine.answering import ARMS, arm, encode
from evaluation.engine.loading import Pair
from training.engine.events import EngineError

MOST_ANSWER = 32  # tokens of one answer
KEPT = 256  # likeliest tokens of each place; the others are one outcome together, so the divergence is a lower bound
LEAST = 1e-12  # probability; keeps a logarithm finite


@dataclass
class Said:
    """One prompt: which tokens answer it, and per arm the log-probabilities of the tokens that are kept."""

    index: int
    answer: list[int]
    kept: dict[str, NDArray[Any]]  # ids, places × KEPT
    logs: dict[str, NDArray[Any]]  # of these, and of all others together: places × (KEPT + 1)
    answers: dict[str, NDArray[Any]]  # log-probability of each token of the answer


def prepared(pair: Pair, questions: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], list[int], list[int]]]:
    """Each question with its prompt through this base's own template, and its answer; what does not fit is left out."""
    found = []
    for question in questions:
        answer = pair.chat.encode(question["expected"])[:MOST_ANSWER]
        prompt = encode(pair, question)
        if answer and prompt and len(prompt) + len(answer) <= pair.context:
            found.append((question, prompt, answer))
    return found


def say(
    pair: Pair,
    questions: Sequence[dict[str, Any]],
    report: Callable[[int, int], None],
    like: dict[int, Said] | None = None,
) -> dict[int, Said]:
    """By index of the question what both arms say. `like` is an earlier load, whose tokens are looked at again."""
    asked = prepared(pair, questions)
    found: dict[int, Said] = {}
    for done, (question, prompt, answer) in enumerate(asked, start=1):
        index = question["index"]
        before = like.get(index) if like is not None else None
        if like is not None and before is None:
            continue  # it did not fit into the other version
        if before is not None and before.answer != answer:
            raise EngineError(
                "Both versions write the same answer in other tokens, so they cannot be compared token by token.",
                code="tokenizer_differs",
            )
        found[index] = _said(pair, index, prompt, answer, before)
        report(done, len(asked))
    return found


def _said(pair: Pair, index: int, prompt: list[int], answer: list[int], before: Said | None) -> Said:
    said = Said(index, answer, {}, {}, {})
    for name in ARMS:
        logs = _logs(pair, name, prompt, answer)
        kept = before.kept[name] if before is not None else _likeliest(logs)
        chosen = np.take_along_axis(logs, np.minimum(kept, logs.shape[1] - 1), axis=1)
        chosen = np.where(kept < logs.shape[1], chosen, np.log(LEAST))
        rest = np.log(np.maximum(1 - np.exp(chosen).sum(axis=1, keepdims=True), LEAST))
        said.kept[name], said.logs[name] = kept, np.hstack([np.maximum(chosen, np.log(LEAST)), rest])
        said.answers[name] = logs[np.arange(len(answer)), answer]
    return said


def _logs(pair: Pair, name: str, prompt: list[int], answer: list[int]) -> NDArray[Any]:
    """Log-probabilities before each token of the answer, in 64 bit; one prompt at a time, so that reloads agree."""
    ids = torch.tensor([prompt + answer], device=pair.device.kind)
    with torch.inference_mode(), arm(pair, name):
        logits = pair.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    part = logits[len(prompt) - 1 : len(prompt) + len(answer) - 1].double().log_softmax(-1)
    found: NDArray[Any] = part.cpu().numpy()
    return found


def _likeliest(logs: NDArray[Any]) -> NDArray[Any]:
    count = min(KEPT, logs.shape[1])
    return np.argpartition(-logs, count - 1, axis=1)[:, :count]


def divergence(one: Said, other: Said, name: str) -> float:
    """Mean KL(one ‖ other) over the places, in nats; exactly 0 for the same numbers."""
    mine, theirs = one.logs[name], other.logs[name]
    return max(0.0, float((np.exp(mine) * (mine - theirs)).sum(axis=1).mean()))


def gain(said: Said) -> float:
    """What the adapter adds to the mean log-probability of the answer."""
    return float((said.answers["adapter"] - said.answers["base"]).mean())
