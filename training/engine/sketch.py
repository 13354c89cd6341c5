"""The sketch of an adapter's weights, from its file or from a model in memory: both give the same."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.domain import anatomy, integrity, safetensors
from training.domain.proofs import ZERO
from training.engine import weights

PREFIX = "base_model.model."


def of_file(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """All that is remembered of an adapter whose file has been found sound."""
    header = weights.header_of(path, most=weights.ADAPTER_HEADER)
    shapes = safetensors.shapes(header)
    pairs = ((module, a, b) for module, a, b in _paired(path, header))
    return _sketch(pairs, [integrity.scale(config)]) | {
        "tensors": anatomy.fold(shapes),
        "transposed": bool(config.get("fan_in_fan_out")),
    }


def _paired(path: Path, header: safetensors.Header) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    halves: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in weights.tensors(path, header):
        match = integrity.TENSOR.match(name)
        assert match is not None
        pair = halves.setdefault(match["module"], {})
        pair[match["half"]] = values.astype("<f4")
        if len(pair) == 2:
            yield match["module"], pair["A"], pair["B"]
            del halves[match["module"]]


def of_model(model: Any, adapter: str = "default") -> dict[str, Any]:
    """The same of what is in memory and at work: layers that carry the adapter, and by how much they multiply it."""
    carrying = [(name, module) for name, module in model.named_modules() if _carries(module, adapter)]
    scales = sorted({round(float(module.scaling[adapter]), 9) for _, module in carrying})
    pairs = (
        (
            name.removeprefix(PREFIX),
            _numbers(module.lora_A[adapter].weight),
            _numbers(module.lora_B[adapter].weight),
        )
        for name, module in carrying
    )
    return _sketch(pairs, scales)


def _carries(module: Any, adapter: str) -> bool:
    if adapter not in getattr(module, "lora_A", {}):
        return False
    return adapter in module.active_adapters and not module.disable_adapters


def _numbers(tensor: Any) -> NDArray[Any]:
    found: NDArray[Any] = tensor.detach().float().cpu().contiguous().numpy().astype("<f4")
    return found


def _sketch(pairs: Iterator[tuple[str, NDArray[Any], NDArray[Any]]], scales: list[float]) -> dict[str, Any]:
    """Layers in the order of their names, one component of all of them after the other."""
    modules: dict[str, str] = {}
    rows: dict[str, list[bytes]] = {}
    live: set[int] = set()
    rank = 0
    for module, a, b in pairs:
        rank = max(rank, a.shape[0])
        modules[module] = hashlib.sha256(a.tobytes() + np.ascontiguousarray(b).tobytes()).hexdigest()[:16]
        columns = np.ascontiguousarray(b.T)
        # Half of a pair that is zero changes nothing: such a component is not at work.
        live.update(n for n in range(len(a)) if a[n].any() and columns[n].any())
        rows[module] = [hashlib.sha256(a[n].tobytes() + columns[n].tobytes()).digest()[:8] for n in range(len(a))]
    names = sorted(rows)
    parts = [b"".join(rows[name][n] for name in names if n < len(rows[name])) for n in range(rank)]
    components = [hashlib.sha256(part).hexdigest()[:16] if n in live else ZERO for n, part in enumerate(parts)]
    return {
        "rank": rank,
        "modules": {name: modules[name] for name in names},
        "components": components,
        "scales": scales,
    }
