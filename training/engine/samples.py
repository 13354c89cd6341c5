"""What the model answers to the same few prompts while it learns: at the start, at every checkpoint and at the end.

The prompts are rows of the training data, so answers show form and progress, not quality: that is what evaluations are
for. Answers are greedy and change nothing: weights, random numbers and the training mode are as before.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets_app.engine.rendering import ChatTokenizer
from training.domain.recipe import Method
from training.domain.spec import RunSpec
from training.engine import data, randomness
from training.engine.events import emit, log
from training.engine.sharding import Echo
from training.engine.watch import StopFlag

PROMPTS = 3
LONGEST_PROMPT = 1024  # tokens
NEW_TOKENS = 64
SECONDS = 10.0  # for all answers of one time
SHOWN = 2000  # characters of a prompt, from its end, or of an answer


@dataclass(frozen=True)
class Prompt:
    """One row's question in tokens, with what the data says is the answer."""

    row: int
    ids: list[int]
    text: str
    expected: str


def choose(chat: ChatTokenizer, spec: RunSpec) -> list[Prompt]:
    """From the middle of each third of the data; rows without a question, or with too long a one, are left out."""
    rows = spec.data.rows
    wanted = {rows * (2 * third + 1) // (2 * PROMPTS) for third in range(PROMPTS)}
    found = []
    for row in data.read_rows_at(Path(spec.data.path), wanted):
        question, answer = _halves(row, spec.recipe.method)
        if not question or not answer:
            continue
        text = chat.render(question, row["tools"], ask=True, options=row["options"])
        ids = chat.encode(text)
        if len(ids) <= min(LONGEST_PROMPT, spec.recipe.max_length):
            shown = question[-1].get("content") or ""
            found.append(Prompt(row["index"], ids, _text(shown)[-SHOWN:], _text(answer.get("content") or "")[:SHOWN]))
    return found


def _halves(row: data.Row, method: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The turns up to the last answer, and that answer."""
    if row["kind"] == "text":
        return [], {}
    turns = [*row["messages"], *row["chosen"]] if method == Method.DPO else row["messages"]
    last = max((place for place, turn in enumerate(turns) if turn.get("role") == "assistant"), default=0)
    return turns[:last], turns[last] if last else {}


def _text(content: Any) -> str:
    """Content may come in parts."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


class Samples:
    """Asks the model of a trainer; whatever goes wrong here is logged and ends nothing."""

    def __init__(self, stop: StopFlag) -> None:
        self.stop = stop
        self.prompts: list[Prompt] = []
        self.chat: ChatTokenizer
        self.taken, self.seconds = 0, 0.0  # how often they were asked, and what that took
        self.echo: Echo | None = None  # where others take part in every answer

    def choose(self, chat: ChatTokenizer, spec: RunSpec) -> None:
        """While the data is prepared, since templates are rendered then."""
        self.chat, self.prompts = chat, choose(chat, spec)

    def take(self, model: Any, step: int) -> None:
        """Answer all prompts and tell the answers, unless somebody wants the process to end."""
        before = self.seconds
        if answers := self.ask(model, step):
            emit("samples", step=step, samples=answers, seconds=round(self.seconds - before, 3))

    def ask(self, model: Any, step: int) -> list[dict[str, Any]]:
        """The answers to all prompts; none where there are no prompts, or where it went wrong."""
        if not self.prompts or self.stop.asked:
            return []
        state, training = randomness.capture(), model.training
        began = time.monotonic()
        try:
            model.eval()
            answers = self._answers(model, began + SECONDS)
        except Exception as problem:  # a card without room for it, a model that cannot be asked: training goes on
            if self.echo is not None and self.echo.broken:
                raise  # the other cards are in the middle of this pass
            log(f"no samples at step {step}: {type(problem).__name__}: {problem}"[:500])
            self.prompts = []
            _free(problem)
            return []
        finally:
            model.train(training)
            randomness.restore(state)
            self.taken, self.seconds = self.taken + 1, self.seconds + time.monotonic() - began
        return [] if self.stop.asked else answers

    def told(self) -> dict[str, Any]:
        """For the result: what a projection of the next run has to know."""
        return {"samples_taken": self.taken, "sample_seconds": round(self.seconds, 4)}

    def _answers(self, model: Any, until: float) -> list[dict[str, Any]]:
        """All prompts side by side, padded on their left: on a card a token of three takes as long as one of one."""
        import torch

        from training.engine import answering

        stops = _stops(model, self.chat)
        width = max(len(prompt.ids) for prompt in self.prompts)
        gaps = [width - len(prompt.ids) for prompt in self.prompts]
        pad = stops[0] if stops else 0
        padded = [[pad] * gap + prompt.ids for gap, prompt in zip(gaps, self.prompts, strict=True)]
        ids = torch.tensor(padded, device=model.device)
        mask = torch.tensor([[0] * gap + [1] * (width - gap) for gap in gaps], device=model.device)

        def enough() -> bool:
            return self.stop.asked or time.monotonic() > until

        with torch.no_grad():
            if self.is_shared or not answering.fits(model):
                new = _generated(model, ids, mask, stops, enough)
            else:
                new = answering.greedy(model, ids, mask, most=NEW_TOKENS, stops=stops, enough=enough)
        return [self._shown(prompt, row, stops) for prompt, row in zip(self.prompts, new.tolist(), strict=True)]

    @property
    def is_shared(self) -> bool:
        """Then whatever is asked goes through the whole model, where `Echo` hears it."""
        return self.echo is not None and self.echo.model is not None

    def _shown(self, prompt: Prompt, new: list[int], stops: list[int]) -> dict[str, Any]:
        end = next((place for place, token in enumerate(new) if token in stops), len(new))
        text = self.chat.tokenizer.decode(new[:end], skip_special_tokens=True).strip()[:SHOWN]
        whole = end < len(new)
        return {"row": prompt.row, "prompt": prompt.text, "expected": prompt.expected, "answer": text, "whole": whole}


def _generated(model: Any, ids: Any, mask: Any, stops: list[int], enough: Callable[[], bool]) -> Any:
    """What the library makes of any model; the tokens after `ids`."""
    import torch
    from transformers import GenerationConfig, StoppingCriteriaList

    config = GenerationConfig(
        do_sample=False,
        use_cache=True,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=stops or None,
        pad_token_id=stops[0] if stops else 0,
    )

    def over(tokens: Any, _scores: Any, **_: Any) -> Any:
        return torch.full((tokens.shape[0],), enough(), dtype=torch.bool, device=tokens.device)

    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=config,
        stopping_criteria=StoppingCriteriaList([over]),
        synced_gpus=False,  # who takes part in each pass is for `Echo` to see to
    )
    return out[:, ids.shape[1] :]


def _stops(model: Any, chat: ChatTokenizer) -> list[int]:
    """Tokens that end an answer: the tokenizer's own and those of the generation configuration."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    listed = configured if isinstance(configured, list) else [configured]
    return list(dict.fromkeys(token for token in [chat.eos_id, *listed] if token is not None))


def _free(problem: Exception) -> None:
    """What a card without room had begun to fill."""
    import torch

    if isinstance(problem, torch.cuda.OutOfMemoryError):
        torch.cuda.empty_cache()
