"""A derived model read back: its weights beside base and adapter, then loaded as anybody would, and asked probes."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from training.domain import faithful
from training.domain.derived import Kind
from training.domain.faithful import Layer
from training.domain.proofs import Found, Observation
from training.engine import hashing, packing, proof, weights
from training.engine.events import EngineError
from training.engine.merging import Merged
from training.engine.model import Device

Tell = Callable[[int, int], None]


def check_files(folder: Path, files: Mapping[str, Mapping[str, Any]], *, tell: Tell = lambda *_: None) -> None:
    """Every stored file is there, byte for byte, and nothing else."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"MANIFEST.json"}
    if odd := sorted(there ^ set(files)):
        raise EngineError(f"{odd[0]} is not as it was stored in this model. Make it again.", code="artefact_damaged")
    total = sum(int(entry["size"]) for entry in files.values())
    done = 0
    for name, entry in sorted(files.items()):
        if hashing.sha256_file(folder / name) != entry["sha256"]:
            raise EngineError(
                f"{name} of the model is not the file that was made: its checksum differs. Make it again.",
                code="artefact_damaged",
            )
        done += int(entry["size"])
        tell(done, total)


class Made:
    """The weight files of a derived model, tensor by tensor. A context manager."""

    def __init__(self, folder: Path, kind: Kind, device: str = "cpu") -> None:
        self.kind, self.device = kind, device
        headers = weights.base_headers(folder)
        self.file_of = {name: folder / file for file, header in headers.items() for name in header}
        self._open = ExitStack()
        self._files: dict[Path, Any] = {}

    def __enter__(self) -> "Made":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def get(self, name: str) -> Any:
        from safetensors import safe_open

        path = self.file_of[name]
        if path not in self._files:
            self._files[path] = self._open.enter_context(safe_open(path, framework="pt"))
        return self._files[path].get_tensor(name)

    def matrix(self, name: str) -> tuple[Any, float | None]:
        """The tensor that stands for one of the base's; where it is packed, in float32 and with the noise of that."""
        stem = name.removesuffix("weight")
        if name in self.file_of or not name.endswith(".weight"):
            return self.get(name).to(self.device), None
        words, scales, shape = (self.get(f"{stem}weight_{part}") for part in ("packed", "scale", "shape"))
        columns = int(shape[1])
        found = packing.dequantise(words.to(self.device), scales.to(self.device), self.kind, columns)
        return found, float(scales.double().square().sum()) * (columns // scales.shape[1]) / 12

    def hashes(self) -> dict[str, str]:
        """Of every tensor, so that damage has a place."""
        found = {}
        for name in sorted(self.file_of):
            data = self.get(name).contiguous().flatten().view(_bytes()).numpy()
            found[name] = hashlib.sha256(data).hexdigest()[:16]
        return found


def _bytes() -> Any:
    import torch

    return torch.uint8


def layers(source: Merged, made: Made, *, tell: Tell = lambda *_: None) -> list[Layer]:
    """Every tensor of the base beside what stands for it."""
    found = []
    total = sum(one.size for one in source.stored.values())
    done = 0
    for name, stored in source.stored.items():
        try:
            there, noise = made.matrix(name)
        except KeyError as missing:
            raise EngineError(f"The model has no {name}. Make it again.", code="artefact_damaged") from missing
        found.append(_layer(name, stored.dtype, source, there, noise))
        done += stored.size
        tell(done, total)
    return found


def _layer(name: str, dtype: str, source: Merged, there: Any, noise: float | None) -> Layer:
    """Sums in float64: a slip of the sum must not pass for one of the weights."""
    raw, added = source.raw(name), source.added(name)
    if tuple(raw.shape) != tuple(there.shape):
        raise EngineError(f"{name} has another shape than in the base. Make the model again.", code="other_base")
    base, now = raw.float(), there.float()
    whole = base if added is None else base + added
    moved = now - base
    return Layer(
        name=name,
        dtype=dtype,
        packed=noise is not None,
        noise=noise or 0.0,
        count=base.numel(),
        merged=_dot(whole, whole),
        shared=_dot(now, whole),
        off=_dot(now - whole, now - whole),
        wanted=_dot(added, added) if added is not None else 0.0,
        along=_dot(moved, added) if added is not None else 0.0,
        moved=_dot(moved, moved),
    )


def _dot(one: Any, other: Any) -> float:
    return float((one.double() * other.double()).sum())


def check_weights(
    source: Merged, folder: Path, kind: Kind, stored: Mapping[str, str] | None = None, *, tell: Tell = lambda *_: None
) -> tuple[list[Layer], dict[str, str]]:
    """Figures and hashes of the weights, once nothing is wrong with them; or the name of what is."""
    with Made(folder, kind, source.device) as made:
        figures = layers(source, made, tell=tell)
        if found := faithful.about_layers(figures, kind):
            refuse(found)
        hashes = made.hashes()
    if stored is not None and (found := faithful.about_hashes(stored, hashes)):
        refuse(found)
    return figures, hashes


def refuse(found: Found) -> None:
    raise EngineError(
        f"Effect proof: {found.text} Nothing is computed with it: make the model again.", code=found.fault.value
    )


def load(folder: Path, device: Device) -> Any:
    """As anybody would load it: `from_pretrained`, safetensors only; packed weights become numbers as they are read."""
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": torch.bfloat16 if device.is_cuda else torch.float32}
    if weights.read_config(folder / "config.json").get("quantization_config"):
        options["quantization_config"] = _unpacking()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not fit is told below
            model, told = AutoModelForCausalLM.from_pretrained(
                folder,
                trust_remote_code=False,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as problem:
        raise EngineError(
            f"The model cannot be loaded again: {problem}"[:500], code="not_loadable", detail=str(problem)
        ) from problem
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if odd := sorted(map(str, told.get(what) or ())):
            raise EngineError(
                f"The model cannot be loaded again as it is stored: {what.replace('_', ' ')}, such as {odd[0][:120]}.",
                code="not_loadable",
            )
    model.config.use_cache = False
    return model.to(device.kind).eval()


def _unpacking() -> Any:
    from importlib.util import find_spec

    if find_spec("compressed_tensors") is None:
        raise EngineError(
            "Quantised models need the package compressed-tensors, which this worker does not have.",
            code="no_quantiser",
        )
    from transformers import CompressedTensorsConfig

    return CompressedTensorsConfig(dequantize=True)


def check_effect(model: Any, pair: Observation, stored: Mapping[str, Any], kind: Kind, dtype: str) -> dict[str, Any]:
    """What it says of the probes, beside the adapter on its base just now and itself when it was made.

    `stored`: readings of this model by numerics. Returns what may be kept and told of it.
    """
    numerics = proof.numerics(model)
    seen = proof.read_alone(model, pair.ids, pair.tops)
    before = stored.get(numerics)
    found = faithful.about_effect(seen, pair, before, kind, dtype)
    if found:
        refuse(found)
    return {
        "numerics": numerics,
        "seen": seen,
        "first": before is None,
        "kept": round(faithful.kept_effect(seen, pair), 6),
        "apart": round(min(max(abs(a - b) for a, b in zip(pair.adapter, seen, strict=True)), 1e9), 6),
        "effect": round(pair.effect, 6),
    }


def common_type(source: Merged) -> str:
    """The type that most of the base's weights have."""
    sizes: dict[str, int] = {}
    for one in source.stored.values():
        sizes[one.dtype] = sizes.get(one.dtype, 0) + one.size
    return max(sizes, key=lambda name: sizes[name])
