"""The end of a rehearsal: after so many steps or so many seconds, with one checkpoint to see what it takes."""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from training.domain.rehearsal import FEWEST, SECONDS


class Enough(TrainerCallback):
    def __init__(self, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.steps, self.clock = steps, clock

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = self.clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        late = state.global_step >= FEWEST and self.clock() - self.began > SECONDS
        if late or state.global_step >= self.steps:
            control.should_save = control.should_training_stop = True
