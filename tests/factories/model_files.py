"""Files of models made to do harm, and a watch that sees whether anybody has opened one."""

import ctypes
import json
import os
import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

IN_OPEN, EVENT = 0x20, struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Opens:
    """How often files have been opened, by whatever process: the kernel counts."""

    def __init__(self) -> None:
        self._handle = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._paths: dict[int, Path] = {}
        assert self._handle >= 0

    def watch(self, path: Path) -> None:
        number = _libc.inotify_add_watch(self._handle, os.fsencode(path), IN_OPEN)
        assert number >= 0, path
        self._paths[number] = path

    def seen(self) -> list[str]:
        """Names of what has been opened since this was asked last."""
        found = []
        while True:
            try:
                data = os.read(self._handle, 65536)
            except BlockingIOError:
                return found
            while data:
                number, _, _, length = EVENT.unpack(data[: EVENT.size])
                data = data[EVENT.size + length :]
                if number in self._paths:
                    found.append(self._paths[number].name)

    def close(self) -> None:
        os.close(self._handle)


@contextmanager
def opens(*paths: Path) -> Iterator[Opens]:
    """Watches files; proves first that it would notice."""
    watch = Opens()
    for path in paths:
        watch.watch(path)
        path.open("rb").close()
    assert sorted(watch.seen()) == sorted(path.name for path in paths)
    try:
        yield watch
    finally:
        watch.close()


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def payload(marker: Path) -> bytes:
    """A pickle that makes the file `marker` wherever it is loaded."""
    data = pickle.dumps(_Payload(marker))
    pickle.loads(data)  # so that what is tested against is true
    marker.unlink()
    return data


def header(tensors: dict[str, dict[str, Any]], size: int = 0, length: int | None = None) -> bytes:
    """The beginning of a safetensors file with this header, and `size` bytes behind it."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(size)


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def tensors(named: dict[str, Any], dtype: str = "F32") -> bytes:
    """A safetensors file with these arrays."""
    table, parts, at = {}, [], 0
    for name, values in named.items():
        wide = np.ascontiguousarray(values, "<f4")
        data = (wide.view("<u4") >> 16).astype("<u2").tobytes() if dtype == "BF16" else wide.tobytes()
        table[name] = entry(list(wide.shape), at, at + len(data), dtype)
        parts.append(data)
        at += len(data)
    return header(table) + b"".join(parts)


LAYER = "model.layers.{}.self_attn.q_proj"


def base_weights(sides: tuple[int, int] = (6, 8), layers: int = 6) -> dict[str, Any]:
    """Tensors of a base by name: `layers` linear layers of out × in."""
    return {f"{LAYER.format(n)}.weight": np.zeros(sides) for n in range(layers)}


def pair_weights(rank: int = 2, sides: tuple[int, int] = (6, 8), layers: int = 6, seed: int = 0) -> dict[str, Any]:
    """Tensors of an adapter for such a base."""
    draw = np.random.default_rng(seed)
    found = {}
    for n in range(layers):
        name = f"base_model.model.{LAYER.format(n)}"
        found[f"{name}.lora_A.weight"] = draw.normal(size=(rank, sides[1]))
        found[f"{name}.lora_B.weight"] = draw.normal(size=(sides[0], rank))
    return found


CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "acme/base",
    "revision": "abc",
    "r": 2,
    "lora_alpha": 4,
    "lora_dropout": 0.0,
    "bias": "none",
    "target_modules": ["q_proj"],
}
