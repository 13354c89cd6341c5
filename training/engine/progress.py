"""What a running trainer says: metrics, pace, checkpoints on time, and the end of a loss that is no number."""

import json
import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.domain.recipe import Recipe
from training.engine.events import EngineError, emit, log
from training.engine.watch import StopFlag

STATE = "luthier.json"
SHOWN_POINTS = 300
CHECKPOINT_SECONDS = 300
# Names that the trainer uses → names of our metrics.
METRICS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "mean_token_accuracy": "token_accuracy",
    "entropy": "entropy",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
}
LATEST = {"learning_rate"}  # everything else is the mean of its window


class Progress(TrainerCallback):
    """Logs every step, tells a mean of each window, and keeps in the checkpoint what a resumed run needs to go on.

    The trainer itself logs every step, so that no average of its own is lost when a run is resumed in mid-window.
    """

    def __init__(self, recipe: Recipe, stop: StopFlag) -> None:
        self.recipe, self.stop = recipe, stop
        self.window: list[dict[str, float]] = []
        self.tokens_before = 0  # of earlier attempts, whose trainer counted from zero
        self.tokens = 0
        self.told_tokens = 0
        self.every = 1
        self.final_loss: float | None = None
        self.saved_at = self.told_at = self.started_at = time.monotonic()

    def load(self, checkpoint: Path) -> None:
        state = json.loads((checkpoint / STATE).read_text())
        self.window, self.tokens_before = state["window"], state["tokens"]
        self.tokens = self.told_tokens = self.tokens_before

    def save(self, checkpoint: Path) -> None:
        (checkpoint / STATE).write_text(json.dumps({"window": self.window, "tokens": self.tokens}))
        self.saved_at = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.every = math.ceil(state.max_steps / SHOWN_POINTS)
        self.saved_at = self.told_at = self.started_at = time.monotonic()
        emit("progress", phase="training", done=state.global_step, total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        last = state.global_step >= state.max_steps
        if self.stop.asked:
            control.should_save = control.should_training_stop = True
        elif not last and self._checkpoint_due(state.global_step):
            control.should_save = True

    def _checkpoint_due(self, step: int) -> bool:
        if self.recipe.checkpoint_steps:
            return step % self.recipe.checkpoint_steps == 0
        return time.monotonic() - self.saved_at >= CHECKPOINT_SECONDS

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        values = {ours: float(logs[theirs]) for theirs, ours in METRICS.items() if theirs in logs}
        self._check_finite(values, state.global_step)
        self.final_loss = values["loss"]
        self.tokens = self.tokens_before + int(logs.get("num_tokens", 0))
        self.window.append(values)
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self._tell(state.global_step, state.max_steps)

    def _check_finite(self, values: dict[str, float], step: int) -> None:
        bad = [name for name in ("loss", "grad_norm") if not math.isfinite(values.get(name, 0.0))]
        if bad:
            raise EngineError(f"At step {step} the {bad[0].replace('_', ' ')} stopped being a number.", code="nan_loss")

    def _tell(self, step: int, total: int) -> None:
        now = time.monotonic()
        means = {
            name: (
                self.window[-1][name] if name in LATEST else sum(row[name] for row in self.window) / len(self.window)
            )
            for name in self.window[-1]
        }
        pace = (self.tokens - self.told_tokens) / max(now - self.told_at, 1e-6)
        emit("metrics", step=step, total=total, values=means | {"tokens_per_second": pace}, tokens=self.tokens)
        emit("progress", phase="training", done=step, total=total)
        log(f"step {step}/{total}  loss {means['loss']:.4f}  {pace:,.0f} tokens/s")
        self.window, self.told_at, self.told_tokens = [], now, self.tokens
