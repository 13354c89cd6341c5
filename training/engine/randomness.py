"""The state of every random generator that training uses."""

import random
from typing import NamedTuple

import numpy as np
import torch


class State(NamedTuple):
    python: object
    numpy: object
    torch: torch.Tensor
    cuda: list[torch.Tensor]


def capture() -> State:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return State(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)


def restore(state: State) -> None:
    random.setstate(state.python)  # type: ignore[arg-type]
    np.random.set_state(state.numpy)  # type: ignore[arg-type]
    torch.set_rng_state(state.torch)
    if state.cuda:
        torch.cuda.set_rng_state_all(state.cuda)
