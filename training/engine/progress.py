"""What a running trainer says: metrics, pace, checkpoints on time, and the end of a loss that is no number."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.domain.recipe import Recipe
from training.engine import randomness
from training.engine.events import EngineError, emit, log
from training.engine.gauges import Gauges
from training.engine.group import ALONE, Group
from training.engine.samples import Samples
from training.engine.sharding import Echo
from training.engine.stopping import StopTime
from training.engine.validation import Validation
from training.engine.watch import StopFlag

STATE = "luthier.json"
TELLINGS = 300  # of a run that nobody can follow step by step anyway
TELL_SECONDS = 1.0  # of a longer one, whose steps come together
TELL_STEPS = 500  # in one telling, which is one line
# A supervisor may die with lines that it has not noted, of about a lease's time. A checkpoint holds the newest steps,
# and whoever goes on from it says them again.
SAID_AGAIN = 2000
CHECKPOINT_SECONDS = 300
RETRY_SECONDS = 60  # after a save that failed
ALIVE_SECONDS = 10  # a step may take minutes; somebody who watches must see that it works
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
CLOCKS = {"seconds", "tokens"}  # what curves are drawn over, besides steps


class Progress(TrainerCallback):
    """Logs every step, tells a mean of each window, and keeps in the checkpoint what a resumed run needs to go on.

    The trainer itself logs every step, so that no average of its own is lost when a run is resumed in mid-window.
    """

    def __init__(self, recipe: Recipe, stop: StopFlag, *, grace_seconds: float = 0, group: Group = ALONE) -> None:
        self.recipe, self.stop, self.grace_seconds, self.group = recipe, stop, grace_seconds, group
        self.stop_time = StopTime()
        self.window: list[dict[str, float]] = []
        self.said: list[dict[str, float]] = []  # the newest that were told
        self.tokens_before = 0  # of earlier attempts, whose trainer counted from zero
        self.tokens = 0
        self.seconds_before = self.seconds = 0.0  # of training, without what was lost
        self.told = (0, 0.0)  # tokens and seconds when steps were last told
        self.every = 1
        self.final_loss: float | None = None
        self.step = self.total = self.saved_step = 0
        self.began = self.saved_at = self.told_at = self.alive_at = time.monotonic()
        self.samples: Samples | None = None
        self.validation: Validation | None = None
        self.echo = Echo()
        self.gauges: Gauges | None = None
        self.batches: list[tuple[Mapping[str, Any], Any]] = []  # of the step that is being taken, each with its loss
        self.after_step: randomness.State | None = None  # what a checkpoint of the last whole step must hold

    # What a checkpoint holds besides the trainer's own

    def load(self, checkpoint: Path, step: int) -> None:
        state = json.loads((checkpoint / STATE).read_text())
        self.window, self.tokens_before, self.final_loss = state["window"], state["tokens"], state["final_loss"]
        self.tokens = self.tokens_before
        self.said = state.get("said", [])
        self.seconds = self.seconds_before = float(state.get("seconds", 0))
        self.told = tuple(state.get("told", (self.tokens, self.seconds)))
        self.step = self.saved_step = step
        if self.validation is not None:
            self.validation.told = state.get("validated", [])

    def save(self, checkpoint: Path) -> None:
        state = {"window": self.window, "tokens": self.tokens, "final_loss": self.final_loss}
        state |= {"seconds": self.seconds, "told": self.told, "said": self.said[-SAID_AGAIN:]}
        if self.validation is not None:
            state["validated"] = self.validation.told[-SAID_AGAIN:]
        (checkpoint / STATE).write_text(json.dumps(state))

    def saved(self, step: int) -> None:
        self.saved_step, self.saved_at = step, time.monotonic()

    def not_saved(self) -> None:
        """Try again before long, but not at every step: a full disk is slow to find out about."""
        self.saved_at = time.monotonic() - self.interval + min(RETRY_SECONDS, self.interval)

    # What the trainer calls

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.stop.look()
        self.stop.defer()  # from here on there is something to save
        self.every = math.ceil(state.max_steps / TELLINGS)
        self.step, self.total = state.global_step, state.max_steps
        self.began = self.saved_at = self.told_at = self.alive_at = time.monotonic()
        self.stop_time.begin()
        emit("progress", phase="training", done=state.global_step, total=state.max_steps)
        self._validate(state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.batches = []

    def begin_batch(self, batch: Mapping[str, Any]) -> None:
        self.batches.append((batch, None))

    def end_batch(self, loss: Any) -> None:
        self.batches[-1] = (self.batches[-1][0], loss)
        now = time.monotonic()
        if now - self.alive_at >= ALIVE_SECONDS:
            self.alive_at = now
            emit("progress", phase="training", done=self.step, total=self.total)

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Within a step: its batches so far are given up, and the step before it is what is saved."""
        self.stop_time.look()
        (stops,) = self.group.decide(self.stop.asked)
        if stops:
            control.should_training_stop = True
            control.should_save = state.global_step > self.saved_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.stop_time.look()
        self.step = state.global_step
        self.after_step = randomness.capture() if args.gradient_accumulation_steps > 1 else None
        last = state.global_step >= state.max_steps
        due = not last and self._checkpoint_due(state.global_step)
        stops, saves = self.group.decide(self.stop.asked, due)
        if stops:
            control.should_training_stop = True
        control.should_save = control.should_save or stops or saves
        looks = self.validation is not None and self.validation.is_due(state.global_step, state.max_steps)
        if (saves or looks or last) and not stops:
            self._validate(state.global_step)

    def _validate(self, step: int) -> None:
        """What a checkpoint holds is known by its figures, too, so the look comes first. The clock of training stands
        still meanwhile: it is no part of any step."""
        if self.validation is None:
            return
        began = time.monotonic()
        self.validation.look(step, self.stop_time.look)
        now = time.monotonic()
        self.began, self.alive_at = self.began + now - began, now
        emit("progress", phase="training", done=step, total=self.total)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Called after a save that failed, too."""
        self.echo.ask(lambda: self._sample(model, state.global_step))

    def _sample(self, model: Any, step: int) -> None:
        if self.samples and self.saved_step == step:
            self.samples.take(model, step)

    def rewind(self) -> None:
        """Random numbers as they were after the last whole step, for that is what is saved."""
        if self.after_step is not None:
            randomness.restore(self.after_step)

    def _checkpoint_due(self, step: int) -> bool:
        if self.recipe.checkpoint_steps:
            return step % self.recipe.checkpoint_steps == 0
        return time.monotonic() - self.saved_at >= self.interval

    @property
    def interval(self) -> float:
        """Seconds between checkpoints; fewer where a host may not wait for the last one, but a tenth of the time at
        most goes into saving."""
        if not self.grace_seconds or self.stop_time.stop_seconds <= self.grace_seconds:
            return CHECKPOINT_SECONDS
        return min(CHECKPOINT_SECONDS, max(30.0, 10 * self.stop_time.save_seconds))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        values = {ours: float(logs[theirs]) for theirs, ours in METRICS.items() if theirs in logs}
        self._check_finite(values, state.global_step)
        self.final_loss = values["loss"]
        tokens = self.tokens_before + int(logs.get("num_tokens", 0))
        now = time.monotonic()
        seconds = self.seconds_before + now - self.began
        pace = (tokens - self.tokens) / max(seconds - self.seconds, 1e-6)
        self.tokens, self.seconds = tokens, seconds
        self.window.append(values | {"tokens_per_second": pace, "seconds": seconds, "tokens": tokens})
        if self._is_time_to_tell(state.global_step, state.max_steps, now):
            self._tell(state.global_step, state.max_steps)

    def _is_time_to_tell(self, step: int, total: int, now: float) -> bool:
        """Step by step where there are few; of many, those of about a second together."""
        if step % self.every == 0 or step == total or len(self.window) >= TELL_STEPS:
            return True
        return self.every > 1 and now - self.told_at >= TELL_SECONDS

    def _check_finite(self, values: dict[str, float], step: int) -> None:
        bad = [name for name in ("loss", "grad_norm") if not math.isfinite(values.get(name, 0.0))]
        if bad:
            raise EngineError(f"At step {step} the {bad[0].replace('_', ' ')} stopped being a number.", code="nan_loss")

    @property
    def is_broken_here(self) -> bool:
        """Is it a batch of this process whose loss is no number?"""
        return any(loss is not None and not math.isfinite(float(loss)) for _, loss in self.batches)

    def broken_batch(self) -> Mapping[str, Any] | None:
        """The first batch of the step whose loss is no number, or else the one that was being worked on."""
        for batch, loss in self.batches:
            if loss is not None and not math.isfinite(float(loss)):
                return batch
        return self.batches[-1][0] if self.batches else None

    def tell_stop_time(self) -> None:
        clock = self.stop_time
        if (needed := clock.news()) is not None:
            told = {"step": clock.longest_step, "save": clock.save_seconds, "grace": self.grace_seconds}
            emit("stop_time", stop_seconds=needed, **told)

    def say_again(self, total: int) -> None:
        """The newest steps before the checkpoint, in lines of a bearable length."""
        first = self.step - len(self.window) - len(self.said) + 1
        for place in range(0, len(self.said), TELL_STEPS):
            rows = self.said[place : place + TELL_STEPS]
            steps = list(range(first + place, first + place + len(rows)))
            told = {"values": rows[-1], "steps": steps, "each": _columns(rows), "tokens": int(rows[-1]["tokens"])}
            emit("metrics", step=steps[-1], total=total, **told)
        if self.validation is not None:
            self.validation.say_again()

    def _tell(self, step: int, total: int) -> None:
        """Every step's values, and what a person reads: the means of the steps since the last telling."""
        each = _columns(self.window)
        means = {
            name: values[-1] if name in LATEST else sum(filter(None, values)) / len(values)
            for name, values in each.items()
            if name not in CLOCKS
        }
        tokens, seconds = self.tokens - self.told[0], self.seconds - self.told[1]
        means["tokens_per_second"] = tokens / max(seconds, 1e-6)
        steps = list(range(step - len(self.window) + 1, step + 1))
        told = {"values": means, "steps": steps, "each": each, "gauges": self.gauges.read() if self.gauges else {}}
        emit("metrics", step=step, total=total, tokens=self.tokens, **told)
        emit("progress", phase="training", done=step, total=total)
        self.tell_stop_time()
        log(f"step {step}/{total}  loss {means['loss']:.4f}  {means['tokens_per_second']:,.0f} tokens/s")
        self.said = [*self.said, *self.window][-SAID_AGAIN:]
        self.window, self.told = [], (self.tokens, self.seconds)
        self.told_at = self.alive_at = time.monotonic()


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float | None]]:
    """Values by name; a name that a step did not have is null there."""
    return {name: [row.get(name) for row in rows] for name in rows[-1]}
