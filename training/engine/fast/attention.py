"""Attention over packed sequences that cannot see each other: one kernel call for all sequences of a batch."""

import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

Attend = Callable[[Any, Any, Any, Any, int, float], Any]


def varlen(q: Any, k: Any, v: Any, bounds: Any, longest: int, scale: float) -> Any:
    """Causal attention; q, k, v are (tokens, heads, width), `bounds` the first token of each sequence and the end."""
    from torch.nn.attention.varlen import varlen_attn

    known = inspect.signature(varlen_attn).parameters
    options: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    if "scale" in known:
        options["scale"] = scale
    else:
        q = q * (scale * q.shape[-1] ** 0.5)
    if "enable_gqa" in known:
        options["enable_gqa"] = k.shape[1] != q.shape[1]
    elif k.shape[1] != q.shape[1]:
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], dim=1) for part in (k, v))
    return varlen_attn(q, k, v, bounds, bounds, longest, longest, **options)


def by_sequence(q: Any, k: Any, v: Any, bounds: Any, longest: int, scale: float) -> Any:
    """The same one sequence after another, for devices without the kernel and as what it must equal."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    places = bounds.tolist()
    parts = []
    for start, end in pairwise(places):
        one = (part[start:end].transpose(0, 1)[None] for part in (q, k, v))
        parts.append(torch.nn.functional.scaled_dot_product_attention(*one, is_causal=True, scale=scale)[0])
    return torch.cat(parts, dim=1).transpose(0, 1)


def flash(q: Any, k: Any, v: Any, bounds: Any, longest: int, scale: float) -> Any:
    """The same through the flash-attn package."""
    from flash_attn import flash_attn_varlen_func

    return flash_attn_varlen_func(q, k, v, bounds, bounds, longest, longest, softmax_scale=scale, causal=True)
