"""The kernels of the fast path in plain torch: what they must equal, and what runs where there is no Triton."""

from typing import Any

import torch


def norm(x: Any, weight: Any, eps: float, out: Any) -> Any:
    values = x.float()
    rstd = torch.rsqrt(values.pow(2).mean(-1) + eps)
    out[:, : x.shape[1]] = weight * (values * rstd[:, None]).to(x.dtype)
    return rstd


def norm_backward(grad: Any, x: Any, weight: Any, rstd: Any, residual: Any | None) -> Any:
    normed = x.float() * rstd[:, None]
    scaled = grad[:, : x.shape[1]].float() * weight.float()
    result = rstd[:, None] * (scaled - normed * (scaled * normed).mean(-1, keepdim=True))
    return (result if residual is None else result + residual.float()).to(x.dtype)


def gate(pair: Any, out: Any) -> None:
    left, right = pair.chunk(2, dim=-1)
    out[:, : left.shape[1]] = torch.nn.functional.silu(left) * right


def gate_backward(grad: Any, pair: Any, again: Any) -> Any:
    left, right = (half.float() for half in pair.chunk(2, dim=-1))
    slope, sigmoid = grad[:, : left.shape[1]].float(), torch.sigmoid(left)
    silu = left * sigmoid
    again[:, : left.shape[1]] = silu.to(pair.dtype) * right.to(pair.dtype)
    return torch.cat((slope * right * (sigmoid + silu * (1 - sigmoid)), slope * silu), dim=-1).to(pair.dtype)


def rotate(x: Any, cos: Any, sin: Any, heads: int, *, back: bool = False) -> None:
    width = cos.shape[-1]
    half = width // 2
    part = x[:, : heads * width].unflatten(-1, (heads, width))
    c, s = cos[:, None, :half].float(), sin[:, None, :half].float() * (-1 if back else 1)
    a, b = part[..., :half].float(), part[..., half:].float()
    part[..., :half], part[..., half:] = (a * c - b * s).to(x.dtype), (b * c + a * s).to(x.dtype)


def cross_entropy(logits: Any, targets: Any, scale: float) -> tuple[Any, Any]:
    values = logits.float()
    logs = torch.log_softmax(values, dim=-1)
    losses = -logs.gather(1, targets[:, None])[:, 0]
    hits = (values.gather(1, targets[:, None])[:, 0] >= values.max(-1).values).float()
    slope = logs.exp()
    slope[torch.arange(len(targets), device=slope.device), targets] -= 1
    logits.copy_(slope * scale)
    return losses, hits
