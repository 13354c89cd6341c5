"""Linear layers that read the same input as one matrix, with their LoRA factors as more columns of it.

Layers W₁, W₂ … of one input x, each with factors Aᵢ, Bᵢ and scale sᵢ, are one product:

    [x, xA₁ᵀ, xA₂ᵀ …] · [[W₁, s₁B₁, 0 …], [W₂, 0, s₂B₂ …]]ᵀ

so the adapter costs a few more columns instead of two products, a sum and a cast for each layer. The factors stay what
PEFT made them: separate parameters in 32 bit, trained and saved as ever; copies in the base's precision do the work.
"""

from dataclasses import dataclass
from typing import Any

import torch

ALIGNED = 16  # tensor cores like the inner dimension to be a multiple of it


@dataclass
class Stack:
    """`weight`: (sum of outputs, input + columns for the factors), columns for the factors rounded up."""

    weight: Any
    bias: Any | None
    size: int
    outputs: tuple[int, ...]
    ranks: tuple[int, ...]
    scales: tuple[float, ...]

    @property
    def extra(self) -> int:
        return self.weight.shape[1] - self.size

    def factors(self, downs: tuple[Any, ...], ups: tuple[Any, ...]) -> Any:
        """Put the present B factors into the weight; returns all A factors as one (extra, size) matrix."""
        down = self.weight.new_zeros(self.extra, self.size)
        row = out = 0
        for a, b, rank, outputs, scale in zip(downs, ups, self.ranks, self.outputs, self.scales, strict=True):
            down[row : row + rank] = a.detach()
            block = self.weight[out : out + outputs, self.size + row : self.size + row + rank]
            block.copy_(b.detach() * scale)
            row, out = row + rank, out + outputs
        return down

    def again(self) -> None:
        """Before the backward pass: the weight as it was in the forward pass, which here it still is."""

    def room(self, rows: int) -> Any:
        """An input buffer whose first `size` columns are the caller's to fill."""
        return self.weight.new_empty(rows, self.weight.shape[1])

    def forward(self, x: Any, down: Any, residual: Any | None = None) -> Any:
        """The product; `x` comes from `room`, and its last columns are filled here."""
        torch.mm(x[:, : self.size], down.t(), out=x[:, self.size :])
        if residual is not None:
            return torch.addmm(residual, x, self.weight.t())
        return torch.mm(x, self.weight.t()) if self.bias is None else torch.addmm(self.bias, x, self.weight.t())

    def backward(self, grad: Any, down: Any) -> tuple[Any, Any]:
        """Gradient for the input, as the first columns of the first result, and for the low-rank products."""
        both = torch.mm(grad, self.weight)
        low = both[:, self.size :]
        both[:, : self.size].addmm_(low, down)
        return both, low

    def factor_gradients(self, grad: Any, x: Any, low: Any) -> tuple[list[Any], list[Any]]:
        """Gradients of all A and all B, in 32 bit."""
        downs_all = torch.mm(low.t(), x[:, : self.size])
        downs, ups = [], []
        row = out = 0
        for rank, outputs, scale in zip(self.ranks, self.outputs, self.scales, strict=True):
            downs.append(downs_all[row : row + rank].float())
            products = x[:, self.size + row : self.size + row + rank]
            ups.append(torch.mm(grad[:, out : out + outputs].t(), products).float() * scale)
            row, out = row + rank, out + outputs
        return downs, ups


@dataclass
class LentStack(Stack):
    """Of layers whose weights are whole only while they are at work: put together for each pass, in a `weight` and a
    `bias` that all layers of the decoder share, since only one is at work at a time."""

    layers: tuple[Any, ...] = ()

    def factors(self, downs: tuple[Any, ...], ups: tuple[Any, ...]) -> Any:
        self._gather()
        return super().factors(downs, ups)

    def again(self) -> None:
        self._gather()
        factors = factors_of(list(self.layers))
        super().factors(factors[: len(self.ranks)], factors[len(self.ranks) :])

    def _gather(self) -> None:
        out = 0
        for layer, size in zip(self.layers, self.outputs, strict=True):
            self.weight[out : out + size, : self.size].copy_(layer.base_layer.weight.detach())
            if self.bias is not None and layer.base_layer.bias is not None:
                self.bias[out : out + size].copy_(layer.base_layer.bias.detach())
            out += size


class Desk:
    """Where lent weights are put together: one place for each shape that a stack can have."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.places: dict[tuple[Any, ...], Any] = {}

    def place(self, name: str, *shape: int, dtype: Any) -> Any:
        key = (name, shape, dtype)
        if key not in self.places:
            self.places[key] = torch.zeros(shape, dtype=dtype, device=self.device)
        return self.places[key]


def lend(layers: list[Any], desk: Desk) -> LentStack:
    """A stack of PEFT's LoRA layers that leaves their weights where they are."""
    size, outputs, ranks, scales, extra = _measures(layers)
    dtype = layers[0].base_layer.weight.dtype
    weight = desk.place(f"weight of {len(layers)}", sum(outputs), size + extra, dtype=dtype)
    bias = None
    if any(layer.base_layer.bias is not None for layer in layers):
        # Where some have none, their part stays zero: a place of its own for each way in which that can be.
        which = "bias of " + " ".join(str(layer.base_layer.bias is not None) for layer in layers)
        bias = desk.place(which, sum(outputs), dtype=dtype)
    return LentStack(weight, bias, size, outputs, ranks, scales, tuple(layers))


def _measures(layers: list[Any]) -> tuple[int, tuple[int, ...], tuple[int, ...], tuple[float, ...], int]:
    """Inputs, outputs of each, ranks, scales, and the columns for the factors."""
    ranks = tuple(layer.lora_A["default"].weight.shape[0] for layer in layers)
    outputs = tuple(layer.base_layer.weight.shape[0] for layer in layers)
    scales = tuple(float(layer.scaling["default"]) for layer in layers)
    return layers[0].base_layer.weight.shape[1], outputs, ranks, scales, -(-sum(ranks) // ALIGNED) * ALIGNED


def build(layers: list[Any]) -> Stack:
    """Take over the weights of PEFT's LoRA layers of one input; they keep views, so saving and generating go on."""
    first = layers[0].base_layer.weight
    _, outputs, ranks, scales, extra = _measures(layers)
    weight = first.new_zeros(sum(outputs), first.shape[1] + extra)
    out = 0
    for layer, size in zip(layers, outputs, strict=True):
        weight[out : out + size, : first.shape[1]] = layer.base_layer.weight.data
        layer.base_layer.weight.data = weight[out : out + size, : first.shape[1]]
        out += size
    biases = [layer.base_layer.bias for layer in layers]
    bias = None
    if any(one is not None for one in biases):
        bias = torch.cat(
            [first.new_zeros(size) if one is None else one.data for one, size in zip(biases, outputs, strict=True)]
        )
    return Stack(weight, bias, first.shape[1], outputs, ranks, scales)


def factors_of(layers: list[Any], adapter: str | None = "default") -> tuple[Any, ...]:
    """All A, then all B, in the order of the layers. Without an adapter every B is zero."""
    downs = tuple(layer.lora_A[adapter or "default"].weight for layer in layers)
    ups = tuple(layer.lora_B[adapter or "default"].weight for layer in layers)
    return downs + (ups if adapter else tuple(up.new_zeros(up.shape) for up in ups))
