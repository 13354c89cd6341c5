"""Reading safetensors files without the libraries that load models: headers, shapes, figures."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.domain import fingerprint, integrity, safetensors
from training.domain.documents import BadDocument, read_object
from training.domain.findings import Finding
from training.domain.safetensors import Header

ADAPTER_HEADER = 16_000_000  # a pair for every layer of the largest models takes less than one
INDEX_BYTES = 64_000_000
PACKED = frozenset({"U8", "I8", "I32", "U32", "F4", "F6_E2M3", "F6_E3M2"})
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def header_of(path: Path, *, most: int = safetensors.MOST_HEADER) -> Header:
    """The tensors of a file; nothing behind its header is read."""
    with path.open("rb") as file:
        size = path.stat().st_size
        first = file.read(8)
        length = safetensors.header_length(first, size, most=most)
        return safetensors.read_header(first + file.read(length), size, most=most)


def base_headers(folder: Path) -> dict[str, Header]:
    """The headers of all weight files of a base by name, once they fit to its index."""
    headers = {path.name: header_of(path) for path in sorted(folder.glob("*.safetensors"))}
    index = folder / fingerprint.INDEX
    if index.exists():
        fingerprint.check_index(read_index(index), {name: set(header) for name, header in headers.items()})
    return headers


def read_index(path: Path) -> dict[str, Any]:
    return read_config(path, INDEX_BYTES)


def read_config(path: Path, most_bytes: int = fingerprint.MOST_CONFIG) -> dict[str, Any]:
    """A JSON object that came with a model; an empty one for a file that is not there."""
    if not path.exists():
        return {}
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    try:
        return read_object(data, most_bytes=most_bytes, finite=False)
    except BadDocument as problem:
        raise fingerprint.UnusableBase(f"{path.name} {problem}.", code="damaged_config") from problem


def base_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name; an empty one where weights are packed, for those say nothing of their layer."""
    return {
        name: tuple(entry["shape"]) if entry["dtype"] not in PACKED else ()
        for header in base_headers(folder).values()
        for name, entry in header.items()
    }


def parameters(folder: Path, *, tied: bool = False) -> int:
    """Weights of a base; a head that is its input embedding as well counts once."""
    shapes = base_shapes(folder)
    return sum(math.prod(shape) for name, shape in shapes.items() if not (tied and name == "lm_head.weight"))


def adapter_findings(path: Path, config: dict[str, Any], base: dict[str, tuple[int, ...]] | None) -> list[Finding]:
    """All that an adapter's weights say against it: pairs, base, numbers. Raises DamagedWeights when it is torn."""
    header = header_of(path, most=ADAPTER_HEADER)
    shapes = safetensors.shapes(header)
    found = integrity.about_pairs(shapes, config["r"])
    if found:
        return found
    if unknown := sorted({entry["dtype"] for entry in header.values()} - {*TYPES, "BF16"}):
        return [Finding("unsupported_adapter", f"Its weights are stored as {', '.join(unknown)}. Store them as F32.")]
    if base is not None:
        found += integrity.about_base(shapes, base, transposed=bool(config.get("fan_in_fan_out")))
    bad, norms = figures(path, header, integrity.scale(config))
    return found + integrity.about_values(bad, norms)


def figures(path: Path, header: Header, scale: float) -> tuple[list[str], dict[str, float]]:
    """Names of tensors with NaN or infinity, and by module how much it changes its layer: scale · ‖B·A‖.

    ‖B·A‖² is the sum of the elements of (BᵀB) ∘ (AAᵀ), both of rank × rank, so B·A is never made.
    """
    bad: list[str] = []
    grams: dict[str, NDArray[Any]] = {}
    norms: dict[str, float] = {}
    for name, values in tensors(path, header):
        if not np.isfinite(values).all():
            bad.append(name)
            continue
        match = integrity.TENSOR.match(name)
        assert match is not None
        wide = values.astype(np.float64)
        gram = wide @ wide.T if match["half"] == "A" else wide.T @ wide
        other = grams.pop(match["module"], None)
        if other is None:
            grams[match["module"]] = gram
        else:
            norms[match["module"]] = scale * math.sqrt(max(0.0, float((gram * other).sum())))
    return bad, norms


def tensors(path: Path, header: Header) -> Iterator[tuple[str, NDArray[Any]]]:
    """One after the other, as they lie in the file, so that no more than one is in memory."""
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        for name, entry in sorted(header.items(), key=lambda one: one[1]["data_offsets"][0]):
            low, high = entry["data_offsets"]
            file.seek(start + low)
            yield name, _numbers(file.read(high - low), entry["dtype"]).reshape(entry["shape"])


def _numbers(data: bytes, dtype: str) -> NDArray[Any]:
    if dtype == "BF16":  # the upper half of a 32-bit number
        halves = np.frombuffer(data, "<u2").astype("<u4") << 16
        return halves.view("<f4")
    return np.frombuffer(data, TYPES[dtype])
