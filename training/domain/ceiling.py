"""The most tokens a second that a card could train a model on, and the share of it that a run reaches."""

import re

from training.domain.projection.formula import Shape
from training.domain.recipe import Method

# Dense products in bfloat16 (float16 where a card has no other), in 10^12 operations a second, from the makers' data
# sheets; a name is found by its first match, so what is more exact comes first.
CARDS = (
    ("B200", 2250.0), ("H200", 989.0), ("GH200", 989.0), ("H100 NVL", 835.0), ("H100 PCIe", 756.0), ("H100", 989.0),
    ("A100", 312.0), ("A30", 165.0), ("A40", 150.0), ("A10", 125.0), ("L40S", 362.0), ("L40", 181.0), ("L4", 121.0),
    ("RTX 4090", 165.0), ("RTX 3090", 71.0), ("V100", 125.0), ("T4", 65.0),
)  # fmt: skip
# For each parameter and token: 2 forward and 2 for the gradients of what went in, since the weights are frozen; where
# pairs are compared, 2 more for the reference. Attention and what is computed twice are not counted.
OPERATIONS = {Method.SFT: 4, Method.DPO: 6}


def tokens_a_second(shape: Shape, method: str, card: str, cards: int = 1) -> float | None:
    """With nothing else to do but the products of the model; None for a card or a kind of model that is not known."""
    speed = next((speed for name, speed in CARDS if re.search(rf"\b{re.escape(name)}\b", card, re.IGNORECASE)), None)
    parameters = _passed(shape)
    if speed is None or parameters is None:
        return None
    return speed * 1e12 * max(1, cards) / (OPERATIONS[Method(method)] * parameters)


def _passed(shape: Shape) -> int | None:
    """Parameters that every token passes through: the input embedding is only looked up, unless it is the head too.

    A model with experts has more than these, one whose sizes are not known cannot be counted.
    """
    if not (shape.hidden and shape.layers and shape.vocab):
        return None
    of_layer = sum(inputs * outputs for inputs, outputs in shape.linear().values())
    head = shape.vocab * shape.hidden
    passed = shape.layers * of_layer + head
    return passed if passed <= 1.02 * shape.parameters <= 1.04 * (passed + head) else None
