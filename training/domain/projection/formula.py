"""What a step, a stage and a byte should take by the size of the model, where nothing has been measured yet."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from training.domain.pace import Pace, Widths
from training.domain.recipe import ALL_LINEAR, Method, Recipe

# A LoRA step costs 2N operations a token forward and 2N for the gradient of the inputs; the frozen weights need none of
# their own (Hu et al. 2021, arXiv:2106.09685; counted as in Kaplan et al. 2020, arXiv:2001.08361). Activations that are
# not kept are computed once more (Chen et al. 2016, arXiv:1604.06174). DPO adds a forward pass of the reference: in
# every step of the library's pass, once for all steps of the fast one.
FORWARD_AND_BACK = 2
# By device and forward pass, read off measured runs: sustained operations a second, what a batch costs that does not
# grow with it (the optimiser, logging), and what each layer costs besides its products (launching its kernels).
FLOPS = {("cpu", "library"): 4e10, ("cpu", "fast"): 4e10, ("cuda", "library"): 9e13, ("cuda", "fast"): 5e14}
BATCH_SECONDS = {"cpu": 0.012, "cuda": 0.03}
# Bytes of weights that a card fetches from the others in a second, beyond what is hidden behind the products.
FETCHED_BYTES_A_SECOND = {"cpu": 2e9, "cuda": 2.2e11}
LAYER_SECONDS = {("cpu", "library"): 0.002, ("cpu", "fast"): 0.002, ("cuda", "library"): 0.015, ("cuda", "fast"): 0.006}


@dataclass(frozen=True)
class Shape:
    """What the projection needs to know about a base model."""

    parameters: int
    hidden: int = 0
    layers: int = 0
    vocab: int = 0
    heads: int = 1
    kv_heads: int = 0
    head_dim: int = 0
    intermediate: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Shape":
        return cls(**{name: int(raw.get(name) or 0) for name in cls.__dataclass_fields__})

    @property
    def attention(self) -> tuple[int, int]:
        """Widths of the queries and of the keys."""
        size = self.head_dim or self.hidden // max(self.heads, 1)
        return size * self.heads, size * (self.kv_heads or self.heads)

    @property
    def inner(self) -> int:
        """Width inside the feed-forward block; worked out from the number of weights where it is not known."""
        if self.intermediate or not self.layers or not self.hidden:
            return self.intermediate
        queries, keys = self.attention
        of_layer = (self.parameters - self.vocab * self.hidden) / self.layers
        return max(self.hidden, round((of_layer - 2 * self.hidden * (queries + keys)) / (3 * self.hidden)))

    def linear(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the linear layers of one block, by the names that most families give them."""
        queries, keys = self.attention
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }

    def widths(self) -> Widths:
        queries, keys = self.attention
        return Widths(self.parameters, self.hidden, self.inner, self.layers, queries, keys, self.vocab)


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step: so much a batch, a computed token, and a unit of rows × length²."""

    batch: float
    token: float
    square: float

    def seconds(self, batches: float, padded: float, square: float) -> float:
        return self.batch * batches + self.token * padded + self.square * square

    def times(self, factor: float) -> "StepTime":
        return StepTime(self.batch * factor, self.token * factor, self.square * factor)


def step_time(shape: Shape, method: str, device: str, pace: Pace) -> StepTime:
    """2N operations a token and pass; attention 4 × hidden × layers for each pair of tokens (Kaplan et al. 2020)."""
    key = (device, pace.path)
    fetched = 2 * (2 if device == "cuda" else 4) * shape.parameters if pace.sharded else 0  # forward and back
    passes = FORWARD_AND_BACK + pace.recompute + (method == Method.DPO and pace.path == "library")
    return StepTime(
        batch=BATCH_SECONDS[device]
        + LAYER_SECONDS[key] * shape.layers * passes / FORWARD_AND_BACK
        + fetched / FETCHED_BYTES_A_SECOND[device],
        token=2 * passes * max(shape.parameters, 1) / FLOPS[key],
        square=4 * passes * shape.hidden * shape.layers / FLOPS[key],
    )


def adapter_parameters(shape: Shape, recipe: Recipe) -> int:
    """Trained weights: two thin matrices for each adapted layer."""
    linear = shape.linear()
    names = linear if recipe.target_modules == (ALL_LINEAR,) else set(recipe.target_modules)
    wide = sum(sum(linear[name]) for name in names if name in linear)
    if not wide:  # a family that names its layers otherwise
        wide = 2 * shape.hidden * len(names)
    return wide * recipe.rank * max(shape.layers, 1)
