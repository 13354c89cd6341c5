"""The two halves of a decoder layer and the head as autograd functions: few tensors kept, no pass over them twice."""

from typing import Any

import torch

from training.engine.fast.stacks import Stack


class Kernels:
    """Triton where there is a GPU, plain torch elsewhere; chosen once per process."""

    def __init__(self, on_gpu: bool) -> None:
        if on_gpu:
            from training.engine.fast import kernels as chosen
        else:
            from training.engine.fast import reference as chosen  # type: ignore[no-redef]
        self.norm, self.norm_backward = chosen.norm, chosen.norm_backward
        self.gate, self.gate_backward = chosen.gate, chosen.gate_backward
        self.rotate, self.cross_entropy = chosen.rotate, chosen.cross_entropy


class NormedProjection(torch.autograd.Function):
    """Norm, then all layers that read the normed input: (rows, size) → (rows, sum of outputs)."""

    @staticmethod
    def forward(ctx: Any, h: Any, weight: Any, eps: float, stack: Stack, kernels: Kernels, *factors: Any) -> Any:
        count = len(stack.ranks)
        down = stack.factors(factors[:count], factors[count:])
        x = stack.room(h.shape[0])
        rstd = kernels.norm(h, weight, eps, x)
        ctx.save_for_backward(h, rstd, x, down)
        ctx.weight, ctx.stack, ctx.kernels = weight, stack, kernels
        return stack.forward(x, down)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        h, rstd, x, down = ctx.saved_tensors
        ctx.stack.again()
        both, low = ctx.stack.backward(grad, down)
        downs, ups = ctx.stack.factor_gradients(grad, x, low)
        before = ctx.kernels.norm_backward(both, h, ctx.weight, rstd, None) if ctx.needs_input_grad[0] else None
        return before, None, None, None, None, *downs, *ups


class Projection(torch.autograd.Function):
    """One layer and the sum with what goes round it: residual + layer(x)."""

    @staticmethod
    def forward(ctx: Any, inner: Any, residual: Any, stack: Stack, down_factor: Any, up_factor: Any) -> Any:
        down = stack.factors((down_factor,), (up_factor,))
        x = stack.room(inner.shape[0])
        x[:, : stack.size] = inner
        ctx.save_for_backward(x, down)
        ctx.stack = stack
        return stack.forward(x, down, residual)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        x, down = ctx.saved_tensors
        ctx.stack.again()
        both, low = ctx.stack.backward(grad, down)
        downs, ups = ctx.stack.factor_gradients(grad, x, low)
        return both[:, : ctx.stack.size].contiguous(), grad, None, downs[0], ups[0]


class GatedBlock(torch.autograd.Function):
    """The whole feed-forward half: h + down(silu(gate(norm h)) × up(norm h)).

    Kept for the gradient: the input, the normed input and gate|up. The gated product is made again.
    """

    @staticmethod
    def forward(
        ctx: Any, h: Any, weight: Any, eps: float, wide: Stack, narrow: Stack, kernels: Kernels, *factors: Any
    ) -> Any:
        a_gate, a_up, b_gate, b_up, a_down, b_down = factors
        first = wide.factors((a_gate, a_up), (b_gate, b_up))
        x = wide.room(h.shape[0])
        rstd = kernels.norm(h, weight, eps, x)
        pair = wide.forward(x, first)
        second = narrow.factors((a_down,), (b_down,))
        gated = narrow.room(h.shape[0])
        kernels.gate(pair, gated)
        result = narrow.forward(gated, second, h)
        low_part = gated[:, narrow.size :].clone()
        ctx.save_for_backward(h, rstd, x, pair, first, second, low_part)
        ctx.weight, ctx.wide, ctx.narrow, ctx.kernels = weight, wide, narrow, kernels
        return result

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        h, rstd, x, pair, first, second, low_part = ctx.saved_tensors
        wide, narrow, kernels = ctx.wide, ctx.narrow, ctx.kernels
        narrow.again()
        wide.again()
        both, low = narrow.backward(grad, second)
        gated = narrow.room(grad.shape[0])
        gated[:, narrow.size :] = low_part
        grad_pair = kernels.gate_backward(both, pair, gated)
        (grad_a_down,), (grad_b_down,) = narrow.factor_gradients(grad, gated, low)
        del both, gated, low
        both, low = wide.backward(grad_pair, first)
        downs, ups = wide.factor_gradients(grad_pair, x, low)
        before = kernels.norm_backward(both, h, ctx.weight, rstd, grad)
        return before, None, None, None, None, None, *downs, *ups, grad_a_down, grad_b_down


class Rotate(torch.autograd.Function):
    """Rotary positions of queries and keys inside the joint product, in place."""

    @staticmethod
    def forward(ctx: Any, joint: Any, cos: Any, sin: Any, heads: int, kernels: Kernels) -> Any:
        kernels.rotate(joint, cos, sin, heads)
        ctx.mark_dirty(joint)
        ctx.save_for_backward(cos, sin)
        ctx.heads, ctx.kernels = heads, kernels
        return joint

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        cos, sin = ctx.saved_tensors
        grad = grad.contiguous()
        ctx.kernels.rotate(grad, cos, sin, ctx.heads, back=True)
        return grad, None, None, None, None


class Head(torch.autograd.Function):
    """Final norm, the frozen head and cross-entropy of the trained rows, a few thousand rows of logits at a time.

    Returns the loss of each row in 32 bit, and 1 where its target was the likeliest. The gradient is made on the way,
    unless nobody will ask for it.
    """

    ROWS = 4096

    @staticmethod
    def forward(ctx: Any, h: Any, rows: Any, targets: Any, weight: Any, eps: float, head: Any, kernels: Kernels) -> Any:
        kept = h.index_select(0, rows)
        normed = torch.empty_like(kept)
        rstd = kernels.norm(kept, weight, eps, normed)
        losses, hits = [], []
        for start in range(0, max(1, len(rows)), Head.ROWS):
            part = normed[start : start + Head.ROWS]
            logits = torch.mm(part, head.t())
            loss, hit = kernels.cross_entropy(logits, targets[start : start + Head.ROWS], 1.0)
            losses.append(loss)
            hits.append(hit)
            if ctx.needs_input_grad[0]:
                part.copy_(torch.mm(logits, head))  # from here on the gradient for the normed rows
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(kernels.norm_backward(normed, kept, weight, rstd, None), rows)
            ctx.shape = h.shape
        right = torch.cat(hits)
        ctx.mark_non_differentiable(right)
        return torch.cat(losses), right

    @staticmethod
    def backward(ctx: Any, slopes: Any, _: Any) -> tuple[Any, ...]:
        grad, rows = ctx.saved_tensors
        whole = grad.new_zeros(ctx.shape)
        # The slope of each row stays in 32 bit until the product is rounded.
        scaled = torch.mul(grad, slopes[:, None], out=torch.empty_like(grad))
        whole.index_copy_(0, rows, scaled)
        return whole, None, None, None, None, None, None
