"""Triton kernels of the fast path: norms, gates, rotations and cross-entropy, each in one pass over its rows.

Rows may be wider apart than they are long: the norm and the gate write straight into the left part of a buffer whose
right part holds the low-rank products, so that one matrix product serves base and adapter. Every kernel has a slow twin
in `reference`, and tests hold the two together.
"""

from typing import Any

import torch
import triton
import triton.language as tl


@triton.jit
def _norm_forward(x, weight, out, rstd, x_stride, out_stride, size, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < size
    values = tl.load(x + row * x_stride + cols, mask=mask, other=0.0).to(tl.float32)
    inverse = tl.rsqrt(tl.sum(values * values, 0) / size + eps)
    tl.store(rstd + row, inverse)
    normed = (values * inverse).to(out.dtype.element_ty).to(tl.float32)
    scaled = normed * tl.load(weight + cols, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + row * out_stride + cols, scaled.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _norm_backward(
    grad, x, weight, rstd, residual, out, grad_stride, x_stride, size, HAS_RESIDUAL: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK)
    mask = cols < size
    inverse = tl.load(rstd + row)
    normed = tl.load(x + row * x_stride + cols, mask=mask, other=0.0).to(tl.float32) * inverse
    scaled = tl.load(grad + row * grad_stride + cols, mask=mask, other=0.0).to(tl.float32)
    scaled *= tl.load(weight + cols, mask=mask, other=0.0).to(tl.float32)
    result = inverse * (scaled - normed * (tl.sum(scaled * normed, 0) / size))
    if HAS_RESIDUAL:
        result += tl.load(residual + row * x_stride + cols, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + row * x_stride + cols, result.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _gate_forward(pair, out, pair_stride, out_stride, size, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = cols < size
    gate = tl.load(pair + row * pair_stride + cols, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(pair + row * pair_stride + size + cols, mask=mask, other=0.0).to(tl.float32)
    silu = (gate * tl.sigmoid(gate)).to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * out_stride + cols, (silu * up).to(out.dtype.element_ty), mask=mask)


@triton.jit
def _gate_backward(grad, pair, grad_pair, again, grad_stride, pair_stride, again_stride, size, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = cols < size
    gate = tl.load(pair + row * pair_stride + cols, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(pair + row * pair_stride + size + cols, mask=mask, other=0.0).to(tl.float32)
    slope = tl.load(grad + row * grad_stride + cols, mask=mask, other=0.0).to(tl.float32)
    sigmoid = tl.sigmoid(gate)
    silu = gate * sigmoid
    grad_gate = slope * up * (sigmoid + silu * (1.0 - sigmoid))
    kind = grad_pair.dtype.element_ty
    tl.store(grad_pair + row * pair_stride + cols, grad_gate.to(kind), mask=mask)
    tl.store(grad_pair + row * pair_stride + size + cols, (slope * silu).to(kind), mask=mask)
    tl.store(again + row * again_stride + cols, (silu.to(kind).to(tl.float32) * up).to(kind), mask=mask)


@triton.jit
def _rotate(x, cos, sin, x_stride, cos_stride, heads, sign, HALF: tl.constexpr, HEADS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    half = tl.arange(0, HALF)[None, :]
    head = tl.arange(0, HEADS)[:, None]
    mask = head < heads
    c = tl.load(cos + row * cos_stride + half).to(tl.float32)
    s = tl.load(sin + row * cos_stride + half).to(tl.float32) * sign
    first = x + row * x_stride + head * (2 * HALF) + half
    a = tl.load(first, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(first + HALF, mask=mask, other=0.0).to(tl.float32)
    tl.store(first, (a * c - b * s).to(x.dtype.element_ty), mask=mask)
    tl.store(first + HALF, (b * c + a * s).to(x.dtype.element_ty), mask=mask)


@triton.jit
def _cross_entropy(logits, targets, losses, hits, stride, size, scale, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    line = logits + row * stride
    target = tl.load(targets + row)
    wanted = tl.load(line + target).to(tl.float32)
    top = -float("inf")
    total = 0.0
    for start in range(0, size, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        values = tl.load(line + cols, mask=cols < size, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(values, 0))
        total = total * tl.exp(top - higher) + tl.sum(tl.exp(values - higher), 0)
        top = higher
    tl.store(losses + row, tl.log(total) + top - wanted)
    tl.store(hits + row, (wanted >= top).to(tl.float32))
    for start in range(0, size, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        values = tl.load(line + cols, mask=cols < size, other=-float("inf")).to(tl.float32)
        slope = (tl.exp(values - top) / total - tl.where(cols == target, 1.0, 0.0)) * scale
        tl.store(line + cols, slope.to(logits.dtype.element_ty), mask=cols < size)


def _warps(block: int) -> int:
    return 4 if block <= 2048 else 8 if block <= 8192 else 16


def norm(x: Any, weight: Any, eps: float, out: Any) -> Any:
    """RMS norm of the rows of `x` into the first columns of `out`; returns 1/rms of each row."""
    rows, size = x.shape
    rstd = torch.empty(rows, dtype=torch.float32, device=x.device)
    block = triton.next_power_of_2(size)
    _norm_forward[(rows,)](
        x, weight, out, rstd, x.stride(0), out.stride(0), size, eps, BLOCK=block, num_warps=_warps(block)
    )
    return rstd


def norm_backward(grad: Any, x: Any, weight: Any, rstd: Any, residual: Any | None) -> Any:
    """Gradient of `norm` for its input, plus `residual`, the gradient that goes round it."""
    rows, size = x.shape
    out = torch.empty_like(x)
    block = triton.next_power_of_2(size)
    _norm_backward[(rows,)](
        grad, x, weight, rstd, out if residual is None else residual, out, grad.stride(0), x.stride(0), size,
        HAS_RESIDUAL=residual is not None, BLOCK=block, num_warps=_warps(block),
    )  # fmt: skip
    return out


def gate(pair: Any, out: Any) -> None:
    """silu(left half) × right half, into the first columns of `out`."""
    rows, size = pair.shape[0], pair.shape[1] // 2
    grid = (rows, triton.cdiv(size, 4096))
    _gate_forward[grid](pair, out, pair.stride(0), out.stride(0), size, BLOCK=4096, num_warps=8)


def gate_backward(grad: Any, pair: Any, again: Any) -> Any:
    """Gradient of `gate` for its input; writes what `gate` gave into `again`, so that nobody needs to have kept it."""
    rows, size = pair.shape[0], pair.shape[1] // 2
    out = torch.empty_like(pair)
    grid = (rows, triton.cdiv(size, 4096))
    _gate_backward[grid](
        grad, pair, out, again, grad.stride(0), pair.stride(0), again.stride(0), size, BLOCK=4096, num_warps=8
    )
    return out


def rotate(x: Any, cos: Any, sin: Any, heads: int, *, back: bool = False) -> None:
    """Rotary position of the first `heads` heads of each row, in place; `back` undoes it (and is its gradient)."""
    half = cos.shape[-1] // 2
    _rotate[(x.shape[0],)](
        x, cos, sin, x.stride(0), cos.stride(0), heads, -1.0 if back else 1.0,
        HALF=half, HEADS=triton.next_power_of_2(heads), num_warps=4,
    )  # fmt: skip


def cross_entropy(logits: Any, targets: Any, scale: float) -> tuple[Any, Any]:
    """Loss of each row and whether the target was the likeliest; `logits` becomes its gradient × `scale`."""
    rows, size = logits.shape
    losses = torch.empty(rows, dtype=torch.float32, device=logits.device)
    hits = torch.empty_like(losses)
    _cross_entropy[(rows,)](logits, targets, losses, hits, logits.stride(0), size, scale, BLOCK=8192, num_warps=16)
    return losses, hits
