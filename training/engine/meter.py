"""What a running trainer takes: seconds of every step with the size of its batches, saves, and peaks of memory."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from transformers import TrainerCallback

from training.domain.projection.points import Point, condense
from training.engine import memory

WARM_UP = 2  # first steps, in which kernels are chosen and memory is taken for the first time
MOST_POINTS = 2048  # kept at the same time; beyond that every second one goes


class Batch(NamedTuple):
    """What a pass computes: rows, their padded length, and the sum of rows × the length that each token sees."""

    rows: int
    length: int
    square: Any  # a number, or one that is still being made on the card

    @property
    def padded(self) -> int:
        return self.rows * self.length

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> "Batch":
        rows, length = (int(side) for side in inputs["input_ids"].shape)
        bounds = inputs.get("cu_seq_lens_q")  # several sequences in one row, of which none sees another
        if bounds is None:
            return cls(rows, length, rows * length * length)
        sizes = (bounds[1:] - bounds[:-1]).long()
        return cls(rows, length, (sizes * sizes).sum())


class Meter(TrainerCallback):
    """Attached to a trainer it watches its batches, steps and checkpoints, and changes nothing about them."""

    def __init__(self, *, by_step: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.by_step, self.clock = by_step, clock
        self.points: list[Point] = []
        self.peaks: list[tuple[int, int]] = []  # of each step, when asked for: tokens of its widest pass, bytes
        self.steps = self.saves = self.peak_disk = self.save_bytes = 0
        self.save_seconds = 0.0
        self.widest = Batch(0, 0, 0)
        self._batches: list[Batch] = []
        self._every, self._since, self._saved_since = 1, clock(), 0.0
        self._asked = 0.0  # seconds of samples and looks before the step at work

    def attach(self, trainer: Any) -> "Meter":
        """Put around the trainer's own methods, since no callback is told what is in a batch."""
        pace = getattr(trainer, "pace", None)
        self.tokens = pace.tokens if pace is not None else 0  # of a pass; 0 where each batch is one
        self.aside = lambda: (trainer.progress.samples, trainer.progress.validation)
        self._watch_batches(trainer)
        self._watch_saves(trainer)
        trainer.add_callback(self)
        self.device = trainer.args.device.type
        return self

    def _watch_batches(self, trainer: Any) -> None:
        step = trainer.training_step

        def watched(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self._batches.append(Batch.of(inputs))
            return step(model, inputs, *args, **kwargs)

        trainer.training_step = watched

    def _watch_saves(self, trainer: Any) -> None:
        save, folder = trainer._save_checkpoint, trainer.store.folder

        def watched(*args: Any, **kwargs: Any) -> Any:
            began, before = self.clock(), sizes(folder)
            answer = save(*args, **kwargs)
            self.save_seconds += (took := self.clock() - began)
            self._saved_since += took
            after = sizes(folder)
            if made := set(after) - set(before):
                self.saves += 1
                self.save_bytes = max(after[name] for name in made)
                # What had to go stood beside the new one for a moment.
                self.peak_disk = max(self.peak_disk, sum((before | after).values()))
            return answer

        trainer._save_checkpoint = watched

    @property
    def batches(self) -> list["Batch"]:
        """Those of the step at work."""
        return self._batches

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = self._since = self.clock()
        self._saved_since, self._asked = 0.0, self._asking()

    def _asking(self) -> float:
        """Seconds of samples and of looks at validation rows so far, which are no part of a step."""
        return sum(one.seconds for one in self.aside() if one)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.by_step:
            memory.forget_peak(self.device)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now, asked = self.clock(), self._asking()
        took, self._since = now - self._since - self._saved_since - (asked - self._asked), now
        self._saved_since, self._asked = 0.0, asked
        self.steps += 1
        batches, self._batches = self._batches, []
        self.widest = max([self.widest, *batches], key=lambda batch: batch.padded)
        if self.by_step:
            widest = max((batch.padded for batch in batches), default=0)
            self.peaks.append((min(widest, self.tokens or widest), memory.peak(self.device)))
        if self.steps > WARM_UP and self.steps % self._every == 0:
            self._keep(batches, took)

    def _keep(self, batches: list["Batch"], took: float) -> None:
        padded, square = sum(batch.padded for batch in batches), sum(int(batch.square) for batch in batches)
        passes = sum(math.ceil(batch.padded / self.tokens) for batch in batches) if self.tokens else len(batches)
        self.points.append(Point(passes, padded, square, took))
        if len(self.points) >= MOST_POINTS:
            self.points, self._every = self.points[1::2], self._every * 2

    def told(self) -> dict[str, Any]:
        """For the result: the steps in groups alike in size, and the saves."""
        return {
            "points": [point.as_list() for point in condense(self.points)],
            "measured_steps": self.steps,
            "widest": [self.widest.rows, self.widest.length],
            "peaks": [list(peak) for peak in self.peaks[1:]],  # in the first step the optimiser has no moments yet
            "saves": self.saves,
            "save_seconds": round(self.save_seconds, 4),
            "save_bytes": self.save_bytes,
            "peak_disk": self.peak_disk,
        }


def sizes(folder: Path) -> dict[str, int]:
    """Bytes by checkpoint, the staging places left out."""
    return {
        place.name: sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        for place in folder.iterdir()
        if place.is_dir() and not place.name.startswith(".")
    }
