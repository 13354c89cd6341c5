"""Weights as few bits: symmetric integers with a scale for each row or group, packed into 32-bit words."""

from typing import Any

from training.domain.derived import WORD, Kind

# Shares of the largest weight of a group that its scale is made for: cutting the largest a little often costs less than
# a coarser step for all. Of each group the share with the least squared error is taken.
CLIPS = {8: (1.0,), 4: (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)}
TINY = 1e-12


def quantise(weight: Any, kind: Kind, scale_dtype: Any) -> tuple[Any, Any]:
    """Integers (rows × columns, int8) and scales (rows × groups) of a matrix of float32."""
    import torch

    rows, columns = weight.shape
    low, high = -(1 << (kind.bits - 1)), (1 << (kind.bits - 1)) - 1
    groups = weight.reshape(rows, -1, kind.group or columns)
    largest = groups.abs().amax(-1)
    best: Any = None
    for clip in CLIPS[kind.bits]:
        # The scale as it will be read again: what its own rounding costs is in the integers already.
        scale = (largest * clip / high).clamp(min=TINY).to(scale_dtype)
        integers = torch.round(groups / scale.float().unsqueeze(-1)).clamp(low, high)
        error = (integers * scale.float().unsqueeze(-1) - groups).square().sum(-1)
        if best is None:
            best = (integers, scale, error)
            continue
        better = error < best[2]
        best = (
            torch.where(better.unsqueeze(-1), integers, best[0]),
            torch.where(better, scale, best[1]),
            torch.where(better, error, best[2]),
        )
    integers, scales, _ = best
    return integers.reshape(rows, columns).to(torch.int8), scales


def pack(integers: Any, bits: int) -> Any:
    """Into words of 32 bits along the columns, the first in the lowest bits, each shifted to begin at zero."""
    import torch

    each = WORD // bits
    rows, columns = integers.shape
    shifted = integers.to(torch.int32) + (1 << (bits - 1))
    shifted = torch.nn.functional.pad(shifted, (0, -columns % each)).reshape(rows, -1, each)
    places = torch.arange(each, dtype=torch.int32, device=shifted.device) * bits
    return (shifted << places).sum(-1, dtype=torch.int32)


def unpack(words: Any, bits: int, columns: int) -> Any:
    import torch

    each = WORD // bits
    places = torch.arange(each, dtype=torch.int32, device=words.device) * bits
    integers = (words.unsqueeze(-1) >> places) & ((1 << bits) - 1)
    return (integers.reshape(len(words), -1)[:, :columns] - (1 << (bits - 1))).to(torch.int8)


def dequantise(words: Any, scales: Any, kind: Kind, columns: int) -> Any:
    """The matrix in float32 again."""
    integers = unpack(words, kind.bits, columns).float()
    rows = len(integers)
    return (integers.reshape(rows, scales.shape[1], -1) * scales.float().unsqueeze(-1)).reshape(rows, columns)


def packed(name: str, weight: Any, kind: Kind, scale_dtype: Any) -> dict[str, Any]:
    """What stands in the file for one matrix."""
    import torch

    integers, scales = quantise(weight, kind, scale_dtype)
    stem = name.removesuffix("weight")
    return {
        f"{stem}weight_packed": pack(integers, kind.bits),
        f"{stem}weight_scale": scales,
        f"{stem}weight_shape": torch.tensor(list(weight.shape), dtype=torch.int64),
    }
