"""What the reference says of every answer, computed once a run and kept beside its checkpoints."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from training.engine import disk
from training.engine.checkpoints import Checkpoints
from training.engine.events import emit, log

NAME = "reference.safetensors"
TENSOR = "log_probabilities"


class References:
    """Log-probabilities of chosen and rejected answers in the order of the rows, of which the first `done` are known.

    The file says what it was made from and the sha256 of its numbers; one that does not fit is computed anew, which on
    the same device gives the same numbers.
    """

    def __init__(self, store: Checkpoints) -> None:
        self.store, self.done, self.written = store, 0, 0

    @property
    def path(self) -> Path:
        return self.store.folder / NAME

    def read(self, count: int) -> Any:
        """(done, 2), in 32 bit: what was kept of `count` pairs, nothing where it cannot be used."""
        found = torch.empty(0, 2)
        if self.path.exists():
            problem, found = self._read(count)
            if problem:
                log(f"the kept reference is not used: {problem}")
        self.done = self.written = len(found)
        return found

    def _read(self, count: int) -> tuple[str | None, Any]:
        nothing = torch.empty(0, 2)
        try:
            with safe_open(self.path, "pt") as file:
                about, found = file.metadata() or {}, file.get_tensor(TENSOR)
        except (OSError, SafetensorError) as problem:
            return str(problem), nothing
        if about.get("made_from") != self._made_from():
            return "it is of another run", nothing
        if found.dtype != torch.float32 or found.dim() != 2 or found.shape[1] != 2 or len(found) > count:
            return "it has another size", nothing
        if about.get("sha256") != _digest(found):
            return "its numbers have another checksum", nothing
        return None, found

    def keep(self, values: Any) -> None:
        """Write the first `done` of them, if that is more than was written. No disk ends the run.

        What is no number is not kept: the first step will tell of it, and another attempt may know better.
        """
        if self.done <= self.written:
            return
        known = values[: self.done].cpu().contiguous()
        if not bool(torch.isfinite(known).all()):
            return
        made = self.store.staging / NAME
        try:
            save_file({TENSOR: known}, made, {"made_from": self._made_from(), "sha256": _digest(known)})
            self.store.keep_beside(made)
        except (OSError, RuntimeError, SafetensorError) as problem:
            made.unlink(missing_ok=True)
            found = disk.trouble(problem, self.store.folder)
            if found is None:
                raise
            emit("warning", code=found[0], message=found[1], step=0)
            return
        self.written = self.done

    def _made_from(self) -> str:
        return json.dumps(self.store.origin.made_from, sort_keys=True)


def _digest(values: Any) -> str:
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()
