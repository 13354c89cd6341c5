"""Models made of an adapter: merged with its base, and quantised. What they are, what they take, how they are laid out.

Quantised layers follow the format “pack-quantized” of compressed-tensors, which transformers and vLLM read: symmetric
integers packed into 32-bit words along the input side, with one scale for each row (INT8) or for each group of 32
inputs (INT4). Embeddings, the output layer, norms and routers of experts keep the numbers of the base.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from training.domain.integrity import BLOCKS, Shapes

MIB = 1024 * 1024
SHARD_BYTES = 2 * 1024 * MIB  # of one weight file: what the engine holds in memory at once, with as much again
GROUP = 32  # inputs that share a scale in INT4
WORD = 32
FREE = 256 * MIB  # left on a disk beside what is written
ROUTERS = ("gate", "router", "shared_expert_gate")  # they choose experts: small, and a slip changes which one answers
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
INDEX = "model.safetensors.index.json"


class Kind(StrEnum):
    MERGED = "merged"
    INT8 = "int8"
    INT4 = "int4"

    @property
    def bits(self) -> int:
        """Of one weight of a quantised layer; 0 for numbers as the base has them."""
        return {"int8": 8, "int4": 4}.get(self.value, 0)

    @property
    def group(self) -> int:
        """Inputs that share a scale; 0 for a whole row."""
        return GROUP if self is Kind.INT4 else 0

    @property
    def label(self) -> str:
        return {"merged": "Merged", "int8": "INT8", "int4": "INT4"}[self.value]

    @property
    def relation(self) -> str:
        """What Hugging Face calls what it is to its base."""
        return "merge" if self is Kind.MERGED else "quantized"

    @property
    def node(self) -> str:
        """What lineage calls it."""
        return "quantisation" if self.bits else "merge"


KINDS = [(kind.value, kind.label) for kind in Kind]


@dataclass(frozen=True)
class Stored:
    """A tensor as a weight file has it: its type in safetensors' words, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * BYTES.get(self.dtype, 8)


def is_quantised(name: str, shape: Sequence[int], kind: Kind) -> bool:
    """Whether this matrix is packed: a linear layer within a block, whose inputs can be cut into whole groups."""
    path = name.split(".")
    if not kind.bits or path[-1] != "weight" or len(shape) != 2 or not any(part in BLOCKS for part in path):
        return False
    return path[-2] not in ROUTERS and not shape[1] % (kind.group or 1)


def left_alone(shapes: Shapes, kind: Kind) -> list[str]:
    """Layers that a loader would take for packed ones, and that are not."""
    layers = [name.removesuffix(".weight") for name, shape in shapes.items() if name.endswith(".weight")
              and len(shape) == 2 and not is_quantised(name, shape, kind)]  # fmt: skip
    return sorted({*layers, "lm_head"})


def sizes(name: str, tensor: Stored, kind: Kind) -> int:
    """Bytes of what stands in the place of one tensor."""
    if not is_quantised(name, tensor.shape, kind):
        return tensor.size
    rows, columns = tensor.shape
    words = rows * math.ceil(columns * kind.bits / WORD)
    groups = rows * (columns // kind.group if kind.group else 1)
    return words * 4 + groups * BYTES[scale_type(tensor.dtype)] + 16


def scale_type(dtype: str) -> str:
    """Scales have the numbers of the layer, and never fewer digits than bfloat16."""
    return dtype if dtype in {"F16", "BF16"} else "F32"


def shards(tensors: Iterable[tuple[str, int]], most: int = SHARD_BYTES) -> list[list[str]]:
    """Names in the order given, cut into files of at most so many bytes; one that is larger has a file to itself."""
    found: list[list[str]] = [[]]
    size = 0
    for name, length in tensors:
        if found[-1] and size + length > most:
            found.append([])
            size = 0
        found[-1].append(name)
        size += length
    return found


def shard_name(number: int, count: int) -> str:
    return "model.safetensors" if count == 1 else f"model-{number + 1:05d}-of-{count:05d}.safetensors"


def quantisation_config(kind: Kind, ignore: Sequence[str]) -> dict[str, Any]:
    """What stands in config.json, so that `from_pretrained` and vLLM know what they read."""
    weights: dict[str, Any] = {
        "num_bits": kind.bits,
        "type": "int",
        "symmetric": True,
        "dynamic": False,
        "strategy": "group" if kind.group else "channel",
        "group_size": kind.group or None,
    }
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": list(ignore),
        "kv_cache_scheme": None,
    }


# What it takes

# Bytes of the base that are read, worked through and written again in a second, before anything was measured; and what
# starting, loading twice and proving takes besides.
PRIOR_RATE, PRIOR_START = 40 * MIB, 30.0
SPREAD = (0.6, 1.0, 2.5)  # P10, P50 and P90 around what is expected


@dataclass(frozen=True)
class Needs:
    """What making one takes: bytes it will have, bytes of disk at work, seconds as P10, P50 and P90."""

    size_bytes: int
    disk_bytes: int
    seconds: tuple[float, float, float]
    measured: int  # how many were measured before


def expected_bytes(base_bytes: int, linear_share: float, kind: Kind, width: int = 2) -> int:
    """Of a base with weights of `width` bytes each, of which so large a share lies in layers that can be packed."""
    if not kind.bits:
        return base_bytes
    scales = (8 * width / kind.group) if kind.group else 0.1
    packed = base_bytes * linear_share * (kind.bits + scales) / (8 * width)
    return int(base_bytes * (1 - linear_share) + packed)


def needs(base_bytes: int, size_bytes: int, earlier: Sequence[tuple[int, float]]) -> Needs:
    """`earlier` are (bytes of the base, seconds) of those that were made on the same kind of device."""
    rates = sorted(size / max(seconds, 1e-3) for size, seconds in earlier if size)
    if rates:
        middle = base_bytes / rates[len(rates) // 2]
        low, high = base_bytes / rates[-1], base_bytes / rates[0]
        seconds = (min(low, middle * 0.8), middle, max(high * 1.2, middle * 1.5))
    else:
        expected = PRIOR_START + base_bytes / PRIOR_RATE
        seconds = (expected * SPREAD[0], expected, expected * SPREAD[2])
    return Needs(size_bytes, size_bytes + FREE, seconds, len(rates))


def read_stored(headers: Mapping[str, Mapping[str, Any]]) -> dict[str, Stored]:
    """The tensors of all weight files of a base by name, in the order of files and of places in them."""
    found = {}
    for file in sorted(headers):
        for name, entry in sorted(headers[file].items(), key=lambda one: one[1]["data_offsets"][0]):
            found[name] = Stored(entry["dtype"], tuple(entry["shape"]))
    return found
