"""What `Structure` has gathered about every row by the time it is asked for its findings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.quality import Trait
from datasets_app.engine.values import JsonAnswers, Values


@dataclass(slots=True)
class Gathered:
    """Arrays hold one value a row."""

    purpose: str
    kind: str
    traits: NDArray[np.int32]
    prompts: NDArray[np.int32]  # characters
    answers: NDArray[np.int32]
    turns: NDArray[Any]
    shapes: NDArray[np.int32]  # of JSON answers, a number of `json.signatures`
    unlabelled: NDArray[np.int64]  # rows without a label
    labels: Values
    answer_values: Values
    json: JsonAnswers

    @property
    def rows(self) -> int:
        return len(self.traits)

    def has(self, trait: Trait) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (self.traits & int(trait)) > 0
        return found
